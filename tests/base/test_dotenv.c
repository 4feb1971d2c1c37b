/* .env files: how lines are read, what a bad one is answered with, and what wins. */
#include "base/base.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Lines ---- */

static void test_values(void) {
  static const struct {
    const char *text, *pair;
  } cases[] = {
      {"A=1", "A=1"},
      {"A=1\n", "A=1"},
      {"  A = 1  ", "A=1"},
      {"A=", "A="},
      {"A= # none", "A="},
      {"A=#x", "A="},
      {"export A=1", "A=1"},
      {"export\tA=1", "A=1"},
      {"export=1", "export=1"},
      {"exported=1", "exported=1"},
      {"A=b c d", "A=b c d"},
      {"A=b#c", "A=b#c"},
      {"A=b #c", "A=b"},
      {"A=b\t# c", "A=b"},
      {"A=b=c", "A=b=c"},
      {"A=x\"y\"", "A=x\"y\""},
      {"A=$HOME/${B}", "A=$HOME/${B}"},
      {"A=C:\\n", "A=C:\\n"},
      {"A='b # c'", "A=b # c"},
      {"A=' b '", "A= b "},
      {"A='b' # c", "A=b"},
      {"A='b'#c", "A=b"},
      {"A='it\\'s \\n \\\\'", "A=it's \\n \\"},
      {"A=\"b \\\"c\\\" d\"", "A=b \"c\" d"},
      {"A=\"1\\n2\\t3\\\\4\\'5\\z\"", "A=1\n2\t3\\4'5\\z"},
      {"A=\"one\ntwo\"", "A=one\ntwo"},
      {"A=\"\"", "A="},
      {"A=1\r\n", "A=1"},
      {"A=\"1\"\r\n", "A=1"},
      {"\xef\xbb\xbf"
       "A=1",
       "A=1"},
      {"# A=0\n\n \t\nA=1", "A=1"},
      {"A=0\nA=1", "A=1"},
      {"A=日本語", "A=日本語"},
      {"_a9=1", "_a9=1"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) pairs = mnk_dotenv_parse(cases[i].text, strlen(cases[i].text), "f", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(pairs), ==, 1);
    g_assert_cmpstr(pairs[0], ==, cases[i].pair);
  }
}

static void test_nothing(void) {
  static const char *const texts[] = {"", "\n", "#", "# A=1", " \r\n\t", "\xef\xbb\xbf"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_auto(GStrv) pairs = mnk_dotenv_parse(texts[i], strlen(texts[i]), "f", NULL);
    g_assert_nonnull(pairs);
    g_assert_cmpuint(g_strv_length(pairs), ==, 0);
  }
}

