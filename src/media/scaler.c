#include "media/scaler_priv.h"

#include <libavutil/intreadwrite.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "base/base.h"
#include "media/libav_priv.h"

enum {
  STRIP_ROWS = 24,    /* of the converted picture, about: 24 rows of 1,280 RGB pixels are 90 KiB */
  SLICE_MULTIPLE = 4, /* rows read at a time are a multiple of all chroma subsamplings */
  SHRINK_MAX = 32,    /* from here on libswscale may scale twice, which it cannot by slices */
};

typedef struct SwsContext MnkSws;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSws, sws_freeContext)

/* ---- Colour ---- */

/* The deprecated full-range formats under their plain names. */
static enum AVPixelFormat plain_format(enum AVPixelFormat format) {
  switch (format) {
  case AV_PIX_FMT_YUVJ420P:
    return AV_PIX_FMT_YUV420P;
  case AV_PIX_FMT_YUVJ422P:
    return AV_PIX_FMT_YUV422P;
  case AV_PIX_FMT_YUVJ444P:
    return AV_PIX_FMT_YUV444P;
  case AV_PIX_FMT_YUVJ440P:
    return AV_PIX_FMT_YUV440P;
  case AV_PIX_FMT_YUVJ411P:
    return AV_PIX_FMT_YUV411P;
  default:
    return format;
  }
}

gboolean mnk_picture_full_range(const AVFrame *picture) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(picture->format);
  if (!format || (format->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) ||
      plain_format(picture->format) != (enum AVPixelFormat)picture->format)
    return TRUE;
  /* Grey without a word comes from still pictures, which use all values. */
  if (picture->color_range == AVCOL_RANGE_UNSPECIFIED)
    return format->nb_components < 3;
  return picture->color_range == AVCOL_RANGE_JPEG;
}

enum AVColorSpace mnk_picture_matrix(const AVFrame *picture) {
  switch (picture->colorspace) {
  case AVCOL_SPC_BT709:
  case AVCOL_SPC_FCC:
  case AVCOL_SPC_BT470BG:
  case AVCOL_SPC_SMPTE170M:
  case AVCOL_SPC_SMPTE240M:
  case AVCOL_SPC_BT2020_NCL:
  case AVCOL_SPC_BT2020_CL:
    return picture->colorspace;
  default:
    return picture->height > 576 || picture->width >= 1280 ? AVCOL_SPC_BT709 : AVCOL_SPC_BT470BG;
  }
}

/* ---- What is read ---- */

/* The top field of an interlaced picture: every second row, as a picture of half the height. */
static void take_top_field(AVFrame *view) {
  view->height = (view->height + 1) / 2;
  for (int i = 0; i < AV_NUM_DATA_POINTERS && view->data[i]; i++)
    view->linesize[i] *= 2;
}

/* libswscale takes all grey for full range. Grey of narrow range gets planes of no colour and goes
 * as YUV. FALSE: no memory. */
static gboolean lend_chroma(AVFrame *view) {
  enum AVPixelFormat format = view->format == AV_PIX_FMT_GRAY8      ? AV_PIX_FMT_YUV420P
                              : view->format == AV_PIX_FMT_GRAY10LE ? AV_PIX_FMT_YUV420P10LE
                              : view->format == AV_PIX_FMT_GRAY12LE ? AV_PIX_FMT_YUV420P12LE
                                                                    : AV_PIX_FMT_NONE;
  if (format == AV_PIX_FMT_NONE || mnk_picture_full_range(view))
    return TRUE;
  int bytes = view->format == AV_PIX_FMT_GRAY8 ? 1 : 2;
  gsize n = (gsize)((view->width + 1) / 2) * ((view->height + 1) / 2);
  view->buf[1] = av_buffer_alloc(n * bytes + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!view->buf[1])
    return FALSE;
  guint16 none = 1 << (av_pix_fmt_desc_get(format)->comp[1].depth - 1);
  guint8 *plane = view->buf[1]->data;
  for (gsize i = 0; i < n; i++) {
    if (bytes == 1)
      plane[i] = (guint8)none;
    else
      AV_WL16(plane + 2 * i, none);
  }
  view->data[1] = view->data[2] = plane;
  view->linesize[1] = view->linesize[2] = (view->width + 1) / 2 * bytes;
  view->color_range = AVCOL_RANGE_MPEG;
  view->format = format;
  return TRUE;
}

