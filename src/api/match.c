/* Paths against the tables' patterns. */
#include "api/core_priv.h"

#include <string.h>

/* The segment's text. Caller frees. */
static char *take_segment(const char **path) {
  gsize length = strcspn(*path, "/");
  char *segment = g_strndup(*path, length);
  *path += length;
  return segment;
}

gboolean mnk_route_matches(const char *pattern, const char *path, char **id, char **rest) {
  g_autofree char *found_id = NULL, *found_rest = NULL;
  while (*pattern == '/' && *path == '/' && found_rest == NULL) {
    pattern++;
    path++;
    g_autofree char *want = take_segment(&pattern);
    if (strcmp(want, "{rest}") == 0) {
      found_rest = g_strdup(path);
      path += strlen(path);
      if (*found_rest == '\0')
        return FALSE;
      continue;
    }
    g_autofree char *have = take_segment(&path);
    gboolean is_id = strcmp(want, "{id}") == 0;
    if (is_id ? !mnk_stream_id_is_valid(have) : strcmp(want, have) != 0)
      return FALSE;
    if (is_id)
      found_id = g_steal_pointer(&have);
  }
  if (*pattern != '\0' || *path != '\0')
    return FALSE;
  *id = g_steal_pointer(&found_id);
  *rest = g_steal_pointer(&found_rest);
  return TRUE;
}

void mnk_match_clear(MnkMatch *match) {
  g_clear_pointer(&match->id, g_free);
  g_clear_pointer(&match->rest, g_free);
  if (match->allow != NULL)
    g_string_free(g_steal_pointer(&match->allow), TRUE);
}

static void add_method(GString **allow, const char *method) {
  if (*allow == NULL)
    *allow = g_string_new("OPTIONS");
  g_string_append_printf(*allow, ", %s", method);
  if (strcmp(method, "GET") == 0)
    g_string_append(*allow, ", HEAD");
}

static gboolean method_fits(const MnkRoute *route, const char *method) {
  return strcmp(route->method, method) == 0 ||
         (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

void mnk_match_find(const MnkRoute *const *tables, const char *method, const char *path,
                    MnkMatch *out) {
  for (; *tables != NULL; tables++)
    for (const MnkRoute *route = *tables; route->method != NULL; route++) {
      g_autofree char *id = NULL, *rest = NULL;
      if (!mnk_route_matches(route->pattern, path, &id, &rest))
        continue;
      add_method(&out->allow, route->method);
      if (out->route != NULL || !method_fits(route, method))
        continue;
      out->route = route;
      out->id = g_steal_pointer(&id);
      out->rest = g_steal_pointer(&rest);
    }
}
