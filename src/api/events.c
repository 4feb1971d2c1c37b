/* Readers of events: server-sent events, and the same over a WebSocket. */
#include "api/streams_priv.h"

#include <string.h>

static const char NO_STREAM[] = "there is no stream of that id";

/* ---- what both have ---- */

typedef struct {
  MnkEntry *entry;   /* NULL: the stream has ended */
  MnkReader *reader; /* NULL: gone */
  MnkWriter *writer; /* one of the two */
  MnkWebSocket *ws;
} Listener;

static void listener_free(Listener *listener) {
  mnk_reader_free(g_steal_pointer(&listener->reader));
  if (listener->entry != NULL) {
    mnk_entry_audience(listener->entry);
    mnk_entry_unref(listener->entry);
  }
  g_free(listener);
}

/* The hub of a stream that does not run has nothing but the store behind it. */
static void listen_to(Listener *listener, MnkApi *api, const MnkStreamRow *row, gint64 since,
                      const MnkReaderEvents *events) {
  g_autoptr(MnkHub) hub = NULL;
  if (listener->entry != NULL) {
    hub = mnk_hub_ref(listener->entry->hub);
  } else {
    hub = mnk_hub_new(api->store, row->id);
    mnk_hub_open(hub, row->last_seq);
    mnk_hub_end(hub, "the stream has ended");
  }
  listener->reader = mnk_reader_new(hub, MNK_EVENT_ALL, since, events, listener);
  if (listener->entry != NULL)
    mnk_entry_audience(listener->entry);
}

/* What a stream is like now, before its captions. */
static MnkEvent *first_state(Listener *listener, MnkApi *api, const MnkStreamRow *row) {
  g_assert(listener->entry != NULL || row != NULL);
  GString *data = g_string_new(NULL);
  const GString *words =
      listener->entry == NULL ? mnk_registry_ended(api->registry, row->id) : NULL;
  if (listener->entry != NULL)
    mnk_entry_write(listener->entry, data);
  else if (words != NULL)
    g_string_append_len(data, words->str, (gssize)words->len);
  else
    mnk_row_write(row, data);
  return mnk_event_new(MNK_EVENT_STATE, data);
}

static MnkEntry *find_entry(MnkApi *api, const char *id) {
  MnkEntry *entry = mnk_registry_find(api->registry, id);
  return entry != NULL ? mnk_entry_ref(entry) : NULL;
}

/* Where it goes on; -1: it does not say. */
static gint64 last_event_id(const MnkCall *call) {
  const char *header = mnk_request_header(call->request, "Last-Event-ID");
  gint64 number = -1;
  if (header != NULL && g_ascii_string_to_signed(header, 10, 0, G_MAXINT64, &number, NULL))
    return number;
  return mnk_call_int(call, "last_event_id", -1);
}

/* ---- server-sent events ---- */

static gboolean sse_send(MnkEvent *event, gpointer user) {
  return mnk_writer_write(((Listener *)user)->writer, mnk_event_bytes(event, MNK_FORM_SSE));
}

static void sse_cut(gpointer user) {
  Listener *listener = user;
  listener->reader = NULL;
  mnk_writer_cut(listener->writer);
  listener_free(listener);
}

static void sse_end(gpointer user) {
  Listener *listener = user;
  listener->reader = NULL;
  mnk_writer_end(listener->writer);
  listener_free(listener);
}

static void sse_writable(MnkWriter *writer, gpointer user) {
  mnk_reader_continue(((Listener *)user)->reader);
}

static void sse_closed(gpointer user) {
  listener_free(user);
}

static void serve_sse(MnkCall *call, const MnkStreamRow *row) {
  static const MnkWriterEvents WRITER = {sse_writable, sse_closed};
  static const MnkReaderEvents READER = {sse_send, sse_cut, sse_end};
  static const char RETRY[] = "retry: 1000\n\n";
  MnkApi *api = call->api;
  gint64 since = last_event_id(call);
  gsize backlog = (gsize)mnk_settings_int(api->settings, MNK_OPT_BACKLOG_MAX);
  Listener *listener = g_new0(Listener, 1);
  listener->entry = find_entry(api, call->id);
  mnk_request_set_answer_header(call->request, "Cache-Control", "no-store");
  mnk_request_set_answer_header(call->request, "X-Accel-Buffering", "no");
  listener->writer = mnk_request_answer_stream(call->request, 200, "text/event-stream", backlog,
                                               &WRITER, listener);
  g_autoptr(GBytes) retry = g_bytes_new_static(RETRY, strlen(RETRY));
  g_autoptr(MnkEvent) state = first_state(listener, api, row);
  mnk_writer_write(listener->writer, retry);
  sse_send(state, listener);
  listen_to(listener, api, row, since, &READER);
  mnk_reader_start(listener->reader);
}

static void sse_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    serve_sse(call, row);
}

void mnk_handle_events(MnkCall *call) {
  if (mnk_registry_find(call->api->registry, call->id) != NULL)
    serve_sse(call, NULL);
  else if (mnk_stream_id_is_valid(call->id))
    mnk_call_with_row(call, call->id, sse_row);
  else
    mnk_answer_error(call->request, 404, "not_found", NO_STREAM, NULL);
}