static AVFrame *picture_view(const AVFrame *picture) {
  g_autoptr(AVFrame) view = av_frame_clone(picture);
  if (!view)
    return NULL;
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(view->format);
  gboolean palette = format && (format->flags & AV_PIX_FMT_FLAG_PAL);
  if (mnk_av_frame_is_interlaced(view) && view->height >= 4 && !palette)
    take_top_field(view);
  return lend_chroma(view) ? g_steal_pointer(&view) : NULL;
}

/* The ranges must be known before the scaler is set up: it would take equal formats for a plain
 * copy. */
static MnkSws *scaler_new(const AVFrame *view, enum AVPixelFormat format, const AVFrame *upright,
                          gboolean transpose) {
  int width = transpose ? upright->height : upright->width;
  int height = transpose ? upright->width : upright->height;
  /* Means of cells where it gets much smaller, else linear. */
  gboolean much_smaller = view->width >= 2 * width || view->height >= 2 * height;
  const struct {
    const char *name;
    gint64 value;
  } options[] = {
      {"srcw", view->width},
      {"srch", view->height},
      {"src_format", format},
      {"src_range", mnk_picture_full_range(view)},
      {"dstw", width},
      {"dsth", height},
      {"dst_format", upright->format},
      {"dst_range", 1},
      {"sws_flags", much_smaller ? SWS_AREA : SWS_BILINEAR},
  };
  g_autoptr(MnkSws) sws = sws_alloc_context();
  for (guint i = 0; sws && i < G_N_ELEMENTS(options); i++)
    if (av_opt_set_int(sws, options[i].name, options[i].value, 0) < 0)
      return NULL;
  return sws && sws_init_context(sws, NULL, NULL) >= 0 ? g_steal_pointer(&sws) : NULL;
}

static MnkSws *scaler_for(const AVFrame *picture, const AVFrame *view, const AVFrame *upright,
                          gboolean transpose, GError **error) {
  enum AVPixelFormat format = plain_format(view->format);
  if (!sws_isSupportedInput(format)) {
    const char *name = av_get_pix_fmt_name(format);
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED, "Pixel format '%s' cannot be converted",
                name ? name : "unknown");
    return NULL;
  }
  MnkSws *sws = scaler_new(view, format, upright, transpose);
  if (!sws) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "A picture of %d x %d pixels cannot be scaled to %d x %d", view->width,
                view->height, upright->width, upright->height);
    return NULL;
  }
  /* SWS_CS_* have the numbers of AVCOL_SPC_*. Of YUV to YUV only the range changes. */
  const int *matrix = sws_getCoefficients(mnk_picture_matrix(picture));
  sws_setColorspaceDetails(sws, matrix, mnk_picture_full_range(picture), matrix, 1, 0, 1 << 16,
                           1 << 16);
  return sws;
}

/* ---- What is written ---- */

/* Straight into the upright picture; upside down by walking its rows from the last one up. */
static gboolean scale_direct(MnkSws *sws, const AVFrame *view, gboolean flip_y, AVFrame *upright) {
  guint8 *planes[4] = {NULL};
  int strides[4] = {0};
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(upright->format);
  for (int i = 0; i < 4 && upright->data[i]; i++) {
    int shift = i == 1 || i == 2 ? format->log2_chroma_h : 0;
    int rows = AV_CEIL_RSHIFT(upright->height, shift);
    strides[i] = flip_y ? -upright->linesize[i] : upright->linesize[i];
    planes[i] = upright->data[i] + (flip_y ? (gssize)(rows - 1) * upright->linesize[i] : 0);
  }
  return sws_scale(sws, (const guint8 *const *)view->data, view->linesize, 0, view->height, planes,
                   strides) > 0;
}

/* A part of the converted, not yet upright picture. */
typedef struct {
  AVFrame *rows;
  int first, capacity; /* number of its first row, and room for rows */
} Strip;

static int chroma_shift(const AVFrame *picture, int plane, gboolean across) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(picture->format);
  if (plane != 1 && plane != 2)
    return 0;
  return across ? format->log2_chroma_w : format->log2_chroma_h;
}

