/* Answers that take their time, whole or as server-sent events. */
#include "api/core_priv.h"
#include "api/questions_priv.h"

#include <string.h>

enum { BEAT_MS = 10000 };

struct _MnkReply {
  MnkCall *call;
  gboolean streamed;
  MnkWriter *writer; /* NULL before the first event, and once the client has gone */
  guint beat_timer;
  void (*gone)(gpointer user);
  gpointer user;
};

static void on_closed(MnkCall *call, gpointer user) {
  MnkReply *reply = user;
  reply->writer = NULL;
  reply->gone(reply->user);
}

static void begin(MnkReply *reply) {
  static const MnkWriterEvents NONE = {0};
  MnkRequest *request = reply->call->request;
  gsize backlog = (gsize)mnk_settings_int(reply->call->api->settings, MNK_OPT_BACKLOG_MAX);
  mnk_request_set_answer_header(request, "Cache-Control", "no-store");
  mnk_request_set_answer_header(request, "X-Accel-Buffering", "no");
  reply->writer =
      mnk_request_answer_stream(request, 200, "text/event-stream", backlog, &NONE, reply);
}

static gboolean write_text(MnkReply *reply, GString *text) {
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(text);
  if (reply->writer == NULL)
    begin(reply);
  return reply->writer != NULL && mnk_writer_write(reply->writer, bytes);
}

static gboolean on_beat(gpointer user) {
  MnkReply *reply = user;
  write_text(reply, g_string_new(": it is being worked on\n\n"));
  return G_SOURCE_CONTINUE;
}

MnkReply *mnk_reply_new(MnkCall *call, gboolean streamed, void (*gone)(gpointer user),
                        gpointer user) {
  MnkReply *reply = g_new0(MnkReply, 1);
  reply->call = mnk_call_ref(call);
  reply->streamed = streamed;
  reply->gone = gone;
  reply->user = user;
  if (streamed)
    reply->beat_timer = g_timeout_add(BEAT_MS, on_beat, reply);
  call->closed = on_closed;
  call->user = reply;
  return reply;
}

void mnk_reply_free(MnkReply *reply) {
  if (reply == NULL)
    return;
  g_clear_handle_id(&reply->beat_timer, g_source_remove);
  reply->call->closed = NULL;
  mnk_call_unref(reply->call);
  g_free(reply);
}

gboolean mnk_reply_is_streamed(const MnkReply *reply) {
  return reply->streamed;
}

/* The connection goes in the next turn of the loop, and tells of its end then. */
void mnk_reply_event(MnkReply *reply, const char *name, const char *data) {
  GString *text = g_string_sized_new(strlen(data) + 64);
  mnk_sse_write(text, -1, name, data);
  if (!write_text(reply, text) && reply->writer != NULL)
    mnk_writer_cut(g_steal_pointer(&reply->writer));
}

void mnk_reply_end(MnkReply *reply) {
  if (reply->writer != NULL)
    mnk_writer_end(reply->writer);
  mnk_reply_free(reply);
}

void mnk_reply_json(MnkReply *reply, guint status, const GString *json) {
  mnk_answer_json(reply->call->request, status, json);
  mnk_reply_free(reply);
}

void mnk_reply_error(MnkReply *reply, const GError *error) {
  if (reply->writer == NULL) {
    mnk_answer_gerror(reply->call->request, error);
    mnk_reply_free(reply);
    return;
  }
  g_autoptr(GString) json = g_string_new(NULL);
  mnk_error_write(reply->call, error, json);
  mnk_reply_event(reply, reply->call->route->flags & MNK_ROUTE_OPENAI ? NULL : "error", json->str);
  mnk_reply_end(reply);
}
