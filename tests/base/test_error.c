#include "base/base.h"

#include <string.h>

static void test_table(void) {
  static const struct {
    MnkErrorCode code;
    const char *name;
    int exit, http;
  } cases[] = {
      {MNK_ERROR_INTERNAL, "internal", 1, 500},     {MNK_ERROR_USAGE, "usage", 2, 400},
      {MNK_ERROR_CONFIG, "config", 3, 500},         {MNK_ERROR_NOT_FOUND, "not_found", 4, 404},
      {MNK_ERROR_BAD_INPUT, "bad_input", 5, 400},   {MNK_ERROR_UNSUPPORTED, "unsupported", 6, 415},
      {MNK_ERROR_LIMIT, "limit", 7, 413},           {MNK_ERROR_SOURCE, "source", 8, 502},
      {MNK_ERROR_STORE, "store", 9, 503},           {MNK_ERROR_MODEL, "model", 10, 503},
      {MNK_ERROR_WORKER, "worker", 11, 503},        {MNK_ERROR_OUTPUT, "output", 12, 500},
      {MNK_ERROR_CANCELLED, "cancelled", 130, 499},
  };
  g_assert_cmpint(G_N_ELEMENTS(cases), ==, MNK_ERROR_N);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = g_error_new_literal(MNK_ERROR, (gint)cases[i].code, "x");
    g_assert_cmpstr(mnk_error_code_name(cases[i].code), ==, cases[i].name);
    g_assert_cmpint(mnk_error_exit_code(error), ==, cases[i].exit);
    g_assert_cmpint(mnk_error_code_exit(cases[i].code), ==, cases[i].exit);
    g_assert_cmpint(mnk_error_http_status(error), ==, cases[i].http);
    g_assert_nonnull(mnk_error_code_help(cases[i].code));
    MnkErrorCode code;
    g_assert_true(mnk_error_code_from_name(cases[i].name, &code));
    g_assert_cmpint(code, ==, cases[i].code);
  }
}

static void test_other_domain(void) {
  g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
  g_autoptr(GError) wild = g_error_new_literal(MNK_ERROR, 4711, "x");
  MnkErrorCode code;
  g_assert_cmpint(mnk_error_exit_code(NULL), ==, 0);
  g_assert_cmpint(mnk_error_http_status(NULL), ==, 200);
  g_assert_cmpint(mnk_error_exit_code(foreign), ==, 1);
  g_assert_cmpint(mnk_error_exit_code(wild), ==, 1);
  g_assert_false(mnk_error_code_from_name("no such", &code));
  g_assert_false(mnk_error_code_from_name(NULL, &code));
}

static void test_markdown(void) {
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_errors_write_markdown(out);
  g_assert_true(g_str_has_prefix(out->str, "# Exit codes\n"));
  g_assert_nonnull(strstr(out->str, "| 0 | | success |\n"));
  for (guint i = 0; i < MNK_ERROR_N; i++) {
    g_autofree char *row = g_strdup_printf("| %d | `%s` | %s |\n", mnk_error_code_exit(i),
                                           mnk_error_code_name(i), mnk_error_code_help(i));
    g_assert_nonnull(strstr(out->str, row));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/error/table", test_table);
  g_test_add_func("/error/other-domain", test_other_domain);
  g_test_add_func("/error/markdown", test_markdown);
  return g_test_run();
}
