/* The manifest: every member of every entry is checked, so that nothing behind it needs to. */
#include <string.h>

#include "base/base.h"
#include "models/models_priv.h"
#include "models/models_resource.h"

enum { FORMAT = 1, MAX_MODELS = 256, MAX_SOURCES = 8, MAX_TEXT = 256, SHA256_DIGITS = 64 };

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, message);
  return FALSE;
}

static void entry_free(gpointer data) {
  MnkModelEntry *entry = data;
  g_free(entry->name);
  g_free(entry->file);
  g_free(entry->purpose);
  g_free(entry->package);
  g_free(entry->licence);
  g_free(entry->sha256);
  g_free(entry);
}

/* A required text that is not empty. */
static const char *text_member(const MnkJsonValue *object, const char *key, GError **error) {
  const char *text = NULL;
  if (!mnk_json_get_string(object, key, MNK_JSON_REQUIRED, MAX_TEXT, &text, error))
    return NULL;
  if (*text == '\0') {
    refuse(error, "\"%s\" is empty", key);
    return NULL;
  }
  return text;
}

static gboolean is_sha256(const char *text) {
  return strlen(text) == SHA256_DIGITS && strspn(text, "0123456789abcdef") == SHA256_DIGITS;
}

/* A name that stays in the folder it is put into. */
static gboolean is_plain_file_name(const char *text) {
  return *text != '.' && strpbrk(text, "/\\") == NULL;
}

static gboolean is_model_name(const char *text) {
  return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text) && *text != '-';
}

/* One place a model comes from: package is set to "registry name version". */
static gboolean parse_source(const MnkJsonValue *source, char **package, GError **error) {
  const char *registry = text_member(source, "registry", error);
  const char *name = registry != NULL ? text_member(source, "package", error) : NULL;
  const char *version = name != NULL ? text_member(source, "version", error) : NULL;
  if (version == NULL)
    return FALSE;

  const MnkJsonValue *members = NULL;
  if (!mnk_json_get_array(source, "members", MNK_JSON_REQUIRED, MAX_SOURCES, &members, error))
    return FALSE;
  if (mnk_json_size(members) == 0)
    return refuse(error, "\"members\" is empty");
  for (guint i = 0; i < mnk_json_size(members); i++) {
    if (text_member(mnk_json_at(members, i), "path", error) == NULL)
      return FALSE;
  }
  if (package != NULL)
    *package = g_strdup_printf("%s %s %s", registry, name, version);
  return TRUE;
}

/* All sources; the first one, which is tried first, names the package. */
static gboolean parse_sources(const MnkJsonValue *value, MnkModelEntry *entry, GError **error) {
  const MnkJsonValue *sources = NULL;
  if (!mnk_json_get_array(value, "sources", MNK_JSON_REQUIRED, MAX_SOURCES, &sources, error))
    return FALSE;
  if (mnk_json_size(sources) == 0)
    return refuse(error, "\"sources\" is empty");
  for (guint i = 0; i < mnk_json_size(sources); i++) {
    if (!parse_source(mnk_json_at(sources, i), i == 0 ? &entry->package : NULL, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean parse_conversion(const MnkJsonValue *value, GError **error) {
  const MnkJsonValue *conversion = NULL;
  if (!mnk_json_get_object(value, "conversion", MNK_JSON_OPTIONAL, &conversion, error))
    return FALSE;
  return conversion == NULL || (text_member(conversion, "tool", error) != NULL &&
                                text_member(conversion, "version", error) != NULL);
}

static gboolean parse_texts(const MnkJsonValue *value, MnkModelEntry *entry, GError **error) {
  const struct {
    const char *key;
    char **to;
    gboolean (*fits)(const char *text);
  } members[] = {
      {"name", &entry->name, is_model_name}, {"file", &entry->file, is_plain_file_name},
      {"purpose", &entry->purpose, NULL},    {"licence", &entry->licence, NULL},
      {"sha256", &entry->sha256, is_sha256},
  };
  for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
    const char *text = text_member(value, members[i].key, error);
    if (text == NULL)
      return FALSE;
    if (members[i].fits != NULL && !members[i].fits(text))
      return refuse(error, "\"%s\" cannot be \"%s\"", members[i].key, text);
    *members[i].to = g_strdup(text);
  }
  return TRUE;
}

static gboolean parse_entry(const MnkJsonValue *value, MnkModelEntry *entry, GError **error) {
  gint64 size = 0;
  if (!parse_texts(value, entry, error) ||
      !mnk_json_get_int(value, "size", MNK_JSON_REQUIRED, 1, G_MAXINT64, &size, error) ||
      !parse_sources(value, entry, error) || !parse_conversion(value, error))
    return FALSE;
  entry->size = (guint64)size;
  return TRUE;
}

static gboolean is_taken(const GPtrArray *entries, const MnkModelEntry *candidate) {
  for (guint i = 0; i < entries->len; i++) {
    const MnkModelEntry *entry = entries->pdata[i];
    if (g_strcmp0(entry->name, candidate->name) == 0 ||
        g_strcmp0(entry->file, candidate->file) == 0)
      return TRUE;
  }
  return FALSE;
}

GPtrArray *mnk_manifest_parse(const char *bytes, gsize length, GError **error) {
  g_autoptr(MnkJson) json = mnk_json_parse(bytes, length, NULL, error);
  if (json == NULL)
    return NULL;
  const MnkJsonValue *root = mnk_json_root(json), *models = NULL;
  gint64 format = 0;
  if (!mnk_json_get_int(root, "format", MNK_JSON_REQUIRED, FORMAT, FORMAT, &format, error) ||
      !mnk_json_get_array(root, "models", MNK_JSON_REQUIRED, MAX_MODELS, &models, error))
    return NULL;

  g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
  for (guint i = 0; i < mnk_json_size(models); i++) {
    MnkModelEntry *entry = g_new0(MnkModelEntry, 1);
    gboolean ok = parse_entry(mnk_json_at(models, i), entry, error);
    if (ok && is_taken(entries, entry))
      ok = refuse(error, "its name or its file is that of an earlier one");
    g_ptr_array_add(entries, entry);
    if (!ok) {
      g_prefix_error(error, "model %u of the manifest: ", i + 1);
      return NULL;
    }
  }
  return g_steal_pointer(&entries);
}

const char *mnk_manifest_text(gsize *length) {
  g_autoptr(GBytes) bytes =
      g_resource_lookup_data(mnk_models_get_resource(), "/manako/models/manifest.json",
                             G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  g_assert(bytes != NULL); /* it is part of the program */
  return g_bytes_get_data(bytes, length);
}
