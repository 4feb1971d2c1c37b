/* `manako send`: a video or a camera to a server's /ws/stream, captions back. The video is decoded
 * in a worker like everywhere else; this process sees JPEG only. */
#include "cli/cli.h"
#include "net/net.h"
#include "stream/stream.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
  BACKOFF_MIN_MS = 200,
  BACKOFF_MAX_MS = 5000,
  END_MS = 70000,  /* longest wait for the last captions: a server's model may take a minute */
  STOP_MS = 5000,  /* the same after Ctrl-C */
  OPEN_MS = 10000, /* longest wait for a connection and its greeting */
};

static const double FPS = 5; /* unless --fps is given */

typedef struct {
  const MnkSettings *settings;
  const char *url;
  gboolean binary;
  GMainLoop *loop;
  MnkOutput *output;
  MnkProgress *progress;

  MnkWorkers *workers;
  MnkStream *stream; /* reads the video; its captions are not wanted */
  gint64 start_us;   /* wall time of pts 0 */

  MnkWebSocket *ws; /* NULL: not connected */
  GCancellable *cancel;
  gboolean ready;  /* greeted: frames may be sent */
  char *remote;    /* the stream's id on the server; NULL: not known yet */
  gint64 last_seq; /* of the newest caption; 0: none yet */
  guint timer;     /* reconnect, or a deadline */
  guint attempts;  /* in a row */
  gboolean source_over, stopping, done;
  GError *failure;

  guint32 index;
  guint64 sent, bytes, acked, skipped, captions, errors, reconnects;
} Sender;

static void connect_now(Sender *sender);
static void finish(Sender *sender, GError *failure);

/* ---- frames out ---- */

static gboolean send_text(Sender *sender, const GString *text) {
  return mnk_websocket_send_text(sender->ws, text->str, text->len);
}

static gboolean send_binary_frame(Sender *sender, double timestamp, const guint8 *jpeg,
                                  gsize length) {
  g_autofree guint8 *packet = g_malloc(MNK_PACKET_HEADER + length);
  MnkPacketHeader header = {sender->index, timestamp, (guint32)length};
  mnk_packet_write(&header, packet);
  memcpy(packet + MNK_PACKET_HEADER, jpeg, length);
  return mnk_websocket_send_binary(sender->ws, packet, MNK_PACKET_HEADER + length);
}

static gboolean send_text_frame(Sender *sender, double timestamp, const guint8 *jpeg,
                                gsize length) {
  g_autoptr(GString) text = g_string_sized_new(length * 4 / 3 + 128);
  g_string_append_printf(text, "{\"type\":\"frame\",\"frame_index\":%u,\"timestamp\":%.6f,",
                         sender->index, timestamp);
  g_string_append(text, "\"image_base64\":\"");
  mnk_base64_encode(jpeg, length, text);
  g_string_append(text, "\"}");
  return send_text(sender, text);
}

static void on_frame(gint64 pts_ms, GBytes *jpeg, gpointer user) {
  Sender *sender = user;
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  if (sender->start_us == 0)
    sender->start_us = mnk_clock_wall_us(mnk_clock_system()) - 1000 * pts_ms;
  double timestamp = (double)(sender->start_us + 1000 * pts_ms) / 1e6;
  gboolean went =
      sender->ready && (sender->binary ? send_binary_frame(sender, timestamp, bytes, length)
                                       : send_text_frame(sender, timestamp, bytes, length));
  sender->index++;
  if (went)
    sender->sent++, sender->bytes += length;
  else
    sender->skipped++;
  g_autofree char *at = mnk_format_time_ms(pts_ms / 1000 * 1000);
  mnk_progress_show(sender->progress, "%s  %" G_GUINT64_FORMAT " frames sent%s", at, sender->sent,
                    sender->ready ? "" : ", no connection");
}

/* ---- the last words ---- */

static gboolean deadline_over(gpointer user) {
  Sender *sender = user;
  sender->timer = 0;
  finish(sender,
         g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s did not answer in time", sender->url));
  return G_SOURCE_REMOVE;
}

static void set_timer(Sender *sender, guint ms, GSourceFunc func) {
  g_clear_handle_id(&sender->timer, g_source_remove);
  sender->timer = g_timeout_add(ms, func, sender);
}

static void send_end(Sender *sender) {
  static const char END[] = "{\"type\":\"end\"}";
  if (!sender->ready)
    return; /* a connection that comes later says it then */
  mnk_websocket_send_text(sender->ws, END, sizeof END - 1);
  set_timer(sender, sender->stopping ? STOP_MS : END_MS, deadline_over);
}

static void on_source_ended(const GError *error, gpointer user) {
  Sender *sender = user;
  sender->source_over = TRUE;
  if (error != NULL && sender->failure == NULL &&
      !g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED))
    sender->failure = g_error_copy(error);
  send_end(sender);
}

