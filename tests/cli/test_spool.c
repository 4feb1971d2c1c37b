/* Which frames wait for a model that is slower than the file is read. */
#include "cli/ask_priv.h"

static void add(MnkSpool *spool, gint64 pts_ms, float importance, gboolean cut) {
  g_autoptr(GBytes) jpeg = g_bytes_new(&pts_ms, sizeof pts_ms);
  mnk_spool_add(spool, &(MnkSpooled){jpeg, pts_ms, importance, cut});
}

/* Takes all: times as text, '|' before a cut. Caller frees. */
static char *take_all(MnkSpool *spool) {
  GString *out = g_string_new(NULL);
  MnkSpooled frame;
  while (mnk_spool_take(spool, &frame)) {
    g_autoptr(GBytes) jpeg = frame.jpeg;
    g_assert_cmpmem(g_bytes_get_data(jpeg, NULL), 8, &frame.pts_ms, 8);
    g_string_append_printf(out, "%s%" G_GINT64_FORMAT " ", frame.cut ? "|" : "", frame.pts_ms);
  }
  return g_string_free(out, FALSE);
}

static void test_in_order(void) {
  g_autoptr(MnkSpool) spool = mnk_spool_new(8);
  for (int i = 0; i < 8; i++)
    add(spool, i, 0.5F, i == 3);
  g_assert_cmpuint(mnk_spool_count(spool), ==, 8);
  g_autofree char *taken = take_all(spool);
  g_assert_cmpstr(taken, ==, "0 1 2 |3 4 5 6 7 ");
  g_assert_cmpuint(mnk_spool_count(spool), ==, 0);
  g_assert_cmpuint(mnk_spool_left_out(spool), ==, 0);
}

static void test_alike_frames_are_thinned_evenly(void) {
  enum { FRAMES = 1000, KEPT = 20 };
  g_autoptr(MnkSpool) spool = mnk_spool_new(KEPT);
  MnkSpooled frame;
  gint64 last = 0;
  for (int i = 0; i < FRAMES; i++)
    add(spool, i, 0.5F, FALSE);
  g_assert_cmpuint(mnk_spool_left_out(spool), ==, FRAMES - KEPT);
  for (guint i = 0; mnk_spool_take(spool, &frame); i++) {
    g_autoptr(GBytes) jpeg = frame.jpeg;
    g_assert_cmpint(frame.pts_ms - last, <=, i == 0 ? 0 : 4 * FRAMES / KEPT);
    last = frame.pts_ms;
  }
  g_assert_cmpint(last, ==, FRAMES - 1);
}

static void test_telling_frames_stay(void) {
  g_autoptr(MnkSpool) spool = mnk_spool_new(6);
  for (int i = 0; i < 60; i++)
    add(spool, i, i % 20 == 7 ? 1 : 0.01F, FALSE);
  g_autofree char *taken = take_all(spool);
  g_assert_nonnull(strstr(taken, " 7 "));
  g_assert_nonnull(strstr(taken, " 27 "));
  g_assert_nonnull(strstr(taken, " 47 "));
}

/* The scene's first frame may go; that it begins may not. */
static void test_a_cut_outlives_its_frame(void) {
  g_autoptr(MnkSpool) spool = mnk_spool_new(3);
  add(spool, 0, 0.5F, TRUE);
  add(spool, 10, 0.1F, TRUE);
  add(spool, 20, 0.9F, FALSE);
  add(spool, 30, 0.5F, FALSE);
  g_autofree char *taken = take_all(spool);
  g_assert_cmpstr(taken, ==, "|0 |20 30 ");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/spool/order", test_in_order);
  g_test_add_func("/cli/spool/thinned evenly", test_alike_frames_are_thinned_evenly);
  g_test_add_func("/cli/spool/telling frames stay", test_telling_frames_stay);
  g_test_add_func("/cli/spool/a cut outlives its frame", test_a_cut_outlives_its_frame);
  return g_test_run();
}
