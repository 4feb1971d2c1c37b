/* The pure steps of reading text against results worked out by hand. */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "vision/text_priv.h"

#define assert_near(a, b, tolerance) g_assert_cmpfloat(fabs((double)(a) - (b)), <=, tolerance)

/* ---- Regions ---- */

enum { W = 96, H = 64 };

static void fill(float *map, int x0, int y0, int x1, int y1, float p) {
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++)
      map[y * W + x] = p;
}

static void test_regions_empty(void) {
  float map[W * H] = {0};
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 0);
  map[100] = 0.9f; /* one pixel is no line */
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 0);
}

static void test_regions_upright(void) {
  float map[W * H] = {0};
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  /* 40 x 8 pixels and the one that each reaches further: 41 x 9. Grown by 1.6 * 41 * 9 / 50. */
  fill(map, 20, 30, 60, 38, 0.9f);
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 1);
  double grow = 1.6 * 41 * 9 / 50;
  assert_near(regions[0].cx, 40.5, 0.01);
  assert_near(regions[0].cy, 34.5, 0.01);
  assert_near(regions[0].w, 41 + grow, 0.01);
  assert_near(regions[0].h, 9 + grow, 0.01);
  assert_near(regions[0].angle, 0, 1e-4);
  assert_near(regions[0].score, 0.9, 1e-4);
}

static void test_regions_tall_reads_downwards(void) {
  float map[W * H] = {0};
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  fill(map, 30, 10, 38, 50, 0.9f);
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 1);
  g_assert_cmpfloat(regions[0].w, >, regions[0].h);
  assert_near(fabsf(regions[0].angle), G_PI_2, 1e-3);
}

static void test_regions_slanted(void) {
  float map[W * H] = {0};
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  /* A band of 9 rows that falls by one row in four columns. */
  for (int x = 10; x < 80; x++)
    for (int y = 0; y < 9; y++)
      map[(15 + y + (x - 10) / 4) * W + x] = 0.9f;
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 1);
  assert_near(regions[0].angle, atan(0.25), 0.03);
  assert_near(regions[0].cx, 45, 1.5);
}

static void test_regions_weak(void) {
  float map[W * H] = {0};
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  fill(map, 20, 30, 60, 38, 0.4f); /* connected, but not sure enough */
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 0);
}

static void test_regions_order_and_limit(void) {
  enum { SIDE = 512 };
  g_autofree float *map = g_new0(float, SIDE *SIDE);
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  for (int row = 0; row < 20; row++)
    for (int column = 0; column < 10; column++)
      for (int y = 0; y < 6; y++)
        for (int x = 0; x < 10 + row; x++)
          map[(row * 25 + y) * SIDE + column * 50 + x] = 0.9f;
  g_assert_cmpuint(mnk_text_regions(map, SIDE, SIDE, regions), ==, MNK_TEXT_MAX_REGIONS);
  for (guint i = 1; i < MNK_TEXT_MAX_REGIONS; i++)
    g_assert_cmpfloat(regions[i].w * regions[i].h, <=, regions[i - 1].w * regions[i - 1].h);
  g_assert_cmpfloat(regions[MNK_TEXT_MAX_REGIONS - 1].w, >, 20); /* the largest were kept */
}

static void test_regions_full_and_nonsense(void) {
  float map[W * H];
  MnkTextRegion regions[MNK_TEXT_MAX_REGIONS];

  for (int i = 0; i < W * H; i++)
    map[i] = 1;
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), ==, 1);
  for (int i = 0; i < W * H; i++)
    map[i] = i % 2 ? NAN : INFINITY;
  g_assert_cmpuint(mnk_text_regions(map, W, H, regions), <=, MNK_TEXT_MAX_REGIONS);
}

/* ---- CTC ---- */

static void test_ctc(void) {
  enum { T = 8, C = 4 };
  float p[T * C] = {0};
  static const int best[T] = {0, 1, 1, 0, 1, 2, 3, 3};
  MnkCtcPath path;

  for (int t = 0; t < T; t++)
    p[t * C + best[t]] = t == 4 ? 0.5f : 0.9f;
  mnk_ctc_decode(p, T, C, &path);
  g_assert_cmpuint(path.n, ==, 4);
  static const guint classes[] = {1, 1, 2, 3}, steps[] = {1, 4, 5, 6};
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpuint(path.class[i], ==, classes[i]);
    g_assert_cmpuint(path.step[i], ==, steps[i]);
  }
  assert_near(path.score, (0.9 + 0.5 + 0.9 + 0.9) / 4, 1e-5);
}

