#include <libavutil/pixdesc.h>
#include <string.h>

#include "media/frame_priv.h"
#include "media/libav_priv.h"
#include "media/scaler_priv.h"

/* A cell of the grid is the mean of this many rows by this many columns of samples: of 720p at 64 x
 * 64 about every fifth pixel each way. More rows cost more than they tell: memory is what takes
 * time. */
enum { ROWS = 2, COLUMNS = 4, SIDE_MAX = 256 };
enum { CACHE_LINE = 64, FETCH_AHEAD = 4 };

/* One component of a picture as it lies in memory. */
typedef struct {
  const guint8 *bytes;
  gssize stride;
  int step; /* bytes from one sample to the next */
  int width, height;
  int depth, shift; /* bits of a sample, and the unused ones below them */
  gboolean full_range, chroma;
} Component;

/* ---- Straight from the planes ---- */

static gboolean is_readable(const AVPixFmtDescriptor *format, int component) {
  const guint64 others = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BE |
                         AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL |
                         AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;
  const AVComponentDescriptor *c = &format->comp[component];
  return !(format->flags & others) && component < format->nb_components && c->depth >= 8 &&
         c->depth + c->shift <= 16;
}

static gboolean component_of(const AVFrame *picture, int component, Component *out) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(picture->format);
  if (!format || picture->format == AV_PIX_FMT_XYZ12LE || !is_readable(format, component))
    return FALSE;
  const AVComponentDescriptor *c = &format->comp[component];
  gboolean chroma = component > 0;
  *out = (Component){
      .bytes = picture->data[c->plane] + c->offset,
      .stride = picture->linesize[c->plane],
      .step = c->step,
      .width = chroma ? AV_CEIL_RSHIFT(picture->width, format->log2_chroma_w) : picture->width,
      .height = chroma ? AV_CEIL_RSHIFT(picture->height, format->log2_chroma_h) : picture->height,
      .depth = c->depth,
      .shift = c->shift,
      .full_range = mnk_picture_full_range(picture),
      .chroma = chroma,
  };
  return TRUE;
}

static void add_row_8(const guint8 *row, const int *offsets, int cells, guint32 *sums) {
  for (int i = 0; i < cells; i++, offsets += COLUMNS)
    sums[i] += row[offsets[0]] + row[offsets[1]] + row[offsets[2]] + row[offsets[3]];
}

static void add_row_16(const guint8 *row, const int *offsets, int cells, int shift, guint32 *sums) {
  for (int i = 0; i < cells; i++, offsets += COLUMNS)
    for (int k = 0; k < COLUMNS; k++)
      sums[i] += (row[offsets[k]] | row[offsets[k] + 1] << 8) >> shift;
}

/* From the sum of a cell to a level of 8 bits and full range: sum * gain + offset. */
typedef struct {
  float gain, offset;
} Scale;

static Scale scale_of(const Component *c) {
  float one = 1.0f / (float)(ROWS * COLUMNS * (1 << (c->depth - 8)));
  if (c->full_range)
    return (Scale){one, 0.5f};
  return c->chroma ? (Scale){one * (255 / 224.0f), 128.5f - 128 * (255 / 224.0f)}
                   : (Scale){one * (255 / 219.0f), 0.5f - 16 * (255 / 219.0f)};
}

static void write_levels(const guint32 *sums, int cells, Scale scale, guint8 *out, int out_step) {
  for (int i = 0; i < cells; i++, out += out_step) {
    int value = (int)((float)sums[i] * scale.gain + scale.offset);
    *out = (guint8)CLAMP(value, 0, 255);
  }
}

/* The rows lie far apart and the processor does not guess the next one: waiting for memory would be
 * four fifths of the time. */
static void fetch_row(const guint8 *row, gssize length) {
  for (gssize i = 0; i < length; i += CACHE_LINE)
    __builtin_prefetch(row + i);
}

static const guint8 *sample_row(const Component *c, int height, int number) {
  gint64 y = (2 * number + 1) * (gint64)c->height / (2 * height * ROWS);
  return c->bytes + MIN(y, c->height - 1) * c->stride;
}

/* out_step: bytes from one cell to the next. */
static void average_grid(const Component *c, int width, int height, guint8 *out, int out_step) {
  const Scale scale = scale_of(c);
  int offsets[SIDE_MAX * COLUMNS] = {0};
  for (int i = 0; i < width * COLUMNS; i++)
    offsets[i] = (int)((2 * i + 1) * (gint64)c->width / (2 * width * COLUMNS)) * c->step;
  for (int j = 0; j < height; j++) {
    guint32 sums[SIDE_MAX] = {0};
    for (int k = 0; k < ROWS; k++) {
      const guint8 *row = sample_row(c, height, j * ROWS + k);
      fetch_row(sample_row(c, height, j * ROWS + k + FETCH_AHEAD), (gssize)c->width * c->step);
      if (c->depth + c->shift == 8)
        add_row_8(row, offsets, width, sums);
      else
        add_row_16(row, offsets, width, c->shift, sums);
    }
    write_levels(sums, width, scale, out, out_step);
    out += (gssize)width * out_step;
  }
}

