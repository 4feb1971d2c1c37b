/* Times that are missing, repeated, going back or jumping. */
#include <stdlib.h>

#include "media/timeline_priv.h"

enum { FRAME_US = 40000 };
#define S G_USEC_PER_SEC

static MnkTimeline timeline_new(gint64 start_us, gboolean discontinuous) {
  MnkTimeline timeline;
  mnk_timeline_init(&timeline, start_us, FRAME_US, discontinuous);
  return timeline;
}

static void keeps(MnkTimeline *timeline, gint64 raw_us, gint64 expected_us) {
  gint64 got = -1;
  g_assert_true(mnk_timeline_frame(timeline, raw_us, &got));
  g_assert_cmpint(got, ==, expected_us);
}

static void drops(MnkTimeline *timeline, gint64 raw_us) {
  gint64 got;
  g_assert_false(mnk_timeline_frame(timeline, raw_us, &got));
}

static void test_start(void) {
  MnkTimeline timeline = timeline_new(S, FALSE);
  keeps(&timeline, S + 80000, 80000);
  keeps(&timeline, S + 120000, 120000);
  /* Where the first frame comes before the stated start, it is the start. */
  timeline = timeline_new(S, FALSE);
  keeps(&timeline, S - 500000, 0);
  keeps(&timeline, S - 460000, 40000);
  timeline = timeline_new(MNK_NO_TIME, TRUE);
  keeps(&timeline, 77 * S, 0);
}

static void test_missing(void) {
  MnkTimeline timeline = timeline_new(0, FALSE);
  keeps(&timeline, MNK_NO_TIME, 0);
  keeps(&timeline, MNK_NO_TIME, 40000);
  keeps(&timeline, 120000, 120000);
  keeps(&timeline, MNK_NO_TIME, 160000);
  g_assert_cmpuint(timeline.repaired, ==, 3);
}

static void test_repeated(void) {
  MnkTimeline timeline = timeline_new(0, FALSE);
  keeps(&timeline, 0, 0);
  keeps(&timeline, 0, 20000);
  keeps(&timeline, 80000, 80000);
  keeps(&timeline, 80400, 100000);
  keeps(&timeline, 160000, 160000);
  g_assert_cmpuint(timeline.repaired, ==, 2);
  g_assert_cmpuint(timeline.epoch, ==, 0);
}

static void test_back(void) {
  MnkTimeline timeline = timeline_new(0, FALSE);
  keeps(&timeline, 0, 0);
  keeps(&timeline, 200000, 200000);
  drops(&timeline, 120000);
  drops(&timeline, 160000);
  keeps(&timeline, 240000, 240000);
  g_assert_cmpuint(timeline.dropped, ==, 2);
  g_assert_cmpuint(timeline.epoch, ==, 0);
}

/* Times that went back for good, by less than a jump: after a second it is a new clock. */
static void test_back_for_good(void) {
  MnkTimeline timeline = timeline_new(0, FALSE);
  keeps(&timeline, 5 * S, 5 * S);
  for (int i = 0; i < 24; i++)
    drops(&timeline, S + i * FRAME_US);
  keeps(&timeline, S + 24 * FRAME_US, 5 * S + FRAME_US);
  keeps(&timeline, S + 25 * FRAME_US, 5 * S + 2 * FRAME_US);
  g_assert_cmpuint(timeline.epoch, ==, 1);
  g_assert_cmpuint(timeline.dropped, ==, 24);
}

static void test_jumps(void) {
  MnkTimeline timeline = timeline_new(0, TRUE);
  keeps(&timeline, 0, 0);
  keeps(&timeline, 9 * S, 9 * S);
  keeps(&timeline, 9 * S + 20 * S, 9 * S + FRAME_US);
  keeps(&timeline, 9 * S + 20 * S + FRAME_US, 9 * S + 2 * FRAME_US);
  g_assert_cmpuint(timeline.epoch, ==, 1);
  keeps(&timeline, -1000 * S, 9 * S + 3 * FRAME_US);
  g_assert_cmpuint(timeline.epoch, ==, 2);
  g_assert_cmpuint(timeline.dropped, ==, 0);
  /* In a file whose clock cannot jump a long step is a long still. */
  timeline = timeline_new(0, FALSE);
  keeps(&timeline, 0, 0);
  keeps(&timeline, 60 * S, 60 * S);
  g_assert_cmpuint(timeline.epoch, ==, 0);
}

