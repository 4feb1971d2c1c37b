#include "memory/bytes_priv.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

enum { LENGTH_AT = 16, HEADER = 24, CHECKSUM = 4 };

static guint32 checksum(const guint8 *bytes, gsize n) {
  return (guint32)crc32_z(crc32_z(0, NULL, 0), bytes, n);
}

/* ---- Writing ---- */

void mnk_bytes_begin(MnkBytesWriter *writer, GByteArray *out, const char *magic, guint32 version) {
  g_assert(strlen(magic) == MNK_BYTES_MAGIC);
  *writer = (MnkBytesWriter){out, out->len};
  mnk_bytes_put_data(writer, magic, MNK_BYTES_MAGIC);
  mnk_bytes_put_u32(writer, version);
  mnk_bytes_put_u32(writer, 0);
  mnk_bytes_put_u64(writer, 0);
}

void mnk_bytes_put_data(MnkBytesWriter *writer, gconstpointer data, gsize n) {
  g_assert(n <= G_MAXUINT32);
  if (n > 0)
    g_byte_array_append(writer->out, data, (guint)n);
}

void mnk_bytes_put_u8(MnkBytesWriter *writer, guint8 value) {
  mnk_bytes_put_data(writer, &value, sizeof value);
}

void mnk_bytes_put_u32(MnkBytesWriter *writer, guint32 value) {
  value = GUINT32_TO_LE(value);
  mnk_bytes_put_data(writer, &value, sizeof value);
}

void mnk_bytes_put_u64(MnkBytesWriter *writer, guint64 value) {
  value = GUINT64_TO_LE(value);
  mnk_bytes_put_data(writer, &value, sizeof value);
}

void mnk_bytes_put_i64(MnkBytesWriter *writer, gint64 value) {
  mnk_bytes_put_u64(writer, (guint64)value);
}

void mnk_bytes_put_float(MnkBytesWriter *writer, float value) {
  guint32 bits;
  memcpy(&bits, &value, sizeof bits);
  mnk_bytes_put_u32(writer, bits);
}

void mnk_bytes_put_double(MnkBytesWriter *writer, double value) {
  guint64 bits;
  memcpy(&bits, &value, sizeof bits);
  mnk_bytes_put_u64(writer, bits);
}

void mnk_bytes_put_floats(MnkBytesWriter *writer, const float *values, gsize n) {
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  mnk_bytes_put_data(writer, values, n * sizeof *values);
#else
  for (gsize i = 0; i < n; i++)
    mnk_bytes_put_float(writer, values[i]);
#endif
}

void mnk_bytes_put_halves(MnkBytesWriter *writer, const guint16 *values, gsize n) {
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  mnk_bytes_put_data(writer, values, n * sizeof *values);
#else
  for (gsize i = 0; i < n; i++) {
    guint16 value = GUINT16_TO_LE(values[i]);
    mnk_bytes_put_data(writer, &value, sizeof value);
  }
#endif
}

void mnk_bytes_end(MnkBytesWriter *writer) {
  guint body = writer->out->len - writer->begin;
  guint64 length = GUINT64_TO_LE((guint64)body + CHECKSUM);
  memcpy(writer->out->data + writer->begin + LENGTH_AT, &length, sizeof length);
  mnk_bytes_put_u32(writer, checksum(writer->out->data + writer->begin, body));
}

/* ---- Reading ---- */

static gboolean refuse(GError **error, const char *what, const char *why) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s %s", what, why);
  return FALSE;
}

