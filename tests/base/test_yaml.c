#include "base/base.h"

#include <glib/gstdio.h>
#include <string.h>

static char *work_folder;

/* Loads a file of this content, by a relative name as a user would. Answers the error's message. */
static char *load(MnkSettings *settings, const char *content, gssize length) {
  g_assert_true(g_file_set_contents("config.yaml", content, length, NULL));
  g_autoptr(GError) error = NULL;
  if (mnk_settings_load_yaml(settings, "config.yaml", &error))
    return NULL;
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  return g_strdup(error->message);
}

static void test_values(void) {
  static const struct {
    const char *content;
    MnkOptionId id;
    const char *value, *origin;
  } cases[] = {
      {"", MNK_OPT_FPS, "1", "default"},
      {"# only a comment\n", MNK_OPT_FPS, "1", "default"},
      {"---\n...\n", MNK_OPT_FPS, "1", "default"},
      {"{}", MNK_OPT_FPS, "1", "default"},
      {"fps: 2\n", MNK_OPT_FPS, "2", "config.yaml:1"},
      {"\xef\xbb\xbf"
       "fps: 2\n",
       MNK_OPT_FPS, "2", "config.yaml:1"},
      {"\n\nsample_fps: 2\r\n", MNK_OPT_FPS, "2", "config.yaml:3"},
      {"gate-mse: 0.5\ngate_max_gap: 1:30\n", MNK_OPT_GATE_MAX_GAP, "1:30", "config.yaml:2"},
      {"source:\n  fps: 3\n", MNK_OPT_FPS, "3", "config.yaml:2"},
      {"captions: {lang: ja}\nfps: 4\n", MNK_OPT_LANG, "ja", "config.yaml:1"},
      {"captions: {lang: ja}\nfps: 4\n", MNK_OPT_FPS, "4", "config.yaml:2"},
      {"Captions: {}\ncaptions: {lang: JA}\n", MNK_OPT_LANG, "ja", "config.yaml:2"},
      {"scenes: no\n", MNK_OPT_SCENES, "no", "config.yaml:1"},
      {"db: \"a \\u732b.db\"\n", MNK_OPT_DB, "a 猫.db", "config.yaml:1"},
      {"db: '~'\n", MNK_OPT_DB, "~", "config.yaml:1"},
      {"stub_model: true\n", MNK_OPT_STUB_MODEL, "true", "config.yaml:1"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = load(settings, cases[i].content, -1);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpstr(mnk_settings_string(settings, cases[i].id), ==, cases[i].value);
    g_assert_cmpstr(mnk_settings_origin(settings, cases[i].id), ==, cases[i].origin);
  }
}

static void test_errors(void) {
  static const struct {
    const char *content, *message;
  } cases[] = {
      {"\n\n\n\n\n\nfps: 900\n", "config.yaml:7: fps: 900 is above the maximum 60"},
      {"source:\n  sample_fps: x\n", "config.yaml:2: sample_fps: 'x' is not a number"},
      {"fsp: 2\n", "config.yaml:1: unknown key fsp; did you mean fps?"},
      {"gate_mze: 2\n", "config.yaml:1: unknown key gate_mze; did you mean gate_mse?"},
      {"stub_modle: 2\n", "config.yaml:1: unknown key stub_modle"},
      {"whatever: 2\n", "config.yaml:1: unknown key whatever"},
      {"\"a\\e[2J\": 2\n", "config.yaml:1: unknown key a\\x1b[2J"},
      {"fps: 1\nfps: 2\n", "config.yaml:2: fps: already set in line 1"},
      {"fps: 1\nsource: {sample-fps: 2}\n", "config.yaml:2: sample-fps: already set in line 1"},
      {"from: 10\n", "config.yaml:1: from: only the command line takes this option"},
      {"no_db: true\n", "config.yaml:1: no_db: only the command line takes this option"},
      {"fps:\n", "config.yaml:1: fps: the value is missing"},
      {"db: null\n", "config.yaml:1: db: the value is missing"},
      {"db: ~\n", "config.yaml:1: db: the value is missing"},
      {"db: \"\"\n", "config.yaml:1: db: the value is empty"},
      {"db: \"a\\0b\"\n", "config.yaml:1: db: one plain value is expected"},
      {"\"fps\\0\": 1\n", "config.yaml:1: the name of an option is expected"},
      {"fps: [1, 2]\n", "config.yaml:1: fps: one plain value is expected"},
      {"fps: {a: 1}\n", "config.yaml:1: fps: one plain value is expected"},
      {"capshions: {lang: ja}\n", "config.yaml:1: unknown group capshions; did you mean captions?"},
      {"zzz: {lang: ja}\n", "config.yaml:1: unknown group zzz"},
      {"captions:\n  captions:\n    lang: ja\n",
       "config.yaml:2: captions: a group cannot stand inside a group"},
      {"captions: 3\n", "config.yaml:1: captions is a group: options stand under it"},
      {"- fps\n", "config.yaml:1: options are expected, one 'name: value' a line"},
      {"fps\n", "config.yaml:1: options are expected, one 'name: value' a line"},
      {"[fps]: 1\n", "config.yaml:1: the name of an option is expected"},
      {"{a: 1}: 1\n", "config.yaml:1: the name of an option is expected"},
      {"fps: &a 1\n", "config.yaml:1: anchors and aliases are not allowed"},
      {"fps: *a\n", "config.yaml:1: anchors and aliases are not allowed"},
      {"&a\nfps: 1\n", "config.yaml:1: anchors and aliases are not allowed"},
      {"source: &a {fps: 1}\n", "config.yaml:1: anchors and aliases are not allowed"},
      {"fps: !!float 1\n", "config.yaml:1: tags are not allowed"},
      {"!x {fps: 1}\n", "config.yaml:1: tags are not allowed"},
      {"<<: {fps: 1}\n", "config.yaml:1: unknown group <<"},
      {"fps: 1\n---\nfps: 2\n", "config.yaml:2: a second document begins here"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = load(settings, cases[i].content, -1);
    g_assert_cmpstr(message, ==, cases[i].message);
  }
}

/* What is wrong is libyaml's to say; where is ours. */
static void test_syntax_errors(void) {
  static const struct {
    const char *content, *start;
  } cases[] = {
      {"fps: 1\n\tlang: ja\n", "config.yaml:2: found"},
      {"fps: \"1\n", "config.yaml:2: found"},
      {"fps: 1\n\n}\n", "config.yaml:3: did not find"},
      {"fps: \xff\n", "config.yaml:1: invalid"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = load(settings, cases[i].content, -1);
    if (message == NULL || !g_str_has_prefix(message, cases[i].start))
      g_error("%s", message);
  }
}

/* Every beginning of a good file is a good file or a clear error. */
static void test_truncated(void) {
  static const char content[] = "source: {fps: 2, max_pixels: 5000}\ncaptions:\n  lang: \"ja\"\n"
                                "  caption_max: 1:30\nworker: {worker_memory: 8GiB}\n";
  for (gssize length = 0; length <= (gssize)strlen(content); length++) {
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_autofree char *message = load(settings, content, length);
    g_assert_true(message == NULL || g_str_has_prefix(message, "config.yaml:"));
  }
}

static void test_hostile_sizes(void) {
  enum { SIZE = (1 << 20) + 1 };
  g_autofree char *nested = g_strnfill(SIZE - 1, '[');
  g_autofree char *comment = g_strnfill(SIZE, '#');
  g_autofree char *filler = g_strnfill(SIZE - 20, 'k');
  g_autofree char *key = g_strconcat("\"", filler, "\": 1", NULL);
  g_autoptr(MnkSettings) settings = mnk_settings_new();

  g_autofree char *deep = load(settings, nested, -1);
  g_assert_cmpstr(deep, ==, "config.yaml:1: options are expected, one 'name: value' a line");
  g_autofree char *large = load(settings, comment, SIZE);
  g_assert_cmpstr(large, ==, "config.yaml is larger than 1 MiB");
  g_autofree char *largest = load(settings, comment, SIZE - 1);
  g_assert_cmpstr(largest, ==, NULL);
  g_autofree char *long_key = load(settings, key, -1);
  g_assert_nonnull(long_key);
}

static void test_files(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) missing = NULL, folder = NULL;
  g_assert_false(mnk_settings_load_yaml(settings, "missing.yaml", &missing));
  g_assert_error(missing, MNK_ERROR, MNK_ERROR_NOT_FOUND);
  g_assert_cmpstr(missing->message, ==, "missing.yaml cannot be read: No such file or directory");
  g_assert_false(mnk_settings_load_yaml(settings, ".", &folder));
  g_assert_error(folder, MNK_ERROR, MNK_ERROR_CONFIG);
  g_assert_cmpstr(folder->message, ==, ". cannot be read: Is a directory");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_autofree char *start = g_get_current_dir();
  work_folder = g_dir_make_tmp("manako-XXXXXX", NULL);
  g_assert_cmpint(g_chdir(work_folder), ==, 0);
  g_test_add_func("/yaml/values", test_values);
  g_test_add_func("/yaml/errors", test_errors);
  g_test_add_func("/yaml/syntax-errors", test_syntax_errors);
  g_test_add_func("/yaml/truncated", test_truncated);
  g_test_add_func("/yaml/hostile-sizes", test_hostile_sizes);
  g_test_add_func("/yaml/files", test_files);
  int result = g_test_run();
  g_unlink("config.yaml");
  g_assert_cmpint(g_chdir(start), ==, 0);
  g_rmdir(work_folder);
  g_free(work_folder);
  return result;
}
