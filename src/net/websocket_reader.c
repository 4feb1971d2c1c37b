/* Frames as they come, in any pieces: RFC 6455, section 5. What is wrong is found at the first byte
 * that shows it, and a message that is too long before its payload.
 *
 * A message that lies in the given bytes as one whole frame is unmasked and told where it lies; of
 * others the bytes are copied once, while they are unmasked. Between messages nothing is held. */
#include "net/websocket_priv.h"

#include <string.h>

#include "wire/wire.h"

enum { FIRST_ROOM = 65536, FIN = 0x80, RESERVED = 0x70, MASKED = 0x80 };

/* The frame that is being read. */
typedef struct {
  guint8 head[MNK_WS_HEAD_MAX];
  guint8 head_have;
  guint8 head_length; /* 0: not known yet */
  gboolean fin;
  guint opcode;
  guint8 mask[4];
  guint64 length, have; /* of its payload */
} Frame;

struct _MnkWsReader {
  gboolean masked;
  gsize message_max;
  const MnkWsReaderEvents *events;
  gpointer user;
  Frame frame;
  guint opcode; /* of the message whose fragments come, 0: none */
  MnkUtf8 text;
  guint8 *message; /* what is there of a message that came in pieces */
  gsize length, room;
  guint8 *control; /* the same of a control frame; NULL when none came in pieces */
  MnkWsFault fault;
};

MnkWsReader *mnk_ws_reader_new(gboolean masked, gsize message_max, const MnkWsReaderEvents *events,
                               gpointer user) {
  MnkWsReader *reader = g_new0(MnkWsReader, 1);
  reader->masked = masked;
  reader->message_max = message_max;
  reader->events = events;
  reader->user = user;
  return reader;
}

void mnk_ws_reader_free(MnkWsReader *reader) {
  if (!reader)
    return;
  g_free(reader->message);
  g_free(reader->control);
  g_free(reader);
}

static gboolean fail(MnkWsReader *reader, guint code, const char *reason) {
  reader->fault = (MnkWsFault){code, reason};
  return FALSE;
}

static gboolean wrong(MnkWsReader *reader, const char *reason) {
  return fail(reader, MNK_WS_PROTOCOL_ERROR, reason);
}

static gboolean is_control(guint opcode) {
  return opcode >= MNK_WS_CLOSE;
}

static gboolean is_text(const MnkWsReader *reader) {
  guint opcode = reader->opcode ? reader->opcode : reader->frame.opcode;
  return opcode == MNK_WS_TEXT;
}

/* ---- Heads ---- */

/* The first two bytes say how long the head is, and most of what can be wrong with it. */
static gboolean read_first_two(MnkWsReader *reader) {
  Frame *frame = &reader->frame;
  guint8 first = frame->head[0], second = frame->head[1];
  guint length = second & 0x7f;
  frame->fin = (first & FIN) != 0;
  frame->opcode = first & 0xf;
  if (first & RESERVED)
    return wrong(reader, "a reserved bit is set");
  if (frame->opcode > MNK_WS_PONG || (frame->opcode > MNK_WS_BINARY && !is_control(frame->opcode)))
    return wrong(reader, "an opcode that is not known");
  if (((second & MASKED) != 0) != reader->masked)
    return wrong(reader, reader->masked ? "a client's frame without a mask"
                                        : "a server's frame with a mask");
  if (is_control(frame->opcode)) {
    if (!frame->fin)
      return wrong(reader, "a control frame in fragments");
    if (length > MNK_WS_CONTROL_MAX)
      return wrong(reader, "a control frame of more than 125 bytes");
  } else if (frame->opcode == MNK_WS_CONTINUATION) {
    if (!reader->opcode)
      return wrong(reader, "a continuation of nothing");
  } else if (reader->opcode) {
    return wrong(reader, "a new message within another");
  }
  frame->head_length = (guint8)(2 +
                                (length == 126   ? 2
                                 : length == 127 ? 8
                                                 : 0) +
                                (reader->masked ? 4 : 0));
  return TRUE;
}

static gboolean read_length(MnkWsReader *reader) {
  Frame *frame = &reader->frame;
  guint8 short_length = frame->head[1] & 0x7f;
  guint bytes = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
  guint64 length = 0;
  for (guint i = 0; i < bytes; i++)
    length = length << 8 | frame->head[2 + i];
  if (length >> 63)
    return wrong(reader, "a length of more than 63 bits");
  if ((bytes == 2 && length < 126) || (bytes == 8 && length <= G_MAXUINT16))
    return wrong(reader, "a length in more bytes than it needs");
  frame->length = bytes ? length : short_length;
  if (!is_control(frame->opcode) && frame->length > reader->message_max - reader->length)
    return fail(reader, MNK_WS_TOO_BIG, "the message is too long");
  return TRUE;
}

/* Takes bytes of a head; *at moves. TRUE when the head is whole, FALSE too when bytes are out. */
static gboolean take_head(MnkWsReader *reader, const guint8 *bytes, gsize length, gsize *at) {
  Frame *frame = &reader->frame;
  guint mask = reader->masked ? 4 : 0;
  while (*at < length) {
    frame->head[frame->head_have++] = bytes[(*at)++];
    if (frame->head_have == 2 && !read_first_two(reader))
      return FALSE;
    if (frame->head_have + mask == frame->head_length && !read_length(reader))
      return FALSE;
    if (frame->head_have == frame->head_length) {
      memcpy(frame->mask, frame->head + frame->head_have - mask, mask);
      return TRUE;
    }
  }
  return FALSE;
}