gboolean mnk_bytes_open(MnkBytesReader *reader, const guint8 *bytes, gsize length,
                        const char *magic, guint32 version, const char *what, GError **error) {
  *reader = (MnkBytesReader){bytes, length, FALSE, what};
  if (length < MNK_BYTES_MAGIC || memcmp(bytes, magic, MNK_BYTES_MAGIC) != 0)
    return refuse(error, what, "is not one: it begins otherwise");
  if (length < HEADER + CHECKSUM)
    return refuse(error, what, "is cut off");
  reader->at += MNK_BYTES_MAGIC;
  reader->left = HEADER - MNK_BYTES_MAGIC;
  guint32 is = mnk_bytes_get_u32(reader), reserved = mnk_bytes_get_u32(reader);
  guint64 said = mnk_bytes_get_u64(reader);
  if (is != version) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is of version %u, not %u", what, is,
                version);
    return FALSE;
  }
  if (said > length)
    return refuse(error, what, "is cut off");
  if (said < length || reserved != 0)
    return refuse(error, what, "is damaged: its length is wrong");
  reader->left = length - CHECKSUM;
  MnkBytesReader last = {bytes + reader->left, CHECKSUM, FALSE, what};
  if (mnk_bytes_get_u32(&last) != checksum(bytes, reader->left))
    return refuse(error, what, "is damaged: its checksum is wrong");
  reader->left -= HEADER;
  return TRUE;
}

gboolean mnk_bytes_check(MnkBytesReader *reader, gboolean holds) {
  if (!holds)
    reader->failed = TRUE;
  return holds;
}

gboolean mnk_bytes_has(MnkBytesReader *reader, guint64 n, gsize size) {
  return mnk_bytes_check(reader, !reader->failed && n <= reader->left / size);
}

void mnk_bytes_get_data(MnkBytesReader *reader, gpointer data, gsize n) {
  if (n == 0)
    return;
  if (!mnk_bytes_has(reader, n, 1)) {
    memset(data, 0, n);
    return;
  }
  memcpy(data, reader->at, n);
  reader->at += n;
  reader->left -= n;
}

guint8 mnk_bytes_get_u8(MnkBytesReader *reader) {
  guint8 value;
  mnk_bytes_get_data(reader, &value, sizeof value);
  return value;
}

guint32 mnk_bytes_get_u32(MnkBytesReader *reader) {
  guint32 value;
  mnk_bytes_get_data(reader, &value, sizeof value);
  return GUINT32_FROM_LE(value);
}

guint64 mnk_bytes_get_u64(MnkBytesReader *reader) {
  guint64 value;
  mnk_bytes_get_data(reader, &value, sizeof value);
  return GUINT64_FROM_LE(value);
}

gint64 mnk_bytes_get_i64(MnkBytesReader *reader) {
  return (gint64)mnk_bytes_get_u64(reader);
}

float mnk_bytes_get_float(MnkBytesReader *reader) {
  guint32 bits = mnk_bytes_get_u32(reader);
  float value;
  memcpy(&value, &bits, sizeof value);
  return mnk_bytes_check(reader, isfinite(value)) ? value : 0;
}

double mnk_bytes_get_double(MnkBytesReader *reader) {
  guint64 bits = mnk_bytes_get_u64(reader);
  double value;
  memcpy(&value, &bits, sizeof value);
  return mnk_bytes_check(reader, isfinite(value)) ? value : 0;
}

void mnk_bytes_get_floats(MnkBytesReader *reader, float *values, gsize n) {
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  mnk_bytes_get_data(reader, values, n * sizeof *values);
  guint bad = 0;
  for (gsize i = 0; i < n; i++)
    bad |= !isfinite(values[i]);
  mnk_bytes_check(reader, bad == 0);
#else
  for (gsize i = 0; i < n; i++)
    values[i] = mnk_bytes_get_float(reader);
#endif
}

void mnk_bytes_get_halves(MnkBytesReader *reader, guint16 *values, gsize n) {
  mnk_bytes_get_data(reader, values, n * sizeof *values);
#if G_BYTE_ORDER != G_LITTLE_ENDIAN
  for (gsize i = 0; i < n; i++)
    values[i] = GUINT16_FROM_LE(values[i]);
#endif
  enum { EXPONENT = 0x7c00 };
  guint bad = 0;
  for (gsize i = 0; i < n; i++)
    bad |= (values[i] & EXPONENT) == EXPONENT;
  mnk_bytes_check(reader, bad == 0);
}

gboolean mnk_bytes_close(MnkBytesReader *reader, GError **error) {
  if (reader->failed || reader->left > 0)
    return refuse(error, reader->what, "is damaged: its contents do not fit together");
  return TRUE;
}
