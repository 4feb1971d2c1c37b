/* Shots: puts the two detectors' findings into order. What leaves one shot for a blank picture and
 * what comes out of it soon after are one boundary, not two. */
#include "vision/shots_priv.h"
#include "vision/vision.h"

enum {
  /* Frames nearer than this to the last one are left out: the trace reaches 3 s at any rate. */
  STEP_MIN_MS = 12,
  BLEND_EVERY_MS = 60,    /* how often blends are looked for */
  BLEND_WAIT_MS = 360,    /* how long a blend that was found waits for a better reading,
                           and a quarter of its length */
  BLANK_HOLD_MS = 1000,   /* a longer blank is a shot of its own */
  BLANK_RETURN_MS = 2500, /* how long what comes after a blank may take to be understood */
  BLENDED_CUT_MS = 100,   /* a blend as short as this is a cut with blended frames */
};

struct _MnkShots {
  MnkTrace *trace;
  guint32 epoch;
  guint64 first;       /* first frame of the running shot */
  guint64 undecided;   /* next frame that may be the first after a hard cut */
  gint64 blend_pts_ms; /* when blends were last looked for */
  gboolean blending;   /* `blend` was found but may yet be understood better */
  MnkBlend blend;
  gboolean leaving; /* `left` waits for what comes after the blank picture */
  MnkShotBoundary left;
  GQueue found; /* MnkShotBoundary, owned */
};

MnkShots *mnk_shots_new(void) {
  MnkShots *shots = g_new0(MnkShots, 1);
  shots->trace = mnk_trace_new();
  g_queue_init(&shots->found);
  return shots;
}

void mnk_shots_free(MnkShots *shots) {
  if (!shots)
    return;
  mnk_trace_free(shots->trace);
  g_queue_clear_full(&shots->found, g_free);
  g_free(shots);
}

static gint64 pts(const MnkShots *shots, guint64 n) {
  return mnk_trace_pts(shots->trace, n);
}

static void report(MnkShots *shots, MnkShotBoundary boundary) {
  g_queue_push_tail(&shots->found, g_memdup2(&boundary, sizeof boundary));
}

static void report_left(MnkShots *shots) {
  if (shots->leaving)
    report(shots, shots->left);
  shots->leaving = FALSE;
}

/* A boundary whose old side may be the blank picture after `left`. */
static void arrive(MnkShots *shots, MnkShotBoundary boundary, gint64 last_mixed_ms) {
  if (shots->leaving) {
    boundary = (MnkShotBoundary){.kind = MNK_CUT_SOFT,
                                 .start_ms = MIN(shots->left.start_ms, boundary.start_ms),
                                 .end_ms = last_mixed_ms,
                                 .score = MIN(shots->left.score, boundary.score)};
    shots->leaving = FALSE;
  }
  report(shots, boundary);
}

static void begin_shot(MnkShots *shots, guint64 n) {
  shots->first = n;
  shots->undecided = MAX(shots->undecided, n + 1);
}

static void leave(MnkShots *shots, MnkShotBoundary boundary) {
  report_left(shots);
  shots->left = boundary;
  shots->leaving = TRUE;
}

static gboolean is_blended_cut(const MnkShots *shots, const MnkBlend *blend) {
  return !blend->from_blank && !blend->to_blank && blend->last_mixed - blend->first_mixed < 2 &&
         pts(shots, blend->last_mixed + 1) - pts(shots, blend->first_mixed - 1) < BLENDED_CUT_MS;
}

/* The waiting blend is believed. */
static void take_blend(MnkShots *shots) {
  const MnkBlend *blend = &shots->blend;
  if (!shots->blending)
    return;
  shots->blending = FALSE;
  MnkShotBoundary boundary = {.kind = MNK_CUT_SOFT,
                              .start_ms = blend->start_ms,
                              .end_ms = blend->end_ms,
                              .score = blend->score};
  if (is_blended_cut(shots, blend)) {
    boundary.kind = MNK_CUT_HARD;
    boundary.start_ms = boundary.end_ms;
  }
  if (blend->to_blank)
    leave(shots, boundary);
  else
    arrive(shots, boundary, boundary.end_ms);
  begin_shot(shots, blend->last_mixed + 1);
}

