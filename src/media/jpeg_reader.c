/* Reading JPEGs: bytes from anybody. The header is judged before anything is allocated for the
 * picture, and again as TurboJPEG understands it.
 *
 * Most of the time goes into undoing the entropy coding, which no smaller size saves; a reduced
 * picture saves transforms, colours and memory. Only the sizes that have fast transforms (1, 1/2,
 * 1/4, 1/8) are asked for: 3/4 of 720p takes more than twice as long as the whole. */
#include <string.h>
#include <turbojpeg.h>

#include "base/base.h"
#include "media/frame_priv.h"
#include "media/libav_priv.h"
#include "wire/wire.h"

enum {
  SCANS_MAX = 100, /* encoders write about ten; each costs a walk over the whole picture */
  SIDE_MAX = 256,  /* of a thumbnail */
  SHRINK_MAX = 8,
  ONE = 256, /* parts of a row of pixels; a column of 65,535 of them fits 32 bits */
};

/* libjpeg-turbo counts scans, too, up to 500. */
#define FLAGS TJFLAG_LIMITSCANS

struct _MnkJpegReader {
  tjhandle turbo;
};

/* One picture as it is being read. */
typedef struct {
  const guint8 *bytes;
  gsize length;
  int width, height, sampling, colours; /* as coded, in TurboJPEG's words */
  MnkOrientation orientation;
} Jpeg;

MnkJpegReader *mnk_jpeg_reader_new(void) {
  return g_new0(MnkJpegReader, 1);
}

static void drop_turbo(MnkJpegReader *reader) {
  if (reader->turbo)
    tjDestroy(reader->turbo);
  reader->turbo = NULL;
}

void mnk_jpeg_reader_free(MnkJpegReader *reader) {
  if (!reader)
    return;
  drop_turbo(reader);
  g_free(reader);
}

/* TurboJPEG does not forget a header that it failed to read: the next picture would go on with it.
 * So the decompressor goes, too. */
static void fail_damaged(MnkJpegReader *reader, GError **error) {
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "The JPEG is damaged: %s",
              tjGetErrorStr2(reader->turbo));
  drop_turbo(reader);
}

/* ---- The header ---- */

static guint count_scans(const guint8 *bytes, gsize length) {
  const guint8 *end = bytes + length;
  guint n = 0;
  for (const guint8 *at = bytes; (at = memchr(at, 0xFF, (gsize)(end - at))) != NULL; at++)
    if (at + 1 < end && at[1] == 0xDA)
      n++;
  return n;
}

static gboolean check_size(guint64 width, guint64 height, guint64 max_pixels, GError **error) {
  if (width > 0 && height > 0 && width * height <= max_pixels)
    return TRUE;
  g_set_error(error, MNK_ERROR, width && height ? MNK_ERROR_LIMIT : MNK_ERROR_BAD_INPUT,
              "The JPEG has %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT
              " pixels, the limit is %" G_GUINT64_FORMAT,
              width, height, max_pixels);
  return FALSE;
}

static gboolean check_header(const guint8 *bytes, gsize length, guint64 max_pixels,
                             MnkJpegInfo *info, GError **error) {
  if (!mnk_jpeg_probe(bytes, length, info, error) ||
      !check_size(info->width, info->height, max_pixels, error))
    return FALSE;
  if (info->components == 4 || info->precision != 8) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                "A JPEG of %u components of %u bits is not read", info->components,
                info->precision);
    return FALSE;
  }
  if (count_scans(bytes, length) > SCANS_MAX) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "The JPEG has more than %d scans", SCANS_MAX);
    return FALSE;
  }
  return TRUE;
}

static gboolean open_jpeg(MnkJpegReader *reader, Jpeg *jpeg, guint64 max_pixels, GError **error) {
  MnkJpegInfo info;
  if (!check_header(jpeg->bytes, jpeg->length, max_pixels, &info, error))
    return FALSE;
  if (!reader->turbo && !(reader->turbo = tjInitDecompress())) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for reading a JPEG");
    return FALSE;
  }
  if (tjDecompressHeader3(reader->turbo, jpeg->bytes, jpeg->length, &jpeg->width, &jpeg->height,
                          &jpeg->sampling, &jpeg->colours) != 0 &&
      tjGetErrorCode(reader->turbo) != TJERR_WARNING) {
    fail_damaged(reader, error);
    return FALSE;
  }
  jpeg->orientation = mnk_orientation_from_exif(info.exif_orientation);
  return check_size((guint64)MAX(jpeg->width, 0), (guint64)MAX(jpeg->height, 0), max_pixels, error);
}

/* ---- Pixels ---- */

/* The most that the picture can be shrunk by and still have side pixels on the side given. */
static int shrink_for(int pixels, int side) {
  int shrink = 1;
  while (shrink < SHRINK_MAX && (pixels + 2 * shrink - 1) / (2 * shrink) >= side)
    shrink *= 2;
  return shrink;
}

