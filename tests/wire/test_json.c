/* The tree and its typed members. */
#include "wire/json.h"

#include "base/error.h"

#include <locale.h>
#include <math.h>

static MnkJson *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  MnkJson *json = mnk_json_parse(text, strlen(text), NULL, &error);
  g_assert_no_error(error);
  return json;
}

static void test_types(void) {
  static const struct {
    const char *text;
    MnkJsonType type;
  } cases[] = {
      {"null", MNK_JSON_NULL},   {"true", MNK_JSON_BOOL},  {"0", MNK_JSON_INT},
      {"-7", MNK_JSON_INT},      {"0.0", MNK_JSON_DOUBLE}, {"1e2", MNK_JSON_DOUBLE},
      {"\"\"", MNK_JSON_STRING}, {"[]", MNK_JSON_ARRAY},   {"{}", MNK_JSON_OBJECT},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkJson) json = parse(cases[i].text);
    g_assert_cmpint(mnk_json_type(mnk_json_root(json)), ==, cases[i].type);
  }
}

static void test_tree(void) {
  g_autoptr(MnkJson) json = parse("{\"a\":[1,null,\"x\"],\"b\":{\"c\":true},\"n\":null}");
  const MnkJsonValue *root = mnk_json_root(json), *a = mnk_json_get(root, "a");
  g_assert_cmpuint(mnk_json_size(root), ==, 3);
  g_assert_cmpuint(mnk_json_size(a), ==, 3);
  g_assert_cmpint(mnk_json_int(mnk_json_at(a, 0), -1), ==, 1);
  g_assert_nonnull(mnk_json_at(a, 1));
  g_assert_cmpint(mnk_json_type(mnk_json_at(a, 1)), ==, MNK_JSON_NULL);
  g_assert_cmpstr(mnk_json_string(mnk_json_at(a, 2), NULL), ==, "x");
  g_assert_null(mnk_json_at(a, 3));
  g_assert_true(mnk_json_bool(mnk_json_get(mnk_json_get(root, "b"), "c"), FALSE));
  g_assert_nonnull(mnk_json_get(root, "n"));
  g_assert_null(mnk_json_get(root, "missing"));
  g_assert_null(mnk_json_get(a, "a"));
  g_assert_null(mnk_json_at(root, 0));
}

static void test_missing(void) {
  g_assert_cmpint(mnk_json_type(NULL), ==, MNK_JSON_NULL);
  g_assert_cmpuint(mnk_json_size(NULL), ==, 0);
  g_assert_null(mnk_json_at(NULL, 0));
  g_assert_null(mnk_json_get(NULL, "a"));
  g_assert_cmpint(mnk_json_int(NULL, 5), ==, 5);
  g_assert_cmpfloat(mnk_json_double(NULL, 0.5), ==, 0.5);
  g_assert_cmpstr(mnk_json_string(NULL, "x"), ==, "x");
  g_assert_true(mnk_json_bool(NULL, TRUE));
}

static void test_fallback_on_other_type(void) {
  g_autoptr(MnkJson) json = parse("[\"1\",1,1.5,true,null]");
  const MnkJsonValue *root = mnk_json_root(json);
  const MnkJsonValue *text = mnk_json_at(root, 0), *whole = mnk_json_at(root, 1);
  g_assert_cmpint(mnk_json_int(text, 9), ==, 9);
  g_assert_cmpfloat(mnk_json_double(text, 9), ==, 9);
  g_assert_cmpfloat(mnk_json_double(whole, 9), ==, 1);
  g_assert_cmpint(mnk_json_int(mnk_json_at(root, 2), 9), ==, 9);
  g_assert_null(mnk_json_string(whole, NULL));
  g_assert_false(mnk_json_bool(whole, FALSE));
  g_assert_cmpint(mnk_json_int(mnk_json_at(root, 3), 9), ==, 9);
  g_assert_cmpstr(mnk_json_string(mnk_json_at(root, 4), "none"), ==, "none");
}

static void test_members_in_order(void) {
  g_autoptr(MnkJson) json = parse("{\"z\":1,\"a\":null,\"\\u006d\":3}");
  static const char *const keys[] = {"z", "a", "m"};
  MnkJsonIter iter = {0};
  const char *key;
  const MnkJsonValue *value;
  guint n = 0;
  while (mnk_json_next(mnk_json_root(json), &iter, &key, &value)) {
    g_assert_cmpuint(n, <, 3);
    g_assert_cmpstr(key, ==, keys[n]);
    g_assert_true(value == mnk_json_get(mnk_json_root(json), key));
    n++;
  }
  g_assert_cmpuint(n, ==, 3);
  g_assert_false(mnk_json_next(mnk_json_root(json), &iter, &key, &value));
}

static void test_no_members(void) {
  const char *const texts[] = {"{}", "[1]", "null", "1"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(MnkJson) json = parse(texts[i]);
    MnkJsonIter iter = {0};
    const char *key;
    const MnkJsonValue *value;
    g_assert_false(mnk_json_next(mnk_json_root(json), &iter, &key, &value));
  }
  MnkJsonIter iter = {0};
  const char *key;
  const MnkJsonValue *value;
  g_assert_false(mnk_json_next(NULL, &iter, &key, &value));
}

