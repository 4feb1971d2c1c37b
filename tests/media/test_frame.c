/* Frames: colours, sizes, orientation, thumbnails, JPEG, and how often pixels are written. */
#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "clips.h"
#include "media/frame_priv.h"

#define HALVED(n, shift) (((n) + (1 << (shift)) - 1) >> (shift))

/* ---- A picture of four flat quarters ---- */

static const guint8 quarters[4][3] = {{200, 30, 40}, {30, 190, 60}, {40, 50, 210}, {240, 240, 240}};

static char *quarters_input(int width, int height) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * height * 3);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy(rgb + ((gsize)y * width + x) * 3, quarters[(x >= width / 2) + 2 * (y >= height / 2)],
             3);
  g_autofree char *name = g_strdup_printf("quarters-%dx%d.rgb", width, height);
  g_autofree char *path = clip_write(name, rgb, (gsize)width * height * 3);
  return g_strdup_printf("-f rawvideo -pixel_format rgb24 -video_size %dx%d -i %s", width, height,
                         path);
}

/* The frame's colour in the middle of a quarter. */
static const guint8 *pixel(const MnkFrame *rgb, int quarter) {
  int x = rgb->width * (1 + 2 * (quarter & 1)) / 4, y = rgb->height * (1 + 2 * (quarter >> 1)) / 4;
  return rgb->planes[0] + (gssize)y * rgb->strides[0] + 3 * x;
}

static void assert_near(int got, int expected, int tolerance, const char *what) {
  if (abs(got - expected) > tolerance)
    g_error("%s: %d is not within %d of %d", what, got, tolerance, expected);
}

static MnkFrame *first_frame(const char *path) {
  MnkSourceConfig config = clip_config(path);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, 1);
  g_assert_no_error(read->error);
  g_assert_cmpuint(read->frames->len, ==, 1);
  return mnk_frame_ref(clip_frame(read, 0));
}

/* ---- Pixel formats ---- */

typedef struct {
  const char *name, *options;
  int width, height;
  int matrix;    /* 601, 709 or 2020; 0: grey */
  int tolerance; /* of the colours */
} Format;

#define MATRIX(m, r)                                                                               \
  "-vf scale=out_color_matrix=" m ":out_range=" r " -colorspace " m " -color_range " r " "

