#include "base/base.h"

static void test_escape(void) {
  static const struct {
    const char *text, *escaped;
  } cases[] = {
      {NULL, ""},
      {"", ""},
      {"plain text", "plain text"},
      {"猫と赤い車 – é 😀", "猫と赤い車 – é 😀"},
      {"a\nb\r\tc", "a\\x0ab\\x0d\\x09c"},
      {"\033[31mred\007", "\\x1b[31mred\\x07"},
      {"del\x7f", "del\\x7f"},
      {"\xc2\x9b"
       "31m",
       "\\u{009b}31m"},
      {"\xe2\x80\xae"
       "fdp.exe",
       "\\u{202e}fdp.exe"},
      {"\xe2\x81\xa6"
       "x\xe2\x81\xa9",
       "\\u{2066}x\\u{2069}"},
      {"\xe2\x80\xa8", "\\u{2028}"},
      {"bad \xff\xc3 utf-8 \xe7\x8c", "bad \\xff\\xc3 utf-8 \\xe7\\x8c"},
      {"\xc0\x80", "\\xc0\\x80"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"\xf3\xa0\x81\x81", "\\u{e0041}"},
      {"👩\xe2\x80\x8d🚀", "👩\xe2\x80\x8d🚀"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *escaped = mnk_text_escape(cases[i].text);
    g_assert_cmpstr(escaped, ==, cases[i].escaped);
  }
}

/* Whatever the bytes, the result is one line of valid UTF-8 without control characters. */
static void test_any_bytes(void) {
  char text[64];
  for (guint round = 0; round < 5000; round++) {
    for (guint i = 0; i < sizeof text - 1; i++)
      text[i] = (char)g_test_rand_int_range(1, 256);
    text[sizeof text - 1] = '\0';
    g_autofree char *escaped = mnk_text_escape(text);
    g_assert_true(g_utf8_validate(escaped, -1, NULL));
    for (const char *p = escaped; *p != '\0'; p = g_utf8_next_char(p))
      g_assert_false(g_unichar_iscntrl(g_utf8_get_char(p)));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/text/escape", test_escape);
  g_test_add_func("/text/any-bytes", test_any_bytes);
  return g_test_run();
}
