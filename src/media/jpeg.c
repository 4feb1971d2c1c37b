#include <string.h>
#include <turbojpeg.h>

#include "base/base.h"
#include "media/frame_priv.h"
#include "wire/wire.h"

/* Scans of a progressive JPEG; more is an attack on the processor's time. libjpeg-turbo's flag
 * stops at 500. */
#define DECODE_FLAGS (TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT)

static void turbo_free(void *handle) {
  tjDestroy(handle);
}
typedef void MnkTurbo;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkTurbo, turbo_free)

static void turbo_bytes_free(gpointer bytes) {
  tjFree(bytes);
}

static int compress_i420(MnkTurbo *turbo, const MnkFrame *frame, int quality, guint8 **bytes,
                         unsigned long *length) {
  const unsigned char *planes[3] = {frame->planes[0], frame->planes[1], frame->planes[2]};
  return tjCompressFromYUVPlanes(turbo, planes, frame->width, frame->strides, frame->height,
                                 TJSAMP_420, bytes, length, quality, TJFLAG_FASTDCT);
}

static gboolean is_jfif_matrix(const MnkFrame *frame) {
  enum AVColorSpace matrix = mnk_frame_picture(frame)->picture->colorspace;
  return matrix == AVCOL_SPC_BT470BG || matrix == AVCOL_SPC_SMPTE170M;
}

GBytes *mnk_frame_to_jpeg(const MnkFrame *frame, int quality, GError **error) {
  g_return_val_if_fail(frame && frame->format != MNK_FRAME_DECODED, NULL);
  /* JFIF knows one matrix; planes in another one go by way of RGB. */
  gboolean as_planes = frame->format == MNK_FRAME_I420 && is_jfif_matrix(frame);
  g_autoptr(MnkFrame) rgb =
      as_planes ? NULL : mnk_frame_convert(frame, MNK_FRAME_RGB, G_MAXINT, error);
  if (!as_planes && !rgb)
    return NULL;

  g_autoptr(MnkTurbo) turbo = tjInitCompress();
  guint8 *bytes = NULL;
  unsigned long length = 0;
  quality = CLAMP(quality, 1, 100);
  int failed = !turbo ? -1
               : as_planes
                   ? compress_i420(turbo, frame, quality, &bytes, &length)
                   : tjCompress2(turbo, rgb->planes[0], rgb->width, rgb->strides[0], rgb->height,
                                 TJPF_RGB, &bytes, &length, TJSAMP_420, quality, TJFLAG_FASTDCT);
  if (failed) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_INTERNAL, "Cannot write a JPEG of %d x %d pixels: %s",
                frame->width, frame->height, tjGetErrorStr2(turbo));
    tjFree(bytes);
    return NULL;
  }
  return g_bytes_new_with_free_func(bytes, length, turbo_bytes_free, bytes);
}

/* Whether the end marker is there; a decoder fills what is missing before it with grey. */
static gboolean has_end(const guint8 *bytes, gsize length) {
  for (gsize i = length; i >= 2; i--)
    if (bytes[i - 2] == 0xFF && bytes[i - 1] == 0xD9)
      return TRUE;
  return FALSE;
}

static gboolean decode_into(MnkTurbo *turbo, const guint8 *bytes, gsize length, MnkFrame *frame,
                            GError **error) {
  AVFrame *pixels = mnk_frame_picture(frame)->picture;
  if (tjDecompress2(turbo, bytes, length, pixels->data[0], frame->width, pixels->linesize[0],
                    frame->height, TJPF_RGB, DECODE_FLAGS) == 0)
    return TRUE;
  if (!has_end(bytes, length)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "The JPEG is cut off");
    return FALSE;
  }
  if (tjGetErrorCode(turbo) == TJERR_WARNING)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "The JPEG is damaged: %s",
              tjGetErrorStr2(turbo));
  return FALSE;
}

MnkFrame *mnk_frame_from_jpeg(const guint8 *bytes, gsize length, guint64 max_pixels,
                              GError **error) {
  MnkJpegInfo info;
  if (!mnk_jpeg_probe(bytes, length, &info, error))
    return NULL;
  if (info.width == 0 || info.height == 0 || (guint64)info.width * info.height > max_pixels) {
    g_set_error(error, MNK_ERROR, info.width && info.height ? MNK_ERROR_LIMIT : MNK_ERROR_BAD_INPUT,
                "The JPEG has %u x %u pixels, the limit is %" G_GUINT64_FORMAT, info.width,
                info.height, max_pixels);
    return NULL;
  }
  if (info.components == 4 || info.precision != 8) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_UNSUPPORTED,
                "A JPEG of %u components of %u bits is not read", info.components, info.precision);
    return NULL;
  }
  g_autoptr(MnkTurbo) turbo = tjInitDecompress();
  g_autoptr(MnkFrame) frame =
      mnk_frame_alloc(MNK_FRAME_RGB, (int)info.width, (int)info.height, NULL, error);
  if (!frame)
    return NULL;
  if (!turbo) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_LIMIT, "No memory for reading a JPEG");
    return NULL;
  }
  if (!decode_into(turbo, bytes, length, frame, error))
    return NULL;
  frame->sampled = TRUE;
  frame->key = TRUE;
  return g_steal_pointer(&frame);
}