static const Format formats[] = {
    {"420-601.mkv", MATRIX("smpte170m", "tv") "-pix_fmt yuv420p -c:v ffv1", 96, 64, 601, 4},
    {"420-709.mkv", MATRIX("bt709", "tv") "-pix_fmt yuv420p -c:v ffv1", 96, 64, 709, 4},
    {"420-709-full.mkv", MATRIX("bt709", "pc") "-pix_fmt yuv420p -c:v ffv1", 96, 64, 709, 4},
    {"420-2020-10.mkv", MATRIX("bt2020nc", "tv") "-pix_fmt yuv420p10le -c:v ffv1", 96, 64, 2020, 4},
    {"420-odd.mkv", MATRIX("smpte170m", "tv") "-pix_fmt yuv420p -c:v ffv1", 97, 61, 601, 4},
    {"422-10.mkv", MATRIX("bt709", "tv") "-pix_fmt yuv422p10le -c:v ffv1", 97, 61, 709, 4},
    {"444-12.mkv", MATRIX("bt709", "tv") "-pix_fmt yuv444p12le -c:v ffv1", 97, 61, 709, 4},
    {"444-16-full.mkv", MATRIX("bt709", "pc") "-pix_fmt yuv444p16le -c:v ffv1", 96, 64, 709, 4},
    {"410.mkv", MATRIX("smpte170m", "tv") "-pix_fmt yuv410p -c:v ffv1", 96, 64, 601, 4},
    {"a420.mkv", MATRIX("smpte170m", "tv") "-pix_fmt yuva420p -c:v ffv1", 96, 64, 601, 4},
    {"nv12.nut", MATRIX("smpte170m", "tv") "-pix_fmt nv12 -c:v rawvideo", 96, 64, 601, 4},
    {"yuyv.nut", MATRIX("smpte170m", "tv") "-pix_fmt yuyv422 -c:v rawvideo", 96, 64, 601, 4},
    {"uyvy.nut", MATRIX("smpte170m", "tv") "-pix_fmt uyvy422 -c:v rawvideo", 96, 64, 601, 4},
    {"10-big-endian.nut", MATRIX("smpte170m", "tv") "-pix_fmt yuv420p10be -c:v rawvideo", 96, 64,
     601, 4},
    {"jpeg.jpg", "-pix_fmt yuvj420p -q:v 1", 97, 61, 601, 5},
    {"jpeg444.jpg", "-pix_fmt yuvj444p -q:v 1", 97, 61, 601, 5},
    {"jpeg422.avi", "-pix_fmt yuvj422p -c:v mjpeg -q:v 1", 96, 64, 601, 5},
    {"rgb.png", "-pix_fmt rgb24", 97, 61, 601, 2},
    {"rgb48.png", "-pix_fmt rgb48be", 97, 61, 601, 2},
    {"rgba.png", "-pix_fmt rgba", 97, 61, 601, 2},
    {"palette.png", "-pix_fmt pal8", 97, 61, 601, 45},
    {"palette.gif", "", 97, 61, 601, 45},
    {"bgr.bmp", "-pix_fmt bgr24", 97, 61, 601, 2},
    {"webp.webp", "-lossless 1", 97, 61, 601, 2},
    {"gbr.mkv", "-pix_fmt gbrp -c:v libx264rgb -qp 0", 96, 64, 601, 4},
    {"gbr10.mkv", "-pix_fmt gbrp10le -c:v ffv1", 97, 61, 601, 4},
    {"grey.png", "-pix_fmt gray", 97, 61, 0, 3},
    {"grey16.png", "-pix_fmt gray16be", 97, 61, 0, 3},
    {"grey10.mkv", "-pix_fmt gray10le -c:v ffv1", 97, 61, 0, 4},
    {"grey-hevc.mp4",
     MATRIX("smpte170m", "tv") "-pix_fmt gray -c:v libx265 -x265-params "
                               "log-level=error:lossless=1",
     96, 64, 0, 4},
    {"h264-422-10.mp4", MATRIX("bt709", "tv") "-pix_fmt yuv422p10le -c:v libx264 -qp 4", 96, 64,
     709, 6},
    {"h264-444.mp4", MATRIX("bt709", "tv") "-pix_fmt yuv444p -c:v libx264 -qp 4", 97, 61, 709, 6},
    {"h264-odd.mp4", MATRIX("smpte170m", "tv") "-pix_fmt yuv444p -c:v libx264 -qp 4", 33, 21, 601,
     6},
    {"prores.mov", MATRIX("smpte170m", "tv") "-c:v prores_ks -pix_fmt yuv422p10le -q:v 2", 96, 64,
     601, 6},
    {"theora.ogv", "-pix_fmt yuv420p -c:v libtheora -q:v 10", 96, 64, 601, 8},
    {"large.mkv", "-vf scale=out_color_matrix=bt709:out_range=tv -pix_fmt yuv420p -c:v ffv1", 1280,
     720, 709, 4},
};

/* Weights of red and blue in luma. */
static void weights(int matrix, double *red, double *blue) {
  *red = matrix == 709 ? 0.2126 : matrix == 2020 ? 0.2627 : 0.299;
  *blue = matrix == 709 ? 0.0722 : matrix == 2020 ? 0.0593 : 0.114;
}

static void check_luma(const MnkFrame *frame, const Format *format) {
  guint8 luma[16 * 16];
  double red, blue;
  weights(format->matrix, &red, &blue);
  g_assert_true(mnk_frame_thumbnail(frame, luma, 16, 16));
  for (int q = 0; q < 4; q++) {
    double expected =
        red * quarters[q][0] + (1 - red - blue) * quarters[q][1] + blue * quarters[q][2];
    assert_near(luma[(4 + 8 * (q >> 1)) * 16 + 4 + 8 * (q & 1)], (int)lrint(expected),
                format->tolerance + 1, "luma");
  }
}

