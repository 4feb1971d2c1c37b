#include "vision/trace_priv.h"

#include <math.h>
#include <string.h>

enum {
  CHROMA_WIDTH = TRACE_WIDTH / 2,
  CHROMA_HEIGHT = TRACE_HEIGHT / 2,
  CHROMA_CELLS = CHROMA_WIDTH * CHROMA_HEIGHT,
};

/* Variance below which a picture counts as blank, and that is always expected as noise. */
static const float BLANK_ENERGY = 12.0f;
static const float NOISE_ENERGY = 36.0f;
/* How much a step of the mean luma counts against differences of structure. */
static const float MEAN_WEIGHT = 0.25f;

MnkTrace *mnk_trace_new(void) {
  return g_new0(MnkTrace, 1);
}

void mnk_trace_free(MnkTrace *trace) {
  g_free(trace);
}

void mnk_trace_clear(MnkTrace *trace) {
  trace->first = trace->next;
}

static guint slot(guint64 n) {
  return (guint)(n % TRACE_CAPACITY);
}

const MnkSignature *mnk_trace_at(const MnkTrace *trace, guint64 n) {
  g_assert(n >= trace->first && n < trace->next);
  return &trace->frames[slot(n)];
}

gint64 mnk_trace_pts(const MnkTrace *trace, guint64 n) {
  return mnk_trace_at(trace, n)->pts_ms;
}

/* Shares of a bin and the next by nearness, so that a small change of light moves little. 16 units
 * a sample. */
static void add_to_bins(guint16 *bins, int n_bins, int value) {
  int position = value * n_bins * 16 / 256 - 8;
  int bin = MAX(position, 0) / 16;
  int share = position < 0 ? 0 : position % 16;
  bins[bin] = (guint16)(bins[bin] + 16 - share);
  if (share > 0)
    bins[MIN(bin + 1, n_bins - 1)] = (guint16)(bins[MIN(bin + 1, n_bins - 1)] + share);
}

static void describe_luma(MnkSignature *s) {
  guint sum = 0;
  for (int i = 0; i < TRACE_LUMA; i++)
    sum += s->luma[i];
  s->mean = (float)sum / TRACE_LUMA;
  int mean = (int)lrintf(s->mean);
  for (int i = 0; i < TRACE_LUMA; i++) {
    s->vector[i] = (gint16)(s->luma[i] - mean);
    add_to_bins(s->histogram, TRACE_LUMA_BINS, s->luma[i]);
  }
}

static void describe_chroma(MnkSignature *s, const guint8 *uv) {
  for (int i = 0; i < TRACE_CHROMA; i++)
    s->vector[TRACE_LUMA + i] = (gint16)(2 * (uv[i] - 128));
  /* Chroma keeps near grey: the bins cover the middle half of its range. */
  for (int i = 0; i < CHROMA_CELLS; i++) {
    int u = CLAMP(uv[2 * i] / 16 - 4, 0, TRACE_CHROMA_BINS - 1);
    int v = CLAMP(uv[2 * i + 1] / 16 - 4, 0, TRACE_CHROMA_BINS - 1);
    s->histogram[TRACE_LUMA_BINS + u * TRACE_CHROMA_BINS + v] += 64;
  }
}

/* Four times the mean of four cells of luma, so that coarse products are 16 times the fine ones a
 * cell. */
static void coarsen(MnkSignature *s) {
  for (int y = 0; y < CHROMA_HEIGHT; y++)
    for (int x = 0; x < CHROMA_WIDTH; x++) {
      const gint16 *p = s->vector + 2 * y * TRACE_WIDTH + 2 * x;
      s->coarse[y * CHROMA_WIDTH + x] = (gint16)(p[0] + p[1] + p[TRACE_WIDTH] + p[TRACE_WIDTH + 1]);
    }
  for (int i = 0; i < TRACE_CHROMA; i++)
    s->coarse[CHROMA_CELLS + i] = (gint16)(2 * s->vector[TRACE_LUMA + i]);
}