static void test_ctc_blank_and_long(void) {
  enum { T = 600, C = 3 };
  g_autofree float *p = g_new0(float, T *C);
  MnkCtcPath path;

  for (int t = 0; t < T; t++)
    p[t * C] = 1;
  mnk_ctc_decode(p, T, C, &path);
  g_assert_cmpuint(path.n, ==, 0);
  g_assert_cmpfloat(path.score, ==, 0);
  for (int t = 0; t < T; t++)
    p[t * C + 1 + t % 2] = 2;
  mnk_ctc_decode(p, T, C, &path);
  g_assert_cmpuint(path.n, ==, MNK_TEXT_MAX_CHARS);
  mnk_ctc_decode(p, 0, C, &path);
  g_assert_cmpuint(path.n, ==, 0);
}

/* ---- Spelling ---- */

static void test_charset(void) {
  g_autoptr(MnkCharset) open = mnk_charset_from_lines("a\nb\n字");
  g_autoptr(MnkCharset) closed = mnk_charset_from_lines("a\nb\n字\n");
  g_autoptr(MnkCharset) none = mnk_charset_from_lines("");

  g_assert_cmpuint(open->n, ==, 5);
  g_assert_cmpuint(closed->n, ==, 5);
  g_assert_cmpstr(closed->utf8[1], ==, "a");
  g_assert_cmpstr(closed->utf8[3], ==, "字");
  g_assert_cmpstr(closed->utf8[4], ==, " ");
  g_assert_cmpuint(none->n, ==, 2);
}

static void test_spell(void) {
  g_autoptr(MnkCharset) charset = mnk_charset_from_lines("a\nb\n字\n\x01");
  MnkCtcPath path = {.n = 6, .class = {5, 1, 2, 3, 4, 77}};
  gboolean gap[MNK_TEXT_MAX_CHARS] = {TRUE, TRUE, TRUE, TRUE};
  g_autofree char *with = mnk_text_spell(&path, charset, gap);
  g_autofree char *without = mnk_text_spell(&path, charset, NULL);

  /* No space beside a Chinese character, none at the ends, no control or unknown character. */
  g_assert_cmpstr(with, ==, "a b字");
  g_assert_cmpstr(without, ==, "ab字");
}

