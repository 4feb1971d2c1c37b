/* JPEGs from anybody: what is read, at which size and which way up, and what is refused. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <turbojpeg.h>

#include "base/base.h"
#include "clips.h"
#include "media/frame_priv.h"
#include "wire/wire.h"

enum { SOI = 2 }; /* bytes of the start of image */

static const guint64 MAX_PIXELS = 36000000;

/* ---- Making them ---- */

static const guint8 quarters[4][3] = {{200, 30, 40}, {30, 190, 60}, {40, 50, 210}, {240, 240, 240}};

static GByteArray *compress(const guint8 *pixels, int width, int height, int format, int sampling,
                            int flags) {
  tjhandle turbo = tjInitCompress();
  guint8 *bytes = NULL;
  unsigned long length = 0;
  g_assert_cmpint(
      tjCompress2(turbo, pixels, width, 0, height, format, &bytes, &length, sampling, 92, flags),
      ==, 0);
  GByteArray *jpeg = g_byte_array_new();
  g_byte_array_append(jpeg, bytes, (guint)length);
  tjFree(bytes);
  tjDestroy(turbo);
  return jpeg;
}

static GByteArray *quarters_jpeg(int width, int height, int sampling, int flags) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * height * 3);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy(rgb + ((gsize)y * width + x) * 3, quarters[(x >= width / 2) + 2 * (y >= height / 2)],
             3);
  return compress(rgb, width, height, TJPF_RGB, sampling, flags);
}

static GByteArray *small_jpeg(int flags) {
  return quarters_jpeg(48, 32, TJSAMP_420, flags);
}

static void insert(GByteArray *jpeg, gsize at, const void *bytes, gsize length) {
  gsize behind = jpeg->len - at;
  g_byte_array_set_size(jpeg, (guint)(jpeg->len + length));
  memmove(jpeg->data + at + length, jpeg->data + at, behind);
  memcpy(jpeg->data + at, bytes, length);
}

/* EXIF with one entry, little endian; where the directory lies, and how many entries it claims. */
static void insert_exif(GByteArray *jpeg, guint8 orientation, guint32 directory, guint16 entries) {
  guint8 segment[] = {0xFF, 0xE1, 0, 34, 'E',         'x', 'i', 'f', 0,    0, 'I', 'I',
                      42,   0,    8, 0,  0,           0,   1,   0,   0x12, 1, 3,   0,
                      1,    0,    0, 0,  orientation, 0,   0,   0,   8,    0, 0,   0};
  for (int i = 0; i < 4; i++)
    segment[14 + i] = (guint8)(directory >> (8 * i));
  segment[18] = (guint8)entries;
  segment[19] = (guint8)(entries >> 8);
  insert(jpeg, SOI, segment, sizeof segment);
}

/* The first place of a marker. */
static gsize find_marker(const GByteArray *jpeg, guint8 marker) {
  for (gsize i = SOI; i + 1 < jpeg->len; i++)
    if (jpeg->data[i] == 0xFF && jpeg->data[i + 1] == marker)
      return i;
  g_assert_not_reached();
}

static void set_size(GByteArray *jpeg, guint8 marker, guint width, guint height) {
  guint8 *header = jpeg->data + find_marker(jpeg, marker);
  header[5] = (guint8)(height >> 8);
  header[6] = (guint8)height;
  header[7] = (guint8)(width >> 8);
  header[8] = (guint8)width;
}

/* ---- Reading them ---- */

static MnkFrame *decode(const GByteArray *jpeg, int max_side, GError **error) {
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  return mnk_jpeg_reader_decode(reader, jpeg->data, jpeg->len, MAX_PIXELS, max_side, error);
}

static gboolean thumbnail(const GByteArray *jpeg, guint8 *luma, GError **error) {
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  return mnk_jpeg_reader_thumbnail(reader, jpeg->data, jpeg->len, MAX_PIXELS, luma, 64, error);
}

static void assert_refused(const GByteArray *jpeg, MnkErrorCode code) {
  guint8 luma[64 * 64];
  g_autoptr(GError) error = NULL, second = NULL;
  g_assert_null(decode(jpeg, 960, &error));
  g_assert_error(error, MNK_ERROR, (gint)code);
  g_assert_false(thumbnail(jpeg, luma, &second));
  g_assert_error(second, MNK_ERROR, (gint)code);
}