static void take_cut(MnkShots *shots, guint64 n, float score) {
  MnkShotBoundary boundary = {
      .kind = MNK_CUT_HARD, .start_ms = pts(shots, n), .end_ms = pts(shots, n), .score = score};
  gboolean from_blank = mnk_trace_is_blank(shots->trace, n - 1);
  gboolean to_blank = mnk_trace_is_blank(shots->trace, n);
  /* What ends at the cut is a misreading of the cut. */
  if (shots->blending && boundary.start_ms - shots->blend.end_ms > BLENDED_CUT_MS)
    take_blend(shots);
  shots->blending = FALSE;
  if (to_blank && !from_blank)
    leave(shots, boundary);
  else
    arrive(shots, boundary, pts(shots, n - 1));
  begin_shot(shots, n);
}

static void decide_cuts(MnkShots *shots, gint64 lookahead_ms) {
  guint64 last = shots->trace->next - 1;
  for (;
       shots->undecided <= last && pts(shots, last) - pts(shots, shots->undecided) >= lookahead_ms;
       shots->undecided++) {
    float score;
    if (mnk_cut_at(shots->trace, shots->first, shots->undecided, &score))
      take_cut(shots, shots->undecided, score);
  }
}

/* A whole dip through blank is better than the fade-in that is its second half. */
static gboolean is_better(const MnkBlend *blend, const MnkBlend *than) {
  return blend->from_blank != than->from_blank ? than->from_blank : blend->score > than->score;
}

/* A blend is first seen when its end is barely over; frames after it show it better, and what
 * looked like one may turn out to be the beginning of another. */
static void decide_blends(MnkShots *shots) {
  guint64 last = shots->trace->next - 1;
  gint64 now = pts(shots, last);
  MnkBlend blend;
  gboolean turns_blank = last > shots->first && mnk_trace_is_blank(shots->trace, last) &&
                         !mnk_trace_is_blank(shots->trace, last - 1);
  if (now - shots->blend_pts_ms < BLEND_EVERY_MS && !turns_blank)
    return;
  shots->blend_pts_ms = now;
  if (mnk_blend_ending(shots->trace, shots->first, last, &blend)) {
    if (shots->blending && blend.first_mixed > shots->blend.last_mixed)
      take_blend(shots);
    if (!shots->blending || is_better(&blend, &shots->blend))
      shots->blend = blend;
    shots->blending = TRUE;
  }
  if (!shots->blending)
    return;
  gint64 length = shots->blend.end_ms - shots->blend.start_ms;
  if (now - shots->blend.end_ms >= BLEND_WAIT_MS + length / 4)
    take_blend(shots);
}

static void restart(MnkShots *shots, guint32 epoch) {
  take_blend(shots);
  report_left(shots);
  mnk_trace_clear(shots->trace);
  shots->epoch = epoch;
  shots->first = shots->undecided = shots->trace->next;
  shots->blend_pts_ms = G_MININT64 / 2;
}

static gboolean next_found(MnkShots *shots, MnkShotBoundary *boundary) {
  g_autofree MnkShotBoundary *found = g_queue_pop_head(&shots->found);
  if (found)
    *boundary = *found;
  return found != NULL;
}

gboolean mnk_shots_push(MnkShots *shots, const MnkFrame *frame, MnkShotBoundary *boundary) {
  MnkTrace *trace = shots->trace;
  gboolean empty = trace->next == trace->first;
  if (empty || frame->epoch != shots->epoch)
    restart(shots, frame->epoch);
  else if (frame->pts_ms - pts(shots, trace->next - 1) < STEP_MIN_MS)
    return next_found(shots, boundary);
  if (!mnk_trace_push(trace, frame))
    return next_found(shots, boundary);

  shots->first = MAX(shots->first, trace->first);
  shots->undecided = MAX(shots->undecided, shots->first + 1);
  decide_cuts(shots, SHOTS_LOOKAHEAD_MS);
  decide_blends(shots);
  gint64 away_ms = frame->pts_ms - shots->left.end_ms;
  gboolean blank = mnk_trace_is_blank(trace, trace->next - 1);
  if (shots->leaving && away_ms > (blank ? BLANK_HOLD_MS : BLANK_RETURN_MS))
    report_left(shots);
  return next_found(shots, boundary);
}

gboolean mnk_shots_flush(MnkShots *shots, MnkShotBoundary *boundary) {
  if (shots->trace->next > shots->trace->first) {
    /* One frame after a cut is wanted even here: the last frame alone may be damaged. */
    decide_cuts(shots, 1);
    take_blend(shots);
    report_left(shots);
  }
  return next_found(shots, boundary);
}