/* Rows from..until of the strip to where they belong in the upright picture. */
static void place_rows(const Strip *strip, int from, int until, MnkOrientation orientation,
                       AVFrame *upright) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(upright->format);
  for (int i = 0; i < 4 && upright->data[i]; i++) {
    int shift_x = chroma_shift(upright, i, TRUE), shift = chroma_shift(upright, i, FALSE);
    MnkPlane plane = {upright->data[i], upright->linesize[i],
                      AV_CEIL_RSHIFT(upright->width, shift_x),
                      AV_CEIL_RSHIFT(upright->height, shift)};
    /* A chroma row comes with the first of its luma rows. */
    int first = AV_CEIL_RSHIFT(from, shift), last = AV_CEIL_RSHIFT(until, shift);
    const AVFrame *rows = strip->rows;
    const guint8 *bytes =
        rows->data[i] + (gssize)(first - (strip->first >> shift)) * rows->linesize[i];
    mnk_orientation_place(orientation, bytes, rows->linesize[i], first, last - first,
                          format->comp[i].step, &plane);
  }
}

/* Reads n rows of the picture and writes those rows that they complete; how many, or < 0.
 * libswscale takes a pointer to the first row of the whole picture, of which the strip is a part.
 */
static int scale_slice(MnkSws *sws, const AVFrame *view, int row, int n, const Strip *strip) {
  const guint8 *from[4] = {NULL};
  guint8 *to[4] = {NULL};
  for (int i = 0; i < 4 && view->data[i]; i++) {
    gboolean palette = av_pix_fmt_desc_get(view->format)->flags & AV_PIX_FMT_FLAG_PAL && i == 1;
    int above = palette ? 0 : row >> chroma_shift(view, i, FALSE);
    from[i] = view->data[i] + (gssize)above * view->linesize[i];
  }
  for (int i = 0; i < 4 && strip->rows->data[i]; i++) {
    gsize above = (gsize)(strip->first >> chroma_shift(strip->rows, i, FALSE));
    to[i] = (guint8 *)((guintptr)strip->rows->data[i] - above * strip->rows->linesize[i]);
  }
  return sws_scale(sws, from, view->linesize, row, n, to, strip->rows->linesize);
}

/* How many rows to read at a time, and the most that can be written for them: a row is written at
 * the earliest when the row at its middle was read, and at the latest when the whole reach of its
 * filter was (two rows of the picture or of the result, whichever are further). */
static int slice_rows(const AVFrame *view, int height, int *most_written) {
  double shrink = (double)view->height / height;
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(view->format);
  if (shrink >= SHRINK_MAX || (format->flags & AV_PIX_FMT_FLAG_BAYER)) {
    *most_written = height;
    return view->height;
  }
  int n = MAX(SLICE_MULTIPLE, (int)(STRIP_ROWS * shrink) / SLICE_MULTIPLE * SLICE_MULTIPLE);
  *most_written = MIN(height, (int)((n + 2 * SLICE_MULTIPLE) / shrink) + 8);
  return n;
}

static gboolean scale_by_strips(MnkSws *sws, const AVFrame *view, MnkOrientation orientation,
                                AVFrame *upright) {
  int height = orientation.transpose ? upright->width : upright->height, done = 0;
  Strip strip = {.first = 0};
  int slice = slice_rows(view, height, &strip.capacity);
  g_autoptr(AVFrame) rows = av_frame_alloc();
  if (!rows)
    return FALSE;
  rows->format = upright->format;
  rows->width = orientation.transpose ? upright->height : upright->width;
  rows->height = strip.capacity + 2; /* its first chroma row may belong to the strip before, too */
  if (av_frame_get_buffer(rows, 0) < 0)
    return FALSE;
  strip.rows = rows;
  for (int row = 0; row < view->height; row += slice) {
    strip.first = done;
    int n = scale_slice(sws, view, row, MIN(slice, view->height - row), &strip);
    if (n < 0 || n > strip.capacity)
      return FALSE;
    place_rows(&strip, done, done + n, orientation, upright);
    done += n;
  }
  return done == height;
}

gboolean mnk_scale(const AVFrame *picture, MnkOrientation orientation, AVFrame *upright,
                   GError **error) {
  g_autoptr(AVFrame) view = picture_view(picture);
  if (!view) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for scaling a picture");
    return FALSE;
  }
  g_autoptr(MnkSws) sws = scaler_for(picture, view, upright, orientation.transpose, error);
  if (!sws)
    return FALSE;
  gboolean ok = orientation.transpose || orientation.flip_x
                    ? scale_by_strips(sws, view, orientation, upright)
                    : scale_direct(sws, view, orientation.flip_y, upright);
  if (!ok)
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "Scaling a picture of %d x %d pixels failed",
                view->width, view->height);
  return ok;
}