/* Either way is right; a crash is not. */
static void try(const guint8 *bytes, gsize length) {
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  guint8 luma[64 * 64];
  (void)mnk_jpeg_reader_thumbnail(reader, bytes, length, MAX_PIXELS, luma, 64, NULL);
  g_autoptr(MnkFrame) small = mnk_jpeg_reader_decode(reader, bytes, length, MAX_PIXELS, 20, NULL);
  g_autoptr(MnkFrame) whole = mnk_jpeg_reader_decode(reader, bytes, length, MAX_PIXELS, 4096, NULL);
}

/* Quarters in the order shown. */
static void assert_quarters(const MnkFrame *frame, const int order[4], int tolerance) {
  g_assert_cmpint(frame->format, ==, MNK_FRAME_RGB);
  for (int q = 0; q < 4; q++) {
    int x = frame->width * (1 + 2 * (q & 1)) / 4, y = frame->height * (1 + 2 * (q >> 1)) / 4;
    const guint8 *got = frame->planes[0] + (gssize)y * frame->strides[0] + 3 * x;
    for (int k = 0; k < 3; k++)
      g_assert_cmpint(abs(got[k] - quarters[order[q]][k]), <=, tolerance);
  }
}

static int luma_of(const guint8 *rgb) {
  return (int)lrint(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
}

static void assert_thumbnail(const guint8 *luma, const int order[4]) {
  for (int q = 0; q < 4; q++)
    g_assert_cmpint(
        abs(luma[(16 + 32 * (q >> 1)) * 64 + 16 + 32 * (q & 1)] - luma_of(quarters[order[q]])), <=,
        4);
}

static const int upright[4] = {0, 1, 2, 3};

/* ---- Sizes ---- */

static void test_samplings(void) {
  static const int samplings[] = {TJSAMP_444, TJSAMP_422, TJSAMP_420,
                                  TJSAMP_440, TJSAMP_411, TJSAMP_GRAY};
  static const int sides[] = {4096, 301, 200, 150, 140, 75, 31};
  for (guint i = 0; i < G_N_ELEMENTS(samplings); i++)
    for (guint k = 0; k < G_N_ELEMENTS(sides) * 2; k++) {
      g_autoptr(GByteArray) jpeg =
          quarters_jpeg(301, 203, samplings[i], k & 1 ? TJFLAG_PROGRESSIVE : 0);
      g_autoptr(GError) error = NULL;
      int side = MIN(sides[k / 2], 301);
      g_autoptr(MnkFrame) frame = decode(jpeg, sides[k / 2], &error);
      g_assert_no_error(error);
      g_assert_cmpint(frame->width, ==, side);
      g_assert_cmpint(abs(frame->height - (int)lrint(203.0 * side / 301)), <=, 1);
      g_assert_true(frame->sampled);
      if (samplings[i] != TJSAMP_GRAY)
        assert_quarters(frame, upright, 12);
      guint8 luma[64 * 64];
      g_assert_true(thumbnail(jpeg, luma, &error));
      assert_thumbnail(luma, upright);
    }
}

static void test_odd_sizes(void) {
  static const int sizes[][2] = {{1, 1},   {2, 1},    {1, 9},     {7, 3},     {8, 8},    {9, 17},
                                 {63, 64}, {65, 129}, {8000, 10}, {10, 8000}, {16001, 1}};
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
    for (int sampling = 0; sampling < TJ_NUMSAMP; sampling++) {
      g_autoptr(GByteArray) jpeg = quarters_jpeg(sizes[i][0], sizes[i][1], sampling, 0);
      guint8 luma[64 * 64];
      g_autoptr(GError) error = NULL;
      g_autoptr(MnkFrame) whole = decode(jpeg, 20000, &error), small = decode(jpeg, 960, &error);
      g_assert_no_error(error);
      g_assert_cmpint(whole->width, ==, sizes[i][0]);
      g_assert_cmpint(whole->height, ==, sizes[i][1]);
      g_assert_cmpint(MAX(small->width, small->height), ==,
                      MIN(960, MAX(sizes[i][0], sizes[i][1])));
      g_assert_true(thumbnail(jpeg, luma, &error));
    }
}

/* ---- EXIF ---- */

static void test_orientations(void) {
  /* Which coded quarter is shown at each place, by CIPA DC-008's words for rows and columns. */
  static const int orders[9][4] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {1, 0, 3, 2},
                                   {3, 2, 1, 0}, {2, 3, 0, 1}, {0, 2, 1, 3},
                                   {2, 0, 3, 1}, {3, 1, 2, 0}, {1, 3, 0, 2}};
  for (guint8 value = 0; value < 9; value++)
    for (int sampling = 0; sampling < TJ_NUMSAMP; sampling++) {
      g_autoptr(GByteArray) jpeg = quarters_jpeg(160, 96, sampling, 0);
      insert_exif(jpeg, value, 8, 1);
      g_autoptr(GError) error = NULL;
      g_autoptr(MnkFrame) whole = decode(jpeg, 4096, &error), small = decode(jpeg, 50, &error);
      g_assert_no_error(error);
      g_assert_cmpint(whole->width, ==, value > 4 ? 96 : 160);
      g_assert_cmpint(whole->height, ==, value > 4 ? 160 : 96);
      g_assert_cmpint(MAX(small->width, small->height), ==, 50);
      if (sampling != TJSAMP_GRAY) {
        assert_quarters(whole, orders[value], 12);
        assert_quarters(small, orders[value], 14);
      }
      guint8 luma[64 * 64];
      g_assert_true(thumbnail(jpeg, luma, &error));
      assert_thumbnail(luma, orders[value]);
    }
}

