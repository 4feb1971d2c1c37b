/* A worker with many streams, and with a server that sends more than it can do or does not read. */
#include "worker_peer.h"

#include <string.h>
#include <sys/resource.h>

/* Streams that push without a pause: all is accounted for, and every stream comes to its end. */
static void test_flood(void) {
  enum { STREAMS = 60, FRAMES = 40 };
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  for (guint32 s = 1; s <= STREAMS; s++)
    peer_open(peer, s, setup, -1);
  for (guint i = 0; i < FRAMES; i++) {
    g_autoptr(GBytes) jpeg = jpeg_noise(320, 180, i / 2);
    for (guint32 s = 1; s <= STREAMS; s++)
      peer_push(peer, s, jpeg, i * 100);
  }
  for (guint32 s = 1; s <= STREAMS; s++)
    peer_send(peer, MNK_MSG_CLOSE, s, "{}");
  for (guint32 s = 1; s <= STREAMS; s++) {
    MnkWatchCounters counters = peer_ended(peer, s, NULL);
    g_assert_cmpuint(counters.received, ==, FRAMES);
    g_assert_cmpuint(counters.queued, ==, 0);
    g_assert_cmpuint(counters.encoded, >, 0);
    peer_assert_identity(&counters);
  }
  peer_wait_freed(peer, STREAMS * FRAMES);
}

/* A server that sends and sends and does not read. It is heard to the end, and answered after. */
static void test_deaf_server(void) {
  enum { FRAMES = 3000 };
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.gate_mse = 0;
  setup->live.summary_dim = MNK_OBS_MAX_SUMMARY;
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) jpeg = jpeg_noise(64, 64, 1);
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  for (guint i = 0; i < FRAMES; i++) {
    guint slot = 1 + i % (MNK_INBOX_SLOTS - 1);
    memcpy(mnk_slots_bytes(peer->inbox, slot), bytes, length);
    g_autofree char *text = g_strdup_printf("{\"slot\":%u,\"length\":%" G_GSIZE_FORMAT
                                            ",\"pts_ms\":%u,\"arrival_us\":1}",
                                            slot, length, i);
    peer_send(peer, MNK_MSG_FRAME, 1, text);
    peer_send(peer, MNK_MSG_PING, 0, "{}");
  }
  for (guint slot = 0; slot < MNK_INBOX_SLOTS; slot++)
    mnk_slots_acquire(peer->inbox);
  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  MnkWatchCounters counters = {0};
  for (gboolean over = FALSE; !over;) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(peer->channel, 60000, NULL);
    g_assert_nonnull(message);
    g_autoptr(MnkJson) json = NULL;
    if (message->type == MNK_MSG_COUNTERS)
      g_assert_true(mnk_watch_counters_read(peer_content(message, &json), &counters, NULL));
    over = message->type == MNK_MSG_ENDED;
  }
  g_assert_cmpuint(counters.received, ==, FRAMES);
  g_assert_cmpuint(counters.dropped_behind, >, 0);
  g_assert_cmpuint(counters.queued, ==, 0);
  peer_assert_identity(&counters);
}

/* Sanitizers keep memory of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_IS_MEASURED = FALSE };
#else
enum { MEMORY_IS_MEASURED = TRUE };
#endif

static glong peak_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/* The bytes of all streams together are bounded: a server that does not read has them wait, and
 * what does not fit is behind. */
static void test_budget(void) {
  enum { STREAMS = 300, ROUNDS = 5 };
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.summary_dim = MNK_OBS_MAX_SUMMARY;
  for (guint32 s = 1; s <= STREAMS; s++)
    peer_open(peer, s, setup, -1);
  g_autoptr(GBytes) jpeg = jpeg_noise(64, 64, 1);
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  /* What follows the end marker is nobody's. */
  memset(mnk_slots_bytes(peer->inbox, 1), 0, MNK_INBOX_SLOT_SIZE);
  memcpy(mnk_slots_bytes(peer->inbox, 1), bytes, length);
  glong before = peak_kib();
  for (guint i = 0; i < ROUNDS * STREAMS; i++) {
    g_autofree char *text =
        g_strdup_printf("{\"slot\":1,\"length\":%d,\"pts_ms\":%u,\"arrival_us\":1}",
                        (int)MNK_INBOX_SLOT_SIZE, i / STREAMS * 5000);
    peer_send(peer, MNK_MSG_FRAME, 1 + i % STREAMS, text);
  }
  mnk_slots_acquire(peer->inbox);
  for (guint32 s = 1; s <= STREAMS; s++)
    peer_send(peer, MNK_MSG_CLOSE, s, "{}");
  g_autofree MnkWatchCounters *last = g_new0(MnkWatchCounters, STREAMS + 1);
  for (guint over = 0; over < STREAMS;) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(peer->channel, 60000, NULL);
    g_assert_nonnull(message);
    over += message->type == MNK_MSG_ENDED;
    g_autoptr(MnkJson) json = NULL;
    if (message->type == MNK_MSG_COUNTERS)
      g_assert_true(
          mnk_watch_counters_read(peer_content(message, &json), &last[message->stream], NULL));
  }
  guint64 behind = 0;
  for (guint32 i = 1; i <= STREAMS; i++) {
    g_assert_cmpuint(last[i].received, ==, ROUNDS);
    g_assert_cmpuint(last[i].queued, ==, 0);
    peer_assert_identity(&last[i]);
    behind += last[i].dropped_behind;
  }
  g_assert_cmpuint(behind, >, STREAMS);
  if (MEMORY_IS_MEASURED)
    g_assert_cmpint(peak_kib() - before, <, MNK_BUDGET_KIB * 5 / 4);
}

/* Counters come by themselves, also when frames are only gated. */
static void test_counters_alone(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.fps = 0.001;
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) jpeg = jpeg_plain(64, 64, 1, 2, 3);
  for (guint i = 0; i < 10; i++) {
    peer_push(peer, 1, jpeg, i);
    peer_mark(peer, 1, i);
    mnk_message_free(peer_next(peer, 1, MNK_MSG_MARKED));
  }
  for (MnkWatchCounters counters = {0}; counters.gated != 9;) {
    g_autoptr(MnkMessage) message = peer_next(peer, 1, MNK_MSG_COUNTERS);
    g_autoptr(MnkJson) json = NULL;
    g_assert_true(mnk_watch_counters_read(peer_content(message, &json), &counters, NULL));
    peer_assert_identity(&counters);
  }
}

static void test_thousand(void) {
  enum { STREAMS = 1024 };
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  for (guint32 s = 1; s <= STREAMS + 1; s++)
    peer_open(peer, s, setup, -1);
  /* One is too many. */
  g_autoptr(MnkMessage) refused = peer_next(peer, STREAMS + 1, MNK_MSG_ENDED);
  for (guint32 s = 1; s <= STREAMS; s++)
    peer_send(peer, MNK_MSG_CLOSE, s, "{}");
  for (guint32 s = 1; s <= STREAMS; s++) {
    MnkWatchCounters counters = peer_ended(peer, s, NULL);
    g_assert_cmpuint(counters.received, ==, 0);
  }
  /* A number can be had again. */
  peer_open(peer, 1, setup, -1);
  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  (void)peer_ended(peer, 1, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stream/crowd/flood", test_flood);
  g_test_add_func("/stream/crowd/deaf server", test_deaf_server);
  g_test_add_func("/stream/crowd/budget", test_budget);
  g_test_add_func("/stream/crowd/counters alone", test_counters_alone);
  g_test_add_func("/stream/crowd/thousand", test_thousand);
  return g_test_run();
}
