#include <math.h>
#include <string.h>

#include "memory/bytes_priv.h"
#include "support.h"

static const char MAGIC[] = "MNKCHECK";

static void write_all(GByteArray *out) {
  const float floats[] = {1.5F, -2, 1e-40F};
  const guint16 halves[] = {0x3c00, 0x7bff};
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, out, MAGIC, 3);
  mnk_bytes_put_u8(&writer, 0xfe);
  mnk_bytes_put_u32(&writer, 0x01020304);
  mnk_bytes_put_u64(&writer, G_MAXUINT64 - 1);
  mnk_bytes_put_i64(&writer, G_MININT64);
  mnk_bytes_put_float(&writer, -0.0F);
  mnk_bytes_put_double(&writer, 1e300);
  mnk_bytes_put_floats(&writer, floats, G_N_ELEMENTS(floats));
  mnk_bytes_put_halves(&writer, halves, G_N_ELEMENTS(halves));
  mnk_bytes_put_data(&writer, "tail", 4);
  mnk_bytes_end(&writer);
}

static gboolean read_all(const guint8 *bytes, gsize length, GError **error) {
  MnkBytesReader reader;
  if (!mnk_bytes_open(&reader, bytes, length, MAGIC, 3, "the snapshot", error))
    return FALSE;
  float floats[3];
  guint16 halves[2];
  char tail[4];
  guint8 first = mnk_bytes_get_u8(&reader);
  guint32 second = mnk_bytes_get_u32(&reader);
  guint64 third = mnk_bytes_get_u64(&reader);
  gint64 fourth = mnk_bytes_get_i64(&reader);
  float fifth = mnk_bytes_get_float(&reader);
  double sixth = mnk_bytes_get_double(&reader);
  mnk_bytes_get_floats(&reader, floats, 3);
  mnk_bytes_get_halves(&reader, halves, 2);
  mnk_bytes_get_data(&reader, tail, 4);
  mnk_bytes_check(&reader, first == 0xfe && second == 0x01020304 && third == G_MAXUINT64 - 1 &&
                               fourth == G_MININT64 && fifth == 0 && signbit(fifth) &&
                               sixth >= 1e300 && sixth <= 1e300);
  mnk_bytes_check(&reader, floats[0] == 1.5F && floats[1] == -2 && floats[2] == 1e-40F &&
                               halves[0] == 0x3c00 && halves[1] == 0x7bff &&
                               memcmp(tail, "tail", 4) == 0);
  return mnk_bytes_close(&reader, error);
}

static void test_round_trip(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  write_all(bytes);
  g_assert_true(read_all(bytes->data, bytes->len, &error));
  g_assert_no_error(error);
  const guint8 little[] = {0x04, 0x03, 0x02, 0x01}, version[] = {3, 0, 0, 0};
  g_assert_cmpmem(bytes->data + 8, 4, version, 4);
  g_assert_cmpmem(bytes->data + 25, 4, little, 4);
}

/* One behind another, each is read from where it begins. */
static void test_appended(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  write_all(bytes);
  guint one = bytes->len;
  write_all(bytes);
  g_assert_cmpuint(bytes->len, ==, 2 * one);
  g_assert_cmpmem(bytes->data, one, bytes->data + one, one);
  g_assert_true(read_all(bytes->data + one, one, &error));
  g_assert_no_error(error);
}

static void test_damage(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  write_all(bytes);
  check_damage(bytes, read_all, 2000);
}

static void test_messages(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  write_all(bytes);
  MnkBytesReader reader;
  g_autoptr(GError) version = NULL, magic = NULL, cut = NULL;
  g_assert_false(
      mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 4, "the snapshot", &version));
  g_assert_cmpstr(version->message, ==, "the snapshot is of version 3, not 4");
  g_assert_false(
      mnk_bytes_open(&reader, bytes->data, bytes->len, "MNKOTHER", 3, "the snapshot", &magic));
  g_assert_cmpstr(magic->message, ==, "the snapshot is not one: it begins otherwise");
  g_assert_false(
      mnk_bytes_open(&reader, bytes->data, bytes->len - 1, MAGIC, 3, "the snapshot", &cut));
  g_assert_cmpstr(cut->message, ==, "the snapshot is cut off");
}

/* Once something is missing, all that follows is zeros, and no size is believed. */
static void test_reads_too_far(void) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, bytes, MAGIC, 1);
  mnk_bytes_put_u32(&writer, 9);
  mnk_bytes_put_u8(&writer, 9);
  mnk_bytes_end(&writer);
  MnkBytesReader reader;
  g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 1, "it", &error));
  g_assert_true(mnk_bytes_has(&reader, 5, 1));
  g_assert_cmpuint(mnk_bytes_get_u32(&reader), ==, 9);
  g_assert_cmpuint(mnk_bytes_get_u32(&reader), ==, 0);
  g_assert_cmpuint(mnk_bytes_get_u8(&reader), ==, 0);
  g_assert_false(mnk_bytes_has(&reader, 0, 1));
  g_assert_false(mnk_bytes_close(&reader, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);

  g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 1, "it", NULL));
  g_assert_false(mnk_bytes_has(&reader, G_MAXUINT64 / 2, 8));
  g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 1, "it", NULL));
  g_assert_false(mnk_bytes_has(&reader, 6, 1));
  g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 1, "it", NULL));
  g_assert_cmpuint(mnk_bytes_get_u32(&reader), ==, 9);
  g_assert_false(mnk_bytes_close(&reader, NULL)); /* a byte is left over */
}

static void test_not_finite(void) {
  const float floats[] = {1, INFINITY, NAN};
  const guint16 halves[] = {0x7c00, 0xfc00, 0x7e00};
  for (guint i = 0; i < 8; i++) {
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    MnkBytesWriter writer;
    MnkBytesReader reader;
    mnk_bytes_begin(&writer, bytes, MAGIC, 1);
    float value = floats[i % 3];
    guint16 half = halves[i % 3];
    if (i < 3)
      mnk_bytes_put_float(&writer, value);
    else if (i < 6)
      mnk_bytes_put_halves(&writer, &half, 1);
    else
      mnk_bytes_put_double(&writer, i == 6 ? NAN : -INFINITY);
    mnk_bytes_end(&writer);
    g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, MAGIC, 1, "it", NULL));
    if (i < 3)
      mnk_bytes_get_floats(&reader, &value, 1);
    else if (i < 6)
      mnk_bytes_get_halves(&reader, &half, 1);
    else
      mnk_bytes_get_double(&reader);
    g_assert_true(mnk_bytes_close(&reader, NULL) == (i == 0));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/bytes/round-trip", test_round_trip);
  g_test_add_func("/bytes/appended", test_appended);
  g_test_add_func("/bytes/damage", test_damage);
  g_test_add_func("/bytes/messages", test_messages);
  g_test_add_func("/bytes/reads-too-far", test_reads_too_far);
  g_test_add_func("/bytes/not-finite", test_not_finite);
  return g_test_run();
}
