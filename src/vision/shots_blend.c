/* Dissolves and fades. During a dissolve from picture A to picture B every frame is a A + b B with
 * a + b = 1, a falling from 1 to 0 and b rising from 0 to 1; a fade through black, white or grey is
 * the same with a + b dipping to 0, and a fade in or out alone has one term. Whatever a camera or
 * an object does leaves a residual that no such sum explains.
 *
 * For a pair of frames (A, B) the coefficients and the residual of any frame between follow from
 * six inner products of the trace, so that many pairs can be tried at every frame. The linear model
 * of a dissolve is that of Lienhart, "Reliable transition detection in videos" (2001). The vectors
 * have no mean, so the level of light may change on the way. */
#include "vision/shots_priv.h"

#include <math.h>

enum {
  SEARCH_SAMPLES = 16, /* frames looked at between A and B */
  STEP_MS = 90,        /* between tried frames A */
  REACH_MS = 3500,
  MARGIN_MS = 100, /* unmixed frames wanted at both ends */
  MARGIN_MAX_MS = 450,
};

static const double MARGIN_PART = 0.25;    /* as much again, of the length of the blend */
static const double ROUNDED = 0.2;         /* of a frame: less is not mixed */
static const float CORRELATION_MAX = 0.6f; /* A and B must be different pictures */
static const float COLOURS_MIN = 0.12f;    /* and of different colours: a pan keeps them */
static const float CORRELATION_MAX_ONE = 0.4f, COLOURS_MIN_ONE = 0.4f; /* when one moves */
static const float ENERGY_MIN = 24.0f; /* variance that an end of a blend must have */
static const float RESIDUAL_MEAN_MAX = 0.11f, RESIDUAL_MAX = 0.25f;
static const float MOTION_IN_FADES = 0.25f; /* how much of the residual counts there */
static const float STEADY_MIN = 0.65f;      /* ratio of variances within the unmixed frames */
static const float SUM_MAX = 1.25f;
static const float BACKWARD_MAX = 0.3f; /* how much a and b may run back in all */

/* What is known of the two pictures. A moving picture soon resembles itself no more; then the other
 * one alone is projected on, and of the moving one only the variance is used. */
typedef enum {
  KNOWN_BOTH,
  KNOWN_OLD,
  KNOWN_NEW,
  KNOWN_N,
} Known;

/* The two end pictures and what is needed to project on them. aa or bb is 0 for a blank one. */
typedef struct {
  const MnkTrace *trace;
  guint64 a, b;
  MnkTraceLevel level;
  Known known;
  float aa, bb, ab, scale;
} Pair;

/* One frame as a mixture of the two. */
typedef struct {
  double t; /* ms */
  float a, b, residual;
} Mixture;

static float dot(const Pair *pair, guint64 m, guint64 n) {
  return mnk_trace_dot(pair->trace, pair->level, m, n);
}

static gboolean is_fade(const Pair *pair) {
  return pair->aa == 0 || pair->bb == 0;
}

static double interval_ms(const Pair *pair) {
  gint64 span = mnk_trace_pts(pair->trace, pair->b) - mnk_trace_pts(pair->trace, pair->a);
  return (double)span / (double)(pair->b - pair->a);
}

/* With one picture known the evidence is weaker, and the two must differ more. */
static gboolean may_know_one(const Pair *pair) {
  return !is_fade(pair) && interval_ms(pair) < MARGIN_MS &&
         pair->ab <= CORRELATION_MAX_ONE * sqrtf(pair->aa * pair->bb) &&
         mnk_trace_histogram(pair->trace, pair->a, pair->b) >= COLOURS_MIN_ONE;
}

