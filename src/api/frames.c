/* Key frames behind captions, and live pictures. */
#include "api/streams_priv.h"

#include <string.h>

enum { LIMIT = 1000, VIEW_SIZE = 640 };

static const double VIEW_FPS = 5;

typedef struct {
  char *id;
  gboolean known;        /* whatever the store has heard of it */
  gint64 from_ms, to_ms; /* of one picture: from_ms alone, < 0: the newest */
  guint limit;
} Query;

static void query_free(Query *query) {
  g_free(query->id);
  g_free(query);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Query, query_free)

static Query *query_new(const MnkCall *call) {
  Query *query = g_new0(Query, 1);
  query->id = g_strdup(call->id);
  query->known = mnk_registry_knows(call->api->registry, call->id);
  return query;
}

/* ---- the list ---- */

static gpointer list_frames(MnkStore *store, gpointer data, GError **error) {
  const Query *query = data;
  if (!query->known && !mnk_store_has_stream(store, query->id, error))
    return NULL;
  return mnk_store_pictures(store, query->id, query->from_ms, query->to_ms, query->limit, error);
}

static void frames_listed(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  g_autoptr(Query) query = data;
  g_autoptr(GArray) times = result;
  if (call->request == NULL)
    return;
  if (times == NULL) {
    mnk_answer_gerror(call->request, error);
    return;
  }
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "frames");
  for (guint i = 0; i < times->len; i++) {
    mnk_json_begin_object(&w, NULL);
    mnk_json_add_int(&w, "pts_ms", g_array_index(times, gint64, i));
    mnk_json_end_object(&w);
  }
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, out);
}

void mnk_handle_frames(MnkCall *call) {
  Query *query = query_new(call);
  query->from_ms = mnk_call_int(call, "from", 0);
  query->to_ms = mnk_call_int(call, "to", G_MAXINT64);
  query->limit = (guint)mnk_call_int(call, "limit", LIMIT);
  mnk_call_run(call, list_frames, frames_listed, query);
}

/* ---- one ---- */

static gpointer read_frame(MnkStore *store, gpointer data, GError **error) {
  const Query *query = data;
  return mnk_store_picture(store, query->id, query->from_ms, error);
}

static void answer_frame(MnkCall *call, GBytes *jpeg, gboolean newest) {
  mnk_request_set_answer_header(call->request, "Cache-Control",
                                newest ? "no-store" : "private, max-age=3600");
  mnk_request_answer(call->request, 200, "image/jpeg", jpeg);
}

static void frame_read(MnkCall *call, gpointer result, const GError *error, gpointer data) {
  g_autoptr(Query) query = data;
  g_autoptr(GBytes) jpeg = result;
  if (call->request == NULL)
    return;
  if (jpeg == NULL)
    mnk_answer_gerror(call->request, error);
  else
    answer_frame(call, jpeg, query->from_ms < 0);
}

/* "12000.jpg", "latest.jpg" (-1) */
static gboolean parse_name(const char *name, gint64 *pts_ms) {
  *pts_ms = -1;
  if (!g_str_has_suffix(name, ".jpg"))
    return FALSE;
  g_autofree char *stem = g_strndup(name, strlen(name) - strlen(".jpg"));
  guint64 number = 0;
  if (g_str_equal(stem, "latest"))
    return TRUE;
  if (!g_ascii_string_to_unsigned(stem, 10, 0, G_MAXINT64, &number, NULL))
    return FALSE;
  *pts_ms = (gint64)number;
  return TRUE;
}

void mnk_handle_frame(MnkCall *call) {
  gint64 pts_ms;
  if (!parse_name(call->rest, &pts_ms)) {
    mnk_answer_error(
        call->request, 404, "not_found",
        "frames are named by their time in milliseconds, as in 12000.jpg, or latest.jpg", NULL);
    return;
  }
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  GBytes *latest = entry != NULL && pts_ms < 0 ? mnk_viewers_latest(entry->viewers) : NULL;
  if (latest != NULL) {
    answer_frame(call, latest, TRUE);
    return;
  }
  Query *query = query_new(call);
  query->from_ms = pts_ms;
  mnk_call_run(call, read_frame, frame_read, query);
}

/* ---- live ---- */

void mnk_handle_mjpeg(MnkCall *call) {
  MnkEntry *entry = mnk_registry_find(call->api->registry, call->id);
  if (entry == NULL) {
    mnk_answer_error(call->request, 404, "not_found", "no stream of that id runs", NULL);
    return;
  }
  mnk_viewers_add(entry->viewers, call->request, mnk_call_double(call, "fps", VIEW_FPS),
                  (int)mnk_call_int(call, "size", VIEW_SIZE));
}