static void check_chroma(const MnkFrame *frame, const Format *format) {
  guint8 uv[8 * 8 * 2];
  double red, blue;
  weights(format->matrix, &red, &blue);
  if (format->matrix == 0) {
    g_assert_false(mnk_frame_chroma(frame, uv, 8, 8));
    return;
  }
  g_assert_true(mnk_frame_chroma(frame, uv, 8, 8));
  for (int q = 0; q < 4; q++) {
    double y = red * quarters[q][0] + (1 - red - blue) * quarters[q][1] + blue * quarters[q][2];
    const guint8 *got = uv + 2 * ((2 + 4 * (q >> 1)) * 8 + 2 + 4 * (q & 1));
    assert_near(got[0], (int)lrint(128 + (quarters[q][2] - y) / (2 - 2 * blue)),
                format->tolerance + 2, "U");
    assert_near(got[1], (int)lrint(128 + (quarters[q][0] - y) / (2 - 2 * red)),
                format->tolerance + 2, "V");
  }
}

static void check_rgb(const MnkFrame *rgb, const Format *format) {
  for (int q = 0; q < 4; q++) {
    double grey = 0.299 * quarters[q][0] + 0.587 * quarters[q][1] + 0.114 * quarters[q][2];
    for (int k = 0; k < 3; k++)
      assert_near(pixel(rgb, q)[k], format->matrix ? quarters[q][k] : (int)lrint(grey),
                  format->tolerance, "colour");
  }
}

static void test_format(gconstpointer data) {
  const Format *format = data;
  g_autofree char *input = quarters_input(format->width, format->height);
  g_autofree char *path = clip_make(format->name, input, format->options);
  if (!path)
    return;
  g_autoptr(MnkFrame) frame = first_frame(path);
  g_assert_cmpint(frame->format, ==, MNK_FRAME_DECODED);
  g_assert_cmpint(frame->width, ==, format->width);
  g_assert_cmpint(frame->height, ==, format->height);
  g_assert_cmpuint(frame->copies, ==, 0);

  g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 4096, NULL);
  g_assert_nonnull(rgb);
  g_assert_cmpint(rgb->width, ==, format->width);
  check_rgb(rgb, format);
  g_autoptr(MnkFrame) small = mnk_frame_convert(frame, MNK_FRAME_RGB, 48, NULL);
  g_assert_cmpint(MAX(small->width, small->height), ==, MIN(48, format->width));
  check_rgb(small, format);
  /* By way of I420 the colours are the same. */
  g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, 4096, NULL);
  g_autoptr(MnkFrame) back = mnk_frame_convert(planes, MNK_FRAME_RGB, 4096, NULL);
  Format looser = *format;
  looser.tolerance += 3;
  check_rgb(back, &looser);
  check_luma(frame, format);
  check_chroma(frame, format);
}

/* A layout that no file brings but hardware does: chroma interleaved, samples in the upper bits. */
static void test_p010(void) {
  AVFrame *picture = av_frame_alloc();
  picture->format = AV_PIX_FMT_P010LE;
  picture->width = 64;
  picture->height = 48;
  picture->colorspace = AVCOL_SPC_SMPTE170M;
  picture->color_range = AVCOL_RANGE_MPEG;
  g_assert_cmpint(av_frame_get_buffer(picture, 0), >=, 0);
  /* Red in BT.601: 81, 90, 240. */
  for (int y = 0; y < 48; y++)
    for (int x = 0; x < 64; x++) {
      *(guint16 *)(gpointer)(picture->data[0] + y * picture->linesize[0] + 2 * x) = 81 << 8;
      *(guint16 *)(gpointer)(picture->data[1] + y / 2 * picture->linesize[1] + 2 * x) =
          (x & 1 ? 240 : 90) << 8;
    }
  g_autoptr(MnkFrame) frame =
      mnk_frame_take_decoded(picture, (MnkOrientation){FALSE, FALSE, FALSE}, (AVRational){0, 1});
  guint8 luma, uv[2];
  g_assert_true(mnk_frame_thumbnail(frame, &luma, 1, 1));
  g_assert_true(mnk_frame_chroma(frame, uv, 1, 1));
  assert_near(luma, 76, 1, "luma");
  assert_near(uv[0], 85, 1, "U");
  assert_near(uv[1], 255, 1, "V");
  g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 4096, NULL);
  assert_near(pixel(rgb, 0)[0], 254, 2, "red");
  assert_near(pixel(rgb, 0)[1], 0, 2, "green");
}

