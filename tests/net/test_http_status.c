#include "net/net_priv.h"

static void test_reasons(void) {
  g_assert_cmpstr(mnk_http_status_reason(206), ==, "Partial Content");
  g_assert_cmpstr(mnk_http_status_reason(799), ==, "Unknown");
}

static void test_codes(void) {
  g_assert_cmpstr(mnk_http_status_code(431), ==, "limit");
  g_assert_cmpstr(mnk_http_status_code(503), ==, "unavailable");
  g_assert_cmpstr(mnk_http_status_code(418), ==, "usage");
  g_assert_cmpstr(mnk_http_status_code(599), ==, "internal");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/net/http-status/reasons", test_reasons);
  g_test_add_func("/net/http-status/codes", test_codes);
  return g_test_run();
}
