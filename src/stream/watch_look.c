/* The looker's turn: what waits of one watch, up to one look. */
#include "stream/watch_priv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { JPEG_QUALITY = 85, MOST_TOLD = 32 };

/* ---- events ---- */

static void take_event(MnkWatch *watch) {
  if (watch->next_event == NULL && watch->events != NULL)
    watch->next_event = mnk_queue_pop(watch->events, 0);
}

static void tell_event(MnkWatch *watch) {
  mnk_watch_send(watch, watch->next_event->type, watch->next_event->text);
  watch->shot_began = TRUE;
  g_clear_pointer(&watch->next_event, mnk_watch_event_free);
}

/* Tells what happened up to a time. */
static void pass_events(MnkWatch *watch, gint64 until_ms) {
  for (take_event(watch); watch->next_event != NULL && watch->next_event->at_ms <= until_ms;
       take_event(watch))
    tell_event(watch);
}

/* The next sample; while none waits, what happened since the last one. An event is taken before
 * frames are looked for: those of before it are in their queue by then, however far the reading
 * thread has come meanwhile. */
static MnkSample *next_sample(MnkWatch *watch, gboolean frames) {
  for (;;) {
    take_event(watch);
    gboolean empty = mnk_backlog_is_empty(watch->backlog);
    MnkSample *sample = mnk_backlog_pop(watch->backlog, frames);
    if (sample != NULL || !empty || watch->next_event == NULL)
      return sample;
    tell_event(watch);
  }
}

/* ---- one look ---- */

/* Faults for tests. */
static void play_fault(const MnkWatch *watch, gint64 pts_ms) {
  const char *fault = watch->setup.fault, *at = fault != NULL ? strchr(fault, '@') : NULL;
  if (fault != NULL && g_str_equal(fault, "kill-loop"))
    raise(SIGKILL);
  if (fault != NULL && g_str_has_prefix(fault, "abort:") &&
      g_str_equal(fault + strlen("abort:"), watch->setup.stream))
    abort();
  if (at == NULL || watch->setup.resume_ms >= 0 || pts_ms < g_ascii_strtoll(at + 1, NULL, 10))
    return;
  if (g_str_has_prefix(fault, "abort@"))
    abort();
  if (g_str_has_prefix(fault, "hang@"))
    raise(SIGSTOP);
}

/* Wall time and runs of each part. */
typedef struct {
  gint64 us[5];
  guint64 runs[5];
} PartTimes;

static void read_times(const MnkPerception *perception, PartTimes *out) {
  for (guint i = 0; i < G_N_ELEMENTS(out->us); i++)
    mnk_perception_times(perception, (MnkPart)(1u << i), &out->us[i], &out->runs[i]);
}

static void count_look(MnkWatch *watch, gint64 start_us, const PartTimes *before,
                       const PartTimes *after) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  MnkWatchCounters *counters = &watch->counters;
  counters->encoded++;
  counters->look_ms += (double)(g_get_monotonic_time() - start_us) / 1000.0;
  for (guint i = 0; i < G_N_ELEMENTS(before->us); i++) {
    counters->part_ms[i] += (double)(after->us[i] - before->us[i]) / 1000.0;
    counters->part_runs[i] += after->runs[i] - before->runs[i];
  }
}

/* Means of equal runs of the features. */
static void summarise(const MnkPerception *perception, guint dim, MnkObservation *obs) {
  guint n = 0;
  const float *features = mnk_perception_features(perception, &n);
  obs->n_summary = features != NULL ? MIN(dim, MNK_OBS_MAX_SUMMARY) : 0;
  for (guint i = 0; i < obs->n_summary; i++) {
    guint from = i * n / obs->n_summary, until = MAX((i + 1) * n / obs->n_summary, from + 1);
    float sum = 0;
    for (guint k = from; k < until; k++)
      sum += features[k];
    obs->summary[i] = sum / (float)(until - from);
  }
}

/* The JPEG that was handed in, if viewers can have it as it is. */
static GBytes *jpeg_as_it_is(const MnkSample *sample, int picture_size) {
  MnkJpegInfo info;
  gsize length;
  if (sample->jpeg == NULL)
    return NULL;
  const guint8 *bytes = g_bytes_get_data(sample->jpeg, &length);
  if (length > MNK_SLOT_SIZE || !mnk_jpeg_probe(bytes, length, &info, NULL) ||
      info.exif_orientation != 1 || MAX(info.width, info.height) > (guint)picture_size)
    return NULL;
  return g_bytes_ref(sample->jpeg);
}

static void tell_picture(MnkWatch *watch, const MnkSample *sample, const MnkFrame *frame,
                         int picture_size) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) jpeg = jpeg_as_it_is(sample, picture_size);
  if (jpeg == NULL)
    jpeg = mnk_frame_to_jpeg(frame, JPEG_QUALITY, &error);
  if (jpeg == NULL) {
    mnk_warning("stream", watch->setup.stream, "event=no-picture reason=\"%s\"", error->message);
    return;
  }
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  mnk_watch_tell_picture(watch, MNK_MSG_PICTURE, sample->pts_ms, bytes, length);
}