/* The columns and rows at the edges of odd sizes are written, too. */
static void test_edges(void) {
  for (int width = 33; width < 37; width++) {
    guint8 white[40 * 31 * 2];
    int luma = width * 31, chroma = 2 * ((width + 1) / 2) * 16;
    memset(white, 235, luma);
    memset(white + luma, 128, chroma);
    g_autofree char *raw_name = g_strdup_printf("white%d.yuv", width);
    g_autofree char *raw = clip_write(raw_name, white, luma + chroma);
    g_autofree char *input =
        g_strdup_printf("-f rawvideo -pixel_format yuv420p -video_size %dx31 -i %s", width, raw);
    g_autofree char *name = g_strdup_printf("edge%d.mkv", width);
    g_autofree char *path = clip_make(name, input, "-c:v ffv1");
    if (!path)
      return;
    g_autoptr(MnkFrame) frame = first_frame(path);
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 4096, NULL);
    const guint8 *corner = rgb->planes[0] + 30 * rgb->strides[0] + 3 * (width - 1);
    for (int k = 0; k < 3; k++)
      assert_near(corner[k], 255, 5, "corner");
  }
}

/* ---- Sizes ---- */

static void test_sizes(void) {
  static const struct {
    const char *aspect;
    int shown_width, shown_height, max_side, width, height;
  } cases[] = {
      {"2/1", 192, 64, 96, 96, 32},      {"1/2", 96, 128, 64, 48, 64},
      {"64/45", 137, 64, 4096, 137, 64}, {"0/1", 96, 64, 10, 10, 7},
      {"1000/1", 96, 64, 4096, 96, 64}, /* absurd: not believed */
      {"1/1", 96, 64, 1, 1, 1},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *input = quarters_input(96, 64);
    g_autofree char *options =
        g_strdup_printf("-vf setsar=%s -pix_fmt yuv420p -c:v ffv1", cases[i].aspect);
    g_autofree char *path = clip_make("aspect.mkv", input, options);
    if (!path)
      return;
    MnkSourceConfig config = clip_config(path);
    g_autoptr(MnkSource) source = clip_open(&config);
    g_assert_cmpint(mnk_source_info(source)->width, ==, cases[i].shown_width);
    g_autoptr(MnkFrame) frame = first_frame(path);
    g_assert_cmpint(frame->width, ==, cases[i].shown_width);
    g_assert_cmpint(frame->height, ==, cases[i].shown_height);
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, cases[i].max_side, NULL);
    g_assert_cmpint(rgb->width, ==, cases[i].width);
    g_assert_cmpint(rgb->height, ==, cases[i].height);
  }
}

/* ---- Orientation ---- */

/* a b c d of the display matrix, and where the upright picture's quarters come from. */
static const struct {
  int a, b, c, d, degrees;
  int from[4];
} turns[] = {
    {1, 0, 0, 1, 0, {0, 1, 2, 3}},     {0, 1, -1, 0, 90, {2, 0, 3, 1}},
    {-1, 0, 0, -1, 180, {3, 2, 1, 0}}, {0, -1, 1, 0, 270, {1, 3, 0, 2}},
    {-1, 0, 0, 1, 0, {1, 0, 3, 2}},    {1, 0, 0, -1, 0, {2, 3, 0, 1}},
    {0, 1, 1, 0, 270, {0, 2, 1, 3}},   {0, -1, -1, 0, 90, {3, 1, 2, 0}},
};