static void test_plausible(void) {
  static const struct {
    const char *text;
    gboolean good;
  } cases[] = {
      {"STOP", TRUE}, {"24", TRUE},    {"a", FALSE},      {"", FALSE},
      {"--", FALSE},  {"a-.:", FALSE}, {"50 %", TRUE},    {"出口", TRUE},
      {"E=", FALSE},  {"don't", TRUE}, {"..ab..", FALSE},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
    g_assert_true(mnk_text_is_plausible(cases[i].text) == cases[i].good);
}

static void test_gaps(void) {
  enum { LW = 160, LH = 48 };
  g_autofree float *luma = g_new0(float, LW *LH);
  MnkCtcPath path = {.n = 4, .step = {1, 4, 11, 14}};
  gboolean gap[MNK_TEXT_MAX_CHARS];
  static const int letters[] = {4, 28, 84, 108}; /* left edges; each 20 wide */

  for (int i = 0; i < 4; i++)
    for (int y = 10; y < 38; y++)
      for (int x = letters[i]; x < letters[i] + 20; x++)
        luma[y * LW + x] = y % 2 ? 1 : -1;
  mnk_text_find_gaps(luma, LW, LH, 8, &path, gap);
  g_assert_false(gap[0]);
  g_assert_false(gap[1]); /* 4 columns */
  g_assert_true(gap[2]);  /* 36 columns */
  g_assert_false(gap[3]);
  /* Without the letters' own gaps, 6 columns are still too few for a word. */
  for (int y = 10; y < 38; y++)
    for (int x = 24; x < 84; x++)
      luma[y * LW + x] = x < 78 ? (y % 2 ? 1 : -1) : 0;
  mnk_text_find_gaps(luma, LW, LH, 8, &path, gap);
  g_assert_false(gap[2]);
  path.n = 0;
  mnk_text_find_gaps(luma, LW, LH, 8, &path, gap);
}

/* ---- Metadata ---- */

static void put_bytes(GByteArray *out, guint field, const guint8 *bytes, gsize n) {
  guint8 head[2] = {(guint8)(field << 3 | 2), (guint8)n};

  g_assert_cmpuint(n, <, 128);
  g_byte_array_append(out, head, 2);
  g_byte_array_append(out, bytes, (guint)n);
}

static void put_text(GByteArray *out, guint field, const char *text) {
  put_bytes(out, field, (const guint8 *)text, strlen(text));
}

/* A model with a version, a graph and two metadata entries. */
static GByteArray *model_bytes(void) {
  GByteArray *model = g_byte_array_new();
  g_autoptr(GByteArray) one = g_byte_array_new(), two = g_byte_array_new();
  static const guint8 version[] = {1 << 3, 0x88, 0x01}, fixed[] = {9 << 3 | 5, 1, 2, 3, 4};

  g_byte_array_append(model, version, sizeof version);
  g_byte_array_append(model, fixed, sizeof fixed);
  put_text(model, 7, "a graph");
  put_text(one, 1, "shape");
  put_text(one, 2, "48");
  put_text(two, 1, "character");
  put_text(two, 2, "x\ny\n");
  put_bytes(model, 14, one->data, one->len);
  put_bytes(model, 14, two->data, two->len);
  return model;
}

static void test_metadata(void) {
  g_autoptr(GByteArray) model = model_bytes();
  g_autoptr(GError) error = NULL;
  g_autofree char *value = mnk_onnx_metadata(model->data, model->len, "character", &error);

  g_assert_no_error(error);
  g_assert_cmpstr(value, ==, "x\ny\n");
  g_assert_null(mnk_onnx_metadata(model->data, model->len, "characters", &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
}

static void test_metadata_cut_off(void) {
  g_autoptr(GByteArray) model = model_bytes();

  for (guint n = 0; n < model->len; n++) {
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *cut = g_memdup2(model->data, n); /* exact, for the sanitizer */
    g_assert_null(mnk_onnx_metadata(cut, n, "character", &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
  }
}

static void test_metadata_garbage(void) {
  GRand *rand = g_rand_new_with_seed(7);

  for (int round = 0; round < 2000; round++) {
    guint8 bytes[64];
    for (guint i = 0; i < sizeof bytes; i++)
      bytes[i] = (guint8)g_rand_int(rand);
    g_autoptr(GError) error = NULL;
    g_autofree char *value = mnk_onnx_metadata(bytes, sizeof bytes, "character", &error);
    g_assert_true((value == NULL) == (error != NULL));
  }
  g_rand_free(rand);
}

static void test_charset_file(void) {
  g_autoptr(GError) error = NULL;

  g_assert_null(mnk_charset_from_onnx("/nonexistent/model.onnx", &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, "/nonexistent/model.onnx"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/text/regions/empty", test_regions_empty);
  g_test_add_func("/text/regions/upright", test_regions_upright);
  g_test_add_func("/text/regions/tall", test_regions_tall_reads_downwards);
  g_test_add_func("/text/regions/slanted", test_regions_slanted);
  g_test_add_func("/text/regions/weak", test_regions_weak);
  g_test_add_func("/text/regions/order-and-limit", test_regions_order_and_limit);
  g_test_add_func("/text/regions/nonsense", test_regions_full_and_nonsense);
  g_test_add_func("/text/ctc/path", test_ctc);
  g_test_add_func("/text/ctc/limits", test_ctc_blank_and_long);
  g_test_add_func("/text/charset", test_charset);
  g_test_add_func("/text/charset-file", test_charset_file);
  g_test_add_func("/text/spell", test_spell);
  g_test_add_func("/text/plausible", test_plausible);
  g_test_add_func("/text/gaps", test_gaps);
  g_test_add_func("/text/metadata/value", test_metadata);
  g_test_add_func("/text/metadata/cut-off", test_metadata_cut_off);
  g_test_add_func("/text/metadata/garbage", test_metadata_garbage);
  return g_test_run();
}
