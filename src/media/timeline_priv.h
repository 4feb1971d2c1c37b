/* Timeline: from a source's raw time stamps to times of the stream that never go back. Pure. */
#ifndef MNK_MEDIA_TIMELINE_PRIV_H
#define MNK_MEDIA_TIMELINE_PRIV_H

#include <glib.h>

#define MNK_NO_TIME G_MININT64

typedef struct {
  gboolean discontinuous; /* the clock may jump: live, MPEG-TS. Elsewhere a long step forward is a
                             picture that stands still */
  gint64 frame_us;        /* nominal distance of two frames */
  gint64 offset_us;       /* added to raw time */
  gint64 old_offset_us;   /* before the last jump, for audio that lags behind it */
  gint64 last_us;         /* of the last frame; MNK_NO_TIME: none yet */
  gint64 audio_us;        /* end of the last audio */
  guint dropped_run;      /* frames dropped since the last one kept */
  guint32 epoch;
  guint64 repaired, dropped;
} MnkTimeline;

/* frame_us > 0. start_us: raw time of the stream's zero; MNK_NO_TIME: that of the first frame. */
void mnk_timeline_init(MnkTimeline *timeline, gint64 start_us, gint64 frame_us,
                       gboolean discontinuous);
/* The stream time of the next frame in the order shown; raw may be MNK_NO_TIME. FALSE: drop it, its
 * time went back. A repeated time is moved on a little; a jump of more than ten seconds, or a
 * second's worth of frames whose time went back, starts an epoch that goes on where the last one
 * ended. */
gboolean mnk_timeline_frame(MnkTimeline *timeline, gint64 raw_us, gint64 *time_us);
/* The stream time of audio of the given length; FALSE: it belongs to no known part of the clock. */
gboolean mnk_timeline_audio(MnkTimeline *timeline, gint64 raw_us, gint64 length_us,
                            gint64 *time_us);
/* Raw times start again at raw_us, which is shown at time_us. new_epoch: the clock is another one.
 */
void mnk_timeline_restart(MnkTimeline *timeline, gint64 raw_us, gint64 time_us, gboolean new_epoch);
/* Where the last frame ends, and where all ends: the last frame or the last audio. */
gint64 mnk_timeline_frames_end_us(const MnkTimeline *timeline);
gint64 mnk_timeline_end_us(const MnkTimeline *timeline);

#endif
