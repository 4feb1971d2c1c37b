/* /ws/stream: a connection's life, its messages, and the captions that go back. A bad message is
 * answered with a sentence; the connection stays. */
#include "api/core_priv.h"
#include "api/session_priv.h"

#include <string.h>

/* ---- saying ---- */

void mnk_session_send(MnkSession *session, const GString *json) {
  if (session->ws == NULL || mnk_websocket_send_text(session->ws, json->str, json->len))
    return;
  if (!session->over)
    mnk_websocket_cut(session->ws);
}

/* The member that a sentence begins with. Caller frees. */
static char *member_of(const char *message) {
  static const char *const MEMBERS[] = {"type",   "frame_index", "timestamp",       "image_base64",
                                        "stream", "binary",      "last_caption_id", "last_seq",
                                        "params"};
  /* "timestamp is missing", "JSON: \"stream\" must be ...", "JSON: the member \"stream\" is ..." */
  const char *quoted = g_str_has_prefix(message, "JSON: ") ? strchr(message, '"') : NULL;
  const char *start = quoted != NULL ? quoted + 1 : message;
  g_autofree char *word = g_strndup(start, strcspn(start, quoted != NULL ? "\"" : " :"));
  for (guint i = 0; i < G_N_ELEMENTS(MEMBERS); i++)
    if (g_str_equal(word, MEMBERS[i]))
      return g_steal_pointer(&word);
  if (g_str_has_prefix(message, "the type "))
    return g_strdup("type");
  return mnk_params_option(word) != NULL ? g_strconcat("params.", word, NULL) : NULL;
}

void mnk_session_error(MnkSession *session, const GError *error, const char *field) {
  g_autofree char *safe = mnk_text_escape(error->message); /* it may repeat what was sent */
  g_autofree char *member = field != NULL ? g_strdup(field) : member_of(error->message);
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "error");
  mnk_json_add_string(&w, "detail", safe);
  if (member != NULL)
    mnk_json_add_string(&w, "field", member);
  mnk_json_end_object(&w);
  mnk_session_send(session, json);
}

/* The last words: what was taken of the client is acknowledged before. */
static void say_goodbye(MnkSession *session, guint code, const char *reason) {
  mnk_session_send_acks(session);
  if (session->ws != NULL)
    mnk_websocket_close(session->ws, code, reason);
}

/* ---- captions ---- */

static gboolean reader_send(MnkEvent *event, gpointer user) {
  MnkSession *session = user;
  if ((event->kind & (MNK_EVENT_CAPTION | MNK_EVENT_WATCH)) == 0)
    return TRUE;
  gsize length = 0;
  const char *text = g_bytes_get_data(mnk_event_bytes(event, MNK_FORM_PUSH), &length);
  return session->ws == NULL || mnk_websocket_send_text(session->ws, text, length);
}

static void reader_cut(gpointer user) {
  MnkSession *session = user;
  session->reader = NULL;
  if (session->ws != NULL)
    mnk_websocket_cut(session->ws);
}

/* Every caption has been sent. */
static void reader_end(gpointer user) {
  MnkSession *session = user;
  session->reader = NULL;
  session->over = TRUE;
  if (session->ws == NULL)
    return;
  const MnkEntry *entry = session->entry;
  if (entry != NULL && entry->state == MNK_STATE_FAILED) {
    mnk_session_error(session, entry->failure, NULL);
    say_goodbye(session, MNK_WS_INTERNAL, "the stream has failed");
  } else if (session->api->draining) {
    say_goodbye(session, MNK_WS_GOING_AWAY, "the server is going down");
  } else {
    say_goodbye(session, MNK_WS_NORMAL, "the stream has ended");
  }
}

/* ---- a stream ---- */

static void leave(MnkSession *session) {
  mnk_reader_free(g_steal_pointer(&session->reader));
  g_autoptr(MnkEntry) entry = g_steal_pointer(&session->entry);
  if (entry != NULL)
    mnk_entry_detach(entry, session);
}

/* Another connection goes on with the stream. */
static void evict(gpointer client) {
  MnkSession *session = client;
  session->over = TRUE;
  leave(session);
  if (session->ws != NULL)
    say_goodbye(session, MNK_WS_POLICY, "another connection goes on with the stream");
}

gboolean mnk_session_join(MnkSession *session, MnkEntry *entry, gint64 since, gboolean take_over,
                          GError **error) {
  static const MnkReaderEvents READER = {reader_send, reader_cut, reader_end};
  MnkAttach attach = {.client = session,
                      .evict = evict,
                      .ready = mnk_session_ready,
                      .key = session->key,
                      .take_over = take_over};
  if (!mnk_entry_attach(entry, &attach, error))
    return FALSE;
  session->entry = mnk_entry_ref(entry);
  session->reader = mnk_reader_new(entry->hub, MNK_EVENT_CAPTION | MNK_EVENT_WATCH | MNK_EVENT_BYE,
                                   since, &READER, session);
  return TRUE;
}

gboolean mnk_session_begin(MnkSession *session, const char *id, MnkSpec *spec,
                           const MnkStreamRow *row, gint64 since, GError **error) {
  MnkRegistry *registry = session->api->registry;
  MnkBegin begin = {.id = id,
                    .spec = spec,
                    .settings = mnk_session_settings(session),
                    .key = session->key,
                    .row = row};
  MnkEntry *entry = mnk_registry_begin(registry, &begin, error);
  if (entry == NULL || !mnk_session_join(session, entry, since, FALSE, error))
    return FALSE;
  g_clear_pointer(&session->settings, mnk_settings_free);
  return TRUE;
}

