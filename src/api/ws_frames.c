/* Frames of /ws/stream and what is said about them. */
#include "api/session_priv.h"

enum {
  ACK_BACKLOG = 16 * 1024, /* above it, one ack speaks for several frames */
  ACK_AGAIN_MS = 50,
};

/* ---- acks ---- */

static gboolean acks_are_due(gpointer user);

void mnk_session_send_acks(MnkSession *session) {
  g_clear_handle_id(&session->ack_timer, g_source_remove);
  if (session->acks == 0 || session->ws == NULL)
    return;
  g_autoptr(GString) json = g_string_sized_new(96);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_string(&w, "type", "ack");
  mnk_json_add_int(&w, "frame_count", session->frame_count);
  mnk_json_add_int(&w, "frames", session->acks);
  if (session->frame_index >= 0)
    mnk_json_add_int(&w, "frame_index", session->frame_index);
  mnk_json_end_object(&w);
  session->acks = 0;
  mnk_session_send(session, json);
}

/* Acks wait while the client is behind with its reading, and leave room for what must be said. */
static void send_acks_with_room(MnkSession *session) {
  gint64 most = mnk_settings_int(session->api->settings, MNK_OPT_BACKLOG_MAX) / 2;
  if (session->ws == NULL ||
      mnk_websocket_backlog(session->ws) <= (gsize)MIN(most, (gint64)ACK_BACKLOG))
    mnk_session_send_acks(session);
  else if (session->ack_timer == 0)
    session->ack_timer = g_timeout_add(ACK_AGAIN_MS, acks_are_due, session);
}

static gboolean acks_are_due(gpointer user) {
  MnkSession *session = user;
  session->ack_timer = 0;
  send_acks_with_room(session);
  return G_SOURCE_REMOVE;
}

static void acknowledge(MnkSession *session, gint64 index, guint buffered) {
  session->acks++;
  session->frame_count = buffered;
  session->frame_index = index;
  send_acks_with_room(session);
}

/* ---- frames ---- */

/* A stream of its own for a client that has said nothing of one; not for what is no picture. */
static gboolean have_entry(MnkSession *session, const guint8 *jpeg, gsize length, GError **error) {
  MnkJpegInfo info;
  if (session->entry != NULL)
    return TRUE;
  if (!mnk_jpeg_probe(jpeg, length, &info, error))
    return FALSE;
  g_auto(MnkSpec) spec = {0};
  g_autofree char *id = mnk_random_id(MNK_SOURCE_PUSH);
  if (!mnk_spec_resolve(session->api, MNK_SOURCE_PUSH, FALSE, &spec, error) ||
      !mnk_session_begin(session, id, &spec, NULL, 0, error))
    return FALSE;
  mnk_reader_start(session->reader);
  return TRUE;
}

static void show(MnkEntry *entry, const MnkPushFrame *frame) {
  if (mnk_viewers_count(entry->viewers) == 0)
    return;
  g_autoptr(GBytes) picture = g_bytes_new(frame->jpeg, frame->length);
  double pts_ms = (frame->timestamp - entry->spec.time_zero) * 1000;
  mnk_viewers_show(entry->viewers, (gint64)(MAX(pts_ms, 0) + 0.5), picture);
}

/* The worker has not opened the stream yet: nothing is read until it has. */
static void hold(MnkSession *session, const MnkPushFrame *frame) {
  session->held = g_bytes_new(frame->jpeg, frame->length);
  session->held_frame = *frame;
  session->held_frame.jpeg = g_bytes_get_data(session->held, NULL);
  mnk_websocket_pause(session->ws, TRUE);
}

static void push(MnkSession *session, const MnkPushFrame *frame) {
  g_autoptr(GError) error = NULL;
  if (session->entry->state == MNK_STATE_STARTING) {
    hold(session, frame);
    return;
  }
  MnkEntry *entry = session->entry;
  guint buffered = 0;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  if (session->key != NULL && !mnk_key_take_frame(session->key, frame->length, now_us, &error)) {
    entry->refused++;
    mnk_session_error(session, error, NULL);
    return;
  }
  if (!mnk_entry_push(entry, frame, &buffered, &error)) {
    /* what is wrong with a frame is its time or its picture */
    gboolean picture = error->domain == MNK_ERROR && error->code != MNK_ERROR_USAGE &&
                       !g_str_has_prefix(error->message, "timestamp");
    mnk_session_error(session, error, picture && !session->binary ? "image_base64" : NULL);
    return;
  }
  show(entry, frame);
  acknowledge(session, frame->index, buffered);
}

void mnk_session_ready(gpointer user) {
  MnkSession *session = user;
  g_autoptr(GBytes) held = g_steal_pointer(&session->held);
  if (held == NULL || session->ws == NULL)
    return;
  push(session, &session->held_frame);
  mnk_websocket_pause(session->ws, FALSE);
}

static void refuse(MnkSession *session, const GError *error, const char *field) {
  if (session->entry != NULL)
    session->entry->refused++;
  mnk_session_error(session, error, field);
}

static gboolean decode(MnkSession *session, const MnkPushMessage *message, const guint8 **jpeg,
                       gsize *length, GError **error) {
  gsize most = (gsize)mnk_settings_int(session->api->settings, MNK_OPT_FRAME_MAX);
  gsize size = mnk_base64_max_decoded(message->image_length);
  /* up to two bytes of it may be padding */
  if (size > most + 2) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "image_base64 holds %" G_GSIZE_FORMAT " bytes; frame_max is %" G_GSIZE_FORMAT, size,
                most);
    return FALSE;
  }
  guint8 *scratch = mnk_registry_scratch(session->api->registry, MAX(size, 1));
  if (!mnk_base64_decode(message->image, message->image_length, scratch, length, error)) {
    g_prefix_error(error, "image_base64: ");
    return FALSE;
  }
  *jpeg = scratch;
  return TRUE;
}

void mnk_session_frame(MnkSession *session, const MnkPushMessage *message) {
  g_autoptr(GError) error = NULL;
  MnkPushFrame frame = {.index = message->frame_index,
                        .timestamp = message->timestamp,
                        .arrival_us = mnk_clock_wall_us(mnk_clock_system())};
  if (!decode(session, message, &frame.jpeg, &frame.length, &error))
    refuse(session, error, "image_base64");
  else if (!have_entry(session, frame.jpeg, frame.length, &error))
    refuse(session, error, error->domain == MNK_STATUS_ERROR ? NULL : "image_base64");
  else
    push(session, &frame);
}

void mnk_session_packet(MnkSession *session, const guint8 *bytes, gsize length) {
  g_autoptr(GError) error = NULL;
  MnkPacketHeader header;
  if (!session->binary)
    g_set_error_literal(&error, MNK_ERROR, MNK_ERROR_USAGE,
                        "binary messages must be announced by a hello message with binary true");
  if (error != NULL || !mnk_packet_read(bytes, length, &header, &error) ||
      !have_entry(session, bytes + MNK_PACKET_HEADER, header.length, &error)) {
    refuse(session, error, NULL);
    return;
  }
  MnkPushFrame frame = {.jpeg = bytes + MNK_PACKET_HEADER,
                        .length = header.length,
                        .index = header.id,
                        .timestamp = header.timestamp,
                        .arrival_us = mnk_clock_wall_us(mnk_clock_system())};
  push(session, &frame);
}
