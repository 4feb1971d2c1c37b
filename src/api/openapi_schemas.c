/* Shapes of the answers, as docs/api.md tells them: schemas.json, compiled in as a GResource. */
#include "api/core_priv.h"

#include "schemas.h"

#include <string.h>

static GBytes *load(void) {
  g_autoptr(GError) error = NULL;
  GBytes *bytes = g_resource_lookup_data(mnk_schemas_get_resource(), "/manako/api/schemas.json",
                                         G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
  g_assert_no_error(error);
  return bytes;
}

/* The members of the file's one object. */
void mnk_openapi_write_schemas(MnkJsonWriter *w) {
  g_autoptr(GBytes) bytes = load();
  gsize length = 0;
  const char *text = g_bytes_get_data(bytes, &length);
  const char *start = memchr(text, '{', length), *end = memrchr(text, '}', length);
  g_assert(start != NULL && end > start);
  if (w->comma)
    g_string_append_c(w->out, ',');
  g_string_append_len(w->out, start + 1, end - start - 1);
  w->comma = TRUE;
}

gboolean mnk_openapi_has_schema(const char *name) {
  g_autoptr(GBytes) bytes = load();
  gsize length = 0;
  const char *text = g_bytes_get_data(bytes, &length);
  g_autoptr(MnkJson) json = mnk_json_parse(text, length, NULL, NULL);
  return json != NULL && mnk_json_get(mnk_json_root(json), name) != NULL;
}
