/* hello and resume: which stream a connection is for. What the store knows of it is read first;
 * until then the socket is not read. */
#include "api/session_priv.h"

enum { SCAN_PAGE = 512, CAPTION_ID_MAX = 64 };

typedef struct {
  MnkSession *session;
  gboolean resume;
  char *id;
  MnkJson *json;    /* hello: the message, for its params */
  char *caption_id; /* resume: the last that the client has; NULL: by seq */
  guint64 last_seq;
  MnkStreamRow *row; /* NULL: the store does not know it */
} Open;

static void open_free(Open *open) {
  mnk_session_unref(open->session);
  mnk_json_free(open->json);
  mnk_stream_row_free(open->row);
  g_free(open->caption_id);
  g_free(open->id);
  g_free(open);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Open, open_free)

/* ---- answers ---- */

static void answer_hello(MnkSession *session) {
  const MnkSettings *settings = session->api->settings;
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "hello");
  mnk_json_add_string(&w, "stream", session->entry->id);
  mnk_json_add_bool(&w, "binary", session->binary);
  mnk_json_begin_object(&w, "limits");
  mnk_json_add_int(&w, "message_bytes", mnk_settings_int(settings, MNK_OPT_MESSAGE_MAX));
  mnk_json_add_int(&w, "frame_bytes", mnk_settings_int(settings, MNK_OPT_FRAME_MAX));
  mnk_json_add_int(&w, "pixels", mnk_settings_int(settings, MNK_OPT_MAX_PIXELS));
  mnk_json_end_object(&w);
  mnk_params_write(session->entry->settings, &w, "params");
  mnk_json_end_object(&w);
  mnk_session_send(session, json);
}

static void answer_resume(MnkSession *session, guint64 last_seq) {
  const MnkEntry *entry = session->entry;
  gint64 clock_ms = entry->stream != NULL ? mnk_stream_clock_ms(entry->stream) : entry->clock_ms;
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "resume");
  mnk_json_add_string(&w, "stream", entry->id);
  mnk_json_add_int(&w, "last_seq", (gint64)last_seq);
  mnk_json_add_int(&w, "clock_ms", MAX(clock_ms, 0));
  mnk_json_end_object(&w);
  mnk_session_send(session, json);
}

/* ---- in the store ---- */

/* -1: none */
static gint64 number_of(const char *id) {
  gint64 number = 0;
  return g_ascii_string_to_signed(id, 10, 0, G_MAXINT64, &number, NULL) ? number : -1;
}

/* The seq that a client has reached whose last caption is this one. A caption that was never kept
 * is stood in for by those before it. */
static gboolean find_seq(MnkStore *store, Open *open, GError **error) {
  gint64 wanted = number_of(open->caption_id);
  guint64 seq = 0, reached = 0;
  guint n;
  do {
    g_autoptr(GPtrArray) page = mnk_store_captions_since(store, open->id, seq, SCAN_PAGE, error);
    if (page == NULL)
      return FALSE;
    n = page->len;
    for (guint i = 0; i < n; i++) {
      const MnkCaption *caption = g_ptr_array_index(page, i);
      seq = caption->seq;
      if (g_str_equal(caption->id, open->caption_id) ||
          (wanted >= 0 && number_of(caption->id) >= 0 && number_of(caption->id) <= wanted))
        reached = seq;
    }
  } while (n == SCAN_PAGE);
  open->last_seq = reached;
  return TRUE;
}

/* Of the row it is no failure that there is none. */
static gpointer look_up(MnkStore *store, gpointer data, GError **error) {
  Open *open = data;
  g_autoptr(GError) failure = NULL;
  open->row = mnk_store_stream(store, open->id, &failure);
  if (open->row == NULL && !g_error_matches(failure, MNK_ERROR, MNK_ERROR_NOT_FOUND)) {
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
  }
  if (open->row == NULL || open->caption_id == NULL)
    return NULL;
  find_seq(store, open, error);
  return NULL;
}