static gint32 dot(const gint16 *restrict a, const gint16 *restrict b, int n) {
  gint32 sum = 0;
  for (int i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

gboolean mnk_trace_push(MnkTrace *trace, const MnkFrame *frame) {
  guint8 uv[TRACE_CHROMA];
  MnkSignature *s = &trace->frames[slot(trace->next)];
  while (trace->next > trace->first &&
         (trace->next - trace->first == TRACE_CAPACITY ||
          frame->pts_ms - mnk_trace_pts(trace, trace->first) > TRACE_KEEP_MS))
    trace->first++;
  if (!mnk_frame_thumbnail(frame, s->luma, TRACE_WIDTH, TRACE_HEIGHT))
    return FALSE;
  if (!mnk_frame_chroma(frame, uv, CHROMA_WIDTH, CHROMA_HEIGHT))
    memset(uv, 128, sizeof uv);
  memset(s->histogram, 0, sizeof s->histogram);
  s->pts_ms = frame->pts_ms;
  describe_luma(s);
  describe_chroma(s, uv);
  coarsen(s);

  guint64 n = trace->next++;
  for (guint64 i = trace->first; i <= n; i++) {
    const MnkSignature *other = &trace->frames[slot(i)];
    trace->dots[TRACE_FINE][slot(n)][slot(i)] =
        (float)dot(s->vector, other->vector, TRACE_DIMENSIONS) / TRACE_LUMA;
    trace->dots[TRACE_COARSE][slot(n)][slot(i)] =
        (float)dot(s->coarse, other->coarse, TRACE_COARSE_DIMENSIONS) / (16 * CHROMA_CELLS);
  }
  return TRUE;
}

float mnk_trace_dot(const MnkTrace *trace, MnkTraceLevel level, guint64 a, guint64 b) {
  return trace->dots[level][slot(MAX(a, b))][slot(MIN(a, b))];
}

float mnk_trace_distance(const MnkTrace *trace, guint64 a, guint64 b) {
  float energy = mnk_trace_dot(trace, TRACE_FINE, a, a) + mnk_trace_dot(trace, TRACE_FINE, b, b);
  float step = mnk_trace_at(trace, a)->mean - mnk_trace_at(trace, b)->mean;
  float light = MEAN_WEIGHT * step * step;
  return (energy - 2 * mnk_trace_dot(trace, TRACE_FINE, a, b) + light) /
         (energy + light + NOISE_ENERGY);
}

float mnk_trace_histogram(const MnkTrace *trace, guint64 a, guint64 b) {
  const guint16 *x = mnk_trace_at(trace, a)->histogram;
  const guint16 *y = mnk_trace_at(trace, b)->histogram;
  gint luma = 0, chroma = 0;
  for (int i = 0; i < TRACE_LUMA_BINS; i++)
    luma += ABS(x[i] - y[i]);
  for (int i = TRACE_LUMA_BINS; i < TRACE_BINS; i++)
    chroma += ABS(x[i] - y[i]);
  return (float)(luma + chroma) / (2.0f * (16 * TRACE_LUMA + 64 * CHROMA_CELLS));
}

gboolean mnk_trace_is_blank(const MnkTrace *trace, guint64 n) {
  return mnk_trace_dot(trace, TRACE_FINE, n, n) < BLANK_ENERGY;
}

/* Pearson correlation of the parts that overlap when b is shifted by (dx, dy) against a. */
static float correlate_shifted(const guint8 *a, const guint8 *b, int dx, int dy) {
  gint64 n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (int y = MAX(0, -dy); y < MIN(TRACE_HEIGHT, TRACE_HEIGHT - dy); y++)
    for (int x = MAX(0, -dx); x < MIN(TRACE_WIDTH, TRACE_WIDTH - dx); x++) {
      int p = a[(y + dy) * TRACE_WIDTH + x + dx], q = b[y * TRACE_WIDTH + x];
      n++, sa += p, sb += q, saa += p * p, sbb += q * q, sab += p * q;
    }
  double va = (double)(n * saa - sa * sa), vb = (double)(n * sbb - sb * sb);
  double noise = (double)(n * n) * NOISE_ENERGY;
  return (float)((double)(n * sab - sa * sb) / sqrt((va + noise) * (vb + noise)));
}

float mnk_trace_correlation(const MnkTrace *trace, guint64 a, guint64 b) {
  return correlate_shifted(mnk_trace_at(trace, a)->luma, mnk_trace_at(trace, b)->luma, 0, 0);
}

float mnk_trace_swept(const MnkTrace *trace, guint64 a, guint64 b) {
  const guint8 *x = mnk_trace_at(trace, a)->luma, *y = mnk_trace_at(trace, b)->luma;
  float best = -1;
  for (int dy = -TRACE_HEIGHT / 3; dy <= TRACE_HEIGHT / 3; dy++)
    for (int dx = -TRACE_WIDTH / 2; dx <= TRACE_WIDTH / 2; dx++)
      best = MAX(best, correlate_shifted(x, y, dx, dy));
  return best;
}
