/* A similarity fitted robustly: hypotheses from pairs of tracks (RANSAC; Fischler and Bolles, 1981,
 * with a fixed sequence of pairs, so that equal pictures give equal answers), then least squares
 * with Tukey's weights. What most of the picture does counts; a large object in front must not. */
#include "vision/motion_priv.h"

#include <math.h>

enum {
  HYPOTHESES = 160,
  REFINEMENTS = 4,
  BLOCKS_MIN = 10,
  FOLLOWERS_MIN = 8,
  BORDER_BLOCKS_MIN = 4,
};

static const double TOLERANCE = 0.6, TOLERANCE_PART = 0.04; /* pixels; part of the shift */
static const double INLIERS_MIN = 0.55;       /* of the blocks that were found again */
static const double FOLLOWERS_PART_MIN = 0.3; /* of all: others may be hidden by what moves */
static const double BORDER = 0.2;      /* of a side: what lies there is rarely an object in front */
static const double EDGE = 6;          /* pixels: half a block and what rounding adds */
static const double EXTENT_MIN = 0.45; /* of a side, that the blocks must span */
static const double SCALE_MIN = 0.6, SCALE_MAX = 1.7;

/* x' = a x - b y + tx, y' = b x + a y + ty, relative to the middle of the picture. */
typedef struct {
  double a, b, tx, ty;
} Fit;

typedef struct {
  const MnkTrack *tracks;
  guint n;
  double width, height;
  double tolerances[MOTION_POINTS]; /* squared */
} Scene;

static void place(const Scene *s, guint i, double *x, double *y) {
  *x = (double)s->tracks[i].x - (s->width - 1) / 2;
  *y = (double)s->tracks[i].y - (s->height - 1) / 2;
}

/* How far track i ends from where the fit sends it, in tolerances, squared. */
static double deviation(const Scene *s, const Fit *f, guint i) {
  double x, y, u = (double)s->tracks[i].u, v = (double)s->tracks[i].v;
  place(s, i, &x, &y);
  double ex = f->a * x - f->b * y + f->tx - x - u, ey = f->b * x + f->a * y + f->ty - y - v;
  return (ex * ex + ey * ey) / s->tolerances[i];
}

static void set_tolerances(const MnkTrack *tracks, guint n, double *tolerances) {
  for (guint i = 0; i < n; i++) {
    double tolerance = TOLERANCE + TOLERANCE_PART * hypot((double)tracks[i].u, (double)tracks[i].v);
    tolerances[i] = tolerance * tolerance;
  }
}

static gboolean at_border(const Scene *s, guint i) {
  double x = (double)s->tracks[i].x / s->width, y = (double)s->tracks[i].y / s->height;
  return x < BORDER || x > 1 - BORDER || y < BORDER || y > 1 - BORDER;
}

/* Blocks that follow the fit, those at the border twice. */
static guint support(const Scene *s, const Fit *f) {
  guint sum = 0;
  for (guint i = 0; i < s->n; i++)
    if (s->tracks[i].found && deviation(s, f, i) < 1)
      sum += at_border(s, i) ? 2 : 1;
  return sum;
}

static gboolean fit_pair(const Scene *s, guint i, guint j, Fit *out) {
  double xi, yi, xj, yj;
  place(s, i, &xi, &yi);
  place(s, j, &xj, &yj);
  double dx = xj - xi, dy = yj - yi, length = dx * dx + dy * dy;
  if (length < 0.04 * s->width * s->width)
    return FALSE;
  double du = dx + (double)(s->tracks[j].u - s->tracks[i].u);
  double dv = dy + (double)(s->tracks[j].v - s->tracks[i].v);
  out->a = (dx * du + dy * dv) / length;
  out->b = (dx * dv - dy * du) / length;
  out->tx = xi + (double)s->tracks[i].u - out->a * xi + out->b * yi;
  out->ty = yi + (double)s->tracks[i].v - out->b * xi - out->a * yi;
  double scale = hypot(out->a, out->b);
  return scale > SCALE_MIN && scale < SCALE_MAX;
}

