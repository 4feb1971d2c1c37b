/* The page's files, compiled in as a GResource. */
#include "api/core_priv.h"

#include "web.h"

#include <string.h>

static const char ROOT[] = "/manako/web";

static const char *content_type(const char *path) {
  static const struct {
    const char *suffix, *type;
  } TYPES[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(TYPES); i++)
    if (g_str_has_suffix(path, TYPES[i].suffix))
      return TYPES[i].type;
  return "application/octet-stream";
}

/* Whether If-None-Match names the entity tag, or any. */
static gboolean is_known(const char *header, const char *tag) {
  if (header == NULL)
    return FALSE;
  g_auto(GStrv) list = g_strsplit(header, ",", -1);
  for (guint i = 0; list[i] != NULL; i++) {
    const char *entry = g_strstrip(list[i]);
    if (g_str_has_prefix(entry, "W/"))
      entry += 2;
    if (strcmp(entry, tag) == 0 || strcmp(entry, "*") == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean mnk_pages_answer(MnkRequest *request, const char *path) {
  g_autofree char *name =
      g_strconcat(ROOT, path, g_str_has_suffix(path, "/") ? "index.html" : "", NULL);
  g_autoptr(GBytes) bytes =
      g_resource_lookup_data(mnk_web_get_resource(), name, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  if (bytes == NULL)
    return FALSE;
  g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
  g_autofree char *tag = g_strdup_printf("\"%.32s\"", digest);
  mnk_request_set_answer_header(request, "ETag", tag);
  mnk_request_set_answer_header(request, "Cache-Control", "no-cache");
  if (is_known(mnk_request_header(request, "If-None-Match"), tag))
    mnk_request_answer(request, 304, NULL, NULL);
  else
    mnk_request_answer(request, 200, content_type(name), bytes);
  return TRUE;
}