/* The clip with another display matrix written into its track header. */
static char *turned(const char *path, guint turn) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  char *box = memmem(bytes, length, "tkhd", 4);
  g_assert_nonnull(box);
  char *matrix = box + 4 + 40; /* version 0: the matrix comes after 40 bytes */
  const gint32 values[] = {turns[turn].a, turns[turn].b, turns[turn].c, turns[turn].d};
  for (int i = 0; i < 4; i++) {
    guint32 value = GUINT32_TO_BE((guint32)(values[i] * 65536));
    memcpy(matrix + (i < 2 ? 4 * i : 4 * (i + 1)), &value, 4);
  }
  g_autofree char *name = g_strdup_printf("turned%u.mp4", turn);
  return clip_write(name, bytes, length);
}

static void assert_turned(const MnkFrame *straight, const MnkFrame *frame, guint turn, int bytes,
                          int plane) {
  int shift = plane > 0;
  int width = HALVED(frame->width, shift), height = HALVED(frame->height, shift);
  int from_width = HALVED(straight->width, shift), from_height = HALVED(straight->height, shift);
  for (int y = 0; y < from_height; y++)
    for (int x = 0; x < from_width; x++) {
      /* The display matrix, moved so that the picture lies at the origin. */
      int to_x = turns[turn].a * x + turns[turn].c * y,
          to_y = turns[turn].b * x + turns[turn].d * y;
      to_x += turns[turn].a + turns[turn].c < 0 ? width - 1 : 0;
      to_y += turns[turn].b + turns[turn].d < 0 ? height - 1 : 0;
      const guint8 *from =
          straight->planes[plane] + (gssize)y * straight->strides[plane] + x * bytes;
      const guint8 *to = frame->planes[plane] + (gssize)to_y * frame->strides[plane] + to_x * bytes;
      if (memcmp(from, to, bytes) != 0)
        g_error("turn %u plane %d: pixel %d,%d of %dx%d differs: %d %d", turn, plane, x, y,
                from_width, from_height, *from, *to);
    }
}

static void test_turn(gconstpointer data) {
  guint turn = GPOINTER_TO_UINT(data);
  g_autofree char *input = quarters_input(150, 102);
  g_autofree char *path =
      clip_make("straight.mp4", input, "-vf noise=alls=10 -pix_fmt yuv420p -c:v libx264 -qp 20");
  if (!path)
    return;
  g_autofree char *copy = turned(path, turn);
  g_autoptr(MnkFrame) straight = first_frame(path);
  g_autoptr(MnkFrame) frame = first_frame(copy);
  MnkSourceConfig config = clip_config(copy);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_cmpint(mnk_source_info(source)->rotation, ==, turns[turn].degrees);
  gboolean transpose = turns[turn].a == 0;
  g_assert_cmpint(frame->width, ==, transpose ? 102 : 150);
  g_assert_cmpint(frame->height, ==, transpose ? 150 : 102);

  for (int side = 4096; side > 60; side /= 50) {
    guint64 before = mnk_frame_conversions();
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, side, NULL);
    g_assert_cmpuint(mnk_frame_conversions(), ==, before + 1);
    g_assert_cmpuint(rgb->copies, ==, 1);
    g_autoptr(MnkFrame) straight_rgb = mnk_frame_convert(straight, MNK_FRAME_RGB, side, NULL);
    assert_turned(straight_rgb, rgb, turn, 3, 0);
    g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, side, NULL);
    g_autoptr(MnkFrame) straight_planes = mnk_frame_convert(straight, MNK_FRAME_I420, side, NULL);
    for (int plane = 0; plane < 3; plane++)
      assert_turned(straight_planes, planes, turn, 1, plane);
  }
  guint8 luma[20 * 12], straight_luma[20 * 12], uv[2 * 64], straight_uv[2 * 64];
  int across = transpose ? 12 : 20, down = transpose ? 20 : 12;
  g_assert_true(mnk_frame_thumbnail(frame, luma, across, down));
  g_assert_true(mnk_frame_thumbnail(straight, straight_luma, 20, 12));
  g_assert_true(mnk_frame_chroma(frame, uv, 8, 8));
  g_assert_true(mnk_frame_chroma(straight, straight_uv, 8, 8));
  for (int q = 0; q < 4; q++) {
    int from = turns[turn].from[q];
    assert_near(luma[(down / 4 + down / 2 * (q >> 1)) * across + across / 4 + across / 2 * (q & 1)],
                straight_luma[(3 + 6 * (from >> 1)) * 20 + 5 + 10 * (from & 1)], 15, "turned luma");
    const guint8 *got = uv + 2 * ((2 + 4 * (q >> 1)) * 8 + 2 + 4 * (q & 1));
    const guint8 *expected = straight_uv + 2 * ((2 + 4 * (from >> 1)) * 8 + 2 + 4 * (from & 1));
    assert_near(got[0], expected[0], 10, "turned U");
    assert_near(got[1], expected[1], 10, "turned V");
  }
  g_assert_cmpint(g_remove(copy), ==, 0);
}

