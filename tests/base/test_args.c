#include "base/base.h"

/* Parses a line split at spaces; "''" stands for an empty argument. Answers the positionals joined
 * by commas, or the error's message. */
static char *parse(MnkSettings *settings, MnkCommandSet command, const char *line) {
  g_auto(GStrv) argv = g_strsplit(line, " ", -1);
  for (char **argument = argv; *argument != NULL; argument++)
    if (g_str_equal(*argument, "''"))
      **argument = '\0';
  int argc = *line != '\0' ? (int)g_strv_length(argv) : 0;
  g_auto(GStrv) rest = NULL;
  g_autoptr(GError) error = NULL;
  if (mnk_settings_parse_args(settings, command, argc, argv, &rest, &error))
    return g_strjoinv(",", rest);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
  g_assert_null(rest);
  return g_strdup(error->message);
}

static void test_values(void) {
  static const struct {
    const char *line;
    MnkOptionId id;
    const char *value, *rest;
  } cases[] = {
      {"", MNK_OPT_FPS, "1", ""},
      {"a.mp4", MNK_OPT_FPS, "1", "a.mp4"},
      {"--fps 2 a.mp4", MNK_OPT_FPS, "2", "a.mp4"},
      {"a.mp4 --fps=2 b.mp4", MNK_OPT_FPS, "2", "a.mp4,b.mp4"},
      {"--sample_fps 3", MNK_OPT_FPS, "3", ""},
      {"-r 4", MNK_OPT_FPS, "4", ""},
      {"-r4 x", MNK_OPT_FPS, "4", "x"},
      {"--fps 2 --fps 5", MNK_OPT_FPS, "5", ""},
      {"--loop", MNK_OPT_LOOP, "true", ""},
      {"--loop x", MNK_OPT_LOOP, "true", "x"},
      {"--loop=no", MNK_OPT_LOOP, "no", ""},
      {"--no-loop", MNK_OPT_LOOP, "false", ""},
      {"--no-loop=false", MNK_OPT_LOOP, "true", ""},
      {"--no-scenes", MNK_OPT_SCENES, "false", ""},
      {"--no-db", MNK_OPT_USE_DB, "false", ""},
      {"--no-db=no", MNK_OPT_USE_DB, "true", ""},
      {"--no-use-db", MNK_OPT_USE_DB, "false", ""},
      {"--db f.db", MNK_OPT_DB, "f.db", ""},
      {"--db f.db", MNK_OPT_USE_DB, "true", ""},
      {"--output -", MNK_OPT_OUTPUT, "-", ""},
      {"--output=a=b", MNK_OPT_OUTPUT, "a=b", ""},
      {"-", MNK_OPT_FPS, "1", "-"},
      {"-- --fps 2", MNK_OPT_FPS, "1", "--fps,2"},
      {"x -- --", MNK_OPT_FPS, "1", "x,--"},
      {"--stub-model", MNK_OPT_STUB_MODEL, "true", ""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *rest = parse(settings, MNK_COMMAND_CAPTION, cases[i].line);
    g_assert_cmpstr(rest, ==, cases[i].rest);
    g_assert_cmpstr(mnk_settings_string(settings, cases[i].id), ==, cases[i].value);
  }
}

static void test_errors(void) {
  static const struct {
    MnkCommandSet command;
    const char *line, *message;
  } cases[] = {
      {MNK_COMMAND_CAPTION, "--fsp 2", "unknown option --fsp; did you mean --fps?"},
      {MNK_COMMAND_CAPTION, "--lnag=ja", "unknown option --lnag; did you mean --lang?"},
      {MNK_COMMAND_CAPTION, "--caption-maxx 2",
       "unknown option --caption-maxx; did you mean --caption-max?"},
      {MNK_COMMAND_CAPTION, "--stub-modle", "unknown option --stub-modle"},
      {MNK_COMMAND_CAPTION, "--zzzzzz", "unknown option --zzzzzz"},
      {MNK_COMMAND_CAPTION, "--no-fps", "unknown option --no-fps"},
      {MNK_COMMAND_CAPTION, "--no-", "unknown option --no-"},
      {MNK_COMMAND_CAPTION, "--=3", "unknown option --"},
      {MNK_COMMAND_CAPTION, "-z", "unknown option -z"},
      {MNK_COMMAND_CAPTION, "-\xc3\xa9", "unknown option -\xc3\xa9"},
      {MNK_COMMAND_CAPTION, "--x\033[2J", "unknown option --x\\x1b[2J"},
      {MNK_COMMAND_CAPTION, "--fps", "--fps: a value is missing"},
      {MNK_COMMAND_CAPTION, "-r", "-r: a value is missing"},
      {MNK_COMMAND_CAPTION, "--fps=", "--fps: '' is not a number"},
      {MNK_COMMAND_CAPTION, "--fps 900", "--fps: 900 is above the maximum 60"},
      {MNK_COMMAND_CAPTION, "-r900", "-r: 900 is above the maximum 60"},
      {MNK_COMMAND_CAPTION, "--output ''", "--output: the value is empty"},
      {MNK_COMMAND_SEARCH, "--fps 2", "--fps is not an option of search"},
      {MNK_COMMAND_SEARCH, "--loop", "--loop is not an option of search"},
      {MNK_COMMAND_MODELS, "-l ja", "-l is not an option of models"},
      {MNK_COMMAND_CAPTION, "--limit 3", "--limit is not an option of caption"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = parse(settings, cases[i].command, cases[i].line);
    g_assert_cmpstr(message, ==, cases[i].message);
  }
}

static void test_long_unknown(void) {
  g_autofree char *filler = g_strnfill(1 << 20, 'x');
  g_autofree char *line = g_strconcat("--", filler, NULL);
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autofree char *message = parse(settings, MNK_COMMAND_CAPTION, line);
  g_assert_true(g_str_has_prefix(message, "unknown option --xxx"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/args/values", test_values);
  g_test_add_func("/args/errors", test_errors);
  g_test_add_func("/args/long-unknown", test_long_unknown);
  return g_test_run();
}