/* ---- joining ---- */

static gboolean owns(const MnkSession *session, const MnkStreamRow *row, GError **error) {
  g_autofree char *owner = mnk_spec_owner(row->spec);
  if (g_strcmp0(owner, session->key != NULL ? session->key->name : NULL) == 0)
    return TRUE;
  g_set_error(error, MNK_STATUS_ERROR, 403, "stream \"%s\" belongs to another key", row->id);
  return FALSE;
}

/* One that ran before goes on; after a hello on a clock of its own. */
static gboolean begin_known(Open *open, GError **error) {
  MnkSession *session = open->session;
  g_auto(MnkSpec) spec = {0};
  g_autoptr(MnkSettings) settings = mnk_settings_copy(mnk_registry_base(session->api->registry));
  const char *text = mnk_registry_spec(session->api->registry, open->row);
  if (!owns(session, open->row, error) ||
      !mnk_spec_read(session->api, text, settings, &spec, error))
    return FALSE;
  if (spec.kind != MNK_SPEC_PUSH) {
    g_set_error(error, MNK_STATUS_ERROR, 409, "stream \"%s\" takes no frames: its source was %s",
                open->id, mnk_spec_kind_name(spec.kind));
    return FALSE;
  }
  if (!open->resume)
    spec.time_zero = 0;
  mnk_settings_free(session->settings);
  session->settings = g_steal_pointer(&settings);
  guint64 since = open->resume ? MIN(open->last_seq, open->row->last_seq) : open->row->last_seq;
  return mnk_session_begin(session, open->id, &spec, open->row, (gint64)since, error);
}

static gboolean begin_new(Open *open, GError **error) {
  g_auto(MnkSpec) spec = {0};
  if (open->resume) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "stream \"%s\" is not known", open->id);
    return FALSE;
  }
  return mnk_spec_resolve(open->session->api, MNK_SOURCE_PUSH, FALSE, &spec, error) &&
         mnk_session_begin(open->session, open->id, &spec, NULL, 0, error);
}

static gboolean join_running(Open *open, MnkEntry *entry, GError **error) {
  guint64 last = mnk_hub_last_seq(entry->hub);
  guint64 since = open->resume ? MIN(open->last_seq, last) : last;
  return mnk_session_join(open->session, entry, (gint64)since, open->resume, error);
}

static gboolean apply_params(Open *open, GError **error) {
  MnkEntry *entry = open->session->entry;
  const MnkJsonValue *params =
      open->json != NULL ? mnk_json_get(mnk_json_root(open->json), "params") : NULL;
  if (params == NULL)
    return TRUE;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(entry->settings);
  return mnk_params_apply(settings, params, TRUE, error) && mnk_entry_set(entry, settings, error);
}

static void go(Open *open) {
  MnkSession *session = open->session;
  MnkEntry *entry = mnk_registry_find(session->api->registry, open->id);
  g_autoptr(GError) error = NULL;
  gboolean joined = entry != NULL       ? join_running(open, entry, &error)
                    : open->row != NULL ? begin_known(open, &error)
                                        : begin_new(open, &error);
  if (!joined) {
    mnk_session_error(session, error, NULL);
    return;
  }
  if (!open->resume && !apply_params(open, &error))
    mnk_session_error(session, error, NULL);
  if (open->resume)
    answer_resume(session, open->last_seq);
  else
    answer_hello(session);
  if (session->reader != NULL)
    mnk_reader_start(session->reader);
}

static void looked_up(gpointer result, const GError *error, gpointer data) {
  g_autoptr(Open) open = data;
  MnkSession *session = open->session;
  if (session->ws == NULL || session->over)
    return;
  if (error != NULL)
    mnk_session_error(session, error, NULL);
  else
    go(open);
  if (session->ws != NULL)
    mnk_websocket_pause(session->ws, FALSE);
}

