/* Captions by words and, where texts are embedded, by meaning: two lists, fused by their ranks
 * (Cormack, Clarke and Buettcher: Reciprocal Rank Fusion, SIGIR 2009). */
#include "api/streams_priv.h"

enum { LIMIT = 20, RANK_OFFSET = 60, DEPTH = 4 };

typedef struct {
  MnkCall *call; /* while the query is embedded */
  char *words, *stream;
  gint64 from_ms, to_ms;
  guint limit;
  float *vector; /* NULL: by words alone */
  guint n;
} Query;

static void query_free(Query *query) {
  mnk_call_unref(query->call);
  g_free(query->words);
  g_free(query->stream);
  g_free(query->vector);
  g_free(query);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Query, query_free)

/* ---- fusion ---- */

static gboolean is_same(const MnkSearchHit *a, const MnkSearchHit *b) {
  return g_str_equal(a->caption->id, b->caption->id) &&
         g_str_equal(a->caption->stream, b->caption->stream);
}

static MnkSearchHit *find_hit(GPtrArray *hits, const MnkSearchHit *wanted) {
  for (guint i = 0; i < hits->len; i++)
    if (is_same(g_ptr_array_index(hits, i), wanted))
      return g_ptr_array_index(hits, i);
  return NULL;
}

static gint best_first(gconstpointer a, gconstpointer b) {
  const MnkSearchHit *x = *(MnkSearchHit *const *)a, *y = *(MnkSearchHit *const *)b;
  return (x->score < y->score) - (x->score > y->score);
}

GPtrArray *mnk_search_fuse(GPtrArray *by_words, GPtrArray *by_meaning, guint limit) {
  for (guint i = 0; i < by_words->len; i++)
    ((MnkSearchHit *)g_ptr_array_index(by_words, i))->score = 1.0 / (RANK_OFFSET + 1 + i);
  for (guint i = 0; by_meaning->len > 0; i++) {
    MnkSearchHit *hit = g_ptr_array_steal_index(by_meaning, 0);
    MnkSearchHit *same = find_hit(by_words, hit);
    hit->score = 1.0 / (RANK_OFFSET + 1 + i);
    if (same == NULL) {
      g_ptr_array_add(by_words, hit);
      continue;
    }
    same->score += hit->score;
    mnk_search_hit_free(hit);
  }
  g_ptr_array_sort(by_words, best_first);
  if (by_words->len > limit)
    g_ptr_array_set_size(by_words, (gint)limit);
  return by_words;
}

/* ---- on the reading thread ---- */

static GPtrArray *find(MnkStore *store, const Query *query, GError **error) {
  guint depth = query->vector != NULL ? query->limit * DEPTH : query->limit;
  g_autoptr(GPtrArray) by_words = mnk_store_search(store, query->words, query->stream,
                                                   query->from_ms, query->to_ms, depth, error);
  if (by_words == NULL || query->vector == NULL)
    return g_steal_pointer(&by_words);
  g_autoptr(GPtrArray) by_meaning = mnk_store_nearest(store, query->vector, query->n, query->stream,
                                                      query->from_ms, query->to_ms, depth, error);
  if (by_meaning == NULL)
    return NULL;
  return mnk_search_fuse(g_steal_pointer(&by_words), by_meaning, query->limit);
}

static void write_hit(const MnkSearchHit *hit, MnkJsonWriter *w) {
  const MnkCaption *caption = hit->caption;
  g_autofree char *picture = caption->picture_ms >= 0
                                 ? g_strdup_printf("/v1/streams/%s/frames/%" G_GINT64_FORMAT ".jpg",
                                                   caption->stream, caption->picture_ms)
                                 : NULL;
  mnk_json_begin_object(w, NULL);
  mnk_caption_write_json_to(caption, w, "caption");
  mnk_json_add_double(w, "score", hit->score, 6);
  mnk_json_add_string(w, "snippet", hit->snippet != NULL ? hit->snippet : caption->text);
  mnk_json_add_string(w, "picture", picture);
  mnk_json_end_object(w);
}

static gpointer search(MnkStore *store, gpointer data, GError **error) {
  g_autoptr(GPtrArray) hits = find(store, data, error);
  if (hits == NULL)
    return NULL;
  GString *out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "hits");
  for (guint i = 0; i < hits->len; i++)
    write_hit(g_ptr_array_index(hits, i), &w);
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  return out;
}

/* ---- the call ---- */

static void found(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  g_autoptr(Query) query = data;
  GString *json = result;
  if (call->request != NULL && json != NULL)
    mnk_answer_json(call->request, 200, json);
  else if (call->request != NULL)
    mnk_answer_gerror(call->request, error);
  if (json != NULL)
    g_string_free(json, TRUE);
}

static void start(Query *query) {
  g_autoptr(MnkCall) call = g_steal_pointer(&query->call);
  if (call->request == NULL)
    query_free(query);
  else
    mnk_call_run(call, search, found, query);
}

/* Words alone find something, too. */
static void embedded(const float *vector, guint n, const GError *error, gpointer user) {
  Query *query = user;
  if (vector != NULL) {
    query->vector = g_memdup2(vector, n * sizeof *vector);
    query->n = n;
  } else {
    mnk_warning("api", NULL, "event=query-not-embedded reason=\"%s\"", error->message);
  }
  start(query);
}

void mnk_handle_search(MnkCall *call) {
  Query *query = g_new0(Query, 1);
  query->call = mnk_call_ref(call);
  query->words = g_strdup(mnk_call_string(call, "q", ""));
  query->stream = g_strdup(mnk_call_string(call, "stream", NULL));
  query->from_ms = mnk_call_int(call, "from", 0);
  query->to_ms = mnk_call_int(call, "to", -1);
  query->limit = (guint)mnk_call_int(call, "limit", LIMIT);
  if (call->api->embedder != NULL)
    mnk_embedder_text(call->api->embedder, query->words, embedded, query);
  else
    start(query);
}