static enum AVPixelFormat planes_of(const Jpeg *jpeg) {
  if (jpeg->colours == TJCS_YCbCr)
    switch (jpeg->sampling) {
    case TJSAMP_444:
      return AV_PIX_FMT_YUV444P;
    case TJSAMP_422:
      return AV_PIX_FMT_YUV422P;
    case TJSAMP_420:
      return AV_PIX_FMT_YUV420P;
    case TJSAMP_440:
      return AV_PIX_FMT_YUV440P;
    default:
      break;
    }
  return jpeg->colours == TJCS_GRAY ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
}

/* Room for whole blocks of samples, of which the picture is the upper left part. */
static AVFrame *pixels_new(enum AVPixelFormat format, int width, int height, GError **error) {
  g_autoptr(AVFrame) pixels = av_frame_alloc();
  if (pixels) {
    pixels->format = format;
    pixels->color_range = AVCOL_RANGE_JPEG;
    pixels->colorspace = format == AV_PIX_FMT_RGB24 ? AVCOL_SPC_RGB : AVCOL_SPC_BT470BG;
    pixels->width = (width + 3) & ~3;
    pixels->height = (height + 3) & ~3;
  }
  if (!pixels || av_frame_get_buffer(pixels, 0) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for a picture of %d x %d pixels",
                width, height);
    return NULL;
  }
  pixels->width = width;
  pixels->height = height;
  return g_steal_pointer(&pixels);
}

/* Whether the end marker stands behind the last scan; what is missing before it a decoder fills
 * with grey. */
static gboolean has_end(const Jpeg *jpeg) {
  for (gsize i = jpeg->length; i >= 2; i--)
    if (jpeg->bytes[i - 2] == 0xFF && (jpeg->bytes[i - 1] == 0xD9 || jpeg->bytes[i - 1] == 0xDA))
      return jpeg->bytes[i - 1] == 0xD9;
  return FALSE;
}

static gboolean fill(MnkJpegReader *reader, const Jpeg *jpeg, AVFrame *pixels) {
  gboolean rgb = pixels->format == AV_PIX_FMT_RGB24;
  if (rgb || pixels->format == AV_PIX_FMT_GRAY8)
    return tjDecompress2(reader->turbo, jpeg->bytes, jpeg->length, pixels->data[0], pixels->width,
                         pixels->linesize[0], pixels->height, rgb ? TJPF_RGB : TJPF_GRAY,
                         FLAGS) == 0;
  return tjDecompressToYUVPlanes(reader->turbo, jpeg->bytes, jpeg->length, pixels->data,
                                 pixels->width, pixels->linesize, pixels->height, FLAGS) == 0;
}

/* Shrunk so, in the format given. Damage inside a complete picture is shown, not refused. */
static AVFrame *decode(MnkJpegReader *reader, const Jpeg *jpeg, enum AVPixelFormat format,
                       int shrink, GError **error) {
  const tjscalingfactor scale = {1, shrink};
  g_autoptr(AVFrame) pixels =
      pixels_new(format, TJSCALED(jpeg->width, scale), TJSCALED(jpeg->height, scale), error);
  if (!pixels)
    return NULL;
  if (fill(reader, jpeg, pixels))
    return g_steal_pointer(&pixels);
  if (!has_end(jpeg)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "The JPEG is cut off");
    drop_turbo(reader);
    return NULL;
  }
  if (tjGetErrorCode(reader->turbo) == TJERR_WARNING)
    return g_steal_pointer(&pixels);
  fail_damaged(reader, error);
  return NULL;
}

static gboolean is_upright(MnkOrientation orientation) {
  return !orientation.transpose && !orientation.flip_x && !orientation.flip_y;
}

/* ---- Thumbnails ---- */

/* Where the cells of a grid begin on a line of pixels: after so many, and a part of the next. */
typedef struct {
  int pixel[SIDE_MAX + 1];
  float part[SIDE_MAX + 1];
} Grid;

static void lay_grid(Grid *grid, int pixels, int side) {
  for (int i = 0; i <= side; i++) {
    double at = (double)i * pixels / side;
    grid->pixel[i] = MIN((int)at, pixels - 1);
    grid->part[i] = (float)(at - grid->pixel[i]);
  }
}

/* Adds a row, by its part in the grid's, to the sums of its columns. Parts are counted in ONE, so
 * that the sums are whole numbers, which are added several at a time. */
static void add_row(guint32 *columns, const guint8 *row, int width, guint16 part) {
  for (int x = 0; x < width; x++)
    columns[x] += (guint16)(row[x] * part);
}

/* The means of a row of cells, each one pixel of luma when multiplied by scale. */
static void average_columns(const guint32 *columns, const Grid *grid, int side, double scale,
                            guint8 *out) {
  double last = 0;
  guint64 before = 0;
  for (int i = 0, x = 0; i < side; i++) {
    int next = grid->pixel[i + 1];
    for (; x < next; x++)
      before += columns[x];
    double until = (double)before + (double)grid->part[i + 1] * columns[next];
    out[i] = (guint8)MIN((until - last) * scale + 0.5, 255);
    last = until;
  }
}