/* ---- Payloads ---- */

static gboolean check_text(MnkWsReader *reader, const guint8 *bytes, gsize length) {
  return mnk_utf8_check(&reader->text, bytes, length) ||
         fail(reader, MNK_WS_BAD_TEXT, "text that is not UTF-8");
}

static void unmask(const MnkWsReader *reader, guint8 *to, const guint8 *from, gsize length) {
  if (reader->masked)
    mnk_ws_mask(to, from, length, reader->frame.mask, (gsize)(reader->frame.have % 4));
  else if (to != from)
    memcpy(to, from, length);
}

/* Room for what has come and what the frame has announced, but not more than twice what has come: a
 * peer that only announces costs little. Many small fragments grow it by halves, so that they are
 * not copied again and again. One byte more for the NUL. */
static gboolean reserve(MnkWsReader *reader, gsize more) {
  gsize need = reader->length + more;
  if (need <= reader->room && reader->message)
    return TRUE;
  gsize announced = reader->length + (gsize)(reader->frame.length - reader->frame.have);
  gsize room = MIN(announced, MAX(2 * need, (gsize)FIRST_ROOM));
  room = MAX(room, MIN(reader->room + reader->room / 2, reader->message_max));
  guint8 *message = g_try_realloc(reader->message, room + 1);
  if (!message)
    return fail(reader, MNK_WS_INTERNAL, "no memory for the message");
  reader->message = message;
  reader->room = room;
  return TRUE;
}

static gboolean end_message(MnkWsReader *reader, guint8 *bytes, gsize length) {
  gboolean text = is_text(reader);
  if (text && !mnk_utf8_is_whole(&reader->text))
    return fail(reader, MNK_WS_BAD_TEXT, "text that ends within a character");
  reader->opcode = 0;
  reader->frame = (Frame){0};
  guint8 behind = bytes[length];
  bytes[length] = '\0';
  gboolean go_on = reader->events->message(text, bytes, length, reader->user);
  bytes[length] = behind;
  return go_on;
}

/* The message's only frame, all of it here. */
static gboolean take_whole_message(MnkWsReader *reader, guint8 *bytes, gsize length) {
  unmask(reader, bytes, bytes, length);
  if (is_text(reader) && !check_text(reader, bytes, length))
    return FALSE;
  return end_message(reader, bytes, length);
}

static gboolean take_piece(MnkWsReader *reader, const guint8 *bytes, gsize length) {
  Frame *frame = &reader->frame;
  if (!reserve(reader, length))
    return FALSE;
  guint8 *to = reader->message + reader->length;
  unmask(reader, to, bytes, length);
  frame->have += length;
  reader->length += length;
  if (is_text(reader) && !check_text(reader, to, length))
    return FALSE;
  if (frame->have < frame->length)
    return TRUE;
  if (!frame->fin) {
    reader->opcode = reader->opcode ? reader->opcode : frame->opcode;
    reader->frame = (Frame){0};
    return TRUE;
  }
  g_autofree guint8 *message = g_steal_pointer(&reader->message);
  length = reader->length;
  reader->length = reader->room = 0;
  message[length] = 0;
  return end_message(reader, message, length);
}

static gboolean end_control(MnkWsReader *reader, guint8 *bytes) {
  guint opcode = reader->frame.opcode;
  gsize length = (gsize)reader->frame.length;
  reader->frame = (Frame){0};
  guint8 behind = bytes[length];
  bytes[length] = '\0';
  gboolean go_on = reader->events->control(opcode, bytes, length, reader->user);
  bytes[length] = behind;
  return go_on;
}

static gboolean take_control(MnkWsReader *reader, guint8 *bytes, gsize length) {
  Frame *frame = &reader->frame;
  if (length == frame->length) {
    unmask(reader, bytes, bytes, length);
    return end_control(reader, bytes);
  }
  if (!reader->control)
    reader->control = g_malloc0(MNK_WS_CONTROL_MAX + 1);
  unmask(reader, reader->control + frame->have, bytes, length);
  frame->have += length;
  if (frame->have < frame->length)
    return TRUE;
  g_autofree guint8 *control = g_steal_pointer(&reader->control);
  return end_control(reader, control);
}

static gboolean take_payload(MnkWsReader *reader, guint8 *bytes, gsize length) {
  const Frame *frame = &reader->frame;
  if (is_control(frame->opcode))
    return take_control(reader, bytes, length);
  if (frame->fin && !reader->opcode && length == frame->length)
    return take_whole_message(reader, bytes, length);
  return take_piece(reader, bytes, length);
}

gsize mnk_ws_reader_take(MnkWsReader *reader, guint8 *bytes, gsize length, MnkWsFault *fault) {
  gsize at = 0;
  gboolean go_on = TRUE;
  *fault = (MnkWsFault){0};
  while (go_on && at < length) {
    Frame *frame = &reader->frame;
    gboolean in_payload = frame->head_length && frame->head_have == frame->head_length;
    if (!in_payload) {
      if (!take_head(reader, bytes, length, &at)) {
        go_on = reader->fault.code == 0;
        continue;
      }
      if (frame->length > 0)
        continue;
    }
    gsize n = (gsize)MIN(frame->length - frame->have, length - at);
    go_on = take_payload(reader, bytes + at, n);
    at += n;
  }
  *fault = reader->fault;
  return at;
}
