/* Precedence, the environment and copies. */
#include "base/base.h"

#include <glib/gstdio.h>

static char *write_config(const char *content) {
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp("manako-XXXXXX", &error);
  g_assert_no_error(error);
  char *path = g_build_filename(folder, "config.yaml", NULL);
  g_assert_true(g_file_set_contents(path, content, -1, NULL));
  return path;
}

static void remove_config(const char *path) {
  g_autofree char *folder = g_path_get_dirname(path);
  g_unlink(path);
  g_rmdir(folder);
}

enum { FROM_FILE = 1, FROM_ENV = 2, FROM_ARGS = 4 };

static void load(MnkSettings *settings, guint source, const char *path) {
  g_auto(GStrv) pairs = g_strsplit("MANAKO_FPS=3", "|", -1);
  g_auto(GStrv) argv = g_strsplit("--fps|4", "|", -1);
  if (source == FROM_FILE)
    g_assert_true(mnk_settings_load_yaml(settings, path, NULL));
  else if (source == FROM_ENV)
    g_assert_true(mnk_settings_load_env(settings, pairs, NULL));
  else
    g_assert_true(mnk_settings_parse_args(settings, MNK_COMMAND_CAPTION, 2, argv, NULL, NULL));
}

/* Every subset of the three in every order. */
static void test_precedence(void) {
  static const guint orders[][3] = {{1, 2, 4}, {1, 4, 2}, {2, 1, 4},
                                    {2, 4, 1}, {4, 1, 2}, {4, 2, 1}};
  g_autofree char *path = write_config("fps: 2\n");
  g_autofree char *place = g_strdup_printf("%s:1", path);
  for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
    for (guint subset = 0; subset < 8; subset++) {
      g_autoptr(MnkSettings) settings = mnk_settings_new();
      for (guint step = 0; step < 3; step++)
        if (subset & orders[i][step])
          load(settings, orders[i][step], path);
      double expected = subset & FROM_ARGS ? 4 : subset & FROM_ENV ? 3 : subset & FROM_FILE ? 2 : 1;
      const char *const origins[] = {"default", place, "MANAKO_FPS", "command line"};
      g_assert_cmpfloat(mnk_settings_double(settings, MNK_OPT_FPS), ==, expected);
      g_assert_cmpstr(mnk_settings_origin(settings, MNK_OPT_FPS), ==, origins[(int)expected - 1]);
      g_assert_cmpint(mnk_settings_is_set(settings, MNK_OPT_FPS), ==, subset != 0);
    }
  }
  remove_config(path);
}

static void test_env(void) {
  static const char variables[] = "MANAKO_LANG=ja|STREAMING_DVC_LOG_LEVEL=DEBUG|MANAKO_MODELS=/m|"
                                  "MANAKO_GATE_MSE=|MANAKO_FROM=only the command line takes it|"
                                  "MANAKO_SCENES=off|MANAKO_UNKNOWN=1|PATH=/bin";
  g_auto(GStrv) pairs = g_strsplit(variables, "|", -1);
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  mnk_settings_load_env(settings, pairs, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_LANG), ==, "ja");
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_LOG_LEVEL), ==, "debug");
  g_assert_cmpstr(mnk_settings_origin(settings, MNK_OPT_LOG_LEVEL), ==, "STREAMING_DVC_LOG_LEVEL");
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_MODELS_DIR), ==, "/m");
  g_assert_false(mnk_settings_is_set(settings, MNK_OPT_GATE_MSE));
  g_assert_false(mnk_settings_is_set(settings, MNK_OPT_FROM));
  g_assert_false(mnk_settings_bool(settings, MNK_OPT_SCENES));
  g_assert_true(mnk_settings_bool(settings, MNK_OPT_OBJECTS));
}

static void test_own_variable_first(void) {
  g_auto(GStrv) pairs = g_strsplit("STREAMING_DVC_LOG_LEVEL=debug|MANAKO_LOG_LEVEL=error", "|", -1);
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_assert_true(mnk_settings_load_env(settings, pairs, NULL));
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_LOG_LEVEL), ==, "error");
}

static void test_env_errors(void) {
  static const struct {
    const char *pair, *message;
  } cases[] = {
      {"MANAKO_FPS=900", "MANAKO_FPS: 900 is above the maximum 60"},
      {"MANAKO_SCENES=maybe", "MANAKO_SCENES: 'maybe' is not true or false"},
      {"STREAMING_DVC_LOG_LEVEL=loud",
       "STREAMING_DVC_LOG_LEVEL: 'loud' is not one of error, warning, info, debug"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(GStrv) pairs = g_strsplit(cases[i].pair, "|", -1);
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autoptr(GError) error = NULL;
    g_assert_false(mnk_settings_load_env(settings, pairs, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
    g_assert_cmpstr(error->message, ==, cases[i].message);
  }
}

static void test_copy(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_assert_true(mnk_settings_set(settings, MNK_OPT_STREAM, "one", NULL));
  g_autoptr(MnkSettings) copy = mnk_settings_copy(settings);
  g_assert_true(mnk_settings_set(settings, MNK_OPT_STREAM, "two", NULL));
  g_assert_cmpstr(mnk_settings_string(copy, MNK_OPT_STREAM), ==, "one");
  g_assert_cmpstr(mnk_settings_origin(copy, MNK_OPT_STREAM), ==, "command line");
  g_assert_cmpstr(mnk_settings_string(settings, MNK_OPT_STREAM), ==, "two");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/settings/precedence", test_precedence);
  g_test_add_func("/settings/env", test_env);
  g_test_add_func("/settings/own-variable-first", test_own_variable_first);
  g_test_add_func("/settings/env-errors", test_env_errors);
  g_test_add_func("/settings/copy", test_copy);
  return g_test_run();
}
