#include "api/core_priv.h"

#include <string.h>

static char *apply(MnkSettings *settings, const char *text, gboolean live) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(text, strlen(text), NULL, &error);
  g_assert_no_error(error);
  return mnk_params_apply(settings, mnk_json_root(json), live, &error) ? NULL
                                                                       : g_strdup(error->message);
}

static void test_values(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autofree char *message =
      apply(settings,
            "{\"fps\":2.5,\"lang\":\"ja\",\"text\":false,\"caption_max\":12.5,\"gate_max_gap\":"
            "\"1:30\",\"batch_size\":16,\"prompt\":\"Tell of dogs\",\"loop\":true}",
            FALSE);
  g_assert_cmpstr(message, ==, NULL);
  g_assert_cmpfloat(mnk_settings_double(settings, MNK_OPT_FPS), ==, 2.5);
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_LANG), ==, "ja");
  g_assert_false(mnk_settings_bool(settings, MNK_OPT_TEXT));
  g_assert_cmpint(mnk_settings_int(settings, MNK_OPT_CAPTION_MAX), ==, 12500);
  g_assert_cmpint(mnk_settings_int(settings, MNK_OPT_GATE_MAX_GAP), ==, 90000);
  g_assert_cmpint(mnk_settings_int(settings, MNK_OPT_FRAME_BATCH_SIZE), ==, 16);
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_PROMPT), ==, "Tell of dogs");
}

static void test_refused(void) {
  static const struct {
    const char *json, *message;
  } CASES[] = {
      {"{\"fps\":0}", "fps must be a number from 0.01 to 60"},
      {"{\"fps\":61}", "fps must be a number from 0.01 to 60"},
      {"{\"fps\":\"2\"}", "fps must be a number from 0.01 to 60"},
      {"{\"fps\":null}", "fps must be a number from 0.01 to 60"},
      {"{\"lang\":\"xx\"}", "lang must be one of en, ja"},
      {"{\"lang\":1}", "lang must be one of en, ja"},
      {"{\"text\":\"true\"}", "text must be true or false"},
      {"{\"text\":1}", "text must be true or false"},
      {"{\"caption_max\":0.5}", "caption_max must be a time of 1 to 3600 seconds"},
      {"{\"caption_max\":-3}", "caption_max must be a time of 1 to 3600 seconds"},
      {"{\"caption_max\":\"soon\"}", "caption_max must be a time of 1 to 3600 seconds"},
      {"{\"caption_max\":1e300}", "caption_max must be a time of 1 to 3600 seconds"},
      {"{\"batch_size\":1.5}", "batch_size must be a whole number from 1 to 512"},
      {"{\"prompt\":[]}", "prompt must be text of at most 16384 bytes"},
      {"{\"host\":\"0.0.0.0\"}", "host is not a parameter of a stream"},
      {"{\"gemini_api_key\":\"x\"}", "gemini_api_key is not a parameter of a stream"},
      {"{\"worker_fault\":\"abort@1\"}", "worker_fault is not a parameter of a stream"},
      {"{\"nothing\":1}", "nothing is not a parameter of a stream"},
      {"[]", "params must be an object"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = apply(settings, CASES[i].json, FALSE);
    g_assert_cmpstr(message, ==, CASES[i].message);
  }
}

static void test_all_or_nothing(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autofree char *message = apply(settings, "{\"fps\":5,\"lang\":\"xx\"}", FALSE);
  g_assert_nonnull(message);
  g_assert_cmpfloat(mnk_settings_double(settings, MNK_OPT_FPS), ==, 1);
}

static void test_live(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autofree char *fine = apply(settings, "{\"fps\":5}", TRUE);
  g_autofree char *fixed = apply(settings, "{\"loop\":true}", TRUE);
  g_assert_cmpstr(fine, ==, NULL);
  g_assert_cmpstr(fixed, ==, "loop cannot change while the stream runs");
  g_assert_true(mnk_params_apply(settings, NULL, TRUE, NULL));
}

/* What is written can be given back. */
static void test_round_trip(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new(), again = mnk_settings_new();
  g_autoptr(GString) text = g_string_new(NULL), second = g_string_new(NULL);
  MnkJsonWriter w;
  g_autofree char *set =
      apply(settings,
            "{\"fps\":2.5,\"caption_max\":12.345,\"prompt\":\"</script>\",\"pose\":false}", FALSE);
  g_assert_cmpstr(set, ==, NULL);
  mnk_json_writer_init(&w, text);
  mnk_params_write(settings, &w, NULL);
  g_autofree char *message = apply(again, text->str, FALSE);
  g_assert_cmpstr(message, ==, NULL);
  mnk_json_writer_init(&w, second);
  mnk_params_write(again, &w, NULL);
  g_assert_cmpstr(text->str, ==, second->str);
  g_assert_null(strstr(text->str, "api_key"));
  g_assert_nonnull(strstr(text->str, "\"caption_max\":12.345"));
}

static void test_round_trip_of_defaults(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_params_write(settings, &w, NULL);
  g_assert_nonnull(strstr(text->str, "\"prompt\":null"));
  g_autofree char *message = apply(settings, text->str, FALSE);
  g_assert_cmpstr(message, ==, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/params/values", test_values);
  g_test_add_func("/api/params/refused", test_refused);
  g_test_add_func("/api/params/all-or-nothing", test_all_or_nothing);
  g_test_add_func("/api/params/live", test_live);
  g_test_add_func("/api/params/round-trip", test_round_trip);
  g_test_add_func("/api/params/round-trip-of-defaults", test_round_trip_of_defaults);
  return g_test_run();
}
