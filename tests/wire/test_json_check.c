/* What the check accepts and refuses: RFC 8259 case by case, then the limits. */
#include "wire/json.h"

#include "base/error.h"

#include "guard.h"

typedef struct {
  const char *name, *text;
  gsize length; /* 0: strlen(text) */
} Case;

#define BYTES(text) (text), sizeof(text) - 1

static const Case accepted[] = {
    {"array-empty", "[]", 0},
    {"array-space", " [ ] ", 0},
    {"array-nested", "[[[[]]]]", 0},
    {"array-mixed", "[null,1,\"1\",{}]", 0},
    {"array-newlines", "[1\n,\r\n\t2]", 0},
    {"object-empty", "{}", 0},
    {"object-empty-key", "{\"\":0}", 0},
    {"object-nested", "{\"a\":{\"a\":{\"a\":1}}}", 0},
    {"object-same-key-elsewhere", "[{\"a\":1},{\"a\":2}]", 0},
    {"object-keys-differ-in-case", "{\"a\":1,\"A\":2}", 0},
    {"object-escaped-key", "{\"\\u0061b\":1,\"a\":2}", 0},
    {"root-string", "\"x\"", 0},
    {"root-number", "42", 0},
    {"root-true", "true", 0},
    {"root-false", " false\n", 0},
    {"root-null", "null", 0},
    {"number-zero", "[0]", 0},
    {"number-minus-zero", "[-0]", 0},
    {"number-minus-zero-fraction", "[-0.0]", 0},
    {"number-fraction", "[0.5]", 0},
    {"number-exponent", "[1e5,1E5,1e+5,1e-5,1.5e3]", 0},
    {"number-exponent-zeros", "[1e005]", 0},
    {"number-zero-exponent", "[0e1]", 0},
    {"number-int64-max", "[9223372036854775807]", 0},
    {"number-int64-min", "[-9223372036854775808]", 0},
    {"number-double-max", "[1.7976931348623157e308]", 0},
    {"number-underflow", "[1e-400]", 0},
    {"number-long-fraction", "[0.1000000000000000055511151231257827021181583404541015625]", 0},
    {"string-empty", "[\"\"]", 0},
    {"string-escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", 0},
    {"string-unicode-escape", "[\"\\u00e9\\u00E9\"]", 0},
    {"string-surrogate-pair", "[\"\\ud83d\\ude00\"]", 0},
    {"string-last-code-point", "[\"\\udbff\\udfff\"]", 0},
    {"string-noncharacter", "[\"\\uffff\"]", 0},
    {"string-utf8-2", "[\"\xc3\xa9\"]", 0},
    {"string-utf8-3", "[\"\xe7\x9c\xbc\"]", 0},
    {"string-utf8-4", "[\"\xf0\x9f\x98\x80\"]", 0},
    {"string-utf8-last", "[\"\xf4\x8f\xbf\xbf\"]", 0},
    {"string-del", "[\"\x7f\"]", 0},
    {"string-slash", "[\"/\"]", 0},
    {"string-line-separator", "[\"\xe2\x80\xa8\"]", 0},
    {"string-eight-plain-bytes", "[\"01234567\"]", 0},
    {"string-escape-ninth", "[\"01234567\\n01234567\"]", 0},
};

