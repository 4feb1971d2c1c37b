#include "api/core_priv.h"

#include <string.h>

static const MnkField table[] = {
    {"id", MNK_FIELD_STRING, FALSE, 1, 8, NULL, NULL},
    {"any", MNK_FIELD_STRING, FALSE, 0, 0, NULL, NULL},
    {"limit", MNK_FIELD_INT, FALSE, 1, 100, NULL, NULL},
    {"whole", MNK_FIELD_INT, FALSE, 0, 0, NULL, NULL},
    {"one", MNK_FIELD_INT, FALSE, 1, 1.5, NULL, NULL},
    {"seq", MNK_FIELD_INT, FALSE, 0, 9007199254740991.0, NULL, NULL},
    {"fps", MNK_FIELD_DOUBLE, FALSE, 0.5, 60, NULL, NULL},
    {"weight", MNK_FIELD_DOUBLE, FALSE, 0, 0, NULL, NULL},
    {"on", MNK_FIELD_BOOL, FALSE, 0, 0, NULL, NULL},
    {"from", MNK_FIELD_TIME, FALSE, 0, 0, NULL, NULL},
    {"format", MNK_FIELD_ENUM, FALSE, 0, 0, "json|vtt|srt", NULL},
    {"params", MNK_FIELD_PARAMS, FALSE, 0, 0, NULL, NULL},
    {"topk", MNK_FIELD_OPTION, FALSE, 0, 0, NULL, NULL},
    {"cooldown_s", MNK_FIELD_OPTION, FALSE, 0, 0, "watch_cooldown_s", NULL},
    {"list", MNK_FIELD_LIST, FALSE, 1, 2, "Thing", NULL},
    {"thing", MNK_FIELD_OBJECT, FALSE, 0, 0, NULL, NULL},
    {.name = NULL},
};
static const MnkField strict[] = {
    {"source", MNK_FIELD_STRING, TRUE, 1, 100, NULL, NULL},
    {"params", MNK_FIELD_PARAMS, FALSE, 0, 0, NULL, NULL},
    {.name = NULL},
};

static void test_text(void) {
  static const struct {
    const char *name, *text;
    gboolean fine;
  } CASES[] = {
      {"id", "a", TRUE},
      {"id", "12345678", TRUE},
      {"id", "123456789", FALSE},
      {"id", "", FALSE},
      {"any", "", TRUE},
      {"limit", "1", TRUE},
      {"limit", "100", TRUE},
      {"limit", "0", FALSE},
      {"limit", "101", FALSE},
      {"limit", "-1", FALSE},
      {"limit", "1.0", FALSE},
      {"limit", "1e1", FALSE},
      {"limit", " 1", FALSE},
      {"limit", "1 ", FALSE},
      {"limit", "", FALSE},
      {"limit", "0x10", FALSE},
      {"limit", "99999999999999999999", FALSE},
      {"whole", "-9223372036854775808", TRUE},
      {"whole", "9223372036854775808", FALSE},
      {"fps", "0.5", TRUE},
      {"fps", "6e1", TRUE},
      {"fps", "0.49", FALSE},
      {"fps", "nan", FALSE},
      {"fps", "inf", FALSE},
      {"fps", "0x1p3", FALSE},
      {"fps", "1,5", FALSE},
      {"fps", "1.5x", FALSE},
      {"fps", "", FALSE},
      {"fps", "1e999", FALSE},
      {"weight", "-1e300", TRUE},
      {"weight", "1e999", FALSE},
      {"weight", "-1e999", FALSE},
      {"on", "true", TRUE},
      {"on", "0", TRUE},
      {"on", "yes", FALSE},
      {"on", "", FALSE},
      {"from", "90", TRUE},
      {"from", "1:30", TRUE},
      {"from", "0:01:30.5", TRUE},
      {"from", "-1", FALSE},
      {"from", "1:60", FALSE},
      {"from", "", FALSE},
      {"from", "1:2:3:4", FALSE},
      {"format", "vtt", TRUE},
      {"format", "VTT", FALSE},
      {"format", "json|vtt", FALSE},
      {"format", "", FALSE},
      {"params", "{}", FALSE},
      {"topk", "5", FALSE},
      {"list", "[1]", FALSE},
      {"thing", "{}", FALSE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    const MnkField *field = mnk_field_find(table, CASES[i].name);
    g_test_message("%s=%s", CASES[i].name, CASES[i].text);
    g_assert_cmpint(mnk_field_check_text(field, CASES[i].text, &error), ==, CASES[i].fine);
    if (CASES[i].fine)
      continue;
    g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
    g_assert_true(g_str_has_prefix(error->message, CASES[i].name));
  }
}

static char *check(const MnkField *fields, const char *text) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, &error);
  g_assert_no_error(error);
  return mnk_fields_check_body(fields, mnk_json_root(json), FALSE, &error)
             ? NULL
             : g_strdup(error->message);
}