static void test_bad_lines(void) {
#define NAMES "a line must be NAME=VALUE, with a name of letters, digits and _"
#define EQUALS "a line must be NAME=VALUE, and there is no = behind the name"
  static const struct {
    const char *text;
    gssize length;
    const char *message;
  } cases[] = {
      {"A", -1, "f:1: " EQUALS},
      {"A=1\nB 2", -1, "f:2: " EQUALS},
      {"A=1\n\n=2", -1, "f:3: " NAMES},
      {"9A=1", -1, "f:1: " NAMES},
      {"A.B=1", -1, "f:1: " EQUALS},
      {"ä=1", -1, "f:1: " NAMES},
      {"- A=1", -1, "f:1: " NAMES},
      {"export", -1, "f:1: " EQUALS},
      {"export =1", -1, "f:1: " NAMES},
      {"A=1\nB='2\nC=3", -1, "f:2: the quoted value has no end"},
      {"A=\"2\\\"", -1, "f:1: the quoted value has no end"},
      {"A=\"1\n2\"\nB", -1, "f:3: " EQUALS},
      {"A='1' 2", -1, "f:1: there is something behind the quoted value"},
      {"A=1\nB=\xff", -1, "f:2: the line is not UTF-8 text"},
      {"A=1\0B=2", 7, "f:1: the line is not UTF-8 text"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    gsize length = cases[i].length >= 0 ? (gsize)cases[i].length : strlen(cases[i].text);
    g_assert_null(mnk_dotenv_parse(cases[i].text, length, "f", &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
    g_assert_cmpstr(error->message, ==, cases[i].message);
  }
}

/* ---- Files ---- */

typedef struct {
  char *folder, *path;
} Place;

static void place_init(Place *place) {
  place->folder = g_dir_make_tmp("manako-XXXXXX", NULL);
  place->path = g_build_filename(place->folder, ".env", NULL);
}

static void place_clear(Place *place) {
  g_remove(place->path);
  g_rmdir(place->folder);
  g_free(place->folder);
  g_free(place->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

static void test_environment_wins(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_assert_true(g_file_set_contents(place.path, "A=file\nB=file\nC=file\n", -1, NULL));
  const char *environment[] = {"A=real", "B=", "D=real", NULL};
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) merged = mnk_dotenv_merge((char **)environment, place.path, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_strv_length(merged), ==, 4);
  g_assert_cmpstr(g_environ_getenv(merged, "A"), ==, "real");
  g_assert_cmpstr(g_environ_getenv(merged, "B"), ==, "");
  g_assert_cmpstr(g_environ_getenv(merged, "C"), ==, "file");
  g_assert_cmpstr(g_environ_getenv(merged, "D"), ==, "real");
}

static void test_no_file(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  const char *environment[] = {"A=real", NULL};
  g_auto(GStrv) merged = mnk_dotenv_merge((char **)environment, place.path, NULL);
  g_assert_true(g_strv_equal((const char *const *)merged, environment));
}

static void assert_refused(const char *path, MnkErrorCode code, const char *end) {
  const char *environment[] = {NULL};
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_dotenv_merge((char **)environment, path, &error));
  g_assert_error(error, MNK_ERROR, (int)code);
  g_assert_true(g_str_has_prefix(error->message, path));
  g_assert_true(g_str_has_suffix(error->message, end));
}

static void test_refused_files(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  assert_refused(place.folder, MNK_ERROR_CONFIG, " cannot be read: it is not a file");
  g_assert_cmpint(mkfifo(place.path, 0600), ==, 0);
  assert_refused(place.path, MNK_ERROR_CONFIG, " cannot be read: it is not a file");
  g_assert_cmpint(g_remove(place.path), ==, 0);
  g_assert_true(g_file_set_contents(place.path, "A=1\nSECRET value", -1, NULL));
  assert_refused(place.path, MNK_ERROR_CONFIG, ":2: " EQUALS);
}

static void test_size(void) {
  g_auto(Place) place = {0};
  place_init(&place);
  g_autofree char *text = g_strnfill(65537, 'x');
  memcpy(text, "A=", 2);
  const char *environment[] = {NULL};
  g_assert_true(g_file_set_contents(place.path, text, 65536, NULL));
  g_auto(GStrv) merged = mnk_dotenv_merge((char **)environment, place.path, NULL);
  g_assert_cmpuint(strlen(merged[0]), ==, 65536);
  g_assert_true(g_file_set_contents(place.path, text, 65537, NULL));
  assert_refused(place.path, MNK_ERROR_LIMIT, " is larger than 64 KiB");
}

/* ---- The example ---- */

/* What is set there, with the marks of its lines taken away. */
static char **read_example(void) {
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "..", "..", ".env.example", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(GRegex) mark = g_regex_new("^#(?=[A-Z_]+=)", G_REGEX_MULTILINE, 0, NULL);
  g_autofree char *set = g_regex_replace(mark, text, -1, 0, "", 0, NULL);
  char **pairs = mnk_dotenv_parse(set, strlen(set), path, &error);
  g_assert_no_error(error);
  return pairs;
}

static guint count_set(char *pair) {
  char *environment[] = {pair, NULL};
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  mnk_settings_load_env(settings, environment, &error);
  g_assert_no_error(error);
  guint n = 0;
  for (guint id = 0; id < MNK_OPT_N; id++)
    n += mnk_settings_is_set(settings, (MnkOptionId)id) ? 1 : 0;
  return n;
}

/* Each line sets one option to a value that it takes, but those that are said to have no effect. */
static void test_example(void) {
  g_auto(GStrv) pairs = read_example();
  g_assert_cmpuint(g_strv_length(pairs), >=, 25);
  for (guint i = 0; pairs[i] != NULL; i++) {
    gboolean without_effect = g_str_has_prefix(pairs[i], "STREAMING_DVC_CONFIG_MODULE=") ||
                              g_str_has_prefix(pairs[i], "STREAMING_DVC_BATCH_SIZE=");
    g_test_message("%s", pairs[i]);
    g_assert_cmpuint(count_set(pairs[i]), ==, without_effect ? 0 : 1);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/dotenv/values", test_values);
  g_test_add_func("/dotenv/nothing", test_nothing);
  g_test_add_func("/dotenv/bad-lines", test_bad_lines);
  g_test_add_func("/dotenv/environment-wins", test_environment_wins);
  g_test_add_func("/dotenv/no-file", test_no_file);
  g_test_add_func("/dotenv/refused-files", test_refused_files);
  g_test_add_func("/dotenv/size", test_size);
  g_test_add_func("/dotenv/example", test_example);
  return g_test_run();
}
