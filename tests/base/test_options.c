/* The table, and values by type. */
#include "base/base.h"

#include <string.h>

static void test_table(void) {
  g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) groups = g_hash_table_new(g_str_hash, g_str_equal);
  char letters[256] = {0};
  const char *group = NULL;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option(i);
    g_assert_cmpint(option->id, ==, i);
    g_assert_true(g_str_has_suffix(option->help, "."));
    g_assert_cmpint(option->type == MNK_OPTION_ENUM, ==, option->choices != NULL);
    g_assert_cmpint(option->commands, !=, 0);
    g_assert_true(option->letter == 0 || !letters[(guchar)option->letter]++);
    if (g_strcmp0(group, option->group) != 0)
      g_assert_true(g_hash_table_add(groups, (gpointer)option->group));
    group = option->group;

    g_autofree char *all = g_strconcat(option->name, "|", option->aliases, NULL);
    g_auto(GStrv) each = g_strsplit(all, "|", -1);
    for (char **name = each; *name != NULL; name++)
      g_assert_true(**name == '\0' || g_hash_table_add(names, g_strdup(*name)));
  }
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_assert_cmpfloat(mnk_settings_double(settings, MNK_OPT_FPS), ==, 1);
}

static void test_by_name(void) {
  g_assert_cmpint(mnk_option_by_name("gate-mse")->id, ==, MNK_OPT_GATE_MSE);
  g_assert_cmpint(mnk_option_by_name("gate_mse")->id, ==, MNK_OPT_GATE_MSE);
  g_assert_cmpint(mnk_option_by_name("caption_max_s")->id, ==, MNK_OPT_CAPTION_MAX);
  g_assert_null(mnk_option_by_name("gate"));
  g_assert_null(mnk_option_by_name("gate-mse-"));
  g_assert_null(mnk_option_by_name("no-db"));
  g_assert_null(mnk_option_by_name(""));
}

static void test_parse_time(void) {
  static const struct {
    const char *text;
    gint64 ms; /* -1: refused */
  } cases[] = {
      {"0", 0},
      {"90", 90000},
      {"1.5", 1500},
      {"1.0005", 1001},
      {"1.00049", 1000},
      {"0.9999", 1000},
      {"1:30", 90000},
      {"01:02:03.5", 3723500},
      {"90:00", 5400000},
      {"10s", 10000},
      {"0.25s", 250},
      {"250ms", 250},
      {"9223372036854775", G_GINT64_CONSTANT(9223372036854775000)},
      {"9223372036854775807ms", G_MAXINT64},
      {"9223372036854776", -1},
      {"9223372036854775808ms", -1},
      {"99999999999999999999999", -1},
      {"2562047788015:12:55.807", G_MAXINT64},
      {"2562047788015:12:55.808", -1},
      {"", -1},
      {" 1", -1},
      {"1 ", -1},
      {"-1", -1},
      {"+1", -1},
      {".5", -1},
      {"1.", -1},
      {"1:60", -1},
      {"1:5:60", -1},
      {"1:005", -1},
      {"1:", -1},
      {":1", -1},
      {"1:2:3:4", -1},
      {"1:30s", -1},
      {"1.5ms", -1},
      {"1e3", -1},
      {"0x10", -1},
      {"1,5", -1},
      {"1m", -1},
      {"nan", -1},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    gint64 ms = -1;
    gboolean ok = mnk_parse_time_ms(cases[i].text, &ms);
    if (ok != (cases[i].ms >= 0) || (ok && ms != cases[i].ms))
      g_error("'%s': %d, %" G_GINT64_FORMAT, cases[i].text, ok, ms);
  }
}

static void test_format_time(void) {
  static const struct {
    gint64 ms;
    const char *text;
  } cases[] = {
      {0, "0:00"},
      {4000, "0:04"},
      {65000, "1:05"},
      {3723500, "1:02:03.5"},
      {1, "0:00.001"},
      {59999, "0:59.999"},
      {3600000, "1:00:00"},
      {360000000, "100:00:00"},
      {-4020, "-0:04.02"},
      {G_MAXINT64, "2562047788015:12:55.807"},
      {G_MININT64, "-2562047788015:12:55.808"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = mnk_format_time_ms(cases[i].ms);
    g_assert_cmpstr(text, ==, cases[i].text);
    gint64 ms;
    if (cases[i].ms >= 0) {
      g_assert_true(mnk_parse_time_ms(text, &ms));
      g_assert_cmpint(ms, ==, cases[i].ms);
    }
  }
}

/* The value as the settings hold it, or the error's message. */
static char *try_set(MnkOptionId id, const char *text) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  if (!mnk_settings_set(settings, id, text, &error)) {
    g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
    g_assert_false(mnk_settings_is_set(settings, id));
    return g_strdup(error->message);
  }
  g_assert_cmpstr(mnk_settings_origin(settings, id), ==, "command line");
  switch (mnk_option(id)->type) {
  case MNK_OPTION_STRING:
    return g_strdup(mnk_settings_string(settings, id));
  case MNK_OPTION_DOUBLE:
    return g_strdup_printf("%g", mnk_settings_double(settings, id));
  default:
    return g_strdup_printf("%" G_GINT64_FORMAT, mnk_settings_int(settings, id));
  }
}