static void finish(Sender *sender, GError *failure) {
  if (failure != NULL && sender->failure == NULL && !sender->stopping)
    sender->failure = failure;
  else
    g_clear_error(&failure);
  sender->done = TRUE;
  g_main_loop_quit(sender->loop);
}

static gboolean on_signal(gpointer user) {
  Sender *sender = user;
  if (sender->stopping || !sender->ready) {
    sender->stopping = TRUE;
    finish(sender, NULL);
    return G_SOURCE_CONTINUE;
  }
  sender->stopping = TRUE;
  mnk_stream_stop(sender->stream);
  return G_SOURCE_CONTINUE;
}

/* ---- messages in ---- */

static void print_caption(Sender *sender, const MnkJsonValue *message) {
  const MnkJsonValue *data = mnk_json_get(message, "data");
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkCaption) caption = mnk_caption_read_json(data, &error);
  if (caption == NULL) {
    mnk_warning("cli", sender->remote, "event=bad-caption reason=\"%s\"", error->message);
    return;
  }
  if ((gint64)caption->seq > sender->last_seq)
    sender->last_seq = (gint64)caption->seq;
  if (!caption->final)
    return;
  sender->captions++;
  mnk_progress_hide(sender->progress);
  if (!mnk_output_write(sender->output, caption, &error))
    finish(sender, g_steal_pointer(&error));
}

static void on_greeted(Sender *sender, const MnkJsonValue *message) {
  const char *id = mnk_json_string(mnk_json_get(message, "stream"), NULL);
  if (id != NULL && sender->remote == NULL)
    sender->remote = g_strdup(id);
  sender->ready = TRUE;
  sender->attempts = 0;
  g_clear_handle_id(&sender->timer, g_source_remove);
  if (sender->source_over)
    send_end(sender);
}

static void on_error_message(Sender *sender, const MnkJsonValue *message) {
  g_autofree char *detail =
      mnk_text_escape(mnk_json_string(mnk_json_get(message, "detail"), "no reason given"));
  sender->errors++;
  if (!sender->ready) /* the greeting was refused: it will not be otherwise next time */
    finish(sender, g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "the server says: %s", detail));
  else
    mnk_warning("cli", sender->remote, "event=server-error detail=\"%s\"", detail);
}

static void on_message(MnkWebSocket *ws, gboolean text, const guint8 *bytes, gsize length,
                       gpointer user) {
  Sender *sender = user;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = text ? mnk_json_parse((const char *)bytes, length, NULL, &error) : NULL;
  if (json == NULL) {
    mnk_warning("cli", sender->remote, "event=bad-message");
    return;
  }
  const MnkJsonValue *root = mnk_json_root(json);
  const char *type = mnk_json_string(mnk_json_get(root, "type"), "");
  if (g_str_equal(type, "ack"))
    sender->acked += (guint64)MAX(mnk_json_int(mnk_json_get(root, "frames"), 1), 0);
  else if (g_str_equal(type, "caption"))
    print_caption(sender, root);
  else if (g_str_equal(type, "hello") || g_str_equal(type, "resume"))
    on_greeted(sender, root);
  else if (g_str_equal(type, "error"))
    on_error_message(sender, root);
}

/* ---- the connection ---- */

static gboolean reconnect(gpointer user) {
  Sender *sender = user;
  sender->timer = 0;
  connect_now(sender);
  return G_SOURCE_REMOVE;
}

static void lost(Sender *sender, const char *why) {
  guint most = (guint)mnk_settings_int(sender->settings, MNK_OPT_RECONNECT_MAX);
  sender->ws = NULL;
  sender->ready = FALSE;
  if (sender->done)
    return;
  if (sender->attempts++ >= most) {
    finish(sender, g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "%s: %s", sender->url, why));
    return;
  }
  guint wait_ms = MIN(BACKOFF_MIN_MS << MIN(sender->attempts - 1, 8), BACKOFF_MAX_MS);
  mnk_warning("cli", sender->remote, "event=connection-lost reason=\"%s\" again_ms=%u", why,
              wait_ms);
  set_timer(sender, wait_ms, reconnect);
}