/* Means over the cells of a grid; pixels that lie in two cells count for each by their part. Points
 * of it, as mnk_frame_thumbnail takes them from large pictures, are too coarse in one that has
 * hardly more pixels than the grid has cells. */
static gboolean average(const AVFrame *grey, int side, guint8 *out) {
  g_autofree guint32 *columns = g_try_new(guint32, (gsize)grey->width);
  Grid across, down;
  if (!columns)
    return FALSE;
  lay_grid(&across, grey->width, side);
  lay_grid(&down, grey->height, side);
  for (int j = 0; j < side; j++) {
    guint32 parts = 0;
    memset(columns, 0, (gsize)grey->width * sizeof *columns);
    for (int y = down.pixel[j]; y <= down.pixel[j + 1]; y++) {
      float from = y == down.pixel[j] ? down.part[j] : 0;
      float until = y == down.pixel[j + 1] ? down.part[j + 1] : 1;
      guint16 part = (guint16)((until - from) * (float)ONE + 0.5f);
      add_row(columns, grey->data[0] + (gssize)y * grey->linesize[0], grey->width, part);
      parts += part;
    }
    double scale = (double)side / ((double)grey->width * MAX(parts, 1));
    average_columns(columns, &across, side, scale, out + j * side);
  }
  return TRUE;
}

gboolean mnk_jpeg_reader_thumbnail(MnkJpegReader *reader, const guint8 *bytes, gsize length,
                                   guint64 max_pixels, guint8 *luma, int side, GError **error) {
  g_return_val_if_fail(side > 0 && side <= SIDE_MAX, FALSE);
  Jpeg jpeg = {.bytes = bytes, .length = length};
  guint8 coded[SIDE_MAX * SIDE_MAX];
  if (!open_jpeg(reader, &jpeg, max_pixels, error))
    return FALSE;
  /* Two pixels a cell: at fewer, what the reduced transform leaves of finer detail shows. */
  int shrink = shrink_for(MIN(jpeg.width, jpeg.height), 2 * side);
  g_autoptr(AVFrame) grey = decode(reader, &jpeg, AV_PIX_FMT_GRAY8, shrink, error);
  if (!grey)
    return FALSE;
  if (!average(grey, side, coded)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for a thumbnail");
    return FALSE;
  }
  MnkPlane plane = {luma, side, side, side};
  mnk_orientation_place(jpeg.orientation, coded, side, 0, side, 1, &plane);
  return TRUE;
}

/* ---- Whole pictures ---- */

/* libswscale has fast code for scaling planes and for turning planes into RGB of the same size, but
 * none for both at once: two passes take a third of the time of one. */
static MnkFrame *to_rgb(const MnkFrame *coded, int max_side, GError **error) {
  enum AVPixelFormat format = mnk_frame_picture(coded)->picture->format;
  if (format == AV_PIX_FMT_RGB24 || format == AV_PIX_FMT_GRAY8)
    return mnk_frame_convert(coded, MNK_FRAME_RGB, max_side, error);
  g_autoptr(MnkFrame) planes = mnk_frame_convert(coded, MNK_FRAME_I420, max_side, error);
  return planes ? mnk_frame_convert(planes, MNK_FRAME_RGB, max_side, error) : NULL;
}

MnkFrame *mnk_jpeg_reader_decode(MnkJpegReader *reader, const guint8 *bytes, gsize length,
                                 guint64 max_pixels, int max_side, GError **error) {
  Jpeg jpeg = {.bytes = bytes, .length = length};
  if (!open_jpeg(reader, &jpeg, max_pixels, error))
    return NULL;
  int long_side = MAX(jpeg.width, jpeg.height);
  int shrink = shrink_for(long_side, max_side);
  gboolean fits = (long_side + shrink - 1) / shrink <= max_side;
  gboolean direct = fits && is_upright(jpeg.orientation);
  AVFrame *pixels =
      decode(reader, &jpeg, direct ? AV_PIX_FMT_RGB24 : planes_of(&jpeg), shrink, error);
  if (!pixels)
    return NULL;
  if (direct)
    return mnk_frame_take_rgb(pixels);
  g_autoptr(MnkFrame) coded = mnk_frame_take_decoded(pixels, jpeg.orientation, (AVRational){1, 1});
  coded->sampled = coded->key = TRUE;
  return to_rgb(coded, max_side, error);
}

MnkFrame *mnk_frame_from_jpeg(const guint8 *bytes, gsize length, guint64 max_pixels,
                              GError **error) {
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  return mnk_jpeg_reader_decode(reader, bytes, length, max_pixels, G_MAXINT, error);
}
