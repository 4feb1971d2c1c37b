/* Strict base64: by vectors where the processor has them, four characters at a time through one
 * table elsewhere and at the end. */
#include "wire/base64.h"

#include "base/base.h"
#include "wire/base64_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { NO = 0xff };

/* The six bits of each character of the alphabet, NO for all others. */
// clang-format off
static const guint8 sextets[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};
// clang-format on

gsize mnk_base64_max_decoded(gsize text_length) {
  return text_length / 4 * 3;
}

static gboolean fail(GError **error, const char *what, gsize at) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "base64: %s at byte %" G_GSIZE_FORMAT, what,
              at);
  return FALSE;
}

/* Four characters without padding. Bits above the low 24 say that one was not of the alphabet. */
static guint32 decode_four(const char *text) {
  guint32 a = sextets[(guchar)text[0]], b = sextets[(guchar)text[1]];
  guint32 c = sextets[(guchar)text[2]], d = sextets[(guchar)text[3]];
  guint32 unknown = (a | b | c | d) & 0xc0;
  return unknown << 24 | a << 18 | b << 12 | c << 6 | d;
}

static gsize first_unknown(const char *text, gsize n) {
  gsize at = 0;
  while (at < n && sextets[(guchar)text[at]] != NO)
    at++;
  return at;
}

/* The last four characters, with 0 to 2 of padding: 3 to 1 bytes. */
static gboolean decode_last(const char *text, gsize at, guint8 *out, gsize *n, GError **error) {
  char four[4] = {text[at], text[at + 1], text[at + 2], text[at + 3]};
  gsize bytes = four[3] != '=' ? 3 : four[2] != '=' ? 2 : 1;
  gsize known = first_unknown(four, bytes + 1);
  if (known < bytes + 1)
    return fail(error, "unexpected character", at + known);
  for (gsize i = bytes + 1; i < 4; i++)
    four[i] = 'A';
  guint32 bits = decode_four(four);
  if (bits & (0xffffffu >> (8 * bytes)))
    return fail(error, "unused bits that are not zero", at + bytes);
  for (gsize i = 0; i < bytes; i++)
    out[i] = (guint8)(bits >> (16 - 8 * i));
  *n = bytes;
  return TRUE;
}

gboolean mnk_base64_decode(const char *text, gsize length, guint8 *out, gsize *out_length,
                           GError **error) {
  gsize last = 0;
  *out_length = 0;
  if (length == 0)
    return TRUE;
  if (length % 4 != 0)
    return fail(error, "the text ends inside a group of four", length);
  gsize start = mnk_base64_decode_vectors(text, length, out);
  guint8 *to = out + start / 4 * 3;
  for (gsize at = start; at < length - 4; at += 4) {
    guint32 bits = decode_four(text + at);
    if (bits >> 24)
      return fail(error, "unexpected character", at + first_unknown(text + at, 4));
    *to++ = (guint8)(bits >> 16);
    *to++ = (guint8)(bits >> 8);
    *to++ = (guint8)bits;
  }
  if (!decode_last(text, length - 4, to, &last, error))
    return FALSE;
  *out_length = (gsize)(to - out) + last;
  return TRUE;
}

/* Four characters for three bytes. */
static void encode_three(guint32 bits, char *out) {
  out[0] = alphabet[bits >> 18];
  out[1] = alphabet[bits >> 12 & 63];
  out[2] = alphabet[bits >> 6 & 63];
  out[3] = alphabet[bits & 63];
}

void mnk_base64_encode(const guint8 *bytes, gsize length, GString *out) {
  gsize at = 0, start = out->len;
  g_string_set_size(out, start + (length + 2) / 3 * 4);
  char *to = out->str + start;
  for (; length - at >= 3; at += 3, to += 4)
    encode_three((guint32)bytes[at] << 16 | (guint32)bytes[at + 1] << 8 | bytes[at + 2], to);
  if (at == length)
    return;
  gboolean two = length - at == 2;
  encode_three((guint32)bytes[at] << 16 | (two ? (guint32)bytes[at + 1] << 8 : 0), to);
  to[3] = '=';
  if (!two)
    to[2] = '=';
}
