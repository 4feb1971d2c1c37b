#include "media/scaler_priv.h"

#include <libavutil/intreadwrite.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "base/base.h"
#include "media/libav_priv.h"

/* Rows of a strip; even, for subsampled chroma. 32 rows of 1,280 RGB pixels are 120 KiB. */
enum { STRIP_ROWS = 32 };

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
  view->buf[1] = av_buffer_alloc(n * bytes);
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

static void place_strip(const AVFrame *strip, int row, int n_rows, MnkOrientation orientation,
                        AVFrame *upright) {
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(upright->format);
  for (int i = 0; i < 4 && upright->data[i]; i++) {
    int shift_x = i == 1 || i == 2 ? format->log2_chroma_w : 0;
    int shift_y = i == 1 || i == 2 ? format->log2_chroma_h : 0;
    MnkPlane plane = {upright->data[i], upright->linesize[i],
                      AV_CEIL_RSHIFT(upright->width, shift_x),
                      AV_CEIL_RSHIFT(upright->height, shift_y)};
    mnk_orientation_place(orientation, strip->data[i], strip->linesize[i], row >> shift_y,
                          AV_CEIL_RSHIFT(n_rows, shift_y), format->comp[i].step, &plane);
  }
}

/* A picture of the whole height whose rows from the given one on lie in the strip. libswscale adds
 * row * linesize again before it writes. */
static AVFrame *strip_window(const AVFrame *strip, int row, int height) {
  AVFrame *window = av_frame_clone(strip);
  if (!window)
    return NULL;
  const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(strip->format);
  window->height = height;
  for (int i = 0; i < 4 && window->data[i]; i++) {
    int shift = i == 1 || i == 2 ? format->log2_chroma_h : 0;
    gsize above = (gsize)(row >> shift) * strip->linesize[i];
    window->data[i] = (guint8 *)((guintptr)strip->data[i] - above);
  }
  return window;
}

static gboolean scale_one_strip(MnkSws *sws, const AVFrame *view, const AVFrame *strip, int row,
                                int n_rows, int height) {
  g_autoptr(AVFrame) window = strip_window(strip, row, height);
  if (!window || sws_frame_start(sws, window, view) < 0)
    return FALSE;
  gboolean ok =
      sws_send_slice(sws, 0, view->height) >= 0 && sws_receive_slice(sws, row, n_rows) >= 0;
  sws_frame_end(sws);
  return ok;
}

static gboolean scale_by_strips(MnkSws *sws, const AVFrame *view, MnkOrientation orientation,
                                AVFrame *upright) {
  int height = orientation.transpose ? upright->width : upright->height;
  g_autoptr(AVFrame) strip = av_frame_alloc();
  if (!strip)
    return FALSE;
  strip->format = upright->format;
  strip->width = orientation.transpose ? upright->height : upright->width;
  strip->height = STRIP_ROWS;
  if (av_frame_get_buffer(strip, 0) < 0)
    return FALSE;
  for (int row = 0; row < height; row += STRIP_ROWS) {
    int n_rows = MIN(STRIP_ROWS, height - row);
    if (!scale_one_strip(sws, view, strip, row, n_rows, height))
      return FALSE;
    place_strip(strip, row, n_rows, orientation, upright);
  }
  return TRUE;
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
