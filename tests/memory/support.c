#include "support.h"

#include <string.h>
#include <zlib.h>

float *random_floats(GRand *rand, gsize n) {
  float *values = g_new(float, n);
  for (gsize i = 0; i < n; i++)
    values[i] = (float)g_rand_double_range(rand, -1, 1);
  return values;
}

MnkTokens *random_tokens(GRand *rand, guint n, guint dim, guint columns, gint64 pts_ms) {
  g_autofree float *rows = random_floats(rand, (gsize)n * dim);
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens = mnk_tokens_new(rows, n, dim, columns, pts_ms, &error);
  g_assert_no_error(error);
  return tokens;
}

void mend_checksum(GByteArray *bytes) {
  guint body = bytes->len - 4;
  guint32 sum = GUINT32_TO_LE((guint32)crc32(0, bytes->data, body));
  memcpy(bytes->data + body, &sum, sizeof sum);
}

void patch_u32(GByteArray *bytes, gsize at, guint32 value) {
  g_assert_cmpuint(at + sizeof value, <=, bytes->len);
  value = GUINT32_TO_LE(value);
  memcpy(bytes->data + at, &value, sizeof value);
  mend_checksum(bytes);
}

/* Reads from memory of exactly that size, so that one byte too many is seen. */
static gboolean read_copy(const guint8 *bytes, gsize length, SnapshotReader read) {
  g_autofree guint8 *copy = g_memdup2(bytes, length);
  g_autoptr(GError) error = NULL;
  gboolean done = read(copy, length, &error);
  if (done) {
    g_assert_no_error(error);
  } else {
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_cmpuint(strlen(error->message), >, 10);
  }
  return done;
}

void check_damage(const GByteArray *bytes, SnapshotReader read, guint mutations) {
  g_assert_true(read_copy(bytes->data, bytes->len, read));
  for (guint length = 0; length < bytes->len; length += length < 256 ? 1 : 13)
    g_assert_false(read_copy(bytes->data, length, read));
  g_autofree guint8 *longer = g_malloc0(bytes->len + 8);
  memcpy(longer, bytes->data, bytes->len);
  g_assert_false(read_copy(longer, bytes->len + 8, read));

  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  g_autoptr(GByteArray) damaged = g_byte_array_new();
  for (guint i = 0; i < mutations; i++) {
    g_byte_array_set_size(damaged, 0);
    g_byte_array_append(damaged, bytes->data, bytes->len);
    gboolean mend = i % 2 == 1;
    guint changes = (guint)g_rand_int_range(rand, 1, 4);
    /* what says how it goes on is at the beginning */
    guint within = i % 3 == 0 ? bytes->len : MIN(bytes->len, 128);
    for (guint change = 0; change < changes; change++) {
      guint8 *byte = &damaged->data[g_rand_int_range(rand, 0, (gint32)within)];
      *byte ^= (guint8)g_rand_int_range(rand, 1, 256);
    }
    gboolean differs = memcmp(damaged->data, bytes->data, bytes->len) != 0;
    if (mend)
      mend_checksum(damaged);
    gboolean done = read_copy(damaged->data, damaged->len, read);
    if (!mend && differs)
      g_assert_false(done);
  }
}
