/* JSON over bytes from outside: read with limits, write without surprises.
 *
 * Depth, size, counts and numbers are checked in one pass before the library sees the text
 * (json_check.c), so that a hostile document costs at most one scan. Pure: no I/O, no threads. */
#ifndef MNK_WIRE_JSON_H
#define MNK_WIRE_JSON_H

#include <glib.h>

typedef struct {
  gsize max_bytes;  /* whole text */
  guint max_depth;  /* nested arrays and objects; 256 at most, whatever it says */
  guint max_values; /* all values and keys together */
  gsize max_string; /* bytes of one string or key, as escaped in the text */
} MnkJsonLimits;

/* 1 MiB, depth 32, 65,536 values, strings as long as the text. */
extern const MnkJsonLimits mnk_json_limits_default;

typedef enum {
  MNK_JSON_NULL,
  MNK_JSON_BOOL,
  MNK_JSON_INT,
  MNK_JSON_DOUBLE,
  MNK_JSON_STRING,
  MNK_JSON_ARRAY,
  MNK_JSON_OBJECT,
} MnkJsonType;

typedef struct _MnkJson MnkJson; /* a parsed document */
typedef struct _MnkJsonValue
    MnkJsonValue; /* a place in it; borrowed, lives as long as the document */

/* RFC 8259, UTF-8, no duplicate keys, no NaN, no lone surrogates, no NUL inside strings. NULL with
 * MNK_ERROR_BAD_INPUT or MNK_ERROR_LIMIT: what and at which byte. A whole number that needs more
 * than 64 bits, and a number beyond a double's range, are over a limit. limits NULL: the default.
 */
MnkJson *mnk_json_parse(const char *bytes, gsize length, const MnkJsonLimits *limits,
                        GError **error);
void mnk_json_free(MnkJson *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkJson, mnk_json_free)
/* The check alone. */
gboolean mnk_json_check(const char *bytes, gsize length, const MnkJsonLimits *limits,
                        GError **error);

const MnkJsonValue *mnk_json_root(const MnkJson *json);
/* All readers below take NULL for value and then answer as for a missing one. */
MnkJsonType mnk_json_type(const MnkJsonValue *value);
guint mnk_json_size(const MnkJsonValue *value); /* members or elements, else 0 */
const MnkJsonValue *mnk_json_at(const MnkJsonValue *array, guint index); /* NULL beyond the end */
const MnkJsonValue *mnk_json_get(const MnkJsonValue *object,
                                 const char *key); /* NULL when absent */
/* The members in document order, each once:
 *   MnkJsonIter iter = {0};
 *   while (mnk_json_next(object, &iter, &key, &value)) */
typedef struct {
  gconstpointer next;
  gboolean started;
} MnkJsonIter;
gboolean mnk_json_next(const MnkJsonValue *object, MnkJsonIter *iter, const char **key,
                       const MnkJsonValue **value);

/* Typed members with range: FALSE with an error that names the key, what was expected and the
 * range. A missing key (or null, where optional) leaves *out alone and is TRUE unless required. */
typedef enum { MNK_JSON_OPTIONAL, MNK_JSON_REQUIRED } MnkJsonNeed;
gboolean mnk_json_get_int(const MnkJsonValue *object, const char *key, MnkJsonNeed need, gint64 min,
                          gint64 max, gint64 *out, GError **error);
gboolean mnk_json_get_double(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             double min, double max, double *out, GError **error);
gboolean mnk_json_get_bool(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                           gboolean *out, GError **error);
/* Borrowed. */
gboolean mnk_json_get_string(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             gsize max_bytes, const char **out, GError **error);
gboolean mnk_json_get_array(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                            guint max, const MnkJsonValue **out, GError **error);
gboolean mnk_json_get_object(const MnkJsonValue *object, const char *key, MnkJsonNeed need,
                             const MnkJsonValue **out, GError **error);

/* A plain value's content; the fallback when it has another type. */
gboolean mnk_json_bool(const MnkJsonValue *value, gboolean fallback);
gint64 mnk_json_int(const MnkJsonValue *value, gint64 fallback);
double mnk_json_double(const MnkJsonValue *value, double fallback);
const char *mnk_json_string(const MnkJsonValue *value, const char *fallback);

/* Writer: appends compact JSON to a GString; commas are its business. key is NULL inside arrays and
 * at the top. Invalid UTF-8 becomes U+FFFD; control characters, '<', '>', '&', U+2028 and U+2029
 * are escaped, so that the text can stand in HTML and JavaScript. Non-finite numbers become null.
 */
typedef struct {
  GString *out;
  gboolean comma;
} MnkJsonWriter;

void mnk_json_writer_init(MnkJsonWriter *w, GString *out);
void mnk_json_begin_object(MnkJsonWriter *w, const char *key);
void mnk_json_end_object(MnkJsonWriter *w);
void mnk_json_begin_array(MnkJsonWriter *w, const char *key);
void mnk_json_end_array(MnkJsonWriter *w);
void mnk_json_add_string(MnkJsonWriter *w, const char *key, const char *value); /* NULL: null */
void mnk_json_add_int(MnkJsonWriter *w, const char *key, gint64 value);
/* The shortest text with at most this many decimals (0..17); 17: round trip. */
void mnk_json_add_double(MnkJsonWriter *w, const char *key, double value, int decimals);
void mnk_json_add_bool(MnkJsonWriter *w, const char *key, gboolean value);
void mnk_json_add_null(MnkJsonWriter *w, const char *key);
/* text must be one valid JSON value. */
void mnk_json_add_raw(MnkJsonWriter *w, const char *key, const char *text, gsize length);

#endif
