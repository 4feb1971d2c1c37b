/* What TurboJPEG alone takes to decode pictures in full to RGB, again and again into one buffer.
 *
 *   jpeg_bench CPU_SECONDS JPEG...
 *
 * One JSON line. */
#include <glib.h>
#include <stdio.h>
#include <time.h>
#include <turbojpeg.h>

enum { MAX_SECONDS = 600 };

static double cpu_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *path, const char *why) {
  fprintf(stderr, "jpeg_bench: %s: %s\n", path, why);
  exit(1);
}

static void decode(tjhandle turbo, const char *path, GBytes *jpeg, GByteArray *pixels) {
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  int width, height, sampling, colours;
  if (tjDecompressHeader3(turbo, bytes, length, &width, &height, &sampling, &colours) != 0)
    fail(path, tjGetErrorStr2(turbo));
  g_byte_array_set_size(pixels, (guint)(3 * width * height));
  if (tjDecompress2(turbo, bytes, length, pixels->data, width, 0, height, TJPF_RGB, 0) != 0)
    fail(path, tjGetErrorStr2(turbo));
}

int main(int argc, char **argv) {
  double seconds = argc > 2 ? g_ascii_strtod(argv[1], NULL) : 0;
  if (!(seconds > 0 && seconds <= (double)MAX_SECONDS)) {
    fputs("usage: jpeg_bench CPU_SECONDS JPEG...\n", stderr);
    return 2;
  }
  g_autoptr(GPtrArray) pictures = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  g_autoptr(GByteArray) pixels = g_byte_array_new();
  tjhandle turbo = tjInitDecompress();
  guint64 frames = 0;
  for (int i = 2; i < argc; i++) {
    g_autoptr(GError) error = NULL;
    char *bytes;
    gsize length;
    if (!g_file_get_contents(argv[i], &bytes, &length, &error))
      fail(argv[i], error->message);
    g_ptr_array_add(pictures, g_bytes_new_take(bytes, length));
  }
  double start = cpu_s(), took = 0;
  for (; took < seconds; took = cpu_s() - start)
    for (guint i = 0; i < pictures->len; i++, frames++)
      decode(turbo, argv[2 + i], pictures->pdata[i], pixels);
  printf("{\"frames\":%" G_GUINT64_FORMAT ",\"cpu_s\":%.3f,\"frames_per_cpu_s\":%.1f}\n", frames,
         took, (double)frames / took);
  tjDestroy(turbo);
  return 0;
}