static void test_bodies(void) {
  static const struct {
    const char *json, *message;
  } CASES[] = {
      {"{}", NULL},
      {"{\"id\":\"a\",\"limit\":5,\"fps\":2,\"on\":true,\"from\":\"1:30\",\"format\":\"srt\","
       "\"params\":{}}",
       NULL},
      {"[]", "the body must be a JSON object"},
      {"null", "the body must be a JSON object"},
      {"{\"id\":1}", "id must be text of 1 to 8 bytes"},
      {"{\"id\":null}", "id must be text of 1 to 8 bytes"},
      {"{\"limit\":\"5\"}", "limit must be a whole number from 1 to 100"},
      {"{\"limit\":5.5}", "limit must be a whole number from 1 to 100"},
      {"{\"seq\":-1}", "seq must be a whole number from 0 to 9007199254740991"},
      {"{\"limit\":101}", "limit must be a whole number from 1 to 100"},
      {"{\"fps\":0.1}", "fps must be a number from 0.5 to 60"},
      {"{\"fps\":true}", "fps must be a number from 0.5 to 60"},
      {"{\"on\":1}", "on must be true or false"},
      {"{\"from\":-5}", "from must be a time such as 90, 1:30 or 0:01:30.5"},
      {"{\"format\":\"xml\"}", "format must be one of json, vtt, srt"},
      {"{\"params\":[]}", "params must be an object"},
      {"{\"topk\":256,\"cooldown_s\":1.5,\"list\":[1],\"thing\":{}}", NULL},
      {"{\"cooldown_s\":\"1:30\"}", NULL},
      {"{\"topk\":257}", "topk must be a whole number from 0 to 256"},
      {"{\"topk\":null}", "topk must be a whole number from 0 to 256"},
      {"{\"one\":2}", "one must be 1"},
      {"{\"topk\":1.5}", "topk must be a whole number from 0 to 256"},
      {"{\"cooldown_s\":-1}", "cooldown_s must be a time of 0 to 86400 seconds"},
      {"{\"list\":[]}", "list must be a list of 1 to 2"},
      {"{\"list\":[1,2,3]}", "list must be a list of 1 to 2"},
      {"{\"list\":{}}", "list must be a list of 1 to 2"},
      {"{\"thing\":[]}", "thing must be an object"},
      {"{\"foo\":1}", "foo is not a member of this body"},
      {"{\"a\\u001b[31m\":1}", "a\\x1b[31m is not a member of this body"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *message = check(table, CASES[i].json);
    g_assert_cmpstr(message, ==, CASES[i].message);
  }
  g_autofree char *missing = check(strict, "{}");
  g_assert_cmpstr(missing, ==, "source is missing");
}

/* Where unknown members are passed over, known ones are still checked, and required ones needed. */
static void test_open_bodies(void) {
  static const struct {
    const char *json, *message;
  } CASES[] = {
      {"{\"source\":\"x\",\"foo\":[1],\"params\":null}", NULL},
      {"{\"source\":null}", "source is missing"},
      {"{\"source\":7}", "source must be text of 1 to 100 bytes"},
      {"[]", "the body must be a JSON object"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkJson) json = mnk_json_parse(CASES[i].json, strlen(CASES[i].json), NULL, NULL);
    gboolean fine = mnk_fields_check_body(strict, mnk_json_root(json), TRUE, &error);
    g_assert_cmpint(fine, ==, CASES[i].message == NULL);
    g_assert_cmpstr(error != NULL ? error->message : NULL, ==, CASES[i].message);
  }
}

static void test_field_of_message(void) {
  static const MnkRoute route = {.query = table, .body = strict};
  static const struct {
    const char *message, *field;
  } CASES[] = {
      {"limit must be a whole number", "limit"},
      {"source is missing", "source"},
      {"source[1].part must be text", "source[1].part"},
      {"foo is not a member of this body", "foo"},
      {"gate_mse must be a number from 0 to 1", "params.gate_mse"},
      {"foo is not a parameter of a stream", "params.foo"},
      {"the stream is not there", NULL},
      {"", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autofree char *field = mnk_field_of_message(&route, CASES[i].message);
    g_assert_cmpstr(field, ==, CASES[i].field);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/fields/text", test_text);
  g_test_add_func("/api/fields/bodies", test_bodies);
  g_test_add_func("/api/fields/open-bodies", test_open_bodies);
  g_test_add_func("/api/fields/field-of-message", test_field_of_message);
  return g_test_run();
}