/* ---- messages ---- */

const MnkSettings *mnk_session_settings(const MnkSession *session) {
  return session->entry != NULL      ? session->entry->settings
         : session->settings != NULL ? session->settings
                                     : mnk_registry_base(session->api->registry);
}

static void answer_params(MnkSession *session) {
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "params");
  mnk_params_write(mnk_session_settings(session), &w, "params");
  mnk_json_end_object(&w);
  mnk_session_send(session, json);
}

/* The message's own members are the parameters, or they stand in a member "params". */
static gboolean apply_params(const MnkJsonValue *message, MnkSettings *settings, gboolean live_only,
                             GError **error) {
  const MnkJsonValue *object = NULL;
  if (!mnk_json_get_object(message, "params", MNK_JSON_OPTIONAL, &object, error))
    return FALSE;
  g_autoptr(GString) text = g_string_new(NULL);
  if (object != NULL)
    return mnk_params_apply(settings, object, live_only, error);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_params_copy(message, "type", &w);
  mnk_json_end_object(&w);
  g_autoptr(MnkJson) json = mnk_json_parse(text->str, text->len, NULL, error);
  return json != NULL && mnk_params_apply(settings, mnk_json_root(json), live_only, error);
}

static void on_params(MnkSession *session, const MnkPushMessage *message) {
  const MnkJsonValue *root = mnk_json_root(message->json);
  g_autoptr(GError) error = NULL;
  MnkEntry *entry = session->entry;
  g_autoptr(MnkSettings) settings = mnk_settings_copy(mnk_session_settings(session));
  if (!apply_params(root, settings, entry != NULL, &error) ||
      (entry != NULL && !mnk_entry_set(entry, settings, &error))) {
    mnk_session_error(session, error, NULL);
    return;
  }
  if (entry == NULL) {
    mnk_settings_free(session->settings);
    session->settings = g_steal_pointer(&settings);
  }
  answer_params(session);
}

static void on_flush(MnkSession *session) {
  if (session->entry != NULL && session->entry->stream != NULL)
    mnk_stream_flush(session->entry->stream);
}

static void on_end(MnkSession *session) {
  session->over = TRUE;
  if (session->entry != NULL)
    mnk_entry_stop(session->entry);
  else
    say_goodbye(session, MNK_WS_NORMAL, "nothing was sent");
}

static void dispatch(MnkSession *session, MnkPushMessage *message) {
  switch (message->type) {
  case MNK_PUSH_FRAME:
    mnk_session_frame(session, message);
    break;
  case MNK_PUSH_FLUSH:
    on_flush(session);
    break;
  case MNK_PUSH_END:
    on_end(session);
    break;
  case MNK_PUSH_HELLO:
    mnk_session_hello(session, message);
    break;
  case MNK_PUSH_PARAMS:
    on_params(session, message);
    break;
  case MNK_PUSH_RESUME:
    mnk_session_resume(session, message);
    break;
  }
}

static void on_message(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  g_autoptr(MnkSession) session = mnk_session_ref(user);
  g_autoptr(GError) error = NULL;
  if (session->over)
    g_set_error_literal(&error, MNK_ERROR, MNK_ERROR_USAGE,
                        "the stream has ended; nothing more is taken");
  MnkPushMessage message;
  if (error == NULL && !text) {
    mnk_session_packet(session, bytes, length);
  } else if (error == NULL && mnk_push_read((const char *)bytes, length, &message, &error)) {
    dispatch(session, &message);
    mnk_push_message_clear(&message);
  }
  if (error != NULL)
    mnk_session_error(session, error, NULL);
}

/* ---- life ---- */

static void on_writable(MnkWebSocket *ws, gpointer user) {
  MnkSession *session = user;
  if (session->reader != NULL)
    mnk_reader_continue(session->reader);
}

static void on_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  MnkSession *session = user;
  g_hash_table_remove(session->api->sessions, session);
  session->ws = NULL;
  session->over = TRUE;
  g_clear_handle_id(&session->ack_timer, g_source_remove);
  leave(session);
  mnk_session_unref(session);
}

MnkSession *mnk_session_ref(MnkSession *session) {
  session->refs++;
  return session;
}

void mnk_session_unref(MnkSession *session) {
  if (session == NULL || --session->refs > 0)
    return;
  g_clear_pointer(&session->held, g_bytes_unref);
  mnk_settings_free(session->settings);
  if (session->key != NULL)
    mnk_key_unref(session->key);
  g_free(session);
}

void mnk_handle_ws_stream(MnkCall *call) {
  static const MnkWebSocketEvents SOCKET = {on_message, on_writable, on_closed};
  MnkWebSocketConfig config;
  mnk_ws_config(call->api->settings, &config);
  MnkSession *session = g_new0(MnkSession, 1);
  session->refs = 1;
  session->api = call->api;
  session->key = call->key != NULL ? mnk_key_ref(call->key) : NULL;
  session->frame_index = -1;
  session->ws = mnk_request_upgrade(call->request, NULL, &config, &SOCKET, session);
  if (session->ws == NULL)
    mnk_session_unref(session);
  else
    g_hash_table_add(call->api->sessions, session);
}

void mnk_sessions_go_away(MnkApi *api) {
  g_autoptr(GList) sessions = g_hash_table_get_keys(api->sessions);
  for (GList *at = sessions; at != NULL; at = at->next) {
    MnkSession *session = at->data;
    if (session->ws != NULL && !session->over)
      say_goodbye(session, MNK_WS_GOING_AWAY, "the server is going down");
    session->over = TRUE;
  }
}
