/* Scaling and turning of pictures into tensors. The inner loops are plain and free of
 * branches, so that the compiler vectorises them for any machine. */
#include "vision/resample_priv.h"

#include <math.h>
#include <string.h>

enum { MAX_SAMPLES = 4 };

/* ---- Scaling: a separable triangle filter ---- */

/* For each output position the first source position and a fixed number of weights. */
typedef struct {
  int n, taps;
  int *first;
  float *weight; /* n * taps */
} Filter;

static void filter_clear(Filter *filter) {
  g_free(filter->first);
  g_free(filter->weight);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Filter, filter_clear)

static void filter_init(Filter *filter, int from, int to) {
  double step = (double)from / to, reach = MAX(step, 1.0);

  filter->n = to;
  filter->taps = MIN((int)ceil(2 * reach) + 1, from);
  filter->first = g_new(int, to);
  filter->weight = g_new0(float, (gsize)to * filter->taps);
  for (int i = 0; i < to; i++) {
    double centre = (i + 0.5) * step, sum = 0;
    float *w = filter->weight + (gsize)i * filter->taps;
    int first = CLAMP((int)floor(centre - reach), 0, from - filter->taps);

    filter->first[i] = first;
    for (int k = 0; k < filter->taps; k++) {
      double distance = fabs(first + k + 0.5 - centre) / reach;
      w[k] = distance < 1 ? (float)(1 - distance) : 0;
      sum += w[k];
    }
    for (int k = 0; k < filter->taps; k++)
      w[k] = (float)(w[k] / sum);
  }
}

static void add_row(float *restrict sum, const guint8 *restrict row, float weight, int n) {
  for (int i = 0; i < n; i++)
    sum[i] += weight * row[i];
}

/* One output row of RGB triples, 0..255, from a column-summed source row. */
static void scale_row(const Filter *filter, const float *restrict sum, float *restrict out) {
  for (int i = 0; i < filter->n; i++) {
    const float *w = filter->weight + (gsize)i * filter->taps;
    const float *s = sum + (gsize)filter->first[i] * 3;
    float r = 0, g = 0, b = 0;

    for (int k = 0; k < filter->taps; k++) {
      r += w[k] * s[3 * k];
      g += w[k] * s[3 * k + 1];
      b += w[k] * s[3 * k + 2];
    }
    out[3 * i] = r;
    out[3 * i + 1] = g;
    out[3 * i + 2] = b;
  }
}

/* ---- Storing in the model's layout ---- */

static void store_bytes(const float *restrict rgb, int n, guint8 *restrict out) {
  for (int i = 0; i < n; i++)
    out[i] = (guint8)(rgb[i] + 0.5f); /* a mean of bytes: never out of range */
}

static void store_floats(const MnkInputFormat *format, const float *restrict rgb, gsize start,
                         int n, float *restrict out) {
  gsize plane = (gsize)format->width * format->height;
  int next = format->planar ? 1 : 3;

  for (int c = 0; c < 3; c++) {
    float *restrict to = format->planar ? out + c * plane + start : out + start * 3 + c;
    const float *restrict from = rgb + (format->bgr ? 2 - c : c);
    float scale = format->scale[c], bias = format->bias[c];
    for (int i = 0; i < n; i++)
      to[(gsize)i * next] = from[3 * i] * scale + bias;
  }
}

/* RGB triples 0..255 to row y, from column x. */
static void store_row(const MnkInputFormat *format, const float *rgb, int x, int y, int n,
                      void *out) {
  gsize start = (gsize)y * format->width + x;

  if (format->bytes)
    store_bytes(rgb, 3 * n, (guint8 *)out + 3 * start);
  else
    store_floats(format, rgb, start, n, out);
}

static void fill_black(const MnkInputFormat *format, void *out) {
  gsize plane = (gsize)format->width * format->height;
  float *floats = out;

  if (format->bytes) {
    memset(out, 0, plane * 3);
    return;
  }
  for (int c = 0; c < 3; c++)
    for (gsize i = 0; i < plane; i++)
      floats[format->planar ? c * plane + i : 3 * i + c] = format->bias[c];
}