/* Directories that point to themselves, outside, or claim more than there is: as if upright. */
static void test_exif_damaged(void) {
  static const struct {
    guint32 directory;
    guint16 entries;
  } cases[] = {{0, 1},  {4, 65535},      {2, 1},  {8, 65535},     {8, 0},
               {26, 1}, {0xFFFFFFFF, 1}, {24, 9}, {0x7FFFFFFF, 2}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GByteArray) jpeg = small_jpeg(0);
    insert_exif(jpeg, 9, cases[i].directory, cases[i].entries);
    g_autoptr(MnkFrame) frame = decode(jpeg, 4096, NULL);
    g_assert_nonnull(frame);
    assert_quarters(frame, upright, 12);
  }
}

/* A thumbnail inside the EXIF data has an end marker of its own, which is not the picture's. */
static void test_exif_end(void) {
  g_autoptr(GByteArray) jpeg = small_jpeg(0);
  static const guint8 segment[] = {0xFF, 0xE1, 0, 8, 0xFF, 0xD8, 0xFF, 0xDA, 0xFF, 0xD9};
  insert(jpeg, SOI, segment, sizeof segment);
  g_autoptr(MnkFrame) whole = decode(jpeg, 4096, NULL);
  g_assert_nonnull(whole);
  g_byte_array_set_size(jpeg, jpeg->len - 10);
  assert_refused(jpeg, MNK_ERROR_BAD_INPUT);
}

/* ---- Bombs ---- */

static glong peak_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static void test_huge_headers(void) {
  static const guint sizes[][2] = {{65500, 65500}, {65535, 65535}, {65500, 1000}, {6001, 6000}};
  glong before = peak_kib();
  for (guint i = 0; i < G_N_ELEMENTS(sizes) * 2; i++) {
    g_autoptr(GByteArray) jpeg = small_jpeg(i & 1 ? TJFLAG_PROGRESSIVE : 0);
    set_size(jpeg, i & 1 ? 0xC2 : 0xC0, sizes[i / 2][0], sizes[i / 2][1]);
    assert_refused(jpeg, MNK_ERROR_LIMIT);
  }
  g_assert_cmpint(peak_kib() - before, <, 4096);
}

/* As large as may be, of a few bytes: a reduced picture takes little memory. */
static void test_large_header(void) {
  g_autoptr(GByteArray) jpeg = small_jpeg(0);
  set_size(jpeg, 0xC0, 6000, 6000);
  glong before = peak_kib();
  guint8 luma[64 * 64];
  g_autoptr(MnkFrame) frame = decode(jpeg, 960, NULL);
  g_assert_nonnull(frame);
  g_assert_cmpint(frame->width, ==, 960);
  g_assert_true(thumbnail(jpeg, luma, NULL));
  g_assert_cmpint(peak_kib() - before, <, 64 << 10);
}

