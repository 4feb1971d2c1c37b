#include "wire/json.h"

#include <math.h>

typedef struct {
  const char *name, *text, *json;
} StringCase;

static const StringCase string_cases[] = {
    {"empty", "", "\"\""},
    {"plain", "a cat", "\"a cat\""},
    {"quotes", "\"\\", "\"\\\"\\\\\""},
    {"short-escapes", "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
    {"control", "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
    {"c1", "\xc2\x85\xc2\x9b", "\"\\u0085\\u009b\""},
    {"html", "</script>&", "\"\\u003c/script\\u003e\\u0026\""},
    {"separators", "\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
    {"utf8", "\xe7\x9c\xbc \xf0\x9f\x98\x80", "\"\xe7\x9c\xbc \xf0\x9f\x98\x80\""},
    {"invalid",
     "a\xff"
     "b",
     "\"a\xef\xbf\xbd"
     "b\""},
    {"cut", "a\xe7\x9c", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
    {"surrogate", "\xed\xa0\xbd", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"overlong", "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"null", NULL, "null"},
};

static void test_string(gconstpointer data) {
  const StringCase *c = data;
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_add_string(&w, NULL, c->text);
  g_assert_cmpstr(out->str, ==, c->json);
  g_assert_true(mnk_json_check(out->str, out->len, NULL, NULL));
}

static const struct {
  double value;
  int decimals;
  const char *json;
} double_cases[] = {
    {0, 3, "0"},
    {-0.0, 3, "0"},
    {-0.0, 17, "0"},
    {1, 3, "1"},
    {0.5, 3, "0.5"},
    {0.1, 17, "0.1"},
    {0.1f, 17, "0.10000000149011612"},
    {0.1f, 4, "0.1"},
    {0.1 + 0.2, 17, "0.30000000000000004"},
    {0.1 + 0.2, 16, "0.3"},
    {0.1 + 0.2, 3, "0.3"},
    {1.0 / 3, 3, "0.333"},
    {2.0 / 3, 0, "1"},
    {123.456, 16, "123.456"},
    {123.456, 1, "123.5"},
    {-0.0004, 3, "0"},
    {-1.5, 1, "-1.5"},
    {1200, 0, "1200"},
    {1200, 2, "1200"},
    {1e15, 2, "1e+15"},
    {1e300, 2, "1e+300"},
    {1e300, 17, "1e+300"},
    {5e-324, 17, "4.94065645841247e-324"},
    {5e-324, 4, "0"},
    {1e-7, 10, "0.0000001"},
    {999999999999999.5, 3, "999999999999999.5"},
    {1735689600123456.0, 0, "1735689600123456"},
    {NAN, 3, "null"},
    {INFINITY, 17, "null"},
    {-INFINITY, 0, "null"},
    {0.25, -1, "0"},
};

static void test_doubles(void) {
  for (guint i = 0; i < G_N_ELEMENTS(double_cases); i++) {
    g_autoptr(GString) out = g_string_new(NULL);
    MnkJsonWriter w;
    mnk_json_writer_init(&w, out);
    mnk_json_add_double(&w, NULL, double_cases[i].value, double_cases[i].decimals);
    g_assert_cmpstr(out->str, ==, double_cases[i].json);
    g_assert_true(mnk_json_check(out->str, out->len, NULL, NULL));
  }
}

static void test_doubles_round_trip(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(11);
  for (guint i = 0; i < 20000; i++) {
    guint64 bits = (guint64)g_rand_int(rand) << 32 | g_rand_int(rand);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
      continue;
    g_autoptr(GString) out = g_string_new(NULL);
    MnkJsonWriter w;
    mnk_json_writer_init(&w, out);
    mnk_json_add_double(&w, NULL, value, 17);
    g_autoptr(MnkJson) json = mnk_json_parse(out->str, out->len, NULL, NULL);
    g_assert_nonnull(json);
    g_assert_cmpfloat(mnk_json_double(mnk_json_root(json), NAN), ==, value);
  }
}

static void test_structure(void) {
  g_autoptr(GString) out = g_string_new("> ");
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "min", G_MININT64);
  mnk_json_begin_array(&w, "a");
  mnk_json_end_array(&w);
  mnk_json_begin_array(&w, "b");
  mnk_json_add_bool(&w, NULL, TRUE);
  mnk_json_begin_object(&w, NULL);
  mnk_json_end_object(&w);
  mnk_json_add_null(&w, NULL);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_bool(&w, "<", FALSE);
  mnk_json_end_object(&w);
  mnk_json_end_array(&w);
  mnk_json_add_raw(&w, "raw", "[1,2]xx", 5);
  mnk_json_add_string(&w, "s", "x");
  mnk_json_end_object(&w);
  g_assert_cmpstr(out->str, ==,
                  "> {\"min\":-9223372036854775808,\"a\":[],\"b\":[true,{},null,"
                  "{\"\\u003c\":false}],\"raw\":[1,2],\"s\":\"x\"}");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(string_cases); i++) {
    g_autofree char *path = g_strdup_printf("/wire/json/write/string/%s", string_cases[i].name);
    g_test_add_data_func(path, &string_cases[i], test_string);
  }
  g_test_add_func("/wire/json/write/doubles", test_doubles);
  g_test_add_func("/wire/json/write/doubles-round-trip", test_doubles_round_trip);
  g_test_add_func("/wire/json/write/structure", test_structure);
  return g_test_run();
}
