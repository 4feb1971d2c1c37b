#include "wire/push.h"

#include "base/error.h"
#include "wire/base64.h"

#include <math.h>
#include <string.h>

/* In memory of its exact size, so that a sanitizer sees a read beyond the end. */
static gboolean read_text(const char *text, MnkPushMessage *out, GError **error) {
  gsize length = strlen(text);
  g_autofree char *exact = g_memdup2(text, length ? length : 1);
  g_autoptr(GError) own = NULL;
  gboolean ok = mnk_push_read(exact, length, out, &own);
  g_assert_true(ok == (own == NULL));
  if (ok && out->type == MNK_PUSH_FRAME && !out->unescaped) {
    g_assert_true(out->image >= exact && out->image + out->image_length <= exact + length);
    out->image = text + (out->image - exact);
  }
  if (own)
    g_propagate_error(error, g_steal_pointer(&own));
  return ok;
}

/* ---- Frames ---- */

static const struct {
  const char *text;
  gint64 frame_index;
  double timestamp;
  const char *image;
} frames[] = {
    {"{\"type\":\"frame\",\"frame_index\":7,\"timestamp\":1735689600.25,\"image_base64\":\"/9j/\"}",
     7, 1735689600.25, "/9j/"},
    {"{\"image_base64\": \"AAAA\", \"timestamp\": 3, \"type\": \"frame\"}", -1, 3, "AAAA"},
    {" { \"timestamp\" : 0e0 , \"frame_index\" : null , \"image_base64\" : \"A\" , \"type\" : "
     "\"frame\" } ",
     -1, 0, "A"},
    {"{\"type\":\"frame\",\"frame_index\":4294967295,\"timestamp\":1e11,\"image_base64\":\"AA==\"}",
     G_MAXUINT32, 1e11, "AA=="},
    {"{\"type\":\"frame\",\"frame_index\":3.0,\"timestamp\":1,\"image_base64\":\"A\"}", 3, 1, "A"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"\\/9j\\/\"}", -1, 1, "/9j/"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"\\u0041B\\u002b\\/\"}", -1, 1, "AB+/"},
    {"{\"t\\u0079pe\":\"fr\\u0061me\",\"\\u0074imestamp\":2,\"image_base64\":\"AB\"}", -1, 2, "AB"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"A\",\"more\":{\"timestamp\":9,"
     "\"type\":1},"
     "\"list\":[{\"image_base64\":\"no\"}]}",
     -1, 1, "A"},
    {"{\"more\":{\"image_base64\":\"no\"},\"type\":\"frame\",\"timestamp\":-0.0,\"image_base64\":"
     "\"A\"}",
     -1, 0, "A"},
};

static void test_frames(void) {
  for (guint i = 0; i < G_N_ELEMENTS(frames); i++) {
    MnkPushMessage message;
    g_autoptr(GError) error = NULL;
    read_text(frames[i].text, &message, &error);
    g_assert_no_error(error);
    g_assert_cmpint(message.type, ==, MNK_PUSH_FRAME);
    g_assert_cmpint(message.frame_index, ==, frames[i].frame_index);
    g_assert_cmpfloat(message.timestamp, ==, frames[i].timestamp);
    g_assert_cmpmem(message.image, message.image_length, frames[i].image, strlen(frames[i].image));
    g_assert_null(message.json);
    mnk_push_message_clear(&message);
    g_assert_null(message.image);
  }
}

/* The image is not copied: it lies in the message. */
static void test_image_stays(void) {
  g_autoptr(GString) text =
      g_string_new("{\"type\":\"frame\",\"timestamp\":5,\"frame_index\":1,\"image_base64\":\"");
  g_autofree guint8 *bytes = g_malloc0(40000);
  gsize at = text->len;
  mnk_base64_encode(bytes, 40000, text);
  gsize length = text->len - at;
  g_string_append(text, "\"}");
  MnkPushMessage message;
  g_assert_true(mnk_push_read(text->str, text->len, &message, NULL));
  g_assert_true(message.image == text->str + at);
  g_assert_cmpuint(message.image_length, ==, length);
  g_assert_null(message.unescaped);
  mnk_push_message_clear(&message);
}

