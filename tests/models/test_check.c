#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#include "base/base.h"
#include "models/models_priv.h"

/* A folder with the file that `entry` describes. */
typedef struct {
  char *dir, *path;
  MnkModelEntry entry;
} Fixture;

#define CONTENT "seven b"
static char file_name[] = "cats.onnx";

static void set_up(Fixture *f, gconstpointer data) {
  g_autoptr(GError) error = NULL;
  f->dir = g_dir_make_tmp("manako-models-XXXXXX", &error);
  g_assert_no_error(error);
  f->entry = (MnkModelEntry){
      .file = file_name,
      .sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, CONTENT, -1),
      .size = strlen(CONTENT),
  };
  f->path = mnk_models_path(f->dir, &f->entry);
}

static void tear_down(Fixture *f, gconstpointer data) {
  g_remove(f->path);
  g_rmdir(f->dir);
  g_free(f->entry.sha256);
  g_free(f->path);
  g_free(f->dir);
}

static void put(const Fixture *f, const char *content) {
  g_autoptr(GError) error = NULL;
  g_file_set_contents(f->path, content, -1, &error);
  g_assert_no_error(error);
}

/* The state, and that the sentence fits it. */
static void assert_state(const Fixture *f, gboolean deep, MnkModelState expected,
                         const char *words) {
  g_autofree char *why = NULL;
  g_assert_cmpint(mnk_models_check(f->dir, &f->entry, deep, &why), ==, expected);
  g_assert_cmpint(mnk_models_check(f->dir, &f->entry, deep, NULL), ==, expected);
  g_assert_true(g_str_has_prefix(why, f->path));
  g_assert_nonnull(strstr(why, words));
  g_assert_true(g_str_has_suffix(why, MNK_MODELS_REMEDY) == (expected != MNK_MODEL_OK));
}

static void test_whole(Fixture *f, gconstpointer data) {
  put(f, CONTENT);
  assert_state(f, FALSE, MNK_MODEL_OK, "is there");
  assert_state(f, TRUE, MNK_MODEL_OK, "is whole");
}

static void test_missing(Fixture *f, gconstpointer data) {
  assert_state(f, FALSE, MNK_MODEL_MISSING, "is missing");
  assert_state(f, TRUE, MNK_MODEL_MISSING, "is missing");
  Fixture elsewhere = *f;
  elsewhere.dir = g_build_filename(f->dir, "no", "such", NULL);
  elsewhere.path = mnk_models_path(elsewhere.dir, &f->entry);
  assert_state(&elsewhere, TRUE, MNK_MODEL_MISSING, "is missing");
  g_free(elsewhere.path);
  g_free(elsewhere.dir);
}

static void test_damaged(Fixture *f, gconstpointer data) {
  put(f, "seven c");
  assert_state(f, FALSE, MNK_MODEL_OK, "is there");
  assert_state(f, TRUE, MNK_MODEL_DAMAGED, "SHA-256");
}

static void test_wrong_size(Fixture *f, gconstpointer data) {
  put(f, "");
  assert_state(f, FALSE, MNK_MODEL_DAMAGED, "has 0 bytes instead of 7");
  put(f, CONTENT "!");
  assert_state(f, TRUE, MNK_MODEL_DAMAGED, "has 8 bytes instead of 7");
}

static void test_not_a_file(Fixture *f, gconstpointer data) {
  g_assert_cmpint(g_mkdir(f->path, 0700), ==, 0);
  assert_state(f, FALSE, MNK_MODEL_DAMAGED, "is not a file");
  g_assert_cmpint(g_rmdir(f->path), ==, 0);
  g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
  assert_state(f, TRUE, MNK_MODEL_DAMAGED, "is not a file");
}

/* Larger than one read. */
static void test_long(Fixture *f, gconstpointer data) {
  g_autofree char *content = g_strnfill(300001, 'm');
  put(f, content);
  g_free(f->entry.sha256);
  f->entry.sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, content, -1);
  f->entry.size = 300001;
  assert_state(f, TRUE, MNK_MODEL_OK, "is whole");
  content[300000] = 'n';
  put(f, content);
  assert_state(f, TRUE, MNK_MODEL_DAMAGED, "SHA-256");
}

static void test_dir(Fixture *f, gconstpointer data) {
  g_setenv("MANAKO_CACHE", f->dir, TRUE);
  g_unsetenv("MANAKO_MODELS");
  g_autofree char *in_cache = mnk_models_dir(NULL);
  g_autofree char *expected = g_build_filename(f->dir, "models", NULL);
  g_assert_cmpstr(in_cache, ==, expected);

  g_setenv("MANAKO_MODELS", "/elsewhere", TRUE);
  g_autofree char *variable = mnk_models_dir("");
  g_assert_cmpstr(variable, ==, "/elsewhere");
  g_autofree char *option = mnk_models_dir("/by/option");
  g_assert_cmpstr(option, ==, "/by/option");
  g_unsetenv("MANAKO_MODELS");
}