static const Case refused[] = {
    {"empty", BYTES("")},
    {"space-only", " \n", 0},
    {"bom", "\xef\xbb\xbf{}", 0},
    {"nul", BYTES("\0")},
    {"nul-behind", BYTES("[]\0")},
    {"trailing-text", "[] x", 0},
    {"trailing-bracket", "[]]", 0},
    {"two-values", "1 2", 0},
    {"comment", "[1/*x*/]", 0},
    {"line-comment", "[1]//x", 0},
    {"space-vertical-tab", "[\v1]", 0},
    {"space-no-break", "[\xc2\xa0]", 0},
    {"array-open", "[", 0},
    {"array-open-value", "[1", 0},
    {"array-trailing-comma", "[1,]", 0},
    {"array-leading-comma", "[,1]", 0},
    {"array-double-comma", "[1,,2]", 0},
    {"array-no-comma", "[1 2]", 0},
    {"array-colon", "[1:2]", 0},
    {"array-wrong-end", "[1}", 0},
    {"object-open", "{", 0},
    {"object-open-key", "{\"a\"", 0},
    {"object-open-colon", "{\"a\":", 0},
    {"object-open-value", "{\"a\":1", 0},
    {"object-trailing-comma", "{\"a\":1,}", 0},
    {"object-no-colon", "{\"a\" 1}", 0},
    {"object-no-value", "{\"a\":}", 0},
    {"object-bare-key", "{a:1}", 0},
    {"object-number-key", "{1:1}", 0},
    {"object-single-quotes", "{'a':1}", 0},
    {"object-wrong-end", "{\"a\":1]", 0},
    {"object-key-only", "{\"a\"}", 0},
    {"object-duplicate", "{\"a\":1,\"a\":1}", 0},
    {"object-duplicate-apart", "{\"a\":1,\"b\":{\"c\":2},\"d\":[{}],\"a\":3}", 0},
    {"object-duplicate-escaped", "{\"a\":1,\"\\u0061\":2}", 0},
    {"object-duplicate-empty", "{\"\":1,\"\":2}", 0},
    {"object-duplicate-inner", "[[{\"k\":{\"x\":1,\"x\":2}}]]", 0},
    {"literal-case", "[True]", 0},
    {"literal-cut", "[tru]", 0},
    {"literal-cut-at-end", "nul", 0},
    {"literal-long", "[nulll]", 0},
    {"literal-undefined", "undefined", 0},
    {"number-plus", "[+1]", 0},
    {"number-leading-zero", "[01]", 0},
    {"number-minus-leading-zero", "[-01]", 0},
    {"number-minus-alone", "[-]", 0},
    {"number-point-first", "[.5]", 0},
    {"number-point-last", "[1.]", 0},
    {"number-point-exponent", "[1.e3]", 0},
    {"number-two-points", "[1.2.3]", 0},
    {"number-exponent-alone", "[1e]", 0},
    {"number-exponent-sign-alone", "[1e+]", 0},
    {"number-exponent-twice", "[1e2e3]", 0},
    {"number-hex", "[0x10]", 0},
    {"number-nan", "[NaN]", 0},
    {"number-minus-nan", "[-NaN]", 0},
    {"number-infinity", "[Infinity]", 0},
    {"number-minus-infinity", "[-Infinity]", 0},
    {"number-letters", "[1a]", 0},
    {"number-fullwidth", "[\xef\xbc\x91]", 0},
    {"number-space-inside", "[1 000]", 0},
    {"string-open", "[\"a]", 0},
    {"string-open-escape", "\"a\\", 0},
    {"string-open-unicode", "\"\\u00", 0},
    {"string-control", "[\"a\nb\"]", 0},
    {"string-control-ninth", "[\"01234567\x1f\"]", 0},
    {"string-control-in-eight", "[\"0123\t567890\"]", 0},
    {"string-last-control-in-eight",
     "[\"01234567012345\x1f"
     "78\"]",
     0},
    {"string-utf8-in-eight",
     "[\"01234567012345\xff"
     "78\"]",
     0},
    {"string-raw-nul", BYTES("[\"a\0b\"]")},
    {"string-escaped-nul", "[\"a\\u0000b\"]", 0},
    {"string-escaped-nul-key", "{\"\\u0000\":1}", 0},
    {"string-bad-escape", "[\"\\x41\"]", 0},
    {"string-bad-escape-case", "[\"\\N\"]", 0},
    {"string-escaped-raw-nul", BYTES("[\"\\\0\"]")},
    {"string-bad-hex", "[\"\\u00g0\"]", 0},
    {"string-short-hex", "[\"\\u00e\"]", 0},
    {"string-capital-u", "[\"\\U00e9\"]", 0},
    {"string-high-surrogate", "[\"\\ud83d\"]", 0},
    {"string-high-surrogate-text", "[\"\\ud83dabcdef\"]", 0},
    {"string-high-high", "[\"\\ud83d\\ud83d\"]", 0},
    {"string-low-surrogate", "[\"\\ude00\"]", 0},
    {"string-low-low", "[\"\\ude00\\ude00\"]", 0},
    {"string-high-beyond-low", "[\"\\ud83d\\ue000\"]", 0},
    {"string-low-high", "[\"\\ude00\\ud83d\"]", 0},
    {"string-utf8-surrogate", "[\"\xed\xa0\xbd\"]", 0},
    {"string-utf8-overlong-nul", "[\"\xc0\x80\"]", 0},
    {"string-utf8-overlong-slash", "[\"\xe0\x80\xaf\"]", 0},
    {"string-utf8-beyond", "[\"\xf4\x90\x80\x80\"]", 0},
    {"string-utf8-continuation", "[\"\x80\"]", 0},
    {"string-utf8-cut", "[\"\xe7\x9c\"]", 0},
    {"string-utf8-cut-at-end", "\"\xf0\x9f\x98", 0},
    {"string-utf8-five", "[\"\xf8\x88\x80\x80\x80\"]", 0},
    {"string-latin1", "[\"\xe9\"]", 0},
    {"string-utf8-ninth", "[\"01234567\xff\"]", 0},
};

