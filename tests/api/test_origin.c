#include "api/core_priv.h"

static void test_origins(void) {
  static const struct {
    const char *list, *origin, *host;
    gboolean fine;
    const char *allow;
  } CASES[] = {
      {NULL, "http://127.0.0.1:8000", "127.0.0.1:8000", TRUE, NULL},
      {NULL, "http://LOCALHOST:8000", "localhost:8000", TRUE, NULL},
      {NULL, "https://cam.example", "cam.example", TRUE, NULL},
      {NULL, "https://cam.example", "cam.example:443", TRUE, NULL},
      {NULL, "http://cam.example", "cam.example:80", TRUE, NULL},
      {NULL, "http://[::1]:8000", "[::1]:8000", TRUE, NULL},
      {NULL, "http://localhost:3000", "localhost:8000", FALSE, NULL},
      {NULL, "http://cam.example", "cam.example:8000", FALSE, NULL},
      {NULL, "http://cam.example.evil.example", "cam.example", FALSE, NULL},
      {NULL, "http://evil.example", "127.0.0.1:8000", FALSE, NULL},
      {NULL, "http://evil.example", NULL, FALSE, NULL},
      {NULL, "null", "127.0.0.1:8000", FALSE, NULL},
      {NULL, "", "127.0.0.1:8000", FALSE, NULL},
      {NULL, "http://", "", FALSE, NULL},
      {NULL, "127.0.0.1:8000", "127.0.0.1:8000", FALSE, NULL},
      {NULL, "file://127.0.0.1:8000", "127.0.0.1:8000", FALSE, NULL},
      {"", "http://a.example", "h", FALSE, NULL},
      {"http://a.example", "http://a.example", "h", TRUE, "http://a.example"},
      {" http://b.example , http://a.example ", "http://a.example", "h", TRUE, "http://a.example"},
      {"http://a.example", "https://a.example", "h", FALSE, NULL},
      {"http://a.example", "http://a.example:81", "h", FALSE, NULL},
      {"http://a.example", "http://a.example.evil", "h", FALSE, NULL},
      {"http://a.example", "http://xa.example", "h", FALSE, NULL},
      {"null", "null", "h", FALSE, NULL},
      {"*", "http://x.example", "h", TRUE, "*"},
      {"*", "null", "h", TRUE, "*"},
      {"*", "http://h", "h", TRUE, NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    const char *allow = "unset";
    g_test_message("case %u", i);
    g_assert_cmpint(mnk_origin_is_allowed(CASES[i].list, CASES[i].origin, CASES[i].host, &allow),
                    ==, CASES[i].fine);
    g_assert_cmpstr(allow, ==, CASES[i].allow);
  }
}

static void test_hosts(void) {
  static const char *const LOCAL[] = {"127.0.0.1",  "127.0.0.1:8000", "localhost", "LocalHost:1",
                                      "[::1]:8000", "[::1]",          "127.9.9.9", "127.0.0.2:80"};
  static const char *const FOREIGN[] = {"evil.example",
                                        "evil.example:8000",
                                        "localhost.evil.example",
                                        "127.0.0.1.evil.example",
                                        "127.0.0.1:8000@evil.example",
                                        "evil.example#localhost",
                                        "192.168.0.1",
                                        "0.0.0.0",
                                        "[::]",
                                        "[fe80::1]:8000",
                                        "[::1]x",
                                        "[::1",
                                        "",
                                        ":8000",
                                        "localhost:80:80",
                                        "localhost:x",
                                        "2130706433",
                                        "0x7f.1"};
  for (guint i = 0; i < G_N_ELEMENTS(LOCAL); i++)
    g_assert_true(mnk_host_is_local(LOCAL[i], "127.0.0.1"));
  for (guint i = 0; i < G_N_ELEMENTS(FOREIGN); i++)
    g_assert_false(mnk_host_is_local(FOREIGN[i], "127.0.0.1"));
  g_assert_true(mnk_host_is_local("127.1.2.3", "127.1.2.3"));
}

static gboolean may_bind(const char *host, const char *keys, gboolean public) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_settings_set(settings, MNK_OPT_HOST, host, NULL));
  if (keys != NULL)
    g_assert_true(mnk_settings_set(settings, MNK_OPT_KEYS, keys, NULL));
  if (public)
    g_assert_true(mnk_settings_set(settings, MNK_OPT_ALLOW_PUBLIC, "true", NULL));
  gboolean safe = mnk_bind_is_safe(settings, &error);
  if (!safe)
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  return safe;
}

static void test_bind(void) {
  g_assert_true(may_bind("127.0.0.1", NULL, FALSE));
  g_assert_true(may_bind("127.5.5.5", NULL, FALSE));
  g_assert_true(may_bind("::1", NULL, FALSE));
  g_assert_false(may_bind("0.0.0.0", NULL, FALSE));
  g_assert_false(may_bind("::", NULL, FALSE));
  g_assert_false(may_bind("192.168.1.5", NULL, FALSE));
  g_assert_false(may_bind("example.org", NULL, FALSE));
  g_assert_true(may_bind("0.0.0.0", "keys.json", FALSE));
  g_assert_true(may_bind("0.0.0.0", NULL, TRUE));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/origin/origins", test_origins);
  g_test_add_func("/api/origin/hosts", test_hosts);
  g_test_add_func("/api/origin/bind", test_bind);
  return g_test_run();
}
