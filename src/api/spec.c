/* What a stream is made from, as asked for, as opened, as shown, and as kept. */
#include "api/spec_priv.h"

#include <string.h>

enum { SOURCE_MAX = 4096 };

void mnk_spec_clear(MnkSpec *spec) {
  g_clear_pointer(&spec->source, g_free);
  g_clear_pointer(&spec->open, g_free);
  g_clear_pointer(&spec->shown, g_free);
  g_clear_pointer(&spec->owner, g_free);
}

const char *mnk_spec_kind_name(MnkSpecKind kind) {
  static const char *const NAMES[] = {"push", "file", "upload", "camera", "rtsp", "http"};
  return NAMES[kind];
}

static gboolean is_camera(const char *source) {
  return g_str_equal(source, "camera") || g_str_has_prefix(source, "camera:") ||
         g_str_has_prefix(source, "/dev/video");
}

/* A scheme before "://", as RFC 3986 has it. */
static gboolean is_url(const char *source) {
  const char *end = strstr(source, "://");
  if (end == NULL || !g_ascii_isalpha(*source))
    return FALSE;
  for (const char *p = source; p < end; p++)
    if (!g_ascii_isalnum(*p) && strchr("+-.", *p) == NULL)
      return FALSE;
  return TRUE;
}

static gboolean has_scheme(const char *source, const char *scheme) {
  gsize length = strlen(scheme);
  return g_ascii_strncasecmp(source, scheme, length) == 0 && source[length] == ':';
}

MnkSpecKind mnk_spec_kind(const char *source) {
  if (g_str_equal(source, MNK_SOURCE_PUSH))
    return MNK_SPEC_PUSH;
  if (g_str_has_prefix(source, "upload:"))
    return MNK_SPEC_UPLOAD;
  if (is_camera(source))
    return MNK_SPEC_CAMERA;
  if (!is_url(source))
    return MNK_SPEC_FILE;
  return has_scheme(source, "rtsp") || has_scheme(source, "rtsps") ? MNK_SPEC_RTSP : MNK_SPEC_HTTP;
}

static gboolean resolve_url(const char *source, MnkSpec *out, GError **error) {
  if (out->kind == MNK_SPEC_HTTP && !has_scheme(source, "http") && !has_scheme(source, "https")) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "source %.*s:// cannot be read; rtsp, rtsps, http and https can",
                (int)MIN(strcspn(source, ":"), 16), source);
    return FALSE;
  }
  g_autoptr(MnkUrl) url = mnk_url_parse(source, error);
  if (url == NULL) {
    g_prefix_error(error, "source: ");
    return FALSE;
  }
  out->open = g_strdup(source);
  out->shown = mnk_url_redacted(source);
  return TRUE;
}

static gboolean resolve_upload(MnkApi *api, const char *source, MnkSpec *out, GError **error) {
  out->open = mnk_upload_path(api, source + strlen("upload:"), error);
  out->shown = g_strdup(source);
  g_prefix_error(error, "source %s: ", source);
  return out->open != NULL;
}

static gboolean resolve_file(MnkApi *api, const char *source, MnkSpec *out, GError **error) {
  if (out->trusted) {
    out->open = g_strdup(source);
    out->shown = g_path_get_basename(source);
    return TRUE;
  }
  const char *root = mnk_settings_string(api->settings, MNK_OPT_FILES_ROOT);
  if (root == NULL) {
    g_set_error(error, MNK_STATUS_ERROR, 403,
                "source %s: files may not be opened over the API as long as --files-root names no "
                "folder",
                source);
    return FALSE;
  }
  out->open = mnk_path_below(root, source, error);
  out->shown = g_strdup(source);
  return out->open != NULL;
}

static gboolean resolve(MnkApi *api, const char *source, MnkSpec *out, GError **error) {
  switch (out->kind) {
  case MNK_SPEC_RTSP:
  case MNK_SPEC_HTTP:
    return resolve_url(source, out, error);
  case MNK_SPEC_UPLOAD:
    return resolve_upload(api, source, out, error);
  case MNK_SPEC_FILE:
    return resolve_file(api, source, out, error);
  default:
    out->open = g_strdup(source);
    out->shown = g_strdup(source);
    return TRUE;
  }
}

gboolean mnk_spec_resolve(MnkApi *api, const char *source, gboolean trusted, MnkSpec *out,
                          GError **error) {
  *out = (MnkSpec){.trusted = trusted};
  gsize length = strlen(source);
  if (length == 0 || length > SOURCE_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "source must have 1 to %d bytes", SOURCE_MAX);
    return FALSE;
  }
  out->kind = mnk_spec_kind(source);
  out->source = g_strdup(source);
  if (resolve(api, source, out, error))
    return TRUE;
  mnk_spec_clear(out);
  return FALSE;
}

/* ---- in the store ---- */

