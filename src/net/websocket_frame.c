/* RFC 6455, sections 5.2 (frames), 5.3 (masks), 5.5.1 and 7.4 (close). */
#include "net/websocket_priv.h"

#include "wire/wire.h"

#include <string.h>
#include <sys/random.h>

gsize mnk_ws_write_head(guint opcode, gsize length, const guint8 *mask,
                        guint8 out[MNK_WS_HEAD_MAX]) {
  gsize n = 2, bytes = length < 126 ? 0 : length <= G_MAXUINT16 ? 2 : 8;
  out[0] = (guint8)(0x80 | opcode);
  out[1] = (guint8)((mask ? 0x80 : 0) | (bytes == 0 ? length : bytes == 2 ? 126 : 127));
  while (bytes > 0)
    out[n++] = (guint8)((guint64)length >> 8 * --bytes);
  if (mask) {
    memcpy(out + n, mask, 4);
    n += 4;
  }
  return n;
}

void mnk_ws_mask(guint8 *to, const guint8 *from, gsize length, const guint8 mask[4], gsize phase) {
  guint8 turned[8];
  guint64 wide, word;
  for (guint i = 0; i < 8; i++)
    turned[i] = mask[(phase + i) % 4];
  memcpy(&wide, turned, 8);
  gsize at = 0;
  for (; length - at >= 8; at += 8) {
    memcpy(&word, from + at, 8);
    word ^= wide;
    memcpy(to + at, &word, 8);
  }
  for (guint i = 0; at < length; at++, i++)
    to[at] = from[at] ^ turned[i];
}

void mnk_ws_random(guint8 *out, gsize length) {
  gssize n = getrandom(out, length, 0);
  for (gsize at = n > 0 ? (gsize)n : 0; at < length; at++) /* a kernel without it */
    out[at] = (guint8)g_random_int();
}

/* 1004, 1005, 1006 and 1015 are never sent; 1016 to 2999 have no meaning yet. */
static gboolean may_be_received(guint code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

MnkWsFault mnk_ws_read_close(const guint8 *body, gsize length, guint *code) {
  MnkUtf8 text = {0};
  *code = MNK_WS_NO_STATUS;
  if (length == 0)
    return (MnkWsFault){0};
  if (length == 1)
    return (MnkWsFault){MNK_WS_PROTOCOL_ERROR, "a close frame of one byte"};
  guint received = (guint)body[0] << 8 | body[1];
  if (!may_be_received(received))
    return (MnkWsFault){MNK_WS_PROTOCOL_ERROR, "a close code that must not be sent"};
  if (!mnk_utf8_check(&text, body + 2, length - 2) || !mnk_utf8_is_whole(&text))
    return (MnkWsFault){MNK_WS_BAD_TEXT, "a close reason that is not UTF-8"};
  *code = received;
  return (MnkWsFault){0};
}
