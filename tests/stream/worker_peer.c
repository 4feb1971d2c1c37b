#include "worker_peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Long enough for a slow machine under a sanitizer; nothing waits for it when all is well. */
enum { PATIENCE_MS = 60000 };

static gpointer run(gpointer user) {
  return GINT_TO_POINTER(mnk_worker_run(GPOINTER_TO_INT(user)));
}

static void say_hello(Peer *peer) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  MnkSourceName name = {.kind = MNK_SOURCE_FILE, .address = (char *)(guintptr) ""};
  MnkWorkerSetup setup;
  mnk_worker_setup_init(&setup, settings, &name);
  setup.stub = TRUE;
  setup.sandbox = FALSE;
  setup.log_level = MNK_LOG_ERROR;
  mnk_worker_setup_write(&setup, text);
  mnk_worker_setup_clear(&setup);
  g_assert_true(mnk_channel_send(peer->channel, MNK_MSG_HELLO, 0, text->str, text->len,
                                 mnk_slots_fd(peer->slots), PATIENCE_MS, &error));
  g_assert_true(mnk_channel_send(peer->channel, MNK_MSG_INBOX, 0, "{}", 2,
                                 mnk_slots_fd(peer->inbox), PATIENCE_MS, &error));
  mnk_message_free(peer_next(peer, 0, MNK_MSG_READY));
}

Peer *peer_new(void) {
  Peer *peer = g_new0(Peer, 1);
  int fds[2];
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  peer->channel = mnk_channel_new(fds[0]);
  peer->slots = mnk_slots_new(MNK_SLOTS, MNK_SLOT_SIZE, NULL);
  peer->inbox = mnk_slots_new(MNK_INBOX_SLOTS, MNK_INBOX_SLOT_SIZE, NULL);
  g_assert_cmpint(mnk_slots_acquire(peer->inbox), ==, 0); /* the black box */
  g_queue_init(&peer->messages);
  peer->thread = g_thread_new("worker", run, GINT_TO_POINTER(fds[1]));
  say_hello(peer);
  return peer;
}

void peer_free(Peer *peer) {
  peer_send(peer, MNK_MSG_QUIT, 0, "{}");
  g_autoptr(GError) error = NULL;
  while (error == NULL) {
    MnkMessage *message = mnk_channel_receive(peer->channel, PATIENCE_MS, &error);
    g_assert_true(message != NULL || error != NULL);
    mnk_message_free(message);
  }
  g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(peer->thread)), ==, 0);
  g_queue_clear_full(&peer->messages, (GDestroyNotify)(void (*)(void))mnk_message_free);
  mnk_channel_free(peer->channel);
  mnk_slots_free(peer->slots);
  mnk_slots_free(peer->inbox);
  g_free(peer);
}

/* ---- sending ---- */

void peer_send(Peer *peer, MnkMessageType type, guint32 stream, const char *text) {
  g_autoptr(GError) error = NULL;
  mnk_channel_send(peer->channel, type, stream, text, strlen(text), -1, PATIENCE_MS, &error);
  g_assert_no_error(error);
}

MnkWatchSetup *peer_setup(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  MnkWatchSetup *setup = g_new0(MnkWatchSetup, 1);
  mnk_watch_setup_init(setup, settings);
  setup->stream = g_strdup("test");
  setup->address = g_strdup("push");
  setup->kind = MNK_SOURCE_PUSHED;
  setup->live.fps = 0;
  setup->cuts = setup->camera_motion = FALSE; /* observations are those of frames alone */
  return setup;
}

void peer_setup_free(MnkWatchSetup *setup) {
  mnk_watch_setup_clear(setup);
  g_free(setup);
}

void peer_open(Peer *peer, guint32 stream, const MnkWatchSetup *setup, int fd) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_setup_write(setup, text);
  g_assert_true(mnk_channel_send(peer->channel, MNK_MSG_OPEN, stream, text->str, text->len, fd,
                                 PATIENCE_MS, NULL));
}

void peer_set(Peer *peer, guint32 stream, const MnkWatchLive *live) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_live_write(live, text);
  peer_send(peer, MNK_MSG_SET, stream, text->str);
}

void peer_mark(Peer *peer, guint32 stream, gint64 number) {
  g_autofree char *text = g_strdup_printf("{\"number\":%" G_GINT64_FORMAT "}", number);
  peer_send(peer, MNK_MSG_MARK, stream, text);
}

/* ---- receiving ---- */

static gint64 number_in(const MnkMessage *message, const char *key) {
  MnkJson *json;
  gint64 number = mnk_json_int(mnk_json_get(peer_content(message, &json), key), -1);
  mnk_json_free(json);
  return number;
}

/* Slots are given back at once. */
static void receive(Peer *peer) {
  g_autoptr(GError) error = NULL;
  MnkMessage *message = mnk_channel_receive(peer->channel, PATIENCE_MS, &error);
  g_assert_no_error(error);
  g_assert_nonnull(message);
  if (message->type == MNK_MSG_FRAME_FREE) {
    g_assert_true(mnk_slots_release(peer->inbox, (guint)number_in(message, "slot")));
    peer->frames_freed++;
    mnk_message_free(message);
    return;
  }
  g_queue_push_tail(&peer->messages, message);
}