/* ---- Others ---- */

static void test_others(void) {
  static const struct {
    const char *text;
    MnkPushType type;
  } others[] = {
      {"{\"type\":\"flush\"}", MNK_PUSH_FLUSH},
      {"{\"type\":\"end\",\"why\":[]}", MNK_PUSH_END},
      {"{\"stream\":\"street\",\"type\":\"hello\"}", MNK_PUSH_HELLO},
      {"{\"type\":\"params\",\"params\":{\"fps\":2}}", MNK_PUSH_PARAMS},
      {"{\"type\":\"resume\",\"last_seq\":3}", MNK_PUSH_RESUME},
  };
  for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
    MnkPushMessage message;
    g_autoptr(GError) error = NULL;
    read_text(others[i].text, &message, &error);
    g_assert_no_error(error);
    g_assert_cmpint(message.type, ==, others[i].type);
    g_assert_nonnull(mnk_json_get(mnk_json_root(message.json), "type"));
    g_assert_null(message.image);
    mnk_push_message_clear(&message);
    g_assert_null(message.json);
  }
}

/* ---- Refused ---- */

static const struct {
  const char *text, *message;
} refused[] = {
    {"", "JSON: the text ends where a value is expected at byte 0"},
    {"[]", "the message must be a JSON object"},
    {"\"frame\"", "the message must be a JSON object"},
    {"17", "the message must be a JSON object"},
    {"[{\"type\":\"frame\"}]", "the message must be a JSON object"},
    {"{}", "type is missing"},
    {"{\"Type\":\"frame\"}", "type is missing"},
    {"{\"type\":5}", "type must be a string"},
    {"{\"type\":null}", "type must be a string"},
    {"{\"type\":\"frmae\"}", "the type \"frmae\" is not known"},
    {"{\"type\":\"frame \"}", "the type \"frame \" is not known"},
    {"{\"type\":\"\"}", "the type \"\" is not known"},
    {"{\"type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
     "the type \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is not known"},
    {"{\"type\":\"frame\",\"image_base64\":\"A\"}", "timestamp is missing"},
    {"{\"type\":\"frame\",\"timestamp\":\"1\",\"image_base64\":\"A\"}",
     "timestamp must be a number of seconds from 0 to 100000000000"},
    {"{\"type\":\"frame\",\"timestamp\":-1,\"image_base64\":\"A\"}",
     "timestamp must be a number of seconds from 0 to 100000000000"},
    {"{\"type\":\"frame\",\"timestamp\":1.1e11,\"image_base64\":\"A\"}",
     "timestamp must be a number of seconds from 0 to 100000000000"},
    {"{\"type\":\"frame\",\"timestamp\":null,\"image_base64\":\"A\"}",
     "timestamp must be a number of seconds from 0 to 100000000000"},
    {"{\"type\":\"frame\",\"timestamp\":NaN,\"image_base64\":\"A\"}",
     "JSON: a value is expected at byte 28"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"frame_index\":-1,\"image_base64\":\"A\"}",
     "frame_index must be a whole number from 0 to 4294967295"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"frame_index\":4294967296,\"image_base64\":\"A\"}",
     "frame_index must be a whole number from 0 to 4294967295"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"frame_index\":1.5,\"image_base64\":\"A\"}",
     "frame_index must be a whole number from 0 to 4294967295"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"frame_index\":\"1\",\"image_base64\":\"A\"}",
     "frame_index must be a whole number from 0 to 4294967295"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"frame_index\":true,\"image_base64\":\"A\"}",
     "frame_index must be a whole number from 0 to 4294967295"},
    {"{\"type\":\"frame\",\"timestamp\":1}", "image_base64 is missing"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":17}", "image_base64 must be a string"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":null}", "image_base64 must be a string"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":[\"A\"]}",
     "image_base64 must be a string"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"\"}", "image_base64 is empty"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"A\",\"timestamp\":2}",
     "JSON: duplicate key at byte 50"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"A\\q\"}",
     "JSON: unknown escape at byte 47"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"A",
     "JSON: string without an end at byte 45"},
    {"{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"A\"}x",
     "JSON: the end is expected at byte 49"},
    {"{\"type\":\"flush\"", "JSON: the text ends where ',' or '}' is expected at byte 15"},
};