static void hears(MnkTimeline *timeline, gint64 raw_us, gint64 expected_us) {
  gint64 got = -1;
  g_assert_true(mnk_timeline_audio(timeline, raw_us, 20000, &got));
  g_assert_cmpint(got, ==, expected_us);
}

/* Audio follows the jump of the pictures, sooner or later than they. */
static void test_audio(void) {
  MnkTimeline timeline = timeline_new(S, TRUE);
  gint64 got;
  hears(&timeline, S, 0);
  keeps(&timeline, S, 0);
  keeps(&timeline, S + FRAME_US, FRAME_US);
  hears(&timeline, S + 20000, 20000);
  hears(&timeline, MNK_NO_TIME, 40000);
  /* Sound of the new clock, before its first picture: nothing tells where it belongs. */
  g_assert_false(mnk_timeline_audio(&timeline, 100 * S, 20000, &got));
  keeps(&timeline, 100 * S, 2 * FRAME_US);
  hears(&timeline, 100 * S, 2 * FRAME_US);
  /* Sound of the old clock that comes late. */
  hears(&timeline, S + 100000, 100000);
}

/* A loop: the same raw times again, and the clock goes on. */
static void test_restart(void) {
  MnkTimeline timeline = timeline_new(S, FALSE);
  keeps(&timeline, S, 0);
  keeps(&timeline, 2 * S, S);
  g_assert_cmpint(mnk_timeline_end_us(&timeline), ==, S + FRAME_US);
  mnk_timeline_restart(&timeline, S, mnk_timeline_end_us(&timeline), FALSE);
  keeps(&timeline, S, S + FRAME_US);
  keeps(&timeline, 2 * S, 2 * S + FRAME_US);
  g_assert_cmpuint(timeline.epoch, ==, 0);
  g_assert_cmpuint(timeline.dropped + timeline.repaired, ==, 0);
}

/* Whatever the raw times are, the stream's never go back and never stand still. */
static void test_any_times(void) {
  for (guint32 seed = 0; seed < 200; seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    MnkTimeline timeline = timeline_new(g_rand_boolean(rand) ? 0 : MNK_NO_TIME, seed % 2);
    gint64 last_ms = -1, raw = 0;
    for (int i = 0; i < 500; i++) {
      int kind = g_rand_int_range(rand, 0, 20);
      raw += kind == 0   ? g_rand_int_range(rand, -60000000, 60000000)
             : kind == 1 ? g_rand_int_range(rand, -500000, 500000)
             : kind == 2 ? 0
                         : FRAME_US;
      gint64 time_us;
      if (!mnk_timeline_frame(&timeline, kind == 3 ? MNK_NO_TIME : raw, &time_us))
        continue;
      g_assert_cmpint((time_us + 500) / 1000, >, last_ms);
      last_ms = (time_us + 500) / 1000;
    }
    g_assert_cmpuint(timeline.dropped, <, 400);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/timeline/start", test_start);
  g_test_add_func("/media/timeline/missing", test_missing);
  g_test_add_func("/media/timeline/repeated", test_repeated);
  g_test_add_func("/media/timeline/back", test_back);
  g_test_add_func("/media/timeline/back-for-good", test_back_for_good);
  g_test_add_func("/media/timeline/jumps", test_jumps);
  g_test_add_func("/media/timeline/audio", test_audio);
  g_test_add_func("/media/timeline/restart", test_restart);
  g_test_add_func("/media/timeline/any-times", test_any_times);
  return g_test_run();
}
