/* Hard cuts. The picture changes between two frames by much more than it does around them, nothing
 * after resembles anything before (a flash, a damaged frame and flicker come back to what was), and
 * the change is no sweep of the camera. */
#include "vision/shots_priv.h"

#include <stdlib.h>

enum { SPARSE_MS = 420 };

/* The least change of structure, and how far it must stand out from the motion around it. */
static const float CHANGE_MIN = 0.5f, CHANGE_ABOVE_MOTION = 0.33f;
/* The least change of the colours; below the second value the structure must have nothing in
 * common even when shifted. */
static const float COLOURS_MIN = 0.1f, COLOURS_CLEAR = 0.2f;
static const float CHANGE_ALL = 0.75f, COLOURS_ALL = 0.3f;
static const float REPEATED_MAX = 0.002f;
static const float WHOLE_STEP = 0.3f;
static const float SWEPT_MAX = 0.8f, SWEPT_MAX_LIKE_COLOURS = 0.7f;

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

gboolean mnk_cut_at(const MnkTrace *trace, guint64 first, guint64 n, float *score) {
  if (n <= first || mnk_trace_distance(trace, n - 1, n) < CHANGE_MIN)
    return FALSE;

  guint64 begin = context_begin(trace, first, n), end = context_end(trace, n);
  if (!is_whole_step(trace, begin, n, end))
    return FALSE;
  float motion = MAX(median_motion(trace, MAX(first, MIN(begin, n - MIN(n, 3))), n - 1),
                     median_motion(trace, n, trace->next - 1));
  float change = G_MAXFLOAT, colours = G_MAXFLOAT;
  for (guint64 i = begin; i < n; i++)
    for (guint64 j = n; j <= end; j++) {
      change = MIN(change, mnk_trace_distance(trace, i, j));
      colours = MIN(colours, mnk_trace_histogram(trace, i, j));
      if (change < CHANGE_MIN || colours < COLOURS_MIN)
        return FALSE;
    }
  /* Where all is new, shape and colours, the motion around it does not matter. */
  if (change < motion + CHANGE_ABOVE_MOTION && (change < CHANGE_ALL || colours < COLOURS_ALL))
    return FALSE;
  float swept = mnk_trace_swept(trace, n - 1, n);
  if (swept > (colours < COLOURS_CLEAR ? SWEPT_MAX_LIKE_COLOURS : SWEPT_MAX))
    return FALSE;
  *score = MIN(change, 1);
  return TRUE;
}
