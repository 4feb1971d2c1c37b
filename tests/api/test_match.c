#include "api/core_priv.h"

#include <string.h>

static void nothing(MnkCall *call) {
}

static const MnkRoute first[] = {
    {.method = "GET", .pattern = "/", .handle = nothing},
    {.method = "GET", .pattern = "/v1/streams", .handle = nothing},
    {.method = "POST", .pattern = "/v1/streams", .handle = nothing},
    {.method = "GET", .pattern = "/v1/streams/{id}", .handle = nothing},
    {.method = "PATCH", .pattern = "/v1/streams/{id}", .handle = nothing},
    {.method = NULL},
};
static const MnkRoute second[] = {
    {.method = "DELETE", .pattern = "/v1/streams/{id}", .handle = nothing},
    {.method = "GET", .pattern = "/v1/streams/{id}/frames/{rest}", .handle = nothing},
    {.method = "DELETE", .pattern = "/v1/uploads/{id}", .handle = nothing},
    {.method = NULL},
};
static const MnkRoute *const tables[] = {first, second, NULL};

static void test_found(void) {
  static const struct {
    const char *method, *path, *pattern, *id, *rest;
  } CASES[] = {
      {"GET", "/", "/", NULL, NULL},
      {"HEAD", "/", "/", NULL, NULL},
      {"GET", "/v1/streams", "/v1/streams", NULL, NULL},
      {"POST", "/v1/streams", "/v1/streams", NULL, NULL},
      {"GET", "/v1/streams/a", "/v1/streams/{id}", "a", NULL},
      {"DELETE", "/v1/streams/A-z_9", "/v1/streams/{id}", "A-z_9", NULL},
      {"GET", "/v1/streams/a/frames/1.jpg", "/v1/streams/{id}/frames/{rest}", "a", "1.jpg"},
      {"GET", "/v1/streams/a/frames/b/c", "/v1/streams/{id}/frames/{rest}", "a", "b/c"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_auto(MnkMatch) match = {0};
    mnk_match_find(tables, CASES[i].method, CASES[i].path, &match);
    g_assert_nonnull(match.route);
    g_assert_cmpstr(match.route->pattern, ==, CASES[i].pattern);
    g_assert_cmpstr(match.id, ==, CASES[i].id);
    g_assert_cmpstr(match.rest, ==, CASES[i].rest);
  }
}

static void test_allow(void) {
  g_auto(MnkMatch) match = {0};
  mnk_match_find(tables, "PUT", "/v1/streams/a", &match);
  g_assert_null(match.route);
  g_assert_cmpstr(match.allow->str, ==, "OPTIONS, GET, HEAD, PATCH, DELETE");
  g_auto(MnkMatch) none = {0};
  mnk_match_find(tables, "GET", "/v2/streams", &none);
  g_assert_null(none.route);
  g_assert_null(none.allow);
}

static void test_methods_are_exact(void) {
  static const char *const METHODS[] = {"get", "Get", "GETX", "GE", "", "PROPFIND", "CONNECT"};
  for (guint i = 0; i < G_N_ELEMENTS(METHODS); i++) {
    g_auto(MnkMatch) match = {0};
    mnk_match_find(tables, METHODS[i], "/v1/streams", &match);
    g_assert_null(match.route);
  }
}

/* Names that have opened doors elsewhere: as a stream's id, an upload's name, and inside a path. */
static const char *const hostile[] = {
    "",
    ".",
    "..",
    "...",
    "../",
    "../..",
    "../../etc/passwd",
    "..%2f",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%2e%2e%2f",
    "%252e%252e",
    "..\\",
    "..\\..\\windows",
    "....//",
    "..;/",
    ".;",
    "/etc/passwd",
    "//etc/passwd",
    "\\\\host\\share",
    "C:\\x",
    "C:",
    "file:///etc/passwd",
    "~",
    "~root",
    "$HOME",
    "`id`",
    "$(id)",
    ";id",
    "|id",
    "&id",
    "a b",
    " a",
    "a ",
    "a\t",
    "a\n",
    "a\r\nSet-Cookie: x",
    "a\x01",
    "a\x7f",
    "\x1b[2J",
    "a.b",
    ".part-a",
    ".htaccess",
    "a.db",
    "timeline.db",
    "a/b",
    "a//b",
    "/",
    "//",
    "a:b",
    "a?b",
    "a#b",
    "a%00",
    "a%",
    "%",
    "*",
    "?",
    "[a]",
    "{id}",
    "{rest}",
    "a,b",
    "a;b",
    "a=b",
    "a&b",
    "a+b",
    "a'b",
    "a\"b",
    "' OR 1=1 --",
    "<script>",
    "</script>",
    "-->",
    "\xc3\xa9",
    "\xe3\x82\xab",
    "\xe2\x80\xae_",
    "\xe2\x80\x8b",
    "\xef\xbc\x8f",
    "\xef\xbc\x8e\xef\xbc\x8e",
    "\xc0\xae\xc0\xae",
    "\xff\xfe",
    "\xf0\x9f\x98\x80",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static void assert_nothing_at(const char *path) {
  g_auto(MnkMatch) match = {0};
  mnk_match_find(tables, "GET", path, &match);
  if (match.route != NULL && strcmp(match.route->pattern, "/") != 0)
    g_error("%s is taken for %s", path, match.route->pattern);
}

static void test_hostile_ids(void) {
  g_assert_cmpuint(3 * G_N_ELEMENTS(hostile), >=, 200);
  for (guint i = 0; i < G_N_ELEMENTS(hostile); i++) {
    g_autofree char *alone = g_strconcat("/v1/streams/", hostile[i], NULL);
    g_autofree char *inside = g_strconcat("/v1/streams/", hostile[i], "/frames/1.jpg", NULL);
    g_autofree char *before = g_strconcat("/", hostile[i], "/v1/streams", NULL);
    assert_nothing_at(alone);
    assert_nothing_at(inside);
    assert_nothing_at(before);
  }
}

static void test_hostile_uploads(void) {
  static const char *const WRONG[] = {
      "up-",
      "up-0123456789abcdef0123456789abcde",
      "up-0123456789abcdef0123456789abcdef0",
      "up-0123456789ABCDEF0123456789ABCDEF",
      "UP-0123456789abcdef0123456789abcdef",
      "up-0123456789abcdef0123456789abcdef/../x",
      "up-0123456789abcdef0123456789abcdef ",
      "xx-0123456789abcdef0123456789abcdef",
      "up-0123456789abcdef0123456789abcde/",
      "up-../../../../../../etc/passwd0000",
      "up_0123456789abcdef0123456789abcdef",
      ".part-up-0123456789abcdef0123456789abcdef",
  };
  g_assert_true(mnk_upload_name_is_valid("up-0123456789abcdef0123456789abcdef"));
  for (guint i = 0; i < G_N_ELEMENTS(WRONG); i++)
    g_assert_false(mnk_upload_name_is_valid(WRONG[i]));
  for (guint i = 0; i < G_N_ELEMENTS(hostile); i++)
    g_assert_false(mnk_upload_name_is_valid(hostile[i]));
}

static void test_hostile_paths(void) {
  static const char *const PATHS[] = {
      "",
      "v1/streams",
      "//v1/streams",
      "/v1//streams",
      "/v1/streams/",
      "/V1/streams",
      "/v1/Streams",
      "/v1/streams//",
      "/v1/streams/a/",
      "/v1/streams/a//",
      "/v1/streams/a/frames",
      "/v1/streams/a/frames/",
      "/v1/streams/a/b",
      "/v1/streams/a/b/c/d",
      "/v1/./streams",
      "/v1/x/../streams",
      "/v1/streams ",
      " /v1/streams",
      "/v1/streams\n",
      "/v1/streamsx",
      "/v1/stream",
      "/v1",
      "/v1/",
  };
  for (guint i = 0; i < G_N_ELEMENTS(PATHS); i++)
    assert_nothing_at(PATHS[i]);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/match/found", test_found);
  g_test_add_func("/api/match/allow", test_allow);
  g_test_add_func("/api/match/methods-are-exact", test_methods_are_exact);
  g_test_add_func("/api/match/hostile-ids", test_hostile_ids);
  g_test_add_func("/api/match/hostile-uploads", test_hostile_uploads);
  g_test_add_func("/api/match/hostile-paths", test_hostile_paths);
  return g_test_run();
}