/* Takes open. */
static void start(Open *open) {
  mnk_websocket_pause(open->session->ws, TRUE);
  mnk_store_run(open->session->api->store, look_up, looked_up, open);
}

/* ---- messages ---- */

static gboolean may_open(MnkSession *session, const char *id, GError **error) {
  if (id != NULL && !mnk_stream_id_is_valid(id)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "stream must be an id of 1 to 64 letters, digits, '-' and '_'");
    return FALSE;
  }
  if (session->entry == NULL)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "this connection is that of the stream \"%s\" already", session->entry->id);
  return FALSE;
}

static gboolean begin_own(MnkSession *session, GError **error) {
  g_auto(MnkSpec) spec = {0};
  g_autofree char *id = mnk_random_id(MNK_SOURCE_PUSH);
  return mnk_spec_resolve(session->api, MNK_SOURCE_PUSH, FALSE, &spec, error) &&
         mnk_session_begin(session, id, &spec, NULL, 0, error);
}

static gboolean hello(MnkSession *session, MnkPushMessage *message, GError **error) {
  const MnkJsonValue *root = mnk_json_root(message->json), *params = NULL;
  const char *id = NULL;
  gboolean binary = FALSE;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(mnk_session_settings(session));
  if (!mnk_json_get_string(root, "stream", MNK_JSON_OPTIONAL, 256, &id, error) ||
      !mnk_json_get_bool(root, "binary", MNK_JSON_OPTIONAL, &binary, error) ||
      !mnk_json_get_object(root, "params", MNK_JSON_OPTIONAL, &params, error) ||
      (params != NULL && !mnk_params_apply(settings, params, FALSE, error)) ||
      !may_open(session, id, error))
    return FALSE;
  session->binary = binary;
  mnk_settings_free(session->settings);
  session->settings = g_steal_pointer(&settings);
  if (id == NULL) {
    if (!begin_own(session, error))
      return FALSE;
    answer_hello(session);
    mnk_reader_start(session->reader);
    return TRUE;
  }
  Open *open = g_new0(Open, 1);
  open->session = mnk_session_ref(session);
  open->id = g_strdup(id);
  open->json = g_steal_pointer(&message->json);
  start(open);
  return TRUE;
}

void mnk_session_hello(MnkSession *session, MnkPushMessage *message) {
  g_autoptr(GError) error = NULL;
  if (!hello(session, message, &error))
    mnk_session_error(session, error, NULL);
}

static gboolean resume(MnkSession *session, const MnkJsonValue *root, GError **error) {
  const char *id = NULL, *caption_id = NULL;
  gint64 last_seq = 0;
  gboolean by_number = mnk_json_type(mnk_json_get(root, "last_caption_id")) == MNK_JSON_INT;
  if (!mnk_json_get_string(root, "stream", MNK_JSON_REQUIRED, 256, &id, error) ||
      (!by_number && !mnk_json_get_string(root, "last_caption_id", MNK_JSON_OPTIONAL,
                                          CAPTION_ID_MAX, &caption_id, error)) ||
      !mnk_json_get_int(root, "last_seq", MNK_JSON_OPTIONAL, 0, G_MAXINT64, &last_seq, error) ||
      !may_open(session, id, error))
    return FALSE;
  Open *open = g_new0(Open, 1);
  open->session = mnk_session_ref(session);
  open->resume = TRUE;
  open->id = g_strdup(id);
  open->last_seq = (guint64)last_seq;
  if (by_number)
    open->caption_id = g_strdup_printf("%" G_GINT64_FORMAT,
                                       mnk_json_int(mnk_json_get(root, "last_caption_id"), 0));
  else if (mnk_json_get(root, "last_seq") == NULL)
    open->caption_id = g_strdup(caption_id);
  start(open);
  return TRUE;
}

void mnk_session_resume(MnkSession *session, MnkPushMessage *message) {
  g_autoptr(GError) error = NULL;
  if (!resume(session, mnk_json_root(message->json), &error))
    mnk_session_error(session, error, NULL);
}
