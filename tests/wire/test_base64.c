#include "wire/base64.h"

#include "base/error.h"

#include "guard.h"

#include <string.h>

/* RFC 4648, section 10, and others. */
static const struct {
  const char *bytes;
  gsize length;
  const char *text;
} pairs[] = {
    {"", 0, ""},
    {"f", 1, "Zg=="},
    {"fo", 2, "Zm8="},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg=="},
    {"fooba", 5, "Zm9vYmE="},
    {"foobar", 6, "Zm9vYmFy"},
    {"\0\0\0", 3, "AAAA"},
    {"\xff\xff\xff", 3, "////"},
    {"\xfb\xef\xbe", 3, "++++"},
    {"\xff", 1, "/w=="},
};

static void test_pairs(void) {
  for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
    g_autoptr(GString) text = g_string_new(NULL);
    mnk_base64_encode((const guint8 *)pairs[i].bytes, pairs[i].length, text);
    g_assert_cmpstr(text->str, ==, pairs[i].text);
    guint8 bytes[16];
    gsize length = 99;
    g_assert_cmpuint(mnk_base64_max_decoded(text->len), <=, sizeof bytes);
    g_assert_true(mnk_base64_decode(text->str, text->len, bytes, &length, NULL));
    g_assert_cmpmem(bytes, length, pairs[i].bytes, pairs[i].length);
  }
}

static const struct {
  const char *text, *message;
} refused[] = {
    {"Z", "base64: the text ends inside a group of four at byte 1"},
    {"Zg", "base64: the text ends inside a group of four at byte 2"},
    {"Zg=", "base64: the text ends inside a group of four at byte 3"},
    {"Zm9vZ", "base64: the text ends inside a group of four at byte 5"},
    {"====", "base64: unexpected character at byte 0"},
    {"Z===", "base64: unexpected character at byte 1"},
    {"Zg=v", "base64: unexpected character at byte 2"},
    {"=m9v", "base64: unexpected character at byte 0"},
    {"Zg==Zg==", "base64: unexpected character at byte 2"},
    {"Zm9v====", "base64: unexpected character at byte 4"},
    {"Zm9 ", "base64: unexpected character at byte 3"},
    {"Zm9v\nZm9", "base64: unexpected character at byte 4"},
    {"Zm-v", "base64: unexpected character at byte 2"},
    {"Zm_v", "base64: unexpected character at byte 2"},
    {"Zm9vZm9v\xc3\xa9"
     "Zm9vZm",
     "base64: unexpected character at byte 8"},
    {"Zh==", "base64: unused bits that are not zero at byte 1"},
    {"Zm9=", "base64: unused bits that are not zero at byte 2"},
    {"Zm9vZm9=", "base64: unused bits that are not zero at byte 6"},
};