static char *library(const char *variable) {
  if (variable != NULL)
    g_setenv("MANAKO_OPENVINO", variable, TRUE);
  else
    g_unsetenv("MANAKO_OPENVINO");
  return mnk_models_openvino_library();
}

static void make_file(const char *path) {
  g_autofree char *folder = g_path_get_dirname(path);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
  g_assert_true(g_file_set_contents(path, "", 0, NULL));
}

/* Removes a file and the folders above it, up to but without root. */
static void remove_file(const char *path, const char *root) {
  g_autofree char *at = g_strdup(path);
  while (!g_str_equal(at, root)) {
    g_assert_cmpint(g_remove(at), ==, 0);
    char *above = g_path_get_dirname(at);
    g_free(at);
    at = above;
  }
}

static void test_openvino(Fixture *f, gconstpointer data) {
  g_setenv("MANAKO_CACHE", f->dir, TRUE);
  g_autofree char *by_name = library(NULL);
  g_assert_cmpstr(by_name, ==, "libopenvino_c.so");

  g_autofree char *path =
      g_build_filename(f->dir, "runtime/openvino/openvino/libs/libopenvino_c.so", NULL);
  make_file(path);
  g_autofree char *set_up = library(NULL);
  g_assert_cmpstr(set_up, ==, path);
  g_autofree char *own = library("/opt/lib/libopenvino_c.so.2641");
  g_assert_cmpstr(own, ==, "/opt/lib/libopenvino_c.so.2641");
  g_autofree char *folder = library(f->dir);
  g_autofree char *inside = g_build_filename(f->dir, "libopenvino_c.so", NULL);
  g_assert_cmpstr(folder, ==, inside);
  remove_file(path, f->dir);
}

static void test_fetch_script(Fixture *f, gconstpointer data) {
  static const struct {
    const char *program, *script;
  } cases[] = {
      {"build/manako", "tools/fetch.py"},
      {"bin/manako", "share/manako/tools/fetch.py"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *program = g_build_filename(f->dir, cases[i].program, NULL);
    g_assert_null(mnk_models_fetch_script_of(program));
    g_autofree char *script = g_build_filename(f->dir, cases[i].script, NULL);
    make_file(script);
    g_autofree char *found = mnk_models_fetch_script_of(program);
    g_assert_cmpstr(found, ==, script);
    remove_file(script, f->dir);
  }
}

/* The oldest go first, and only what the runtime made. */
static void test_bound_cache(Fixture *f, gconstpointer data) {
  static const char *const NAMES[] = {"c.blob", "a.blob", "b.blob", "notes.txt"};
  for (guint i = 0; i < G_N_ELEMENTS(NAMES); i++) {
    g_autofree char *path = g_build_filename(f->dir, NAMES[i], NULL);
    g_assert_true(g_file_set_contents(path, "0123456789", 10, NULL));
    struct utimbuf times = {1000 + i, 1000 + i};
    g_assert_cmpint(g_utime(path, &times), ==, 0);
  }
  mnk_models_bound_cache(f->dir, 30);
  mnk_models_bound_cache("no/such/folder", 0);
  g_autofree char *oldest = g_build_filename(f->dir, "c.blob", NULL);
  g_assert_true(g_file_test(oldest, G_FILE_TEST_EXISTS));
  mnk_models_bound_cache(f->dir, 15);
  for (guint i = 0; i < G_N_ELEMENTS(NAMES); i++) {
    g_autofree char *path = g_build_filename(f->dir, NAMES[i], NULL);
    g_assert_cmpint(g_file_test(path, G_FILE_TEST_EXISTS), ==, i >= 2);
    g_remove(path);
  }
}

#define ADD(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  ADD("/models/check/whole", test_whole);
  ADD("/models/check/missing", test_missing);
  ADD("/models/check/damaged", test_damaged);
  ADD("/models/check/wrong-size", test_wrong_size);
  ADD("/models/check/not-a-file", test_not_a_file);
  ADD("/models/check/long", test_long);
  ADD("/models/bound-cache", test_bound_cache);
  ADD("/models/dir", test_dir);
  ADD("/models/openvino-library", test_openvino);
  ADD("/models/fetch-script", test_fetch_script);
  return g_test_run();
}
