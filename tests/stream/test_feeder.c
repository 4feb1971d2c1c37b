/* Frames to remember: a picture goes on with what was found in its frame. */
#include "stream/server_priv.h"

typedef struct {
  guint n;
  gint64 pts_ms[8];
  float importance[8];
  gboolean cut[8];
} Told;

static void on_frame(gint64 pts_ms, GBytes *jpeg, float importance, gboolean cut, gpointer user) {
  Told *told = user;
  g_assert_cmpuint(told->n, <, G_N_ELEMENTS(told->pts_ms));
  g_assert_cmpuint(g_bytes_get_size(jpeg), ==, (gsize)pts_ms);
  told->pts_ms[told->n] = pts_ms;
  told->importance[told->n] = importance;
  told->cut[told->n++] = cut;
}

static void picture(MnkFeeder *feeder, gint64 pts_ms) {
  g_autofree char *bytes = g_malloc0((gsize)pts_ms);
  g_autoptr(GBytes) jpeg = g_bytes_new(bytes, (gsize)pts_ms);
  mnk_feeder_picture(feeder, pts_ms, jpeg);
}

static void observe(MnkFeeder *feeder, MnkObservationType type, gint64 pts_ms, float change,
                    guint things) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  obs->type = type;
  obs->pts_ms = pts_ms;
  obs->change = change;
  obs->n_objects = things;
  mnk_feeder_observe(feeder, obs);
}

static void test_feeder(void) {
  Told told = {0};
  MnkStream stream = {.user = &told};
  stream.events.frame = on_frame;
  MnkFeeder *feeder = mnk_feeder_new(&stream);
  picture(feeder, 10);
  g_assert_cmpuint(told.n, ==, 0);
  observe(feeder, MNK_OBS_FRAME, 10, 0, 0);
  observe(feeder, MNK_OBS_DUPLICATE, 20, 0, 0); /* has no picture */
  observe(feeder, MNK_OBS_CUT, 30, 0, 0);
  picture(feeder, 30);
  observe(feeder, MNK_OBS_FRAME, 30, 1, 20);
  picture(feeder, 40); /* its observation never comes */
  picture(feeder, 50);
  observe(feeder, MNK_OBS_FRAME, 50, 0.025f, 4);
  picture(feeder, 60);
  mnk_feeder_free(feeder);
  g_assert_cmpuint(told.n, ==, 4);
  static const gint64 PTS[] = {10, 30, 40, 50};
  static const float IMPORTANCE[] = {0.2f, 1.0f, 0.2f, 0.2f + 0.3f + 0.1f};
  for (guint i = 0; i < told.n; i++) {
    g_assert_cmpint(told.pts_ms[i], ==, PTS[i]);
    g_assert_cmpfloat_with_epsilon(told.importance[i], IMPORTANCE[i], 1e-5f);
    g_assert_cmpint(told.cut[i], ==, PTS[i] == 30);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stream/feeder", test_feeder);
  return g_test_run();
}
