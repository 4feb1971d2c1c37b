#include "fuzz.h"

#include "media/media.h"

enum { MAX_PIXELS = 250000, SIDE = 64 };

/* One reader for all inputs, as a stream has: what one leaves behind must not hurt the next. */
int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  static MnkJpegReader *reader;
  guint8 luma[SIDE * SIDE];
  if (reader == NULL)
    reader = mnk_jpeg_reader_new();
  g_autoptr(GError) first = NULL, second = NULL;
  gboolean ok = mnk_jpeg_reader_thumbnail(reader, data, size, MAX_PIXELS, luma, SIDE, &first);
  g_assert(ok == (first == NULL));
  g_autoptr(MnkFrame) frame = mnk_jpeg_reader_decode(reader, data, size, MAX_PIXELS, 100, &second);
  g_assert((frame != NULL) == (second == NULL));
  if (frame != NULL)
    g_assert(frame->width >= 1 && frame->width <= 100 && frame->height >= 1 &&
             frame->height <= 100);
  return 0;
}