static void test_refused(void) {
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    guint8 bytes[32];
    gsize length;
    g_autoptr(GError) error = NULL;
    g_assert_false(
        mnk_base64_decode(refused[i].text, strlen(refused[i].text), bytes, &length, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_cmpstr(error->message, ==, refused[i].message);
  }
}

/* Every single byte in the first, the middle and the last group: only 64 of them pass. */
static void test_alphabet(void) {
  guint passed = 0;
  for (guint at = 0; at < 12; at++)
    for (guint b = 0; b < 256; b++) {
      char text[] = "AAAAAAAAAAAA";
      guint8 bytes[9];
      gsize length;
      text[at] = (char)b;
      passed += mnk_base64_decode(text, 12, bytes, &length, NULL);
    }
  g_assert_cmpuint(passed, ==, 12 * 64 + 1); /* and one "=" of padding, at the end */
}

static void test_random(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  guint8 bytes[200], back[200];
  for (gsize n = 0; n < sizeof bytes; n++) {
    for (gsize i = 0; i < n; i++)
      bytes[i] = (guint8)g_rand_int_range(rand, 0, 256);
    g_autofree char *expected = g_base64_encode(bytes, n);
    g_autoptr(GString) text = g_string_new("x");
    mnk_base64_encode(bytes, n, text);
    g_assert_cmpstr(text->str + 1, ==, expected);
    gsize length;
    g_assert_true(mnk_base64_decode(text->str + 1, text->len - 1, back, &length, NULL));
    g_assert_cmpmem(back, length, bytes, n);
  }
}

static void test_in_place(void) {
  char text[] = "Zm9vYmFyZm9vYmFyZm9vYg==";
  gsize length;
  g_assert_true(mnk_base64_decode(text, strlen(text), (guint8 *)text, &length, NULL));
  g_assert_cmpmem(text, length, "foobarfoobarfoob", 16);
}

static void test_no_over_read(void) {
  Guard guard = guard_new(64);
  for (gsize n = 0; n <= 24; n++) {
    const char *text = (const char *)guard_copy(&guard, "Zm9vYmFyZm9vYmFyZm9vYg==", n);
    guint8 bytes[24];
    gsize length;
    g_assert_cmpint(mnk_base64_decode(text, n, bytes, &length, NULL), ==, n % 4 == 0);
  }
  guard_free(&guard);
}

/* Around the sizes where vectors begin and end: every byte comes, and the first character that is
 * not of the alphabet is found where it is, in place too. */
static void test_long_texts(void) {
  static const char bad[] = {'=', '-', '_', ' ', '\0',   '@',    '[',   '`',
                             '{', ':', '.', ',', '\x80', '\xab', '\xff'};
  g_autofree guint8 *bytes = g_malloc(200);
  for (guint i = 0; i < 200; i++)
    bytes[i] = (guint8)(i * 73 + i / 7);
  for (gsize n = 0; n <= 200; n++) {
    g_autoptr(GString) text = g_string_new(NULL);
    gsize length;
    mnk_base64_encode(bytes, n, text);
    g_autofree guint8 *room = g_malloc(MAX(mnk_base64_max_decoded(text->len), 1));
    g_assert_true(mnk_base64_decode(text->str, text->len, room, &length, NULL));
    g_assert_cmpmem(room, length, bytes, n);
    for (gsize at = 0; at + 4 < text->len; at++) {
      g_autoptr(GError) error = NULL;
      g_autofree guint8 *spoilt = g_memdup2(text->str, text->len);
      g_autofree char *message =
          g_strdup_printf("base64: unexpected character at byte %" G_GSIZE_FORMAT, at);
      spoilt[at] = (guint8)bad[at % sizeof bad];
      g_assert_false(mnk_base64_decode((const char *)spoilt, text->len, spoilt, &length, &error));
      g_assert_cmpstr(error->message, ==, message);
    }
  }
}

/* All 256 values at each place of a vector. */
static void test_alphabet_in_vectors(void) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (guint at = 0; at < 32; at++)
    for (guint value = 0; value < 256; value++) {
      char text[64];
      guint8 out[48];
      gsize length;
      memset(text, 'A', sizeof text);
      text[at] = (char)value;
      const char *known = value ? strchr(alphabet, (int)value) : NULL;
      g_assert_true(mnk_base64_decode(text, sizeof text, out, &length, NULL) == (known != NULL));
      if (!known)
        continue;
      guint32 group =
          (guint32)out[at / 4 * 3] << 16 | (guint32)out[at / 4 * 3 + 1] << 8 | out[at / 4 * 3 + 2];
      g_assert_cmpuint(group >> (18 - 6 * (at % 4)) & 63, ==, (guint)(known - alphabet));
      out[at / 4 * 3] = out[at / 4 * 3 + 1] = out[at / 4 * 3 + 2] = 0;
      for (guint i = 0; i < sizeof out; i++)
        g_assert_cmpuint(out[i], ==, 0);
    }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/base64/pairs", test_pairs);
  g_test_add_func("/wire/base64/refused", test_refused);
  g_test_add_func("/wire/base64/alphabet", test_alphabet);
  g_test_add_func("/wire/base64/random", test_random);
  g_test_add_func("/wire/base64/in-place", test_in_place);
  g_test_add_func("/wire/base64/no-over-read", test_no_over_read);
  g_test_add_func("/wire/base64/long-texts", test_long_texts);
  g_test_add_func("/wire/base64/alphabet-in-vectors", test_alphabet_in_vectors);
  return g_test_run();
}