static AVFrame *random_picture(GRand *rand) {
  static const enum AVPixelFormat kinds[] = {
      AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_NV12,    AV_PIX_FMT_RGB24,
      AV_PIX_FMT_GRAY8,   AV_PIX_FMT_YUV410P,     AV_PIX_FMT_YUV444P, AV_PIX_FMT_PAL8,
      AV_PIX_FMT_YUYV422, AV_PIX_FMT_P010LE,      AV_PIX_FMT_GBRP,    AV_PIX_FMT_MONOBLACK};
  AVFrame *picture = av_frame_alloc();
  picture->format = kinds[g_rand_int_range(rand, 0, G_N_ELEMENTS(kinds))];
  picture->width = 1 << g_rand_int_range(rand, 0, 9);
  picture->height = 1 << g_rand_int_range(rand, 0, 9);
  picture->width += g_rand_int_range(rand, 0, picture->width);
  picture->height += g_rand_int_range(rand, 0, picture->height);
  picture->color_range = g_rand_boolean(rand) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
#ifdef AV_FRAME_FLAG_INTERLACED
  picture->flags |= g_rand_int_range(rand, 0, 4) ? 0 : AV_FRAME_FLAG_INTERLACED;
#else
  picture->interlaced_frame = g_rand_int_range(rand, 0, 4) == 0;
#endif
  g_assert_cmpint(av_frame_get_buffer(picture, 0), >=, 0);
  for (int i = 0; i < 4 && picture->buf[i]; i++)
    for (gsize k = 0; k < (gsize)picture->buf[i]->size; k++)
      picture->buf[i]->data[k] = (guint8)(k * 7 + k / 64 * 11) & (i ? 0x7f : 0xff);
  return picture;
}

/* Whatever the sizes and formats are, a turned picture is the straight one turned. */
static void test_any_turn(void) {
  for (guint32 seed = 0; seed < 400; seed++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    guint turn = (guint)g_rand_int_range(rand, 0, G_N_ELEMENTS(turns));
    gint32 matrix[9] = {turns[turn].a, turns[turn].b, 0, turns[turn].c, turns[turn].d, 0, 0, 0, 1};
    AVRational aspect = {g_rand_int_range(rand, 1, 5), g_rand_int_range(rand, 1, 5)};
    AVFrame *picture = random_picture(rand);
    g_autoptr(MnkFrame) straight =
        mnk_frame_take_decoded(av_frame_clone(picture), mnk_orientation_from_matrix(NULL), aspect);
    g_autoptr(MnkFrame) frame =
        mnk_frame_take_decoded(picture, mnk_orientation_from_matrix(matrix), aspect);
    int side = g_rand_int_range(rand, 1, 1200);
    g_test_message("seed %u: turn %u, format %d, %d x %d to %d", seed, turn, picture->format,
                   picture->width, picture->height, side);
    g_autoptr(MnkFrame) straight_rgb = mnk_frame_convert(straight, MNK_FRAME_RGB, side, NULL);
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, side, NULL);
    g_assert_nonnull(rgb);
    assert_turned(straight_rgb, rgb, turn, 3, 0);
    g_autoptr(MnkFrame) straight_planes = mnk_frame_convert(straight, MNK_FRAME_I420, side, NULL);
    g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, side, NULL);
    g_assert_nonnull(planes);
    /* libswscale's chroma of pictures of a few rows depends on what lies behind them. */
    for (int plane = 0; plane < 3 && MIN(picture->width, picture->height) >= 8; plane++)
      assert_turned(straight_planes, planes, turn, 1, plane);
    guint8 luma[64 * 64], uv[64 * 64 * 2];
    g_assert_true(mnk_frame_thumbnail(frame, luma, 64, 64));
    (void)mnk_frame_chroma(frame, uv, 64, 64);
  }
}