void mnk_resample(const MnkPicture *picture, const MnkRect *from, const MnkInputFormat *format,
                  const MnkRect *to, void *out) {
  g_auto(Filter) across = {0}, down = {0};
  gsize width = (gsize)from->w * 3;
  g_autofree float *sum = g_new(float, width);
  g_autofree float *row = g_new(float, (gsize)to->w * 3);

  g_return_if_fail(from->x >= 0 && from->y >= 0 && from->w > 0 && from->h > 0);
  g_return_if_fail(from->x + from->w <= picture->width && from->y + from->h <= picture->height);
  g_return_if_fail(to->x >= 0 && to->y >= 0 && to->w > 0 && to->h > 0);
  g_return_if_fail(to->x + to->w <= format->width && to->y + to->h <= format->height);

  filter_init(&across, from->w, to->w);
  filter_init(&down, from->h, to->h);
  if (to->w < format->width || to->h < format->height)
    fill_black(format, out);
  for (int y = 0; y < to->h; y++) {
    const float *w = down.weight + (gsize)y * down.taps;

    memset(sum, 0, width * sizeof *sum);
    for (int k = 0; k < down.taps; k++)
      if (w[k] > 0)
        add_row(sum,
                picture->rgb + (gsize)(from->y + down.first[y] + k) * picture->stride +
                    (gsize)from->x * 3,
                w[k], (int)width);
    scale_row(&across, sum, row);
    store_row(format, row, to->x, to->y + y, to->w, out);
  }
}

MnkRect mnk_letterbox(const MnkPicture *picture, const MnkInputFormat *format) {
  double scale =
      MIN((double)format->width / picture->width, (double)format->height / picture->height);
  int w = CLAMP((int)lround(picture->width * scale), 1, format->width);
  int h = CLAMP((int)lround(picture->height * scale), 1, format->height);

  return (MnkRect){(format->width - w) / 2, (format->height - h) / 2, w, h};
}

/* ---- Turning ---- */

MnkAffine mnk_affine_for(float cx, float cy, float w, float h, float angle, int out_w, int out_h) {
  float cosine = cosf(angle), sine = sinf(angle), sx = w / out_w, sy = h / out_h;
  MnkAffine m = {.a = cosine * sx, .b = -sine * sy, .d = sine * sx, .e = cosine * sy};

  m.c = cx - m.a * out_w / 2 - m.b * out_h / 2;
  m.f = cy - m.d * out_w / 2 - m.e * out_h / 2;
  return m;
}

void mnk_affine_apply(const MnkAffine *affine, float u, float v, float *x, float *y) {
  *x = affine->a * u + affine->b * v + affine->c;
  *y = affine->d * u + affine->e * v + affine->f;
}

/* Adds the bilinear value at (x, y), in pixels with centres at halves. */
static void add_sample(const MnkPicture *picture, float x, float y, float *rgb) {
  /* fmaxf takes NaN to 0; a model may give any number. */
  x = fminf(fmaxf(x - 0.5f, 0), (float)(picture->width - 1));
  y = fminf(fmaxf(y - 0.5f, 0), (float)(picture->height - 1));
  int x0 = (int)x, y0 = (int)y;
  int x1 = MIN(x0 + 1, picture->width - 1), y1 = MIN(y0 + 1, picture->height - 1);
  float tx = x - (float)x0, ty = y - (float)y0;
  const guint8 *top = picture->rgb + (gsize)y0 * picture->stride;
  const guint8 *bottom = picture->rgb + (gsize)y1 * picture->stride;

  for (int c = 0; c < 3; c++) {
    float above = top[3 * x0 + c] + tx * (top[3 * x1 + c] - top[3 * x0 + c]);
    float below = bottom[3 * x0 + c] + tx * (bottom[3 * x1 + c] - bottom[3 * x0 + c]);
    rgb[c] += above + ty * (below - above);
  }
}

/* Samples to each side of an output pixel, so that none of the picture's is left out. */
static int samples_for(const MnkAffine *m) {
  float step = MAX(hypotf(m->a, m->d), hypotf(m->b, m->e));

  return isfinite(step) ? CLAMP((int)lroundf(step), 1, MAX_SAMPLES) : 1;
}

static void warp_pixel(const MnkPicture *picture, const MnkAffine *affine, int samples, int u,
                       int v, float *rgb) {
  rgb[0] = rgb[1] = rgb[2] = 0;
  for (int j = 0; j < samples; j++)
    for (int i = 0; i < samples; i++) {
      float x, y;
      mnk_affine_apply(affine, u + (i + 0.5f) / samples, v + (j + 0.5f) / samples, &x, &y);
      add_sample(picture, x, y, rgb);
    }
  for (int c = 0; c < 3; c++)
    rgb[c] /= (float)(samples * samples);
}

void mnk_warp(const MnkPicture *picture, const MnkAffine *affine, const MnkInputFormat *format,
              int columns, void *out) {
  g_autofree float *row = g_new(float, (gsize)columns * 3);
  int samples = samples_for(affine);

  g_return_if_fail(columns > 0 && columns <= format->width);
  for (int v = 0; v < format->height; v++) {
    for (int u = 0; u < columns; u++)
      warp_pixel(picture, affine, samples, u, v, row + 3 * u);
    store_row(format, row, 0, v, columns, out);
  }
}
