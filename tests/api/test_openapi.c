/* The description against the tables that it is made from. */
#include "api/core_priv.h"

#include <string.h>

static MnkJson *describe(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  mnk_api_write_openapi(text);
  MnkJson *json = mnk_json_parse(text->str, text->len, NULL, &error);
  g_assert_no_error(error);
  return json;
}

static void test_every_route(void) {
  g_autoptr(MnkJson) json = describe();
  const MnkJsonValue *paths = mnk_json_get(mnk_json_root(json), "paths");
  guint count = 0;
  for (const MnkRoute *const *table = mnk_route_tables; *table != NULL; table++)
    for (const MnkRoute *route = *table; route->method != NULL; route++, count++) {
      g_autofree char *method = g_ascii_strdown(route->method, -1);
      const MnkJsonValue *operation = mnk_json_get(mnk_json_get(paths, route->pattern), method);
      g_test_message("%s %s", route->method, route->pattern);
      g_assert_nonnull(operation);
      g_assert_cmpint(mnk_json_size(mnk_json_get(operation, "security")) > 0, ==,
                      route->scope != MNK_SCOPE_NONE);
      g_assert_nonnull(route->summary);
      g_assert_nonnull(route->handle);
    }
  g_assert_cmpuint(count, >=, 20);
}

static void test_every_schema(void) {
  for (const MnkRoute *const *table = mnk_route_tables; *table != NULL; table++)
    for (const MnkRoute *route = *table; route->method != NULL; route++) {
      g_test_message("%s %s: %s", route->method, route->pattern, route->answer);
      if (route->answer != NULL && strchr(route->answer, '/') == NULL)
        g_assert_true(mnk_openapi_has_schema(route->answer));
    }
}

static void test_params(void) {
  g_autoptr(MnkJson) json = describe();
  const MnkJsonValue *schemas =
      mnk_json_get(mnk_json_get(mnk_json_root(json), "components"), "schemas");
  const MnkJsonValue *members = mnk_json_get(mnk_json_get(schemas, "Params"), "properties");
  guint count = 0;
  for (guint i = 0; i < MNK_OPT_N; i++) {
    const MnkOption *option = mnk_option((MnkOptionId)i);
    g_autofree char *name = g_strdelimit(g_strdup(option->name), "-", '_');
    gboolean is_param = (option->commands & MNK_COMMAND_PARAM) != 0;
    g_assert_cmpint(mnk_json_get(members, name) != NULL, ==, is_param);
    count += is_param;
  }
  g_assert_cmpuint(count, ==, mnk_json_size(members));
  g_assert_null(mnk_json_get(members, "gemini_api_key"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/api/openapi/every-route", test_every_route);
  g_test_add_func("/api/openapi/every-schema", test_every_schema);
  g_test_add_func("/api/openapi/params", test_params);
  return g_test_run();
}