static void test_refused(void) {
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    MnkPushMessage message;
    g_autoptr(GError) error = NULL;
    g_assert_false(read_text(refused[i].text, &message, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_cmpstr(error->message, ==, refused[i].message);
  }
}

/* A frame may be as long as the transport lets it; of the other messages 1 MiB is read. */
static void test_long_ones(void) {
  g_autofree char *long_text = g_strnfill(2 << 20, 'A');
  g_autofree char *frame =
      g_strdup_printf("{\"type\":\"frame\",\"timestamp\":1,\"image_base64\":\"%s\"}", long_text);
  g_autofree char *hello = g_strdup_printf("{\"type\":\"hello\",\"stream\":\"%s\"}", long_text);
  g_autoptr(GError) error = NULL;
  MnkPushMessage message;
  g_assert_true(read_text(frame, &message, NULL));
  g_assert_cmpuint(message.image_length, ==, 2 << 20);
  g_assert_false(read_text(hello, &message, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

/* ---- Packets ---- */

/* struct.pack("!IdI", 258, 1735689600.5, 3) + b"abc" */
static const guint8 packet[] = {0x00, 0x00, 0x01, 0x02, 0x41, 0xd9, 0xdd, 0x21, 0x60, 0x20,
                                0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x61, 0x62, 0x63};

static void test_packet(void) {
  MnkPacketHeader header;
  guint8 again[MNK_PACKET_HEADER];
  g_assert_true(mnk_packet_read(packet, sizeof packet, &header, NULL));
  g_assert_cmpuint(header.id, ==, 258);
  g_assert_cmpfloat(header.timestamp, ==, 1735689600.5);
  g_assert_cmpuint(header.length, ==, 3);
  mnk_packet_write(&header, again);
  g_assert_cmpmem(again, sizeof again, packet, sizeof again);
}

static void refuse_packet(const guint8 *bytes, gsize length, const char *message) {
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *exact = g_memdup2(bytes, length ? length : 1);
  MnkPacketHeader header;
  g_assert_false(mnk_packet_read(exact, length, &header, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  g_assert_cmpstr(error->message, ==, message);
}

static void test_packet_refused(void) {
  refuse_packet(packet, 0, "a packet begins with 16 bytes of header and this one has 0");
  refuse_packet(packet, 15, "a packet begins with 16 bytes of header and this one has 15");
  refuse_packet(packet, 16, "the packet's length says 3 and 0 bytes follow its header");
  refuse_packet(packet, 18, "the packet's length says 3 and 2 bytes follow its header");
  static const double bad[] = {-0.5, 1.5e11, NAN, INFINITY, -INFINITY};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    guint8 bytes[MNK_PACKET_HEADER];
    mnk_packet_write(&(MnkPacketHeader){.timestamp = bad[i]}, bytes);
    refuse_packet(bytes, sizeof bytes,
                  "timestamp must be a number of seconds from 0 to 100000000000");
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/push/frames", test_frames);
  g_test_add_func("/push/image-stays", test_image_stays);
  g_test_add_func("/push/others", test_others);
  g_test_add_func("/push/refused", test_refused);
  g_test_add_func("/push/long-ones", test_long_ones);
  g_test_add_func("/push/packet", test_packet);
  g_test_add_func("/push/packet-refused", test_packet_refused);
  return g_test_run();
}