/* ---- WebSocket ---- */

static gboolean ws_send(MnkEvent *event, gpointer user) {
  gsize length = 0;
  const char *text = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_TEXT), &length);
  return mnk_websocket_send_text(((Listener *)user)->ws, text, length);
}

/* The listener goes when its socket is closed. */
static void ws_cut(gpointer user) {
  Listener *listener = user;
  listener->reader = NULL;
  mnk_websocket_cut(listener->ws);
}

static void ws_end(gpointer user) {
  Listener *listener = user;
  listener->reader = NULL;
  mnk_websocket_close(listener->ws, MNK_WS_NORMAL, "nothing more comes");
}

static void ws_message(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  /* nothing is asked of a listener */
}

static void ws_writable(MnkWebSocket *ws, gpointer user) {
  Listener *listener = user;
  if (listener->reader != NULL)
    mnk_reader_continue(listener->reader);
}

static void ws_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  listener_free(user);
}

void mnk_ws_config(const MnkSettings *settings, MnkWebSocketConfig *out) {
  *out = mnk_websocket_config_default;
  out->message_max = (gsize)mnk_settings_int(settings, MNK_OPT_MESSAGE_MAX);
  out->backlog_max = (gsize)mnk_settings_int(settings, MNK_OPT_BACKLOG_MAX);
  out->ping_ms = mnk_settings_int(settings, MNK_OPT_PING);
}

static void serve_ws(MnkCall *call, const MnkStreamRow *row) {
  static const MnkWebSocketEvents SOCKET = {ws_message, ws_writable, ws_closed};
  static const MnkReaderEvents READER = {ws_send, ws_cut, ws_end};
  MnkApi *api = call->api;
  const char *id = mnk_call_string(call, "stream", "");
  gint64 since = last_event_id(call);
  MnkWebSocketConfig config;
  mnk_ws_config(api->settings, &config);
  Listener *listener = g_new0(Listener, 1);
  listener->entry = find_entry(api, id);
  listener->ws = mnk_request_upgrade(call->request, NULL, &config, &SOCKET, listener);
  if (listener->ws == NULL) {
    listener_free(listener);
    return;
  }
  g_autoptr(MnkEvent) state = first_state(listener, api, row);
  ws_send(state, listener);
  listen_to(listener, api, row, since, &READER);
  mnk_reader_start(listener->reader);
}

static void ws_row(MnkCall *call, const MnkStreamRow *row, const GError *error) {
  if (row == NULL)
    mnk_answer_gerror(call->request, error);
  else
    serve_ws(call, row);
}

void mnk_handle_ws_events(MnkCall *call) {
  const char *id = mnk_call_string(call, "stream", "");
  if (mnk_registry_find(call->api->registry, id) != NULL)
    serve_ws(call, NULL);
  else if (mnk_stream_id_is_valid(id))
    mnk_call_with_row(call, id, ws_row);
  else
    mnk_answer_error(call->request, 404, "not_found", NO_STREAM, "stream");
}

/* ---- the table ---- */

static const MnkField EVENTS_QUERY[] = {
    {.name = "last_event_id",
     .type = MNK_FIELD_INT,
     .max = 9007199254740991.0,
     .help = "As the header Last-Event-ID: captions with a higher seq come first."},
    {0},
};

static const MnkField WS_EVENTS_QUERY[] = {
    {.name = "stream",
     .type = MNK_FIELD_STRING,
     .required = TRUE,
     .max = 64,
     .help = "The stream's id."},
    {.name = "last_event_id",
     .type = MNK_FIELD_INT,
     .max = 9007199254740991.0,
     .help = "Captions with a higher seq come first."},
    {0},
};

static const MnkField MJPEG_QUERY[] = {
    {.name = "fps",
     .type = MNK_FIELD_DOUBLE,
     .min = 0.1,
     .max = 30,
     .help = "At most this many pictures a second. Default: 5."},
    {.name = "size",
     .type = MNK_FIELD_INT,
     .min = 64,
     .max = 2048,
     .help = "Long side. Default: 640."},
    {0},
};

const MnkRoute mnk_routes_events[] = {
    {"GET", "/v1/streams/{id}/events", MNK_SCOPE_READ, EVENTS_QUERY, NULL, 200, "Events",
     "Events of a stream as they come, after a replay.", mnk_handle_events, 0},
    {"GET", "/v1/streams/{id}/video.mjpeg", MNK_SCOPE_READ, MJPEG_QUERY, NULL, 200,
     "multipart/x-mixed-replace", "Live picture.", mnk_handle_mjpeg, 0},
    {"GET", "/ws/events", MNK_SCOPE_READ, WS_EVENTS_QUERY, NULL, 101, NULL,
     "Events of a stream over a WebSocket.", mnk_handle_ws_events, 0},
    {"GET", "/ws/stream", MNK_SCOPE_INGEST, NULL, NULL, 101, NULL,
     "Frames in, captions out, over a WebSocket.", mnk_handle_ws_stream, 0},
    {0},
};
