#include "base/base.h"

typedef struct {
  const char *own, *xdg, *home, *expected;
} Case;

static void set(const char *name, const char *value) {
  if (value != NULL)
    g_setenv(name, value, TRUE);
  else
    g_unsetenv(name);
}

static void check(const Case *cases, guint n, const char *own, const char *xdg,
                  char *(*path)(void)) {
  for (guint i = 0; i < n; i++) {
    set(own, cases[i].own);
    set(xdg, cases[i].xdg);
    set("HOME", cases[i].home);
    g_autofree char *found = path();
    g_assert_cmpstr(found, ==, cases[i].expected);
  }
}

static void test_cache(void) {
  static const Case cases[] = {
      {"/own/place", "/xdg", "/h", "/own/place"},
      {NULL, "/xdg", "/h", "/xdg/manako"},
      {"", "/xdg", "/h", "/xdg/manako"},
      {NULL, NULL, "/h", "/h/.cache/manako"},
      {NULL, "relative", "/h", "/h/.cache/manako"},
      {NULL, "", "/h", "/h/.cache/manako"},
  };
  check(cases, G_N_ELEMENTS(cases), "MANAKO_CACHE", "XDG_CACHE_HOME", mnk_path_cache);
}

static void test_data(void) {
  static const Case cases[] = {
      {"/own", NULL, "/h", "/own"},
      {NULL, "/xdg", "/h", "/xdg/manako"},
      {NULL, NULL, "/h", "/h/.local/share/manako"},
  };
  check(cases, G_N_ELEMENTS(cases), "MANAKO_DATA", "XDG_DATA_HOME", mnk_path_data);
}

static void test_own_place_is_absolute(void) {
  g_autofree char *here = g_get_current_dir();
  g_autofree char *expected = g_build_filename(here, "below", NULL);
  set("MANAKO_CACHE", "below");
  g_autofree char *found = mnk_path_cache();
  g_assert_cmpstr(found, ==, expected);
}

static void test_self(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *self = mnk_path_self(&error);
  g_assert_no_error(error);
  g_autofree char *name = g_path_get_basename(self);
  g_assert_cmpstr(name, ==, "test_base_paths");
  g_assert_true(g_file_test(self, G_FILE_TEST_IS_EXECUTABLE));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/paths/cache", test_cache);
  g_test_add_func("/paths/data", test_data);
  g_test_add_func("/paths/own-place-is-absolute", test_own_place_is_absolute);
  g_test_add_func("/paths/self", test_self);
  return g_test_run();
}
