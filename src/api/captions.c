/* The timeline of one stream as JSON, WebVTT or SRT; written on the reading thread. */
#include "api/streams_priv.h"

enum { LIMIT = 1000 };

typedef enum { AS_JSON, AS_VTT, AS_SRT } Format;

typedef struct {
  char *id;
  gboolean known; /* whatever the store has heard of it */
  gint64 from_ms, to_ms;
  guint limit;
  Format format;
} Query;

static void query_free(Query *query) {
  g_free(query->id);
  g_free(query);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Query, query_free)

/* more: there are more captions than these. */
static void write_json(const Query *query, const GPtrArray *captions, gboolean more, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "stream", query->id);
  mnk_json_add_bool(&w, "more", more);
  mnk_json_begin_array(&w, "captions");
  for (guint i = 0; i < captions->len; i++)
    mnk_caption_write_json_to(g_ptr_array_index(captions, i), &w, NULL);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
}

static void write_vtt(const GPtrArray *captions, GString *out) {
  const MnkCaption *first = captions->len > 0 ? g_ptr_array_index(captions, 0) : NULL;
  mnk_vtt_write_header(out, first != NULL ? first->lang : "en");
  for (guint i = 0; i < captions->len; i++)
    mnk_vtt_write_cue(out, g_ptr_array_index(captions, i));
}

static void write_srt(const GPtrArray *captions, GString *out) {
  guint number = 1;
  for (guint i = 0; i < captions->len; i++) {
    const MnkCaption *caption = g_ptr_array_index(captions, i);
    mnk_srt_write_cue(out, number, caption);
    number += !mnk_caption_is_gap(caption);
  }
}

static gpointer write_captions(MnkStore *store, gpointer data, GError **error) {
  const Query *query = data;
  if (!query->known && !mnk_store_has_stream(store, query->id, error))
    return NULL;
  g_autoptr(GPtrArray) captions =
      mnk_store_captions(store, query->id, query->from_ms, query->to_ms, query->limit + 1, error);
  if (captions == NULL)
    return NULL;
  gboolean more = captions->len > query->limit;
  if (more)
    g_ptr_array_set_size(captions, (gint)query->limit);
  GString *out = g_string_new(NULL);
  if (query->format == AS_VTT)
    write_vtt(captions, out);
  else if (query->format == AS_SRT)
    write_srt(captions, out);
  else
    write_json(query, captions, more, out);
  return g_string_free_to_bytes(out);
}

static void written(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  static const char *const TYPES[] = {"application/json", "text/vtt; charset=utf-8",
                                      "application/x-subrip; charset=utf-8"};
  g_autoptr(Query) query = data;
  g_autoptr(GBytes) body = result;
  if (call->request == NULL)
    return;
  if (body == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  mnk_request_set_answer_header(call->request, "Cache-Control", "no-store");
  mnk_request_answer(call->request, 200, TYPES[query->format], body);
}

void mnk_handle_captions(MnkCall *call) {
  const char *format = mnk_call_string(call, "format", "json");
  Query *query = g_new0(Query, 1);
  query->id = g_strdup(call->id);
  query->known = mnk_registry_knows(call->api->registry, call->id);
  query->from_ms = mnk_call_int(call, "from", 0);
  query->to_ms = mnk_call_int(call, "to", -1);
  query->limit = (guint)mnk_call_int(call, "limit", LIMIT);
  query->format = g_str_equal(format, "vtt")   ? AS_VTT
                  : g_str_equal(format, "srt") ? AS_SRT
                                               : AS_JSON;
  mnk_call_run(call, write_captions, written, query);
}