static void test_numbers(void) {
  g_autoptr(MnkJson) json = parse("[9223372036854775807,-9223372036854775808,0.1,-0.0,1e-400,"
                                  "5e-324,1.7976931348623157e308,-0]");
  const MnkJsonValue *root = mnk_json_root(json);
  g_assert_cmpint(mnk_json_int(mnk_json_at(root, 0), 0), ==, G_MAXINT64);
  g_assert_cmpint(mnk_json_int(mnk_json_at(root, 1), 0), ==, G_MININT64);
  const double doubles[] = {0.1, 0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.0};
  for (guint i = 0; i < G_N_ELEMENTS(doubles); i++)
    g_assert_cmpfloat(mnk_json_double(mnk_json_at(root, i + 2), -1), ==, doubles[i]);
}

/* A comma as decimal point in the process's locale changes nothing. */
static void test_locale(void) {
  const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  const char *set = NULL;
  for (guint i = 0; i < G_N_ELEMENTS(names) && !set; i++)
    set = setlocale(LC_NUMERIC, names[i]);
  if (!set) {
    g_test_skip("no locale with a decimal comma is installed");
    return;
  }
  g_autoptr(MnkJson) json = parse("[1.5]");
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_add_double(&w, NULL, 2.25, 3);
  setlocale(LC_NUMERIC, "C");
  g_assert_cmpfloat(mnk_json_double(mnk_json_at(mnk_json_root(json), 0), 0), ==, 1.5);
  g_assert_cmpstr(out->str, ==, "2.25");
}

static void test_strings(void) {
  g_autoptr(MnkJson) json = parse("[\"\\ud83d\\ude00\\u00e9\\/\\b\\f\\n\\r\\t\",\"\xe7\x9c\xbc\"]");
  const MnkJsonValue *root = mnk_json_root(json);
  g_assert_cmpstr(mnk_json_string(mnk_json_at(root, 0), NULL), ==,
                  "\xf0\x9f\x98\x80\xc3\xa9/\b\f\n\r\t");
  g_assert_cmpstr(mnk_json_string(mnk_json_at(root, 1), NULL), ==, "\xe7\x9c\xbc");
}

static void test_big_string(void) {
  g_autofree char *base64 = g_strnfill(60000, 'Q');
  g_autofree char *text = g_strdup_printf("{\"type\":\"frame\",\"image_base64\":\"%s\"}", base64);
  g_autoptr(MnkJson) json = parse(text);
  const char *value = NULL;
  g_assert_true(mnk_json_get_string(mnk_json_root(json), "image_base64", MNK_JSON_REQUIRED, 60000,
                                    &value, NULL));
  g_assert_cmpstr(value, ==, base64);
}

/* ---- Typed members ---- */

#define OBJECT                                                                                     \
  "{\"n\":7,\"big\":9223372036854775807,\"d\":1.5,\"whole\":3.0,\"huge\":1e300,\"s\":\"abc\","     \
  "\"b\":true,\"null\":null,\"a\":[1,2,3],\"o\":{\"x\":1}}"

typedef enum { READ_INT, READ_DOUBLE, READ_BOOL, READ_STRING, READ_ARRAY, READ_OBJECT } Reader;

static gboolean read_member(const MnkJsonValue *root, Reader reader, const char *key,
                            MnkJsonNeed need, GError **error) {
  gint64 i;
  double d;
  gboolean b;
  const char *s;
  const MnkJsonValue *v;
  switch (reader) {
  case READ_INT:
    return mnk_json_get_int(root, key, need, 1, 60, &i, error);
  case READ_DOUBLE:
    return mnk_json_get_double(root, key, need, 0.5, 30, &d, error);
  case READ_BOOL:
    return mnk_json_get_bool(root, key, need, &b, error);
  case READ_STRING:
    return mnk_json_get_string(root, key, need, 3, &s, error);
  case READ_ARRAY:
    return mnk_json_get_array(root, key, need, 3, &v, error);
  default:
    return mnk_json_get_object(root, key, need, &v, error);
  }
}