static void on_closed(MnkWebSocket *ws, guint code, const char *reason, gpointer user) {
  Sender *sender = user;
  gboolean was_ready = sender->ready;
  sender->ws = NULL;
  sender->ready = FALSE;
  if (sender->source_over && was_ready && code == MNK_WS_NORMAL) {
    finish(sender, NULL);
  } else if (code == MNK_WS_POLICY) {
    finish(sender, g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "the server refused: %s", reason));
  } else {
    g_autofree char *why = g_strdup_printf("closed with %u %s", code, reason);
    sender->reconnects += was_ready;
    lost(sender, g_strstrip(why));
  }
}

static gboolean greeting_late(gpointer user) {
  Sender *sender = user;
  sender->timer = 0;
  mnk_websocket_cut(sender->ws);
  return G_SOURCE_REMOVE;
}

static void greet(Sender *sender) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", sender->remote != NULL ? "resume" : "hello");
  if (sender->remote != NULL) {
    mnk_json_add_string(&w, "stream", sender->remote);
    mnk_json_add_int(&w, "last_seq", sender->last_seq);
  } else if (mnk_settings_is_set(sender->settings, MNK_OPT_STREAM)) {
    mnk_json_add_string(&w, "stream", mnk_settings_string(sender->settings, MNK_OPT_STREAM));
  }
  if (sender->remote == NULL)
    mnk_json_add_bool(&w, "binary", sender->binary);
  mnk_json_end_object(&w);
  send_text(sender, text);
  set_timer(sender, OPEN_MS, greeting_late);
}

static void on_opened(MnkWebSocket *ws, const GError *error, gpointer user) {
  Sender *sender = user;
  if (sender->done)
    return;
  if (ws == NULL && g_error_matches(error, MNK_ERROR, MNK_ERROR_SOURCE)) {
    lost(sender, error->message);
    return;
  }
  if (ws == NULL) { /* it will not be otherwise next time */
    finish(sender, g_error_new(MNK_ERROR, error->code, "%s: %s", sender->url, error->message));
    return;
  }
  sender->ws = ws;
  greet(sender);
}

static void connect_now(Sender *sender) {
  static const MnkWebSocketEvents EVENTS = {on_message, NULL, on_closed};
  const char *key = mnk_settings_string(sender->settings, MNK_OPT_KEY);
  g_autofree char *line = key != NULL ? g_strdup_printf("Authorization: Bearer %s", key) : NULL;
  const char *const headers[] = {line, NULL};
  MnkWebSocketConfig config = mnk_websocket_config_default;
  config.backlog_max = 8 << 20; /* a frame is skipped when the line is slower than the camera */
  mnk_websocket_connect(sender->url, headers, &config, &EVENTS, sender->cancel, on_opened, sender);
}

/* ---- the command ---- */

static void ignore_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
}

/* The video's pictures at the asked rate, and nothing looked at. */
static gboolean open_video(Sender *sender, const char *source, GError **error) {
  static const MnkStreamEvents EVENTS = {
      .caption = ignore_caption, .preview = on_frame, .ended = on_source_ended};
  const MnkSettings *settings = sender->settings;
  g_autoptr(MnkSettings) own = mnk_settings_copy(settings);
  if (!mnk_settings_set(own, MNK_OPT_STUB_MODEL, "true", error) ||
      !mnk_settings_set(own, MNK_OPT_REALTIME, "true", error) ||
      !mnk_settings_set(own, MNK_OPT_BACKEND, "template", error) ||
      !mnk_settings_set(own, MNK_OPT_FPS, "0.01", error))
    return FALSE;
  sender->workers = mnk_workers_new(own);
  MnkStreamConfig config = {
      .workers = sender->workers, .id = "send", .source = source, .settings = own, .trusted = TRUE};
  sender->stream = mnk_stream_new(&config, &EVENTS, sender, error);
  if (sender->stream == NULL)
    return FALSE;
  double fps =
      mnk_settings_is_set(settings, MNK_OPT_FPS) ? mnk_settings_double(settings, MNK_OPT_FPS) : FPS;
  mnk_stream_set_preview(sender->stream, fps, (int)mnk_settings_int(settings, MNK_OPT_SEND_SIZE));
  return mnk_stream_start(sender->stream, error);
}

static const char *video_of(const MnkSettings *settings, char **rest, GError **error) {
  const char *named = mnk_settings_string(settings, MNK_OPT_VIDEO);
  if (named != NULL && rest[0] != NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "the video is named twice, by --video and as an argument");
    return NULL;
  }
  if (named == NULL && rest[0] == NULL)
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "name what is to be sent: --video FILE, or --video camera");
  return named != NULL ? named : rest[0];
}