static void test_zero_sizes(void) {
  g_autoptr(GByteArray) flat = small_jpeg(0), thin = small_jpeg(0);
  set_size(flat, 0xC0, 48, 0);
  set_size(thin, 0xC0, 0, 32);
  assert_refused(flat, MNK_ERROR_UNSUPPORTED);
  assert_refused(thin, MNK_ERROR_BAD_INPUT);
}

/* A second frame header that says another size than the first. */
static void test_two_headers(void) {
  g_autoptr(GByteArray) jpeg = small_jpeg(0);
  gsize at = find_marker(jpeg, 0xC0);
  g_autofree guint8 *header = g_memdup2(jpeg->data + at, 19);
  insert(jpeg, at, header, 19);
  set_size(jpeg, 0xC0, 1, 1);
  try(jpeg->data, jpeg->len);
  assert_refused(jpeg, MNK_ERROR_BAD_INPUT);
}

static void append_scans(GByteArray *jpeg, guint n) {
  static const guint8 scan[] = {0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 5, 0};
  for (guint i = 0; i < n; i++)
    insert(jpeg, jpeg->len - 2, scan, sizeof scan);
}

static void test_scans(void) {
  g_autoptr(GByteArray) many = small_jpeg(TJFLAG_PROGRESSIVE),
                        some = small_jpeg(TJFLAG_PROGRESSIVE);
  append_scans(many, 1000);
  assert_refused(many, MNK_ERROR_LIMIT);
  append_scans(some, 80);
  g_autoptr(MnkFrame) frame = decode(some, 4096, NULL);
  g_assert_nonnull(frame);
}

static void test_four_components(void) {
  g_autofree guint8 *cmyk = g_malloc0(48 * 32 * 4);
  g_autoptr(GByteArray) jpeg = compress(cmyk, 48, 32, TJPF_CMYK, TJSAMP_444, 0);
  assert_refused(jpeg, MNK_ERROR_UNSUPPORTED);
}

/* Three components that are red, green and blue themselves. */
static void test_rgb_inside(void) {
  static const guint8 adobe[] = {0xFF, 0xEE, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0};
  g_autofree guint8 *grey = g_malloc(48 * 32 * 3);
  memset(grey, 90, 48 * 32 * 3);
  g_autoptr(GByteArray) jpeg = compress(grey, 48, 32, TJPF_RGB, TJSAMP_444, 0);
  g_byte_array_remove_range(jpeg, SOI, 18); /* JFIF's word would count more */
  insert(jpeg, SOI, adobe, sizeof adobe);
  g_autoptr(MnkFrame) whole = decode(jpeg, 4096, NULL), small = decode(jpeg, 10, NULL);
  guint8 luma[64 * 64];
  g_assert_nonnull(small);
  g_assert_cmpint(abs(whole->planes[0][0] - 90), <=, 2);
  g_assert_cmpint(abs(whole->planes[0][1] - 128), <=, 2);
  g_assert_true(thumbnail(jpeg, luma, NULL));
  g_assert_cmpint(abs(luma[0] - (int)lrint(0.299 * 90 + 0.701 * 128)), <=, 3);
}

/* ---- Damage ---- */

static void test_cut_off(void) {
  for (int flags = 0; flags <= TJFLAG_PROGRESSIVE; flags += TJFLAG_PROGRESSIVE) {
    g_autoptr(GByteArray) jpeg = small_jpeg(flags);
    for (guint length = 0; length + 1 < jpeg->len; length++) {
      /* a copy, so that a sanitizer sees what is read behind it */
      g_autoptr(GByteArray) cut = g_byte_array_new();
      g_byte_array_append(cut, jpeg->data, length);
      assert_refused(cut, MNK_ERROR_BAD_INPUT);
    }
  }
}

static void test_changed_bytes(void) {
  for (int flags = 0; flags <= TJFLAG_PROGRESSIVE; flags += TJFLAG_PROGRESSIVE) {
    g_autoptr(GByteArray) jpeg = small_jpeg(flags);
    for (guint i = 0; i < jpeg->len; i++)
      for (guint k = 0; k < 4; k++) {
        static const guint8 masks[] = {0xFF, 0x01, 0x80, 0x10};
        g_autofree guint8 *copy = g_memdup2(jpeg->data, jpeg->len);
        copy[i] ^= masks[k];
        /* sizes that are large, but within the limit, are a test of their own */
        MnkJpegInfo info;
        if (!mnk_jpeg_probe(copy, jpeg->len, &info, NULL) || info.width * info.height < 1000000)
          try(copy, jpeg->len);
      }
  }
}

