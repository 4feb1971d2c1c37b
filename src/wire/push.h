/* What clients of /ws/stream send: text messages as JSON, and JPEG frames as binary messages with a
 * 16-byte header (struct "!IdI": frame id, time in seconds, length of what follows; network order).
 * Pure. */
#ifndef MNK_WIRE_PUSH_H
#define MNK_WIRE_PUSH_H

#include "wire/json.h"

enum { MNK_PACKET_HEADER = 16 };

typedef struct {
  guint32 id;
  double timestamp; /* seconds; finite, 0 .. 1e11 */
  guint32 length;   /* of the payload */
} MnkPacketHeader;
/* The whole message; length must agree with what follows the header. */
gboolean mnk_packet_read(const guint8 *bytes, gsize length, MnkPacketHeader *out, GError **error);
void mnk_packet_write(const MnkPacketHeader *header, guint8 out[MNK_PACKET_HEADER]);

typedef enum {
  MNK_PUSH_FRAME,
  MNK_PUSH_FLUSH,
  MNK_PUSH_END,
  MNK_PUSH_HELLO,
  MNK_PUSH_PARAMS,
  MNK_PUSH_RESUME,
} MnkPushType;

typedef struct {
  MnkPushType type;
  /* frame */
  gint64 frame_index; /* -1: absent */
  double timestamp;
  const char *image; /* base64, inside the message; inside unescaped where it had escapes */
  gsize image_length;
  GString *unescaped; /* NULL as a rule */
  /* the others: the whole message, for the reader of that type; NULL for frames */
  MnkJson *json;
} MnkPushMessage;
void mnk_push_message_clear(MnkPushMessage *message);

/* A text message; out needs no clearing after FALSE. A frame is read without building a document:
 * one pass over its few members, with image_base64 left where it lies. Errors name the member:
 * "timestamp is missing", "frame_index must be a whole number from 0 to 4294967295", "the type
 * \"frmae\" is not known". */
gboolean mnk_push_read(const char *text, gsize length, MnkPushMessage *out, GError **error);

#endif