static void write_stats(const Sender *sender) {
  if (!mnk_settings_bool(sender->settings, MNK_OPT_STATS)) {
    fprintf(stderr,
            "%" G_GUINT64_FORMAT " frames sent (%.1f MB), %" G_GUINT64_FORMAT
            " acknowledged, %" G_GUINT64_FORMAT " skipped, %" G_GUINT64_FORMAT
            " captions, %" G_GUINT64_FORMAT " reconnects\n",
            sender->sent, (double)sender->bytes / 1e6, sender->acked, sender->skipped,
            sender->captions, sender->reconnects);
    return;
  }
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "stats");
  mnk_json_add_string(&w, "stream", sender->remote);
  mnk_json_add_int(&w, "sent", (gint64)sender->sent);
  mnk_json_add_int(&w, "bytes", (gint64)sender->bytes);
  mnk_json_add_int(&w, "acknowledged", (gint64)sender->acked);
  mnk_json_add_int(&w, "skipped", (gint64)sender->skipped);
  mnk_json_add_int(&w, "captions", (gint64)sender->captions);
  mnk_json_add_int(&w, "errors", (gint64)sender->errors);
  mnk_json_add_int(&w, "reconnects", (gint64)sender->reconnects);
  mnk_json_end_object(&w);
  fprintf(stderr, "%s\n", text->str);
}

static void tidy_up(Sender *sender) {
  mnk_progress_free(sender->progress);
  g_clear_handle_id(&sender->timer, g_source_remove);
  sender->done = TRUE;
  g_cancellable_cancel(sender->cancel);
  if (sender->ws != NULL)
    mnk_websocket_cut(sender->ws);
  while (g_main_context_iteration(NULL, FALSE)) /* what was cancelled says so */
    ;
  mnk_stream_free(sender->stream);
  mnk_workers_free(sender->workers);
  mnk_output_free(sender->output);
  g_object_unref(sender->cancel);
  g_main_loop_unref(sender->loop);
  g_free(sender->remote);
}

static gboolean check_stream(const MnkSettings *settings, GError **error) {
  const char *id = mnk_settings_string(settings, MNK_OPT_STREAM);
  if (id == NULL || mnk_stream_id_is_valid(id))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
              "the stream id \"%s\" may have 1 to 64 letters, digits, '-' and '_'", id);
  return FALSE;
}

/* The prototype's --gemini: nothing but the captions, as JSON. */
static MnkSettings *own_settings(const MnkSettings *settings) {
  MnkSettings *own = mnk_settings_copy(settings);
  if (mnk_settings_bool(own, MNK_OPT_GEMINI_ONLY))
    mnk_settings_set(own, MNK_OPT_FORMAT, "jsonl", NULL);
  return own;
}

static gboolean run(const MnkSettings *given, char **rest, GError **error) {
  g_autoptr(MnkSettings) settings = own_settings(given);
  const char *source = video_of(settings, rest, error);
  if (source == NULL || !check_stream(settings, error))
    return FALSE;
  Sender sender = {
      .settings = settings,
      .url = mnk_settings_string(settings, MNK_OPT_SERVER),
      .binary = mnk_settings_bool(settings, MNK_OPT_BINARY),
      .loop = g_main_loop_new(NULL, FALSE),
      .cancel = g_cancellable_new(),
  };
  guint on_int = g_unix_signal_add(SIGINT, on_signal, &sender);
  guint on_term = g_unix_signal_add(SIGTERM, on_signal, &sender);
  sender.output = mnk_output_open(settings, &sender.failure);
  if (sender.output != NULL && open_video(&sender, source, &sender.failure)) {
    sender.progress = mnk_progress_new(mnk_settings_bool(settings, MNK_OPT_PROGRESS));
    connect_now(&sender);
    g_main_loop_run(sender.loop);
    mnk_progress_hide(sender.progress);
    write_stats(&sender);
    mnk_output_close(sender.output, sender.failure == NULL ? &sender.failure : NULL);
  }
  g_source_remove(on_int);
  g_source_remove(on_term);
  GError *failure = g_steal_pointer(&sender.failure);
  if (failure == NULL && sender.stopping)
    failure = g_error_new_literal(MNK_ERROR, MNK_ERROR_CANCELLED, "stopped");
  tidy_up(&sender);
  if (failure == NULL)
    return TRUE;
  g_propagate_error(error, failure);
  return FALSE;
}

const MnkCommand mnk_command_send = {
    .name = "send",
    .set = MNK_COMMAND_SEND,
    .arguments = "[VIDEO]",
    .summary = "Send a video or a camera to a server and print its captions",
    .details = "VIDEO is a file or camera (also as --video). Frames go out at the speed of the "
               "video's own clock, 5 a second unless --fps says otherwise; captions are printed as "
               "they come. A lost connection is made again, and the stream goes on where it was.",
    .min_rest = 0,
    .max_rest = 1,
    .run = run,
};
