/* Writing JPEGs. */
#include <turbojpeg.h>

#include "base/base.h"
#include "media/frame_priv.h"

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
