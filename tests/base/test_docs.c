/* --help and docs/configuration.md. */
#include "base/base.h"

#include <string.h>

static const MnkCommandSet commands[] = {
    MNK_COMMAND_CAPTION, MNK_COMMAND_CAPTIONS, MNK_COMMAND_SEARCH,
    MNK_COMMAND_MODELS,  MNK_COMMAND_DOCTOR,   MNK_COMMAND_WORKER,
};

static gboolean holds_flag(const char *help, const MnkOption *option) {
  g_autofree char *plain = g_strdup_printf("--%s", option->name);
  g_autofree char *negatable = g_strdup_printf("--[no-]%s", option->name);
  for (const char *p = help; (p = strstr(p, "--")) != NULL; p++) {
    const char *name = g_str_has_prefix(p, negatable) ? negatable : plain;
    if (g_str_has_prefix(p, name) && strchr(" \n", p[strlen(name)]) != NULL)
      return TRUE;
  }
  return FALSE;
}

static void test_help_is_complete(void) {
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
    g_autoptr(GString) out = g_string_new(NULL);
    mnk_options_write_help(out, commands[i], 80);
    for (guint id = 0; id < MNK_OPT_N; id++) {
      const MnkOption *option = mnk_option(id);
      gboolean expected =
          (option->commands & commands[i]) != 0 && (option->flags & MNK_OPTION_HIDDEN) == 0;
      if (holds_flag(out->str, option) != expected)
        g_error("--%s, command %u", option->name, commands[i]);
    }
  }
}

/* A word that is longer than a line stands alone: the longest is the default of --gemini-url. */
enum { LONGEST_LINE = 71 };

static void test_help_width(void) {
  static const guint widths[] = {0, 60, 80, 100, 200};
  for (guint i = 0; i < G_N_ELEMENTS(widths); i++) {
    g_autoptr(GString) out = g_string_new(NULL);
    mnk_options_write_help(out, MNK_COMMAND_CAPTION, widths[i]);
    g_auto(GStrv) lines = g_strsplit(out->str, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
      g_assert_cmpuint(strlen(*line), <=, MAX(widths[i], LONGEST_LINE));
      g_assert_false(g_str_has_suffix(*line, " "));
    }
  }
}

static void test_help_text(void) {
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_options_write_help(out, MNK_COMMAND_DOCTOR, 80);
  g_assert_cmpstr(
      out->str, ==,
      "Timeline:\n"
      "      --db FILE             The timeline's database. Default: timeline.db in the\n"
      "                            data folder; of ask: none that stays.\n"
      "\n"
      "Models:\n"
      "      --models-dir DIR      Where the model files lie. Default: models in the\n"
      "                            cache folder.\n"
      "\n"
      "Program:\n"
      "  -c, --config FILE         Configuration file. Default: config.yaml in the\n"
      "                            current folder, if there is one.\n"
      "      --log-level error|warning|info|debug\n"
      "                            What is written to standard error. [warning]\n");
}

static void test_markdown(void) {
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_options_write_markdown(out);
  for (guint id = 0; id < MNK_OPT_N; id++) {
    const MnkOption *option = mnk_option(id);
    gboolean shown = (option->flags & MNK_OPTION_HIDDEN) == 0;
    g_autofree char *heading = g_strdup_printf("\n### %s\n\n%s\n", option->name, option->help);
    g_assert_cmpint(strstr(out->str, heading) != NULL, ==, shown);
    g_autofree char *group = g_strdup_printf("\n## %s\n", option->group);
    g_assert_nonnull(strstr(out->str, group));
  }
  g_assert_nonnull(strstr(out->str,
                          "\n### fps\n\nFrames looked at per second of video.\n\n"
                          "- command line: `-r N`, `--fps N`, `--sample-fps N` (caption, serve, "
                          "send, ask, stream parameters)\n"
                          "- config.yaml: `fps`, `sample_fps`\n"
                          "- environment: `MANAKO_FPS`\n"
                          "- value: number, 0.01 to 60; default `1`; may change while the program "
                          "runs\n"));
  g_assert_nonnull(strstr(out->str, "- command line: `--use-db`, `--no-use-db`, `--no-db` "
                                    "(caption)\n- value: true or false; default `true`\n"));
  g_assert_nonnull(strstr(out->str,
                          "- environment: `MANAKO_LOG_LEVEL`, `STREAMING_DVC_LOG_LEVEL`\n"
                          "- value: word, one of `error`, `warning`, `info`, `debug`; default "
                          "`warning`; may change while the program runs\n"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/docs/help-is-complete", test_help_is_complete);
  g_test_add_func("/docs/help-width", test_help_width);
  g_test_add_func("/docs/help-text", test_help_text);
  g_test_add_func("/docs/markdown", test_markdown);
  return g_test_run();
}