static gsize length_of(const Case *c) {
  return c->length ? c->length : strlen(c->text);
}

static void test_accepted(gconstpointer data) {
  const Case *c = data;
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_json_check(c->text, length_of(c), NULL, &error));
  g_assert_no_error(error);
  /* What passes the check, the library must read. */
  g_autoptr(MnkJson) json = mnk_json_parse(c->text, length_of(c), NULL, &error);
  g_assert_no_error(error);
  g_assert_nonnull(json);
}

static void test_refused(gconstpointer data) {
  const Case *c = data;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_json_check(c->text, length_of(c), NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  g_assert_null(mnk_json_parse(c->text, length_of(c), NULL, NULL));
}

static void test_no_over_read(void) {
  Guard guard = guard_new(256);
  const Case *lists[] = {accepted, refused};
  const gsize sizes[] = {G_N_ELEMENTS(accepted), G_N_ELEMENTS(refused)};
  for (guint l = 0; l < 2; l++)
    for (gsize i = 0; i < sizes[l]; i++)
      for (gsize n = 0; n <= length_of(&lists[l][i]); n++) {
        const char *text = (const char *)guard_copy(&guard, lists[l][i].text, n);
        g_autoptr(MnkJson) json = mnk_json_parse(text, n, NULL, NULL);
      }
  guard_free(&guard);
}

/* ---- Limits ---- */

static void assert_limit(const char *text, const MnkJsonLimits *limits, const char *what) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_json_parse(text, strlen(text), limits, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_nonnull(strstr(error->message, what));
}

static void assert_fits(const char *text, const MnkJsonLimits *limits) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), limits, &error);
  g_assert_no_error(error);
  g_assert_nonnull(json);
}

static char *nested(guint levels) {
  char *text = g_strnfill(2 * levels, '[');
  memset(text + levels, ']', levels);
  return text;
}

static void test_depth(void) {
  g_autofree char *at = nested(32), *over = nested(33), *far = nested(100000);
  assert_fits(at, NULL);
  assert_limit(over, NULL, "more than 32 levels at byte 32");
  assert_limit(far, NULL, "more than 32 levels");
  /* Whatever a caller asks for, the check's own recursion ends. */
  MnkJsonLimits deep = mnk_json_limits_default;
  deep.max_depth = G_MAXUINT;
  assert_limit(far, &deep, "more than 256 levels");
  g_autofree char *deepest = nested(256);
  assert_fits(deepest, &deep);
}

static void test_bytes(void) {
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_bytes = 5;
  assert_fits("[1,2]", &limits);
  assert_limit("[1,2] ", &limits, "more than 5 bytes");
  gsize over = mnk_json_limits_default.max_bytes + 1;
  g_autofree char *spaces = g_strnfill(over, ' ');
  assert_limit(spaces, NULL, "more than 1048576 bytes");
}

static void test_values(void) {
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_values = 4;
  assert_fits("[1,2,3]", &limits);
  assert_limit("[1,2,3,4]", &limits, "more than 4 values");
  assert_limit("{\"a\":1,\"b\":2}", &limits, "more than 4 values");
  limits.max_values = 5;
  assert_fits("{\"a\":1,\"b\":2}", &limits);
}

