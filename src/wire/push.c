/* Messages of /ws/stream. What costs is the image, some 50 kB of one string: it is passed over
 * once, by the check, and copied by nobody unless it has escapes. */
#include "wire/push.h"

#include "base/base.h"
#include "wire/json_priv.h"

#include <math.h>
#include <string.h>

enum { MAX_NUMBER = 128, SHOWN = 40 };

static const double MAX_TIMESTAMP = 1e11;
/* The transport has limited the length; a member may be as long as that. */
static const MnkJsonLimits scan_limits = {
    .max_bytes = G_MAXINT, .max_depth = 32, .max_values = 4096, .max_string = G_MAXINT};

static gboolean G_GNUC_PRINTF(2, 3) fail(GError **error, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, what);
  return FALSE;
}

static gboolean check_timestamp(double timestamp, GError **error) {
  if (timestamp >= 0 && timestamp <= MAX_TIMESTAMP)
    return TRUE;
  return fail(error, "timestamp must be a number of seconds from 0 to %.0f", MAX_TIMESTAMP);
}

/* ---- Packets ---- */

gboolean mnk_packet_read(const guint8 *bytes, gsize length, MnkPacketHeader *out, GError **error) {
  guint64 bits;
  if (length < MNK_PACKET_HEADER)
    return fail(error, "a packet begins with %d bytes of header and this one has %" G_GSIZE_FORMAT,
                MNK_PACKET_HEADER, length);
  memcpy(&out->id, bytes, 4);
  memcpy(&bits, bytes + 4, 8);
  memcpy(&out->length, bytes + 12, 4);
  out->id = GUINT32_FROM_BE(out->id);
  out->length = GUINT32_FROM_BE(out->length);
  bits = GUINT64_FROM_BE(bits);
  memcpy(&out->timestamp, &bits, 8);
  if (!check_timestamp(out->timestamp, error))
    return FALSE;
  if (out->length != length - MNK_PACKET_HEADER)
    return fail(error,
                "the packet's length says %u and %" G_GSIZE_FORMAT " bytes follow its header",
                out->length, length - MNK_PACKET_HEADER);
  return TRUE;
}

void mnk_packet_write(const MnkPacketHeader *header, guint8 out[MNK_PACKET_HEADER]) {
  guint32 id = GUINT32_TO_BE(header->id), length = GUINT32_TO_BE(header->length);
  guint64 bits;
  memcpy(&bits, &header->timestamp, 8);
  bits = GUINT64_TO_BE(bits);
  memcpy(out, &id, 4);
  memcpy(out + 4, &bits, 8);
  memcpy(out + 12, &length, 4);
}

/* ---- Text messages ---- */

/* Members that are looked at; key NULL where there was none. */
typedef struct {
  MnkJsonMember type, frame_index, timestamp, image;
} Members;

static void keep_member(const MnkJsonMember *member, gpointer user) {
  Members *found = user;
  const struct {
    const char *key;
    MnkJsonMember *to;
  } wanted[] = {
      {"type", &found->type},
      {"frame_index", &found->frame_index},
      {"timestamp", &found->timestamp},
      {"image_base64", &found->image},
  };
  for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
    if (mnk_json_text_is(member->key, member->key_length, wanted[i].key))
      *wanted[i].to = *member;
}

static gboolean is_number(const MnkJsonMember *member) {
  return member->type == MNK_JSON_INT || member->type == MNK_JSON_DOUBLE;
}

static double number_of(const MnkJsonMember *member) {
  char text[MAX_NUMBER + 1];
  if (!is_number(member) || member->value_length > MAX_NUMBER)
    return NAN;
  memcpy(text, member->value, member->value_length);
  text[member->value_length] = '\0';
  return g_ascii_strtod(text, NULL);
}

static gboolean read_image(const MnkJsonMember *image, MnkPushMessage *out, GError **error) {
  if (!image->key)
    return fail(error, "image_base64 is missing");
  if (image->type != MNK_JSON_STRING)
    return fail(error, "image_base64 must be a string");
  if (image->value_length == 0)
    return fail(error, "image_base64 is empty");
  out->image = image->value;
  out->image_length = image->value_length;
  if (memchr(image->value, '\\', image->value_length)) {
    out->unescaped = mnk_json_unescape(image->value, image->value_length);
    out->image = out->unescaped->str;
    out->image_length = out->unescaped->len;
  }
  return TRUE;
}

static gboolean read_frame(const Members *found, MnkPushMessage *out, GError **error) {
  out->timestamp = number_of(&found->timestamp);
  if (!found->timestamp.key)
    return fail(error, "timestamp is missing");
  if (!check_timestamp(out->timestamp, error))
    return FALSE;
  if (found->frame_index.key && found->frame_index.type != MNK_JSON_NULL) {
    double index = number_of(&found->frame_index);
    if (!(index >= 0 && index <= G_MAXUINT32 && index == trunc(index)))
      return fail(error, "frame_index must be a whole number from 0 to %u", G_MAXUINT32);
    out->frame_index = (gint64)index;
  }
  return read_image(&found->image, out, error);
}

static gboolean read_type(const MnkJsonMember *type, MnkPushType *out, GError **error) {
  static const char *const names[] = {"frame", "flush", "end", "hello", "params", "resume"};
  if (!type->key)
    return fail(error, "type is missing");
  if (type->type != MNK_JSON_STRING)
    return fail(error, "type must be a string");
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (mnk_json_text_is(type->value, type->value_length, names[i])) {
      *out = (MnkPushType)i;
      return TRUE;
    }
  g_autofree char *shown = g_strndup(type->value, MIN(type->value_length, SHOWN));
  g_autofree char *valid = g_utf8_make_valid(shown, -1);
  return fail(error, "the type \"%s\" is not known", valid);
}

void mnk_push_message_clear(MnkPushMessage *message) {
  g_clear_pointer(&message->json, mnk_json_free);
  if (message->unescaped)
    g_string_free(g_steal_pointer(&message->unescaped), TRUE);
  message->image = NULL;
  message->image_length = 0;
}

gboolean mnk_push_read(const char *text, gsize length, MnkPushMessage *out, GError **error) {
  Members found = {0};
  MnkJsonType whole;
  *out = (MnkPushMessage){.frame_index = -1};
  if (!mnk_json_scan(text, length, &scan_limits, keep_member, &found, &whole, error))
    return FALSE;
  if (whole != MNK_JSON_OBJECT)
    return fail(error, "the message must be a JSON object");
  if (!read_type(&found.type, &out->type, error))
    return FALSE;
  if (out->type == MNK_PUSH_FRAME)
    return read_frame(&found, out, error);
  out->json = mnk_json_parse(text, length, NULL, error);
  return out->json != NULL;
}