static guint32 next_random(guint32 *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static Fit best_hypothesis(const Scene *s) {
  Fit best = {.a = 1};
  guint most = support(s, &best); /* stillness comes first: it wins a tie */
  guint32 state = 1;
  for (int k = 0; k < HYPOTHESES; k++) {
    guint i = next_random(&state) % s->n, j = next_random(&state) % s->n;
    Fit fit;
    if (!s->tracks[i].found || !s->tracks[j].found || !fit_pair(s, i, j, &fit))
      continue;
    guint followers = support(s, &fit);
    if (followers > most) {
      most = followers;
      best = fit;
    }
  }
  return best;
}

/* Weighted least squares of a, b, tx, ty in closed form. */
static gboolean refine(const Scene *s, Fit *fit) {
  double w = 0, x0 = 0, y0 = 0, u0 = 0, v0 = 0, weights[MOTION_POINTS];
  for (guint i = 0; i < s->n; i++) {
    double d = s->tracks[i].found ? deviation(s, fit, i) / 2 : 1, x, y;
    weights[i] = d < 1 ? (1 - d) * (1 - d) : 0;
    place(s, i, &x, &y);
    w += weights[i];
    x0 += weights[i] * x;
    y0 += weights[i] * y;
    u0 += weights[i] * (x + (double)s->tracks[i].u);
    v0 += weights[i] * (y + (double)s->tracks[i].v);
  }
  if (w < 3)
    return FALSE;
  x0 /= w, y0 /= w, u0 /= w, v0 /= w;
  double spread = 0, along = 0, across = 0;
  for (guint i = 0; i < s->n; i++) {
    double x, y;
    place(s, i, &x, &y);
    double u = x + (double)s->tracks[i].u - u0, v = y + (double)s->tracks[i].v - v0;
    x -= x0, y -= y0;
    spread += weights[i] * (x * x + y * y);
    along += weights[i] * (x * u + y * v);
    across += weights[i] * (x * v - y * u);
  }
  if (spread < 1)
    return FALSE;
  fit->a = along / spread;
  fit->b = across / spread;
  fit->tx = u0 - fit->a * x0 + fit->b * y0;
  fit->ty = v0 - fit->b * x0 - fit->a * y0;
  return TRUE;
}

/* A block that leaves the picture with the fit cannot be found again and says nothing against it.
 */
static gboolean stays_inside(const Scene *s, const Fit *f, guint i) {
  double x, y;
  place(s, i, &x, &y);
  double u = f->a * x - f->b * y + f->tx, v = f->b * x + f->a * y + f->ty;
  return fabs(u) < s->width / 2 - EDGE && fabs(v) < s->height / 2 - EDGE;
}

/* Blocks crowded in one part of the picture say nothing about the camera. */
static gboolean is_spread(const Scene *s) {
  float left = G_MAXFLOAT, right = 0, top = G_MAXFLOAT, bottom = 0;
  for (guint i = 0; i < s->n; i++) {
    left = MIN(left, s->tracks[i].x);
    right = MAX(right, s->tracks[i].x);
    top = MIN(top, s->tracks[i].y);
    bottom = MAX(bottom, s->tracks[i].y);
  }
  return (double)(right - left) > EXTENT_MIN * s->width &&
         (double)(bottom - top) > EXTENT_MIN * s->height;
}

gboolean mnk_similarity_fit(const MnkTrack *tracks, guint n, int width, int height,
                            MnkSimilarity *out) {
  Scene scene = {.tracks = tracks, .n = n, .width = width, .height = height};
  if (n < BLOCKS_MIN || n > MOTION_POINTS || !is_spread(&scene))
    return FALSE;

  set_tolerances(tracks, n, scene.tolerances);
  Fit fit = best_hypothesis(&scene);
  for (int k = 0; k < REFINEMENTS; k++)
    if (!refine(&scene, &fit))
      return FALSE;
  guint seen = 0, found = 0, followers = 0, border = 0, border_followers = 0;
  for (guint i = 0; i < n; i++) {
    seen += stays_inside(&scene, &fit, i) ? 1 : 0;
    if (!tracks[i].found || !stays_inside(&scene, &fit, i))
      continue;
    gboolean follows = deviation(&scene, &fit, i) < 1;
    found++;
    followers += follows ? 1 : 0;
    border += at_border(&scene, i) ? 1 : 0;
    border_followers += follows && at_border(&scene, i) ? 1 : 0;
  }
  *out = (MnkSimilarity){.dx = fit.tx,
                         .dy = fit.ty,
                         .scale = hypot(fit.a, fit.b),
                         .rotation = atan2(fit.b, fit.a),
                         .inliers = (double)followers / MAX(found, 1)};
  return followers >= FOLLOWERS_MIN && followers >= FOLLOWERS_PART_MIN * seen &&
         out->inliers >= INLIERS_MIN && border >= BORDER_BLOCKS_MIN &&
         border_followers >= INLIERS_MIN * border;
}
