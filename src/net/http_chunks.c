#include "net/http_head_priv.h"

enum {
  SIZE,      /* hexadecimal digits */
  EXTENSION, /* from ';' to CR */
  SIZE_FEED,
  DATA,
  DATA_RETURN,
  DATA_FEED,
  TRAILER_START, /* the first byte of a line */
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_FEED,
  LAST_FEED,
  BAD,
};

enum {
  SIZE_DIGITS_MAX = 15, /* 60 bits: sums of sizes cannot wrap */
  EXTRA_MAX = 8192,     /* extensions and trailers of one body, all together */
};

static guint chunks_size(MnkHttpChunks *c, guint8 byte) {
  int digit = g_ascii_xdigit_value((char)byte);
  if (digit >= 0) {
    c->left = c->left << 4 | (guint64)digit;
    return ++c->digits <= SIZE_DIGITS_MAX ? SIZE : BAD;
  }
  if (c->digits == 0)
    return BAD;
  return byte == '\r' ? SIZE_FEED : byte == ';' ? EXTENSION : BAD;
}

static guint chunks_size_over(MnkHttpChunks *c, guint8 byte) {
  if (byte != '\n')
    return BAD;
  c->digits = 0;
  return c->left > 0 ? DATA : TRAILER_START;
}

/* Extensions and trailers mean nothing here; they are bounded and checked for control characters,
 * since a bare line end in them is how framing is forged. */
static guint chunks_extra(MnkHttpChunks *c, guint8 byte, guint same, guint feed) {
  if (++c->extra > EXTRA_MAX)
    return BAD;
  if (byte == '\r')
    return feed;
  return (byte < 0x20 && byte != '\t') || byte == 0x7f ? BAD : same;
}

static guint chunks_trailer_name(MnkHttpChunks *c, guint8 byte) {
  char text = (char)byte;
  if (++c->extra > EXTRA_MAX)
    return BAD;
  if (byte == ':')
    return c->line > 0 ? TRAILER_VALUE : BAD;
  c->line++;
  return mnk_http_is_token(&text, 1) ? TRAILER_NAME : BAD;
}

static guint chunks_step(MnkHttpChunks *c, guint8 byte) {
  switch (c->state) {
  case SIZE:
    return chunks_size(c, byte);
  case EXTENSION:
    return chunks_extra(c, byte, EXTENSION, SIZE_FEED);
  case SIZE_FEED:
    return chunks_size_over(c, byte);
  case DATA_RETURN:
    return byte == '\r' ? DATA_FEED : BAD;
  case DATA_FEED:
    return byte == '\n' ? SIZE : BAD;
  case TRAILER_START:
    c->line = 0;
    return byte == '\r' ? LAST_FEED : chunks_trailer_name(c, byte);
  case TRAILER_NAME:
    return chunks_trailer_name(c, byte);
  case TRAILER_VALUE:
    return chunks_extra(c, byte, TRAILER_VALUE, TRAILER_FEED);
  case TRAILER_FEED:
    return byte == '\n' ? TRAILER_START : BAD;
  default:
    return BAD;
  }
}

MnkChunksResult mnk_http_chunks_next(MnkHttpChunks *chunks, const guint8 *bytes, gsize length,
                                     gsize *taken, const guint8 **data, gsize *data_length) {
  gsize at = 0;
  while (at < length && chunks->state != BAD) {
    if (chunks->state == DATA) {
      *data = bytes + at;
      *data_length = (gsize)MIN(chunks->left, length - at);
      chunks->left -= *data_length;
      if (chunks->left == 0)
        chunks->state = DATA_RETURN;
      *taken = at + *data_length;
      return MNK_CHUNKS_DATA;
    }
    guint8 byte = bytes[at++];
    if (chunks->state == LAST_FEED) {
      *taken = at;
      chunks->state = BAD; /* there is nothing behind the end */
      return byte == '\n' ? MNK_CHUNKS_END : MNK_CHUNKS_BAD;
    }
    chunks->state = chunks_step(chunks, byte);
  }
  *taken = at;
  return chunks->state == BAD ? MNK_CHUNKS_BAD : MNK_CHUNKS_MORE;
}