/* ---- Interlaced ---- */

/* White rows belong to the top field, black ones to the other: the picture is all white. */
static void test_interlaced(void) {
  g_autofree guint8 *rows = g_malloc(128 * 96 * 3);
  for (int y = 0; y < 96; y++)
    memset(rows + y * 128 * 3, y % 2 ? 0 : 255, 128 * 3);
  g_autofree char *raw = clip_write("rows.rgb", rows, 128 * 96 * 3);
  g_autofree char *input =
      g_strdup_printf("-f rawvideo -pixel_format rgb24 -video_size 128x96 -i %s", raw);
  static const char *const options[] = {
      "-vf scale=interl=1,setfield=tff -pix_fmt yuv420p -c:v mpeg2video -flags +ildct+ilme -q:v 1",
      "-vf scale=interl=1,setfield=tff -pix_fmt yuv420p -c:v libx264 -qp 1 -x264-params tff=1",
  };
  for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
    g_autofree char *name = g_strdup_printf("interlaced%u.mkv", i);
    g_autofree char *path = clip_make(name, input, options[i]);
    if (!path)
      return;
    g_autoptr(MnkFrame) frame = first_frame(path);
    g_assert_cmpint(frame->height, ==, 96);
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 4096, NULL);
    g_assert_cmpint(rgb->height, ==, 96);
    for (int y = 0; y < 96; y++)
      assert_near(rgb->planes[0][y * rgb->strides[0] + 3 * 64], 255, 8, "row");
  }
}

/* ---- Copies ---- */

static void test_copies(void) {
  g_autofree char *input = clip_pattern("25");
  g_autofree char *path = clip_make("copies.mp4", input, "-c:v libx264 -bf 2 -preset veryfast");
  if (!path)
    return;
  MnkSourceConfig config = clip_config(path);
  config.every_frame = TRUE;
  g_autoptr(MnkSource) source = clip_open(&config);
  guint64 before = mnk_frame_conversions(), looked_at = 0;
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  for (guint i = 0; i < read->frames->len; i++) {
    const MnkFrame *frame = clip_frame(read, i);
    guint8 luma[64 * 64];
    g_assert_cmpuint(frame->copies, ==, 0);
    g_assert_true(mnk_frame_thumbnail(frame, luma, 64, 64));
    if (!frame->sampled)
      continue;
    g_autoptr(MnkFrame) rgb = mnk_frame_convert(frame, MNK_FRAME_RGB, 200, NULL);
    g_assert_cmpuint(rgb->copies, ==, 1);
    g_assert_cmpint(rgb->pts_ms, ==, frame->pts_ms);
    /* What already is as asked for is not written again. */
    g_autoptr(MnkFrame) again = mnk_frame_convert(rgb, MNK_FRAME_RGB, 200, NULL);
    g_assert_true(again == rgb);
    looked_at++;
  }
  g_assert_cmpuint(read->frames->len, ==, PATTERN_FRAMES);
  g_assert_cmpuint(looked_at, ==, 12);
  g_assert_cmpuint(mnk_frame_conversions() - before, ==, looked_at);
}

/* ---- Thumbnails ---- */

/* A ramp stays a ramp: means of cells, not single samples of them. */
static void test_ramp(void) {
  g_autofree guint8 *rgb = g_malloc(640 * 4 * 3);
  for (int i = 0; i < 640 * 4; i++)
    memset(rgb + 3 * i, i % 640 * 255 / 639, 3);
  g_autoptr(MnkFrame) frame = mnk_frame_new_rgb(rgb, 640, 4, 640 * 3, 7);
  g_assert_cmpint(frame->pts_ms, ==, 7);
  g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, 4096, NULL);
  for (int side = 1; side <= 256; side *= 4) {
    guint8 luma[256 * 4];
    for (int k = 0; k < 2; k++) {
      g_assert_true(mnk_frame_thumbnail(k ? planes : frame, luma, side, 4));
      for (int x = 0; x < side; x++)
        assert_near(luma[side + x], (int)lrint(255 * (x + 0.5) / side), 3, "ramp");
    }
  }
}