/* ---- Other formats ---- */

static AVFrame *scaled(const MnkPicture *from, enum AVPixelFormat format, int width, int height) {
  g_autoptr(AVFrame) to = av_frame_alloc();
  if (!to)
    return NULL;
  to->format = format;
  to->width = width;
  to->height = height;
  if (av_frame_get_buffer(to, 0) < 0 || !mnk_scale(from->picture, from->orientation, to, NULL))
    return NULL;
  return g_steal_pointer(&to);
}

static gboolean is_grey(const AVFrame *picture) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(picture->format);
  return !format || (format->nb_components < 3 && !(format->flags & AV_PIX_FMT_FLAG_PAL));
}

/* ---- Upright ---- */

/* A small plane of cells of cell_bytes, turned upright. */
static void turn_upright(MnkOrientation orientation, const guint8 *coded, int cell_bytes,
                         guint8 *out, int width, int height) {
  int coded_width = orientation.transpose ? height : width;
  int coded_height = orientation.transpose ? width : height;
  for (int y = 0; y < coded_height; y++)
    for (int x = 0; x < coded_width; x++, coded += cell_bytes) {
      int to_x = orientation.transpose ? y : x, to_y = orientation.transpose ? x : y;
      if (orientation.flip_x)
        to_x = width - 1 - to_x;
      if (orientation.flip_y)
        to_y = height - 1 - to_y;
      memcpy(out + (gsize)(to_y * width + to_x) * cell_bytes, coded, cell_bytes);
    }
}

static gboolean is_upright(MnkOrientation orientation) {
  return !orientation.transpose && !orientation.flip_x && !orientation.flip_y;
}

gboolean mnk_frame_thumbnail(const MnkFrame *frame, guint8 *luma, int width, int height) {
  g_return_val_if_fail(frame && luma && width > 0 && height > 0, FALSE);
  g_return_val_if_fail(width <= SIDE_MAX && height <= SIDE_MAX, FALSE);
  const MnkPicture *from = mnk_frame_picture(frame);
  Component c;
  if (!component_of(from->picture, 0, &c)) {
    g_autoptr(AVFrame) grey = scaled(from, AV_PIX_FMT_GRAY8, width, height);
    for (int y = 0; grey && y < height; y++)
      memcpy(luma + (gsize)y * width, grey->data[0] + (gssize)y * grey->linesize[0], width);
    return grey != NULL;
  }
  if (is_upright(from->orientation)) {
    average_grid(&c, width, height, luma, 1);
    return TRUE;
  }
  guint8 coded[SIDE_MAX * SIDE_MAX];
  gboolean transpose = from->orientation.transpose;
  average_grid(&c, transpose ? height : width, transpose ? width : height, coded, 1);
  turn_upright(from->orientation, coded, 1, luma, width, height);
  return TRUE;
}

static gboolean chroma_by_scaling(const MnkPicture *from, guint8 *uv, int width, int height) {
  g_autoptr(AVFrame) yuv = scaled(from, AV_PIX_FMT_YUV444P, width, height);
  for (int y = 0; yuv && y < height; y++)
    for (int x = 0; x < width; x++) {
      *uv++ = yuv->data[1][(gssize)y * yuv->linesize[1] + x];
      *uv++ = yuv->data[2][(gssize)y * yuv->linesize[2] + x];
    }
  return yuv != NULL;
}

gboolean mnk_frame_chroma(const MnkFrame *frame, guint8 *uv, int width, int height) {
  g_return_val_if_fail(frame && uv && width > 0 && height > 0, FALSE);
  g_return_val_if_fail(width <= SIDE_MAX && height <= SIDE_MAX, FALSE);
  const MnkPicture *from = mnk_frame_picture(frame);
  Component u, v;
  if (is_grey(from->picture))
    return FALSE;
  if (!component_of(from->picture, 1, &u) || !component_of(from->picture, 2, &v))
    return chroma_by_scaling(from, uv, width, height);

  gboolean transpose = from->orientation.transpose;
  int across = transpose ? height : width, down = transpose ? width : height;
  if (is_upright(from->orientation)) {
    average_grid(&u, across, down, uv, 2);
    average_grid(&v, across, down, uv + 1, 2);
    return TRUE;
  }
  guint8 coded[2 * SIDE_MAX * SIDE_MAX];
  average_grid(&u, across, down, coded, 2);
  average_grid(&v, across, down, coded + 1, 2);
  turn_upright(from->orientation, coded, 2, uv, width, height);
  return TRUE;
}
