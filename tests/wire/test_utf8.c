#include "wire/utf8.h"

#include <string.h>

static gboolean check_whole(const guint8 *bytes, gsize length) {
  MnkUtf8 state = {0};
  return mnk_utf8_check(&state, bytes, length) && mnk_utf8_is_whole(&state);
}

/* Every sequence of up to three bytes, and of four where the first begins a character of four,
 * against GLib's reading of the same (which takes no NUL). */
static void test_all_short(void) {
  for (guint32 n = 1; n < 1u << 24; n++) {
    guint8 bytes[3] = {(guint8)(n >> 16), (guint8)(n >> 8), (guint8)n};
    if (!bytes[0] || !bytes[1] || !bytes[2])
      continue;
    if (check_whole(bytes, 3) != g_utf8_validate((const char *)bytes, 3, NULL))
      g_error("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
  }
}

static void test_all_of_four(void) {
  static const guint8 ends[] = {0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff, 'a'};
  for (guint32 n = 0xe000; n < 1u << 16; n++)
    for (guint i = 0; i < G_N_ELEMENTS(ends) * G_N_ELEMENTS(ends); i++) {
      guint8 bytes[4] = {(guint8)(n >> 8), (guint8)n, ends[i / 10], ends[i % 10]};
      if (bytes[1] && check_whole(bytes, 4) != g_utf8_validate((const char *)bytes, 4, NULL))
        g_error("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    }
}

/* At the very byte, however the text is cut; long runs of ASCII before it. */
static void test_fails_at_once(void) {
  guint8 bytes[100];
  for (gsize bad = 0; bad < sizeof bytes; bad++) {
    memset(bytes, 'a', sizeof bytes);
    bytes[bad] = 0xff;
    MnkUtf8 state = {0};
    g_assert_true(mnk_utf8_check(&state, bytes, bad));
    g_assert_false(mnk_utf8_check(&state, bytes + bad, 1));
    for (gsize cut = 0; cut < sizeof bytes; cut++) {
      state = (MnkUtf8){0};
      gboolean first = mnk_utf8_check(&state, bytes, cut);
      g_assert_true(first == (cut <= bad));
      if (first)
        g_assert_false(mnk_utf8_check(&state, bytes + cut, sizeof bytes - cut));
    }
  }
}

static void test_pieces(void) {
  static const char text[] =
      "a\xc3\xa9\xe3\x81\x82\xf0\x9f\x98\x80 and thirty-two bytes or more of ASCII,"
      " and then \xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80";
  const guint8 *bytes = (const guint8 *)text;
  gsize length = strlen(text);
  for (gsize cut = 0; cut <= length; cut++) {
    MnkUtf8 state = {0};
    g_assert_true(mnk_utf8_check(&state, bytes, cut));
    g_assert_true(mnk_utf8_is_whole(&state) == g_utf8_validate(text, (gssize)cut, NULL));
    g_assert_true(mnk_utf8_check(&state, bytes + cut, length - cut));
    g_assert_true(mnk_utf8_is_whole(&state));
  }
}

static void test_nul(void) {
  g_assert_true(check_whole((const guint8 *)"a\0b", 3));
  g_assert_true(check_whole((const guint8 *)"", 0));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/utf8/all-short", test_all_short);
  g_test_add_func("/utf8/all-of-four", test_all_of_four);
  g_test_add_func("/utf8/fails-at-once", test_fails_at_once);
  g_test_add_func("/utf8/pieces", test_pieces);
  g_test_add_func("/utf8/nul", test_nul);
  return g_test_run();
}