static gboolean pair_init(Pair *pair, const MnkTrace *trace, MnkTraceLevel level, guint64 a,
                          guint64 b) {
  *pair = (Pair){.trace = trace, .a = a, .b = b, .level = level};
  gboolean from_blank = mnk_trace_is_blank(trace, a), to_blank = mnk_trace_is_blank(trace, b);
  if (from_blank && to_blank)
    return FALSE;
  pair->aa = from_blank ? 0 : dot(pair, a, a);
  pair->bb = to_blank ? 0 : dot(pair, b, b);
  if ((!from_blank && pair->aa < ENERGY_MIN) || (!to_blank && pair->bb < ENERGY_MIN))
    return FALSE;
  pair->ab = is_fade(pair) ? 0 : dot(pair, a, b);
  pair->scale = is_fade(pair) ? pair->aa + pair->bb : (pair->aa + pair->bb) / 2;
  return pair->ab <= CORRELATION_MAX * sqrtf(pair->aa * pair->bb);
}

/* A fade to or from blank shows in the contrast, whatever moves in the picture meanwhile. */
static Mixture unmix_fade(const Pair *pair, guint64 n) {
  gboolean in = pair->aa == 0;
  float energy = dot(pair, n, n), end = pair->aa + pair->bb;
  float product = dot(pair, in ? pair->b : pair->a, n);
  float gain = sqrtf(energy / end);
  return (Mixture){.a = in ? 0 : gain,
                   .b = in ? gain : 0,
                   .residual = MOTION_IN_FADES * (energy - product * product / end) / end};
}

/* f = x K + (1 - x) U with K known and of U only the variance: x from the projection on K, and the
 * rest of f must have the variance of (1 - x) U. */
static Mixture unmix_one(const Pair *pair, guint64 n) {
  gboolean old = pair->known == KNOWN_OLD;
  float known = old ? pair->aa : pair->bb, unknown = old ? pair->bb : pair->aa;
  float product = dot(pair, old ? pair->a : pair->b, n), common = pair->ab / known;
  float x = (product / known - common) / (1 - common);
  float rest = dot(pair, n, n) - 2 * x * product + x * x * known;
  return (Mixture){.a = old ? x : 1 - x,
                   .b = old ? 1 - x : x,
                   .residual = fabsf(rest - (1 - x) * (1 - x) * unknown) / pair->scale};
}

static Mixture unmix_both(const Pair *pair, guint64 n) {
  float p = dot(pair, pair->a, n), q = dot(pair, n, pair->b);
  float determinant = pair->aa * pair->bb - pair->ab * pair->ab;
  float a = (p * pair->bb - q * pair->ab) / determinant;
  float b = (q * pair->aa - p * pair->ab) / determinant;
  float rest = dot(pair, n, n) - a * p - b * q;
  return (Mixture){.a = a, .b = b, .residual = MAX(rest, 0) / pair->scale};
}

static Mixture unmix(const Pair *pair, guint64 n) {
  Mixture mixture = is_fade(pair)               ? unmix_fade(pair, n)
                    : pair->known == KNOWN_BOTH ? unmix_both(pair, n)
                                                : unmix_one(pair, n);
  mixture.t = (double)mnk_trace_pts(pair->trace, n);
  return mixture;
}

/* A quick look at up to SEARCH_SAMPLES frames. A picture of little contrast has little say in how
 * far a and b may stray. */
static gboolean may_be_blend(const Pair *pair) {
  guint64 span = pair->b - pair->a;
  /* In the middle most of what is no blend shows at once. */
  if (unmix(pair, pair->a + span / 2).residual > RESIDUAL_MAX)
    return FALSE;
  guint samples = (guint)MIN(span - 1, SEARCH_SAMPLES);
  float weight_a = 2 * pair->aa / (pair->aa + pair->bb), weight_b = 2 - weight_a;
  float back = 0;
  Mixture last = unmix(pair, pair->a);
  for (guint i = 1; i <= samples; i++) {
    Mixture m = unmix(pair, pair->a + span * i / (samples + 1));
    back += weight_a * MAX(0, m.a - last.a) + weight_b * MAX(0, last.b - m.b);
    if (m.residual > RESIDUAL_MAX || weight_a * m.a + weight_b * m.b > 2 * SUM_MAX ||
        back > BACKWARD_MAX)
      return FALSE;
    last = m;
  }
  return TRUE;
}