static gboolean same_value(const MnkJsonValue *a, const MnkJsonValue *b) {
  MnkJsonType type = mnk_json_type(a);
  if (type != mnk_json_type(b))
    return FALSE;
  switch (type) {
  case MNK_JSON_BOOL:
    return mnk_json_bool(a, FALSE) == mnk_json_bool(b, FALSE);
  case MNK_JSON_INT:
    return mnk_json_int(a, 0) == mnk_json_int(b, 0);
  case MNK_JSON_DOUBLE:
    return mnk_json_double(a, 0) == mnk_json_double(b, 0);
  case MNK_JSON_STRING:
    return g_str_equal(mnk_json_string(a, ""), mnk_json_string(b, ""));
  default:
    return TRUE;
  }
}

static void add_value(MnkJsonWriter *w, const char *key, const MnkJsonValue *value) {
  switch (mnk_json_type(value)) {
  case MNK_JSON_BOOL:
    mnk_json_add_bool(w, key, mnk_json_bool(value, FALSE));
    break;
  case MNK_JSON_INT:
    mnk_json_add_int(w, key, mnk_json_int(value, 0));
    break;
  case MNK_JSON_DOUBLE:
    mnk_json_add_double(w, key, mnk_json_double(value, 0), 17);
    break;
  case MNK_JSON_STRING:
    mnk_json_add_string(w, key, mnk_json_string(value, ""));
    break;
  default:
    mnk_json_add_null(w, key);
    break;
  }
}

void mnk_params_copy(const MnkJsonValue *object, const char *but, MnkJsonWriter *w) {
  MnkJsonIter iter = {0};
  const char *name = NULL;
  const MnkJsonValue *value = NULL;
  while (mnk_json_next(object, &iter, &name, &value))
    if (!g_str_equal(name, but))
      add_value(w, name, value);
}

static MnkJson *params_of(const MnkSettings *settings) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_params_write(settings, &w, NULL);
  return mnk_json_parse(text->str, text->len, NULL, NULL);
}

void mnk_own_params(const MnkSettings *settings, const MnkSettings *base, MnkJsonWriter *w,
                    const char *key) {
  g_autoptr(MnkJson) own = params_of(settings);
  g_autoptr(MnkJson) others = params_of(base);
  MnkJsonIter iter = {0};
  const char *name = NULL;
  const MnkJsonValue *value = NULL;
  mnk_json_begin_object(w, key);
  while (own != NULL && others != NULL && mnk_json_next(mnk_json_root(own), &iter, &name, &value)) {
    const MnkOption *option = mnk_option_by_name(name);
    if (option == NULL || !mnk_settings_is_set(settings, option->id) ||
        mnk_json_type(value) == MNK_JSON_NULL)
      continue;
    /* what was set to its default was set all the same */
    if (!mnk_settings_is_set(base, option->id) ||
        !same_value(value, mnk_json_get(mnk_json_root(others), name)))
      add_value(w, name, value);
  }
  mnk_json_end_object(w);
}

void mnk_spec_write(const MnkSpec *spec, const MnkSettings *settings, const MnkSettings *base,
                    const char *watches, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "source", spec->source);
  mnk_json_add_bool(&w, "trusted", spec->trusted);
  if (spec->owner != NULL)
    mnk_json_add_string(&w, "key", spec->owner);
  if (spec->time_zero > 0)
    mnk_json_add_double(&w, "time_zero", spec->time_zero, 17);
  mnk_own_params(settings, base, &w, "params");
  if (watches != NULL)
    mnk_json_add_raw(&w, "watches", watches, strlen(watches));
  mnk_json_end_object(&w);
}

gboolean mnk_spec_read(MnkApi *api, const char *json, MnkSettings *settings, MnkSpec *out,
                       GError **error) {
  *out = (MnkSpec){0};
  g_autoptr(MnkJson) document = mnk_json_parse(json, strlen(json), NULL, error);
  if (document == NULL)
    return FALSE;
  const MnkJsonValue *root = mnk_json_root(document), *params = NULL;
  const char *source = NULL, *owner = NULL;
  gboolean trusted = FALSE;
  double time_zero = 0;
  if (!mnk_json_get_string(root, "source", MNK_JSON_REQUIRED, SOURCE_MAX, &source, error) ||
      !mnk_json_get_string(root, "key", MNK_JSON_OPTIONAL, 256, &owner, error) ||
      !mnk_json_get_bool(root, "trusted", MNK_JSON_OPTIONAL, &trusted, error) ||
      !mnk_json_get_double(root, "time_zero", MNK_JSON_OPTIONAL, 0, 1e11, &time_zero, error) ||
      !mnk_json_get_object(root, "params", MNK_JSON_OPTIONAL, &params, error) ||
      (params != NULL && !mnk_params_apply(settings, params, FALSE, error)) ||
      !mnk_spec_resolve(api, source, trusted, out, error))
    return FALSE;
  out->owner = g_strdup(owner);
  out->time_zero = time_zero;
  return TRUE;
}

char *mnk_spec_owner(const char *json) {
  g_autoptr(MnkJson) document = mnk_json_parse(json, strlen(json), NULL, NULL);
  if (document == NULL)
    return NULL;
  return g_strdup(mnk_json_string(mnk_json_get(mnk_json_root(document), "key"), NULL));
}