static void test_values(void) {
  static const struct {
    MnkOptionId id;
    const char *text, *result;
  } cases[] = {
      {MNK_OPT_FPS, "2.5", "2.5"},
      {MNK_OPT_FPS, "60", "60"},
      {MNK_OPT_FPS, "1e1", "10"},
      {MNK_OPT_FPS, "900", "fps: 900 is above the maximum 60"},
      {MNK_OPT_FPS, "0", "fps: 0 is below the minimum 0.01"},
      {MNK_OPT_FPS, "-1", "fps: -1 is below the minimum 0.01"},
      {MNK_OPT_FPS, "nan", "fps: 'nan' is not a number"},
      {MNK_OPT_FPS, "1e999", "fps: '1e999' is not a number"},
      {MNK_OPT_FPS, "0x10", "fps: '0x10' is not a number"},
      {MNK_OPT_FPS, "", "fps: '' is not a number"},
      {MNK_OPT_FPS, "e", "fps: 'e' is not a number"},
      {MNK_OPT_FPS, "1\n2", "fps: '1\\x0a2' is not a number"},
      {MNK_OPT_THREADS, "8", "8"},
      {MNK_OPT_THREADS, "65", "threads: 65 is above the maximum 64"},
      {MNK_OPT_THREADS, "-3", "threads: -3 is below the minimum 1"},
      {MNK_OPT_THREADS, "1.0", "threads: '1.0' is not a whole number"},
      {MNK_OPT_THREADS, "99999999999999999999",
       "threads: '99999999999999999999' is not a whole number"},
      {MNK_OPT_SCENES, "off", "0"},
      {MNK_OPT_SCENES, "YES", "1"},
      {MNK_OPT_SCENES, "0", "0"},
      {MNK_OPT_SCENES, "2", "scenes: '2' is not true or false"},
      {MNK_OPT_SCENES, "", "scenes: '' is not true or false"},
      {MNK_OPT_LANG, "ja", "1"},
      {MNK_OPT_LANG, "JA", "1"},
      {MNK_OPT_LANG, "fr", "lang: 'fr' is not one of en, ja"},
      {MNK_OPT_LANG, "en|ja", "lang: 'en|ja' is not one of en, ja"},
      {MNK_OPT_CAPTION_MAX, "1:00", "60000"},
      {MNK_OPT_CAPTION_MAX, "500ms", "caption-max: 500ms is below the minimum 1s"},
      {MNK_OPT_CAPTION_MAX, "x",
       "caption-max: 'x' is not a time such as 90, 1.5, 1:30, 01:02:03.5 or 250ms"},
      {MNK_OPT_WORKER_MEMORY, "2GiB", "2147483648"},
      {MNK_OPT_WORKER_MEMORY, "300000000", "300000000"},
      {MNK_OPT_WORKER_MEMORY, "1KiB", "worker-memory: 1KiB is below the minimum 256MiB"},
      {MNK_OPT_WORKER_MEMORY, "2TiB", "worker-memory: 2TiB is above the maximum 1TiB"},
      {MNK_OPT_WORKER_MEMORY, "9999999999TiB",
       "worker-memory: '9999999999TiB' is not a size such as 512, 64KiB, 8MiB or 2GiB"},
      {MNK_OPT_WORKER_MEMORY, "2GB",
       "worker-memory: '2GB' is not a size such as 512, 64KiB, 8MiB or 2GiB"},
      {MNK_OPT_STREAM, "front-door", "front-door"},
      {MNK_OPT_STREAM, "", "stream: the value is empty"},
      {MNK_OPT_STREAM, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
       "stream: the value is longer than 64 bytes"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *result = try_set(cases[i].id, cases[i].text);
    g_assert_cmpstr(result, ==, cases[i].result);
  }
}

static void test_word_of_enum(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_FORMAT), ==, "text");
  g_assert_true(mnk_settings_set(settings, MNK_OPT_FORMAT, "VTT", NULL));
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_FORMAT), ==, "vtt");
  g_assert_null(mnk_settings_string(settings, MNK_OPT_DB));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/options/table", test_table);
  g_test_add_func("/options/by-name", test_by_name);
  g_test_add_func("/options/parse-time", test_parse_time);
  g_test_add_func("/options/format-time", test_format_time);
  g_test_add_func("/options/values", test_values);
  g_test_add_func("/options/word-of-enum", test_word_of_enum);
  return g_test_run();
}