static void test_random_damage(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  g_autoptr(MnkJpegReader) reader = mnk_jpeg_reader_new();
  g_autoptr(GByteArray) jpeg = quarters_jpeg(200, 120, TJSAMP_420, TJFLAG_PROGRESSIVE);
  for (guint i = 0; i < 500; i++) {
    g_autofree guint8 *copy = g_memdup2(jpeg->data, jpeg->len);
    guint8 luma[64 * 64];
    for (guint k = 0; k < 10; k++)
      copy[g_rand_int_range(rand, 200, (gint32)jpeg->len)] = (guint8)g_rand_int(rand);
    (void)mnk_jpeg_reader_thumbnail(reader, copy, jpeg->len, MAX_PIXELS, luma, 64, NULL);
    g_autoptr(MnkFrame) frame =
        mnk_jpeg_reader_decode(reader, copy, jpeg->len, MAX_PIXELS, 100, NULL);
    /* The reader is none the worse for it. */
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkFrame) good =
        mnk_jpeg_reader_decode(reader, jpeg->data, jpeg->len, MAX_PIXELS, 100, &error);
    g_assert_no_error(error);
    assert_quarters(good, upright, 14);
  }
}

/* ---- The gate ---- */

/* Pictures of a real street: the thumbnail of the JPEG is near to that of its decoded picture, a
 * fifth as far away as two pictures must be for the gate to tell them apart. */
static void test_thumbnails_agree(void) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *path = g_build_filename(cache, "samples", "bikes.mp4", NULL);
  if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_test_skip("the sample video is not there");
    return;
  }
  MnkSourceConfig config = clip_config(path);
  config.fps = 5;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpuint(read->frames->len, >, 40);
  for (guint i = 0; i < read->frames->len; i++) {
    guint8 fine[64 * 64], quick[64 * 64];
    g_autoptr(MnkFrame) planes = mnk_frame_convert(clip_frame(read, i), MNK_FRAME_I420, 4096, NULL);
    g_autoptr(GBytes) bytes = mnk_frame_to_jpeg(planes, 85, NULL);
    g_autoptr(GByteArray) jpeg = g_bytes_unref_to_array(g_steal_pointer(&bytes));
    g_assert_true(mnk_frame_thumbnail(planes, fine, 64, 64));
    g_assert_true(thumbnail(jpeg, quick, NULL));
    double sum = 0;
    for (guint k = 0; k < sizeof fine; k++)
      sum += (fine[k] - quick[k]) * (fine[k] - quick[k]);
    g_assert_cmpfloat(sum / (sizeof fine * 255.0 * 255.0), <, 0.0003);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/media/jpeg/samplings", test_samplings);
  g_test_add_func("/media/jpeg/odd-sizes", test_odd_sizes);
  g_test_add_func("/media/jpeg/orientations", test_orientations);
  g_test_add_func("/media/jpeg/exif-damaged", test_exif_damaged);
  g_test_add_func("/media/jpeg/exif-end", test_exif_end);
  g_test_add_func("/media/jpeg/huge-headers", test_huge_headers);
  g_test_add_func("/media/jpeg/large-header", test_large_header);
  g_test_add_func("/media/jpeg/zero-sizes", test_zero_sizes);
  g_test_add_func("/media/jpeg/two-headers", test_two_headers);
  g_test_add_func("/media/jpeg/scans", test_scans);
  g_test_add_func("/media/jpeg/four-components", test_four_components);
  g_test_add_func("/media/jpeg/rgb-inside", test_rgb_inside);
  g_test_add_func("/media/jpeg/cut-off", test_cut_off);
  g_test_add_func("/media/jpeg/changed-bytes", test_changed_bytes);
  g_test_add_func("/media/jpeg/random-damage", test_random_damage);
  g_test_add_func("/media/jpeg/thumbnails-agree", test_thumbnails_agree);
  return g_test_run();
}