/* When a ramp leaves 0 and reaches 1, from its crossings of 1/4 and 3/4: these are steep, while the
 * ends are rounded off by motion. */
typedef struct {
  double begin, end;
} Ramp;

static double crossing(const Mixture *last, const Mixture *m, float x, float y, float level) {
  return last->t + (m->t - last->t) * (double)((level - x) / (y - x));
}

static gboolean find_ramp(const Pair *pair, gboolean rising, Ramp *ramp) {
  double quarter = -G_MAXDOUBLE, three_quarters = -G_MAXDOUBLE;
  Mixture last = unmix(pair, pair->a);
  for (guint64 n = pair->a + 1; n <= pair->b; n++) {
    Mixture m = unmix(pair, n);
    float x = rising ? last.b : 1 - last.a, y = rising ? m.b : 1 - m.a;
    if (x < 0.25f && y >= 0.25f)
      quarter = crossing(&last, &m, x, y, 0.25f);
    if (x < 0.75f && y >= 0.75f && three_quarters == -G_MAXDOUBLE)
      three_quarters = crossing(&last, &m, x, y, 0.75f);
    last = m;
  }
  /* A step from one frame to the next has the length of one interval: nothing is mixed. */
  double length = 2 * (three_quarters - quarter);
  if (quarter == -G_MAXDOUBLE || length < 1.4 * interval_ms(pair))
    return FALSE;
  *ramp = (Ramp){.begin = quarter - length / 4, .end = three_quarters + length / 4};
  return TRUE;
}

/* Both ramps tell the same of a dissolve; of a fade through blank the one when it begins, the other
 * when it ends. */
static gboolean find_extent(const Pair *pair, Ramp *extent) {
  Ramp fall = {0}, rise = {0};
  gboolean falls = pair->aa > 0, rises = pair->bb > 0;
  if ((falls && !find_ramp(pair, FALSE, &fall)) || (rises && !find_ramp(pair, TRUE, &rise)))
    return FALSE;
  if (!falls || !rises) {
    *extent = falls ? fall : rise;
    return TRUE;
  }
  double length = MAX(fall.end - fall.begin, rise.end - rise.begin);
  gboolean together = fabs(fall.begin - rise.begin) + fabs(fall.end - rise.end) < 0.5 * length;
  *extent = together ? (Ramp){(fall.begin + rise.begin) / 2, (fall.end + rise.end) / 2}
                     : (Ramp){fall.begin, rise.end};
  return TRUE;
}

/* The contrast stays while nothing is mixed. */
static gboolean is_steady(const Pair *pair, guint64 from, guint64 to) {
  float x = dot(pair, from, from), y = dot(pair, to, to);
  return MIN(x, y) > STEADY_MIN * MAX(x, y);
}

/* Unmixed frames must be there at an end that is not blank: enough of them for the length of the
 * blend; at low frame rates two, or one beside a single mixed frame. */
static gboolean has_margin(const Pair *pair, guint64 from, guint64 to, const Ramp *extent,
                           gboolean single) {
  double step = interval_ms(pair), length = extent->end - extent->begin;
  double wanted = CLAMP(MARGIN_PART * length, MARGIN_MS, MARGIN_MAX_MS) - step;
  if (step >= MARGIN_MS)
    wanted = single ? 0 : 0.9 * step;
  double margin = (double)(mnk_trace_pts(pair->trace, to) - mnk_trace_pts(pair->trace, from));
  return margin >= wanted && is_steady(pair, from, to);
}

static float mean_residual(const Pair *pair, guint64 first, guint64 last) {
  float sum = 0;
  for (guint64 n = first; n <= last; n++)
    sum += unmix(pair, n).residual;
  return sum / (float)(last - first + 1);
}

