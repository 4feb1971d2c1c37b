#include "media/timeline_priv.h"

#define JUMP_US (10 * G_USEC_PER_SEC)

enum {
  RESET_FRAMES = 8,       /* fewer frames in a row that go back are a fault, not a new clock */
  REPAIR_STEP_US = 20000, /* a repeated time moves on by no more: the next one must still follow */
};

void mnk_timeline_init(MnkTimeline *timeline, gint64 start_us, gint64 frame_us,
                       gboolean discontinuous) {
  gint64 offset = start_us == MNK_NO_TIME ? MNK_NO_TIME : -start_us;
  *timeline = (MnkTimeline){
      .discontinuous = discontinuous,
      .frame_us = frame_us,
      .offset_us = offset,
      .old_offset_us = offset,
      .last_us = MNK_NO_TIME,
      .audio_us = MNK_NO_TIME,
  };
}

void mnk_timeline_restart(MnkTimeline *timeline, gint64 raw_us, gint64 time_us,
                          gboolean new_epoch) {
  timeline->old_offset_us = timeline->offset_us;
  timeline->offset_us = raw_us == MNK_NO_TIME ? MNK_NO_TIME : time_us - raw_us;
  timeline->dropped_run = 0;
  timeline->epoch += new_epoch ? 1 : 0;
}

gint64 mnk_timeline_frames_end_us(const MnkTimeline *timeline) {
  return timeline->last_us == MNK_NO_TIME ? 0 : timeline->last_us + timeline->frame_us;
}

gint64 mnk_timeline_end_us(const MnkTimeline *timeline) {
  return MAX(mnk_timeline_frames_end_us(timeline), timeline->audio_us);
}

static gboolean keep(MnkTimeline *timeline, gint64 time_us, gint64 *out) {
  timeline->last_us = time_us;
  timeline->dropped_run = 0;
  *out = time_us;
  return TRUE;
}

/* The time of a frame that has none of its own, or the last one's again. */
static gboolean repair(MnkTimeline *timeline, gint64 step_us, gint64 *out) {
  timeline->repaired++;
  /* Times are handed on in milliseconds: less than one would repeat. */
  gint64 next = timeline->last_us == MNK_NO_TIME ? 0 : timeline->last_us + MAX(step_us, 1000);
  return keep(timeline, next, out);
}

/* The first frame: where its time lies before the stated start, it is the start. */
static gboolean begin(MnkTimeline *timeline, gint64 raw_us, gint64 *out) {
  if (timeline->offset_us == MNK_NO_TIME || raw_us + timeline->offset_us < 0)
    timeline->offset_us = timeline->old_offset_us = -raw_us;
  return keep(timeline, raw_us + timeline->offset_us, out);
}

gboolean mnk_timeline_frame(MnkTimeline *timeline, gint64 raw_us, gint64 *time_us) {
  if (raw_us == MNK_NO_TIME)
    return repair(timeline, timeline->frame_us, time_us);
  if (timeline->last_us == MNK_NO_TIME)
    return begin(timeline, raw_us, time_us);

  gint64 after_last = timeline->last_us + timeline->frame_us;
  if (timeline->offset_us == MNK_NO_TIME)
    mnk_timeline_restart(timeline, raw_us, after_last, FALSE);
  gint64 step = raw_us + timeline->offset_us - timeline->last_us;
  gboolean jumped = timeline->discontinuous && ABS(step) > JUMP_US;
  gint64 run = timeline->dropped_run + 1;
  gboolean reset = step < 0 && run >= RESET_FRAMES && run * timeline->frame_us >= G_USEC_PER_SEC;
  if (jumped || reset) {
    mnk_timeline_restart(timeline, raw_us, after_last, TRUE);
    return keep(timeline, after_last, time_us);
  }
  if (step < 0) {
    timeline->dropped++;
    timeline->dropped_run++;
    return FALSE;
  }
  /* Below a millisecond counts as repeated: it would show as the same time. */
  if (step < 1000)
    return repair(timeline, MIN(timeline->frame_us / 2, REPAIR_STEP_US), time_us);
  return keep(timeline, raw_us + timeline->offset_us, time_us);
}

gboolean mnk_timeline_audio(MnkTimeline *timeline, gint64 raw_us, gint64 length_us,
                            gint64 *time_us) {
  gint64 expected =
      timeline->audio_us == MNK_NO_TIME ? mnk_timeline_end_us(timeline) : timeline->audio_us;
  if (raw_us == MNK_NO_TIME) {
    *time_us = expected;
  } else if (timeline->offset_us == MNK_NO_TIME) {
    return FALSE;
  } else {
    gint64 now = raw_us + timeline->offset_us;
    gint64 before = raw_us + timeline->old_offset_us;
    *time_us = ABS(now - expected) <= ABS(before - expected) ? now : before;
    if (timeline->discontinuous && ABS(*time_us - expected) > JUMP_US)
      return FALSE;
  }
  timeline->audio_us = *time_us + length_us;
  return TRUE;
}
