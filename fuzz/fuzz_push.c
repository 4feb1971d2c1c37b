/* What is read in one pass says the same as the document does. */
#include "fuzz.h"

#include <string.h>

#include "wire/push.h"

static const MnkJsonLimits limits = {
    .max_bytes = G_MAXINT, .max_depth = 32, .max_values = 4096, .max_string = G_MAXINT};

static void check_frame(const MnkPushMessage *message, const char *text, gsize size) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, size, &limits, NULL);
  g_assert(json != NULL);
  const MnkJsonValue *root = mnk_json_root(json);
  const char *image = mnk_json_string(mnk_json_get(root, "image_base64"), NULL);
  g_assert(g_strcmp0(mnk_json_string(mnk_json_get(root, "type"), NULL), "frame") == 0);
  g_assert(message->timestamp >= 0 && message->timestamp <= 1e11);
  g_assert(message->timestamp == mnk_json_double(mnk_json_get(root, "timestamp"), -1));
  g_assert(message->frame_index >= -1 && message->frame_index <= G_MAXUINT32);
  if (message->frame_index >= 0)
    g_assert((double)message->frame_index ==
             mnk_json_double(mnk_json_get(root, "frame_index"), -1));
  g_assert(image && strlen(image) == message->image_length);
  g_assert(memcmp(image, message->image, message->image_length) == 0);
  if (!message->unescaped)
    g_assert(message->image > text && message->image + message->image_length < text + size);
}

static void read_packet(const guint8 *data, gsize size) {
  MnkPacketHeader header;
  guint8 again[MNK_PACKET_HEADER];
  if (!mnk_packet_read(data, size, &header, NULL))
    return;
  g_assert(header.length == size - MNK_PACKET_HEADER);
  mnk_packet_write(&header, again);
  g_assert(memcmp(again, data, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  const char *text = (const char *)data;
  g_autoptr(GError) error = NULL;
  MnkPushMessage message;
  read_packet(data, size);
  if (!mnk_push_read(text, size, &message, &error)) {
    g_assert(error && g_utf8_validate(error->message, -1, NULL));
    return 0;
  }
  g_assert(!error && (message.json != NULL) == (message.type != MNK_PUSH_FRAME));
  if (message.type == MNK_PUSH_FRAME)
    check_frame(&message, text, size);
  mnk_push_message_clear(&message);
  return 0;
}