static void test_strings(void) {
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_string = 3;
  assert_fits("[\"abc\"]", &limits);
  assert_limit("[\"abcd\"]", &limits, "string of more than 3 bytes at byte 1");
  assert_limit("{\"abcd\":1}", &limits, "string of more than 3 bytes");
  assert_limit("[\"\\n\\n\"]", &limits, "string of more than 3 bytes");
}

static void test_numbers(void) {
  assert_limit("[9223372036854775808]", NULL, "whole number of more than 64 bits at byte 1");
  assert_limit("[-9223372036854775809]", NULL, "whole number of more than 64 bits");
  assert_limit("[1e309]", NULL, "beyond the range of a double");
  assert_limit("[1.5e309]", NULL, "beyond the range of a double");
  assert_limit("[-1e99999999]", NULL, "beyond the range of a double");
  g_autofree char *digits = g_strnfill(127, '0');
  g_autofree char *at = g_strdup_printf("[1.%s]", digits + 1);
  g_autofree char *over = g_strdup_printf("[1.%s]", digits);
  assert_fits(at, NULL);
  assert_limit(over, NULL, "number of more than 128 bytes");
  memcpy(at + strlen(at) - 3, "e5", 2);
  assert_fits(at, NULL);
}

/* Many keys in one object: the list of keys grows, and the last of them is a duplicate. */
static void test_many_keys(void) {
  g_autoptr(GString) text = g_string_new("{");
  for (guint i = 0; i < 5000; i++)
    g_string_append_printf(text, "\"key %u\":%u,", i, i);
  gsize length = text->len;
  g_string_append(text, "\"last\":0}");
  assert_fits(text->str, NULL);
  g_string_truncate(text, length);
  g_string_append(text, "\"key 2500\":0}");
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_json_check(text->str, text->len, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  g_autofree char *place = g_strdup_printf("duplicate key at byte %" G_GSIZE_FORMAT, length + 1);
  g_assert_nonnull(strstr(error->message, place));
}

/* Two words with one FNV-1a hash are two keys. */
static void test_colliding_keys(void) {
  assert_fits("{\"costarring\":1,\"liquid\":2}", NULL);
  g_autoptr(GError) error = NULL;
  const char *text = "{\"liquid\":0,\"costarring\":1,\"liquid\":2}";
  g_assert_false(mnk_json_check(text, strlen(text), NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
}

static void test_messages(void) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "JSON: the text ends where a value is expected at byte 0"},
      {"{\"a\":1", "JSON: the text ends where ',' or '}' is expected at byte 6"},
      {"[1 2]", "JSON: ',' or ']' is expected at byte 3"},
      {"[1.x]", "JSON: a digit is expected at byte 3"},
      {"[\"\\ud800\"]", "JSON: lone surrogate at byte 2"},
      {"[\"ab\xff\"]", "JSON: invalid UTF-8 at byte 4"},
      {"[\"ab", "JSON: string without an end at byte 1"},
      {"{\"a\":1,\"a\":2}", "JSON: duplicate key at byte 8"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(mnk_json_check(cases[i].text, strlen(cases[i].text), NULL, &error));
    g_assert_cmpstr(error->message, ==, cases[i].message);
  }
}

static void add_cases(const char *list, const Case *cases, gsize n, GTestDataFunc test) {
  for (gsize i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf("/wire/json/%s/%s", list, cases[i].name);
    g_test_add_data_func(path, &cases[i], test);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  add_cases("accept", accepted, G_N_ELEMENTS(accepted), test_accepted);
  add_cases("refuse", refused, G_N_ELEMENTS(refused), test_refused);
  g_test_add_func("/wire/json/no-over-read", test_no_over_read);
  g_test_add_func("/wire/json/limit/depth", test_depth);
  g_test_add_func("/wire/json/limit/bytes", test_bytes);
  g_test_add_func("/wire/json/limit/values", test_values);
  g_test_add_func("/wire/json/limit/strings", test_strings);
  g_test_add_func("/wire/json/limit/numbers", test_numbers);
  g_test_add_func("/wire/json/keys/many", test_many_keys);
  g_test_add_func("/wire/json/keys/colliding", test_colliding_keys);
  g_test_add_func("/wire/json/messages", test_messages);
  return g_test_run();
}