/* ---- JPEG ---- */

static MnkFrame *quarters_frame(int width, int height) {
  g_autofree guint8 *rgb = g_malloc((gsize)width * height * 3);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy(rgb + ((gsize)y * width + x) * 3, quarters[(x >= width / 2) + 2 * (y >= height / 2)],
             3);
  return mnk_frame_new_rgb(rgb, width, height, width * 3, 0);
}

static void test_jpeg(void) {
  static const Format jpeg = {"", "", 101, 67, 601, 6};
  g_autoptr(MnkFrame) frame = quarters_frame(101, 67);
  g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, 4096, NULL);
  for (int k = 0; k < 2; k++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = mnk_frame_to_jpeg(k ? planes : frame, 95, &error);
    g_assert_no_error(error);
    gsize length;
    const guint8 *data = g_bytes_get_data(bytes, &length);
    g_autoptr(MnkFrame) back = mnk_frame_from_jpeg(data, length, 1000000, &error);
    g_assert_no_error(error);
    g_assert_cmpint(back->width, ==, 101);
    g_assert_cmpint(back->height, ==, 67);
    check_rgb(back, &jpeg);
  }
}

/* A picture in the other matrix keeps its colours as a JPEG. */
static void test_jpeg_matrix(void) {
  static const Format jpeg = {"", "", 96, 64, 709, 8};
  g_autofree char *input = quarters_input(96, 64);
  g_autofree char *path = clip_make("420-709.mkv", input, formats[1].options);
  if (!path)
    return;
  g_autoptr(MnkFrame) frame = first_frame(path);
  g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, 4096, NULL);
  g_autoptr(GBytes) bytes = mnk_frame_to_jpeg(planes, 95, NULL);
  gsize length;
  const guint8 *data = g_bytes_get_data(bytes, &length);
  g_autoptr(MnkFrame) back = mnk_frame_from_jpeg(data, length, 1000000, NULL);
  check_rgb(back, &jpeg);
}

static void test_jpeg_bad(void) {
  g_autoptr(MnkFrame) frame = quarters_frame(101, 67);
  g_autoptr(GBytes) bytes = mnk_frame_to_jpeg(frame, 95, NULL);
  gsize length;
  const guint8 *data = g_bytes_get_data(bytes, &length);
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_frame_from_jpeg(data, length, 101 * 67 - 1, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_clear_error(&error);
  for (gsize cut = 0; cut < length - 2; cut += 7) {
    g_assert_null(mnk_frame_from_jpeg(data, cut, 1000000, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_clear_error(&error);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
    g_autofree char *name = g_strconcat("/media/frame/format/", formats[i].name, NULL);
    g_test_add_data_func(name, &formats[i], test_format);
  }
  for (guint i = 0; i < G_N_ELEMENTS(turns); i++) {
    g_autofree char *name = g_strdup_printf("/media/frame/turn/%u", i);
    g_test_add_data_func(name, GUINT_TO_POINTER(i), test_turn);
  }
  g_test_add_func("/media/frame/any-turn", test_any_turn);
  g_test_add_func("/media/frame/p010", test_p010);
  g_test_add_func("/media/frame/edges", test_edges);
  g_test_add_func("/media/frame/sizes", test_sizes);
  g_test_add_func("/media/frame/interlaced", test_interlaced);
  g_test_add_func("/media/frame/copies", test_copies);
  g_test_add_func("/media/frame/ramp", test_ramp);
  g_test_add_func("/media/frame/jpeg", test_jpeg);
  g_test_add_func("/media/frame/jpeg-matrix", test_jpeg_matrix);
  g_test_add_func("/media/frame/jpeg-bad", test_jpeg_bad);
  return g_test_run();
}