void peer_wait_freed(Peer *peer, guint frames) {
  while (peer->frames_freed < frames)
    receive(peer);
  g_assert_cmpuint(peer->frames_freed, ==, frames);
}

void peer_push(Peer *peer, guint32 stream, GBytes *jpeg, gint64 pts_ms) {
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  int slot;
  while ((slot = mnk_slots_acquire(peer->inbox)) < 0)
    receive(peer);
  memcpy(mnk_slots_bytes(peer->inbox, (guint)slot), bytes, length);
  g_autofree char *text =
      g_strdup_printf("{\"slot\":%d,\"length\":%" G_GSIZE_FORMAT ",\"pts_ms\":%" G_GINT64_FORMAT
                      ",\"arrival_us\":%" G_GINT64_FORMAT "}",
                      slot, length, pts_ms, g_get_real_time());
  peer_send(peer, MNK_MSG_FRAME, stream, text);
}

static MnkMessage *take_kept(Peer *peer, guint32 stream, guint type) {
  for (GList *link = peer->messages.head; link != NULL; link = link->next) {
    MnkMessage *message = link->data;
    if (message->stream != stream || (type != 0 && message->type != type))
      continue;
    g_queue_delete_link(&peer->messages, link);
    return message;
  }
  return NULL;
}

MnkMessage *peer_next(Peer *peer, guint32 stream, guint type) {
  MnkMessage *message;
  while ((message = take_kept(peer, stream, type)) == NULL)
    receive(peer);
  return message;
}

const MnkJsonValue *peer_content(const MnkMessage *message, MnkJson **json) {
  g_autoptr(GError) error = NULL;
  gsize length;
  const char *text = g_bytes_get_data(message->payload, &length);
  *json = mnk_json_parse(text, length, NULL, &error);
  g_assert_no_error(error);
  return mnk_json_root(*json);
}

MnkObservation *peer_observation(Peer *peer, guint32 stream) {
  g_autoptr(MnkMessage) message = peer_next(peer, stream, MNK_MSG_OBSERVATION);
  g_autoptr(MnkJson) json = NULL;
  g_autoptr(GError) error = NULL;
  MnkObservation *obs = g_new0(MnkObservation, 1);
  mnk_observation_read_json(peer_content(message, &json), obs, &error);
  g_assert_no_error(error);
  return obs;
}

MnkWatchCounters peer_ended(Peer *peer, guint32 stream, gint64 *end_ms) {
  MnkWatchCounters counters = {0};
  GError *failure = NULL;
  gint64 end = 0;
  for (gboolean over = FALSE; !over;) {
    g_autoptr(MnkMessage) message = peer_next(peer, stream, 0);
    g_autoptr(MnkJson) json = NULL;
    const MnkJsonValue *value = peer_content(message, &json);
    if (message->type == MNK_MSG_COUNTERS) {
      MnkWatchCounters before = counters;
      g_assert_true(mnk_watch_counters_read(value, &counters, NULL));
      g_assert_cmpuint(counters.received, >=, before.received);
      g_assert_cmpuint(counters.encoded, >=, before.encoded);
    }
    over = message->type == MNK_MSG_ENDED;
    if (over)
      g_assert_true(mnk_ended_read(value, &end, &failure, NULL));
    if (message->type == MNK_MSG_PICTURE || message->type == MNK_MSG_PREVIEW) {
      g_autofree char *slot = g_strdup_printf("{\"slot\":%d}", (int)number_in(message, "slot"));
      peer_send(peer, MNK_MSG_SLOT_FREE, 0, slot);
    }
  }
  g_assert_no_error(failure);
  if (end_ms != NULL)
    *end_ms = end;
  return counters;
}

void peer_assert_identity(const MnkWatchCounters *counters) {
  g_assert_cmpuint(counters->received, ==,
                   counters->encoded + counters->gated + counters->late + counters->dropped +
                       counters->queued);
  g_assert_cmpuint(counters->dropped, ==, counters->dropped_behind + counters->dropped_damaged);
}

/* ---- pictures ---- */

static GBytes *jpeg_of(const guint8 *rgb, int width, int height) {
  g_autoptr(MnkFrame) frame = mnk_frame_new_rgb(rgb, width, height, 3 * width, 0);
  g_autoptr(GError) error = NULL;
  GBytes *jpeg = mnk_frame_to_jpeg(frame, 90, &error);
  g_assert_no_error(error);
  return jpeg;
}

GBytes *jpeg_plain(int width, int height, guint8 red, guint8 green, guint8 blue) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * (gsize)height * 3);
  for (int i = 0; i < width * height; i++) {
    rgb[3 * i] = red;
    rgb[3 * i + 1] = green;
    rgb[3 * i + 2] = blue;
  }
  return jpeg_of(rgb, width, height);
}

GBytes *jpeg_noise(int width, int height, guint32 seed) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * (gsize)height * 3);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  guint8 cells[8][8];
  for (int i = 0; i < 64; i++)
    cells[i / 8][i % 8] = (guint8)g_rand_int_range(rand, 0, 256);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memset(rgb + 3 * ((gsize)y * (gsize)width + (gsize)x), cells[y * 8 / height][x * 8 / width],
             3);
  return jpeg_of(rgb, width, height);
}
