/* Frames to remember: each picture with what perception found in it. A picture comes before the
 * observation of its frame. */
#include "stream/server_priv.h"

struct _MnkFeeder {
  MnkStream *stream;
  GBytes *jpeg; /* waits for its observation; NULL: none */
  gint64 pts_ms;
  gboolean cut; /* a scene began since the last frame */
};

float mnk_importance_of(const MnkObservation *obs) {
  float change = MIN(obs->change * 20, 1.0f);
  float things = MIN((float)(obs->n_objects + obs->n_texts) / 8, 1.0f);
  return obs->type == MNK_OBS_FRAME ? 0.2f + 0.6f * change + 0.2f * things : 0;
}

MnkFeeder *mnk_feeder_new(MnkStream *stream) {
  MnkFeeder *feeder = g_new0(MnkFeeder, 1);
  feeder->stream = stream;
  return feeder;
}

void mnk_feeder_free(MnkFeeder *feeder) {
  if (feeder == NULL)
    return;
  g_clear_pointer(&feeder->jpeg, g_bytes_unref);
  g_free(feeder);
}

static void hand_on(MnkFeeder *feeder, float importance) {
  if (feeder->jpeg == NULL)
    return;
  MnkStream *stream = feeder->stream;
  stream->events.frame(feeder->pts_ms, feeder->jpeg, importance, feeder->cut, stream->user);
  g_clear_pointer(&feeder->jpeg, g_bytes_unref);
  feeder->cut = FALSE;
}

void mnk_feeder_picture(MnkFeeder *feeder, gint64 pts_ms, GBytes *jpeg) {
  hand_on(feeder, 0.2f); /* one whose observation never came */
  feeder->jpeg = g_bytes_ref(jpeg);
  feeder->pts_ms = pts_ms;
}

void mnk_feeder_observe(MnkFeeder *feeder, const MnkObservation *obs) {
  if (obs->type == MNK_OBS_CUT)
    feeder->cut = TRUE;
  else if (obs->pts_ms == feeder->pts_ms)
    hand_on(feeder, mnk_importance_of(obs));
}