/* FALSE when it is no blend after all. */
static gboolean describe(const Pair *pair, MnkBlend *out) {
  Ramp extent;
  if (!find_extent(pair, &extent))
    return FALSE;
  guint64 first = pair->a + 1, last = pair->b - 1;
  double slack = ROUNDED * interval_ms(pair);
  double begin = extent.begin + slack, end = extent.end - slack;
  while (pair->aa > 0 && first < pair->b && (double)mnk_trace_pts(pair->trace, first) <= begin)
    first++;
  while (pair->bb > 0 && last > pair->a && (double)mnk_trace_pts(pair->trace, last) >= end)
    last--;
  if (first > last ||
      (pair->aa > 0 && !has_margin(pair, pair->a, first - 1, &extent, first == last)) ||
      (pair->bb > 0 && !has_margin(pair, last + 1, pair->b, &extent, first == last)))
    return FALSE;
  float residual = mean_residual(pair, first, last);
  if (residual > RESIDUAL_MEAN_MAX)
    return FALSE;
  *out = (MnkBlend){.first_mixed = first,
                    .score = 1 - residual / RESIDUAL_MEAN_MAX,
                    .last_mixed = last,
                    .start_ms = mnk_trace_pts(pair->trace, first),
                    .end_ms = mnk_trace_pts(pair->trace, last),
                    .from_blank = pair->aa == 0,
                    .to_blank = pair->bb == 0};
  return TRUE;
}

/* All ways to read the frames from a to b as a blend; the best replaces *best. */
static void try_readings(const MnkTrace *trace, guint64 a, guint64 b, float *best, MnkBlend *out) {
  for (MnkTraceLevel level = 0; level < TRACE_LEVELS; level++) {
    Pair pair;
    if (!pair_init(&pair, trace, level, a, b))
      continue;
    for (; pair.known < (may_know_one(&pair) ? KNOWN_N : KNOWN_OLD); pair.known++) {
      MnkBlend blend;
      if (!may_be_blend(&pair) || !describe(&pair, &blend))
        continue;
      /* A whole dip through blank is better than the fade-in that is its second half. */
      float rank = blend.score - (blend.from_blank ? 1 : 0);
      if (rank > *best) {
        *best = rank;
        *out = blend;
      }
    }
  }
}

/* A picture of little contrast is as good as blank before it has faded all the way: on from n by
 * `step` while it still fades, up to `limit`. */
static guint64 deepest_blank(const MnkTrace *trace, guint64 n, gint step, guint64 limit) {
  while (n != limit && mnk_trace_dot(trace, TRACE_FINE, n + (guint64)step, n + (guint64)step) <
                           mnk_trace_dot(trace, TRACE_FINE, n, n))
    n += (guint64)step;
  return n;
}

gboolean mnk_blend_ending(const MnkTrace *trace, guint64 first, guint64 last, MnkBlend *out) {
  if (mnk_trace_is_blank(trace, last)) {
    guint64 newest = last;
    while (last > first && mnk_trace_is_blank(trace, last - 1))
      last--;
    last = deepest_blank(trace, last, 1, newest);
  }
  gint64 now = mnk_trace_pts(trace, last), tried = now;
  float best = -G_MAXFLOAT;
  for (guint64 steps = 1; steps <= last - first; steps++) {
    guint64 n = last - steps;
    if (now - mnk_trace_pts(trace, n) > REACH_MS)
      break;
    /* Of a blank stretch only the end counts: there the fade-in begins. */
    gboolean blank = mnk_trace_is_blank(trace, n);
    gboolean due =
        blank ? !mnk_trace_is_blank(trace, n + 1) : tried - mnk_trace_pts(trace, n) >= STEP_MS;
    if (steps < 2 || !due)
      continue;
    tried = mnk_trace_pts(trace, n);
    guint64 a = blank ? deepest_blank(trace, n, -1, first) : n;
    if (mnk_trace_histogram(trace, a, last) >= COLOURS_MIN)
      try_readings(trace, a, last, &best, out);
  }
  return best > -G_MAXFLOAT;
}