/* The picture to look at; NULL: the JPEG is damaged, which is counted. */
static MnkFrame *frame_of(MnkWatch *watch, const MnkSample *sample, MnkJpegReader *reader,
                          int picture_size) {
  g_autoptr(GError) error = NULL;
  gsize length;
  if (sample->frame != NULL)
    return mnk_frame_ref(sample->frame);
  const guint8 *bytes = g_bytes_get_data(sample->jpeg, &length);
  MnkFrame *frame =
      mnk_jpeg_reader_decode(reader, bytes, length, watch->setup.max_pixels, picture_size, &error);
  if (frame == NULL) {
    mnk_watch_damaged(watch, error);
    g_atomic_int_set(&watch->asked, 1); /* the gate took it for seen */
  }
  return frame;
}

static void fill_in(const MnkSample *sample, MnkObservation *obs) {
  obs->type = sample->kind == MNK_SAMPLE_FRAME ? MNK_OBS_FRAME : MNK_OBS_DUPLICATE;
  obs->seq = sample->seq;
  obs->epoch = sample->epoch;
  obs->pts_ms = sample->pts_ms;
  obs->arrival_us = sample->arrival_us;
  obs->step_ms = sample->step_ms;
  obs->change = sample->change;
  obs->motion = sample->motion;
}

static void look(MnkWatch *watch, MnkPerception *perception, MnkJpegReader *reader,
                 const MnkSample *sample, gboolean other_before) {
  MnkWatchLive live = mnk_watch_live(watch);
  g_autoptr(MnkFrame) frame = frame_of(watch, sample, reader, live.picture_size);
  if (frame == NULL)
    return;
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  g_autoptr(GError) error = NULL;
  PartTimes before, after;
  gint64 start_us = g_get_monotonic_time();
  fill_in(sample, obs);
  mnk_perception_set_parts(perception, live.parts);
  read_times(perception, &before);
  gboolean seen =
      mnk_perception_look(perception, frame, watch->shot_began || other_before, obs, &error);
  if (!seen)
    mnk_warning("vision", watch->setup.stream, "event=not-looked-at reason=\"%s\"", error->message);
  watch->shot_began = FALSE;
  read_times(perception, &after);
  if (seen && live.summary_dim > 0)
    summarise(perception, live.summary_dim, obs);
  if (live.pictures)
    tell_picture(watch, sample, frame, live.picture_size);
  mnk_watch_tell_observation(watch, obs);
  count_look(watch, start_us, &before, &after);
}

static void tell_cut(MnkWatch *watch, const MnkSample *sample) {
  if (!sample->cut)
    return;
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  obs->type = MNK_OBS_CUT;
  obs->epoch = sample->epoch;
  obs->pts_ms = obs->cut_ms = obs->cut_end_ms = sample->pts_ms;
  obs->step_ms = sample->step_ms;
  obs->cut = MNK_CUT_HARD;
  obs->cut_score = sample->cut_score;
  mnk_watch_tell_observation(watch, obs);
  watch->shot_began = TRUE;
}

static void tell_duplicate(MnkWatch *watch, const MnkSample *sample) {
  g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
  fill_in(sample, obs);
  mnk_watch_tell_observation(watch, obs);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  watch->counters.gated++;
}

/* ---- the turn ---- */

static void finish(MnkWatch *watch) {
  pass_events(watch, G_MAXINT64);
  mnk_watch_tell_counters(watch, TRUE);
  mnk_watch_tell_ended(watch);
  g_atomic_int_set(&watch->ended, 1);
}

static void tell(MnkWatch *watch, const MnkSample *sample) {
  if (sample->kind == MNK_SAMPLE_MARK) {
    mnk_watch_tell_marked(watch, sample->number);
    return;
  }
  play_fault(watch, sample->pts_ms);
  pass_events(watch, sample->pts_ms);
  tell_cut(watch, sample);
  tell_duplicate(watch, sample);
}

gboolean mnk_watch_look(MnkWatch *watch, MnkPerception *perception, MnkJpegReader *reader,
                        gboolean urgent, gboolean other_before) {
  if (g_atomic_int_get(&watch->ended))
    return FALSE;
  for (guint i = 0; i < MOST_TOLD; i++) {
    gboolean coming = g_atomic_int_get(&watch->coming);
    g_autoptr(MnkSample) sample = next_sample(watch, !urgent);
    if (sample == NULL) {
      gboolean empty = mnk_backlog_is_empty(watch->backlog);
      if (empty && !coming)
        finish(watch);
      return !empty;
    }
    if (sample->kind != MNK_SAMPLE_FRAME) {
      tell(watch, sample);
      continue;
    }
    play_fault(watch, sample->pts_ms);
    pass_events(watch, sample->pts_ms);
    tell_cut(watch, sample);
    look(watch, perception, reader, sample, other_before);
    break;
  }
  return TRUE; /* only a turn that finds nothing knows that there is nothing */
}
