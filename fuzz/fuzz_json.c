/* What the check passes, the library reads; what the writer writes, both read again as the same. */
#include "fuzz.h"

#include "wire/json.h"

static void write_value(const MnkJsonValue *value, const char *key, MnkJsonWriter *w) {
  MnkJsonIter iter = {0};
  const MnkJsonValue *member;
  const char *name;
  switch (mnk_json_type(value)) {
  case MNK_JSON_NULL:
    mnk_json_add_null(w, key);
    break;
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
    mnk_json_add_string(w, key, mnk_json_string(value, NULL));
    break;
  case MNK_JSON_ARRAY:
    mnk_json_begin_array(w, key);
    for (guint i = 0; i < mnk_json_size(value); i++)
      write_value(mnk_json_at(value, i), NULL, w);
    mnk_json_end_array(w);
    break;
  case MNK_JSON_OBJECT:
    mnk_json_begin_object(w, key);
    while (mnk_json_next(value, &iter, &name, &member)) {
      g_assert(mnk_json_get(value, name) == member);
      write_value(member, name, w);
    }
    mnk_json_end_object(w);
    break;
  }
}

static GString *write_document(const MnkJson *json) {
  GString *out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  write_value(mnk_json_root(json), NULL, &w);
  return out;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  const char *text = (const char *)data;
  g_autoptr(GError) error = NULL;
  gboolean passes = mnk_json_check(text, size, NULL, &error);
  g_assert(passes == (error == NULL));
  g_autoptr(MnkJson) json = mnk_json_parse(text, size, NULL, NULL);
  g_assert(passes == (json != NULL));
  if (!json)
    return 0;
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_bytes = limits.max_string = 6 * limits.max_bytes; /* one byte may become \u0000 */
  g_autoptr(GString) first = write_document(json);
  g_autoptr(MnkJson) again = mnk_json_parse(first->str, first->len, &limits, NULL);
  g_assert(again != NULL);
  g_autoptr(GString) second = write_document(again);
  g_assert(g_string_equal(first, second));
  return 0;
}
