/* Hard cuts. The picture changes between two frames by much more than it does around them, nothing
 * after resembles anything before (a flash, a damaged frame and flicker come back to what was), and
 * the change is no sweep of the camera. */
#include "vision/shots_priv.h"

#include <stdlib.h>

enum { SPARSE_MS = 420 };

/* The least change of structure, and how far it must stand out from the motion around it. */
static const float CHANGE_MIN = 0.5f, CHANGE_ABOVE_MOTION = 0.33f;
/* The least change of the colours. */
static const float COLOURS_MIN = 0.1f;
/* Between still pictures of quite other colours less change of structure will do: layouts are alike
 * by chance, as with a bright sky in both. */
static const float CHANGE_MIN_OTHER = 0.25f, MOTION_MAX_OTHER = 0.1f;
static const float CORRELATION_LIT = 0.8f;
/* Where all is new, structure and colours, the motion around it does not matter. */
static const float CHANGE_ALL = 0.75f, COLOURS_ALL = 0.3f;
/* How well the pictures may match when shifted, by the change of the colours: a sweep changes few,
 * and small overlaps match by chance. */
static const float COLOURS_LIKE = 0.2f, COLOURS_OTHER = 0.4f;
static const float SWEPT_MAX_LIKE = 0.7f, SWEPT_MAX = 0.8f;
/* Below this a frame is the one before, shown again. */
static const float REPEATED_MAX = 0.002f;
/* Least part of the whole difference that must lie between the two frames. */
static const float WHOLE_STEP = 0.3f;

static int compare_floats(gconstpointer a, gconstpointer b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Median change from frame to frame in from..to, 0 where all stands still. Repeated frames, as in
 * film shown at 60 frames a second, say nothing about motion. */
static float median_motion(const MnkTrace *trace, guint64 from, guint64 to) {
  float steps[TRACE_CAPACITY];
  guint n = 0;
  for (guint64 i = from + 1; i <= to; i++) {
    float step = mnk_trace_distance(trace, i - 1, i);
    if (step > REPEATED_MAX && n < G_N_ELEMENTS(steps))
      steps[n++] = step;
  }
  if (n == 0)
    return 0;
  qsort(steps, n, sizeof *steps, compare_floats);
  return steps[n / 2];
}

/* Frames before n that are compared reach as far back as the look-ahead goes forward; one at least.
 */
static guint64 context_begin(const MnkTrace *trace, guint64 first, guint64 n) {
  gint64 reach = mnk_trace_pts(trace, n) - SHOTS_LOOKAHEAD_MS;
  guint64 begin = n - 1;
  while (begin > first && mnk_trace_pts(trace, begin - 1) >= reach)
    begin--;
  if (begin == n - 1 && begin > first &&
      mnk_trace_pts(trace, n) - mnk_trace_pts(trace, begin - 1) <= SPARSE_MS)
    begin--;
  return begin;
}

static guint64 context_end(const MnkTrace *trace, guint64 n) {
  gint64 reach = mnk_trace_pts(trace, n) + SHOTS_LOOKAHEAD_MS;
  guint64 end = n;
  while (end + 1 < trace->next && mnk_trace_pts(trace, end + 1) <= reach)
    end++;
  return end;
}

static float difference(const MnkTrace *trace, guint64 a, guint64 b) {
  return mnk_trace_dot(trace, TRACE_FINE, a, a) + mnk_trace_dot(trace, TRACE_FINE, b, b) -
         2 * mnk_trace_dot(trace, TRACE_FINE, a, b);
}

/* A cut is the whole way from the old picture to the new one; a frame of a fade is a part of it. */
static gboolean is_whole_step(const MnkTrace *trace, guint64 begin, guint64 n, guint64 end) {
  float step = difference(trace, n - 1, n), way = 0;
  for (guint64 i = begin; i + 1 < n; i++)
    way = MAX(way, difference(trace, i, n));
  for (guint64 j = n + 1; j <= end; j++)
    way = MAX(way, difference(trace, n - 1, j));
  return step >= WHOLE_STEP * way;
}

/* The least difference between a frame before n and one from n on, in structure and in colours. */
typedef struct {
  float change, colours;
} Step;

static Step least_step(const MnkTrace *trace, guint64 begin, guint64 n, guint64 end) {
  Step step = {G_MAXFLOAT, G_MAXFLOAT};
  for (guint64 i = begin; i < n; i++)
    for (guint64 j = n; j <= end; j++) {
      step.change = MIN(step.change, mnk_trace_distance(trace, i, j));
      step.colours = MIN(step.colours, mnk_trace_histogram(trace, i, j));
      if (step.change < CHANGE_MIN_OTHER || step.colours < COLOURS_MIN)
        return step;
    }
  return step;
}

/* Does the step stand out from the motion around it? */
static gboolean stands_out(Step step, float motion) {
  if (step.change < CHANGE_MIN)
    return step.change >= CHANGE_MIN_OTHER && step.colours >= COLOURS_OTHER &&
           motion < MOTION_MAX_OTHER;
  return step.colours >= COLOURS_MIN &&
         (step.change >= motion + CHANGE_ABOVE_MOTION ||
          (step.change >= CHANGE_ALL && step.colours >= COLOURS_ALL));
}

gboolean mnk_cut_at(const MnkTrace *trace, guint64 first, guint64 n, float *score) {
  if (n <= first || mnk_trace_distance(trace, n - 1, n) < CHANGE_MIN_OTHER)
    return FALSE;

  guint64 begin = context_begin(trace, first, n), end = context_end(trace, n);
  if (!is_whole_step(trace, begin, n, end))
    return FALSE;
  float motion = MAX(median_motion(trace, MAX(first, MIN(begin, n - MIN(n, 3))), n - 1),
                     median_motion(trace, n, trace->next - 1));
  Step step = least_step(trace, begin, n, end);
  /* Light that is switched changes colours and contrast, but leaves the structure. */
  if (!stands_out(step, motion) || mnk_trace_correlation(trace, n - 1, n) > CORRELATION_LIT)
    return FALSE;
  if (step.colours < COLOURS_OTHER &&
      mnk_trace_swept(trace, n - 1, n) > (step.colours < COLOURS_LIKE ? SWEPT_MAX_LIKE : SWEPT_MAX))
    return FALSE;
  *score = MIN(step.change, 1);
  return TRUE;
}
