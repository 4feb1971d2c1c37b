#include "fuzz.h"

#include "wire/probe.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  MnkJpegInfo info;
  g_autoptr(GError) error = NULL;
  gboolean ok = mnk_jpeg_probe(data, size, &info, &error);
  g_assert(ok == (error == NULL));
  if (!ok)
    return 0;
  g_assert(info.width >= 1 && info.width <= 65535 && info.height >= 1 && info.height <= 65535);
  g_assert(info.components == 1 || info.components == 3 || info.components == 4);
  g_assert(info.exif_orientation >= 1 && info.exif_orientation <= 8);
  return 0;
}