static const struct {
  Reader reader;
  const char *key;
  MnkJsonNeed need;
  const char *message; /* NULL: no error */
} member_cases[] = {
    {READ_INT, "n", MNK_JSON_REQUIRED, NULL},
    {READ_INT, "whole", MNK_JSON_REQUIRED, NULL},
    {READ_INT, "missing", MNK_JSON_OPTIONAL, NULL},
    {READ_INT, "null", MNK_JSON_OPTIONAL, NULL},
    {READ_INT, "missing", MNK_JSON_REQUIRED, "JSON: the member \"missing\" is missing"},
    {READ_INT, "null", MNK_JSON_REQUIRED, "JSON: \"null\" must be a whole number and is null"},
    {READ_INT, "big", MNK_JSON_OPTIONAL,
     "JSON: \"big\" must be a whole number from 1 to 60 and is 9223372036854775807"},
    {READ_INT, "d", MNK_JSON_OPTIONAL, "JSON: \"d\" must be a whole number and is a number"},
    {READ_INT, "huge", MNK_JSON_OPTIONAL, "JSON: \"huge\" must be a whole number and is a number"},
    {READ_INT, "s", MNK_JSON_OPTIONAL, "JSON: \"s\" must be a whole number and is a string"},
    {READ_DOUBLE, "d", MNK_JSON_REQUIRED, NULL},
    {READ_DOUBLE, "n", MNK_JSON_REQUIRED, NULL},
    {READ_DOUBLE, "huge", MNK_JSON_REQUIRED,
     "JSON: \"huge\" must be a number from 0.5 to 30 and is 1e+300"},
    {READ_DOUBLE, "b", MNK_JSON_REQUIRED, "JSON: \"b\" must be a number and is a boolean"},
    {READ_DOUBLE, "missing", MNK_JSON_REQUIRED, "JSON: the member \"missing\" is missing"},
    {READ_BOOL, "b", MNK_JSON_REQUIRED, NULL},
    {READ_BOOL, "n", MNK_JSON_REQUIRED, "JSON: \"n\" must be true or false and is a whole number"},
    {READ_STRING, "s", MNK_JSON_REQUIRED, NULL},
    {READ_STRING, "a", MNK_JSON_REQUIRED, "JSON: \"a\" must be a string and is an array"},
    {READ_ARRAY, "a", MNK_JSON_REQUIRED, NULL},
    {READ_ARRAY, "o", MNK_JSON_REQUIRED, "JSON: \"o\" must be an array and is an object"},
    {READ_OBJECT, "o", MNK_JSON_REQUIRED, NULL},
    {READ_OBJECT, "null", MNK_JSON_OPTIONAL, NULL},
    {READ_OBJECT, "a", MNK_JSON_REQUIRED, "JSON: \"a\" must be an object and is an array"},
};

static void test_member_errors(void) {
  g_autoptr(MnkJson) json = parse(OBJECT);
  for (guint i = 0; i < G_N_ELEMENTS(member_cases); i++) {
    g_autoptr(GError) error = NULL;
    gboolean ok = read_member(mnk_json_root(json), member_cases[i].reader, member_cases[i].key,
                              member_cases[i].need, &error);
    g_assert_cmpstr(error ? error->message : NULL, ==, member_cases[i].message);
    g_assert_cmpint(ok, ==, member_cases[i].message == NULL);
    if (error)
      g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  }
}

static void test_member_limits(void) {
  g_autoptr(MnkJson) json = parse(OBJECT);
  const MnkJsonValue *root = mnk_json_root(json), *array;
  const char *text;
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_json_get_string(root, "s", MNK_JSON_REQUIRED, 2, &text, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_cmpstr(error->message, ==, "JSON: \"s\" must be a string of at most 2 bytes and has 3");
  g_clear_error(&error);
  g_assert_false(mnk_json_get_array(root, "a", MNK_JSON_REQUIRED, 2, &array, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

static void test_member_values(void) {
  g_autoptr(MnkJson) json = parse(OBJECT);
  const MnkJsonValue *root = mnk_json_root(json);
  gint64 n = 0;
  double d = 0;
  gboolean b = FALSE;
  g_assert_true(mnk_json_get_int(root, "whole", MNK_JSON_REQUIRED, 3, 3, &n, NULL));
  g_assert_cmpint(n, ==, 3);
  g_assert_true(mnk_json_get_double(root, "d", MNK_JSON_REQUIRED, 1.5, 1.5, &d, NULL));
  g_assert_cmpfloat(d, ==, 1.5);
  g_assert_true(mnk_json_get_bool(root, "b", MNK_JSON_REQUIRED, &b, NULL));
  g_assert_true(b);
  n = 42;
  g_assert_true(mnk_json_get_int(root, "missing", MNK_JSON_OPTIONAL, 0, 1, &n, NULL));
  g_assert_cmpint(n, ==, 42);
  /* The readers of members take no object for an empty one. */
  g_assert_true(mnk_json_get_int(NULL, "n", MNK_JSON_OPTIONAL, 0, 1, &n, NULL));
  g_assert_false(mnk_json_get_int(NULL, "n", MNK_JSON_REQUIRED, 0, 1, &n, NULL));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/wire/json/tree/types", test_types);
  g_test_add_func("/wire/json/tree/places", test_tree);
  g_test_add_func("/wire/json/tree/missing", test_missing);
  g_test_add_func("/wire/json/tree/other-type", test_fallback_on_other_type);
  g_test_add_func("/wire/json/tree/members-in-order", test_members_in_order);
  g_test_add_func("/wire/json/tree/no-members", test_no_members);
  g_test_add_func("/wire/json/tree/numbers", test_numbers);
  g_test_add_func("/wire/json/tree/locale", test_locale);
  g_test_add_func("/wire/json/tree/strings", test_strings);
  g_test_add_func("/wire/json/tree/big-string", test_big_string);
  g_test_add_func("/wire/json/member/errors", test_member_errors);
  g_test_add_func("/wire/json/member/limits", test_member_limits);
  g_test_add_func("/wire/json/member/values", test_member_values);
  return g_test_run();
}
