/* Pictures of any size to tokens, and giving up half-way. */
#include <math.h>
#include <string.h>

#include "tiny.h"

static MnkVlm *load(const char *family, guint image_tokens) {
  g_auto(TinyPair) pair = {0};
  tiny_pair(&pair, family);
  pair.config.image_tokens = image_tokens;
  g_autoptr(GError) error = NULL;
  MnkVlm *vlm = mnk_vlm_load(&pair.config, &error);
  g_assert_no_error(error);
  return vlm;
}

static MnkTokens *look(MnkVlm *vlm, int width, int height, guint32 seed) {
  MnkFrame *frame = tiny_picture(width, height, seed);
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens = mnk_vlm_encode(vlm, &frame, 1, NULL, &error);
  g_assert_no_error(error);
  mnk_frame_unref(frame);
  return tokens;
}

static const struct {
  int width, height;
} sizes[] = {{1, 1}, {1, 700}, {8000, 10}, {10, 8000}, {17, 33}, {336, 252}, {1280, 720}};

static const char *const families[] = {"qwen25vl", "smolvlm", "gemma3"};

static void test_sizes(void) {
  for (guint f = 0; f < G_N_ELEMENTS(families); f++) {
    g_autoptr(MnkVlm) vlm = load(families[f], 108);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
      g_autoptr(MnkTokens) tokens = look(vlm, sizes[i].width, sizes[i].height, 1);
      guint n = mnk_tokens_count(tokens), columns = mnk_tokens_columns(tokens);
      g_assert_cmpuint(mnk_tokens_dim(tokens), ==, mnk_vlm_files(vlm)->dim);
      g_assert_cmpuint(n, <=, mnk_vlm_frame_tokens(vlm));
      g_assert_cmpuint(columns, >, 0);
      if (f > 0) /* one size of picture */
        g_assert_cmpuint(n, ==, columns * columns);
      else
        g_assert_true(n <= 108 || MAX(sizes[i].width, sizes[i].height) > 500);
    }
  }
}

/* The grid follows the picture's shape, and the budget. */
static void test_grid(void) {
  g_autoptr(MnkVlm) vlm = load("qwen25vl", 108);
  g_autoptr(MnkTokens) plain = look(vlm, 336, 252, 1), large = look(vlm, 1344, 1008, 1);
  g_assert_cmpuint(mnk_tokens_count(plain), ==, 108);
  g_assert_cmpuint(mnk_tokens_columns(plain), ==, 12);
  g_assert_cmpuint(mnk_tokens_count(large), ==, 108);
  g_assert_cmpuint(mnk_tokens_columns(large), ==, 12);
  g_autoptr(MnkVlm) fewer = load("qwen25vl", 32);
  g_autoptr(MnkTokens) small = look(fewer, 1344, 1008, 1);
  g_assert_cmpuint(mnk_tokens_count(small), <=, 32);
  g_assert_cmpuint(mnk_tokens_count(small), >, 16);
}

static void test_pairs(void) {
  g_autoptr(MnkVlm) vlm = load("qwen25vl", 108), smol = load("smolvlm", 108);
  g_assert_cmpuint(mnk_vlm_pair(vlm), ==, 2);
  g_assert_cmpuint(mnk_vlm_pair(smol), ==, 1);
  MnkFrame *frames[] = {tiny_picture(112, 84, 1), tiny_picture(112, 84, 2),
                        tiny_picture(84, 112, 2)};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkTokens) one = mnk_vlm_encode(vlm, frames, 1, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(MnkTokens) both = mnk_vlm_encode(vlm, frames, 2, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_tokens_count(both), ==, mnk_tokens_count(one));
  gsize dim = mnk_tokens_dim(one);
  g_autofree float *alone = g_new(float, dim), *paired = g_new(float, dim);
  mnk_tokens_read(one, 0, 1, alone);
  mnk_tokens_read(both, 0, 1, paired);
  g_assert_true(memcmp(alone, paired, dim * sizeof *alone) != 0);

  g_assert_null(mnk_vlm_encode(vlm, frames + 1, 2, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
  g_clear_error(&error);
  g_assert_null(mnk_vlm_encode(smol, frames, 2, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
  g_clear_error(&error);
  g_assert_null(mnk_vlm_encode(smol, frames, 0, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
  for (guint i = 0; i < G_N_ELEMENTS(frames); i++)
    mnk_frame_unref(frames[i]);
}

/* Given up, then the next one is right. */
static void test_cancel(void) {
  for (guint f = 0; f < G_N_ELEMENTS(families); f++) {
    g_autoptr(MnkVlm) vlm = load(families[f], 108);
    g_autoptr(MnkTokens) before = look(vlm, 112, 112, 1);
    MnkFrame *frame = tiny_picture(112, 112, 2);
    gint cancel = TRUE;
    g_autoptr(GError) error = NULL;
    g_assert_null(mnk_vlm_encode(vlm, &frame, 1, &cancel, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CANCELLED);
    mnk_frame_unref(frame);
    g_autoptr(MnkTokens) after = look(vlm, 112, 112, 1);
    gsize n = (gsize)mnk_tokens_count(before) * mnk_tokens_dim(before);
    g_autofree float *a = g_new(float, n), *b = g_new(float, n);
    mnk_tokens_read(before, 0, mnk_tokens_count(before), a);
    mnk_tokens_read(after, 0, mnk_tokens_count(after), b);
    g_assert_cmpmem(a, n * sizeof *a, b, n * sizeof *b);
  }
}

static void test_without_projector(void) {
  g_auto(TinyPair) pair = {0};
  tiny_pair(&pair, "qwen25vl");
  pair.config.mmproj = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&pair.config, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_vlm_frame_tokens(vlm), ==, 0);
  MnkFrame *frame = tiny_picture(64, 64, 1);
  g_assert_null(mnk_vlm_encode(vlm, &frame, 1, NULL, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  mnk_frame_unref(frame);
  const MnkVlmPart part = {.kind = MNK_VLM_USER, .text = "describe"};
  MnkVlmRequest request = {.parts = &part, .n_parts = 1, .tokens_max = 3};
  MnkVlmAnswer answer = {0};
  g_assert_true(tiny_ask(vlm, &request, &answer, NULL));
  mnk_vlm_answer_clear(&answer);
}

static void test_probe(void) {
  for (guint f = 0; f < G_N_ELEMENTS(families); f++) {
    g_auto(TinyPair) pair = {0};
    tiny_pair(&pair, families[f]);
    g_autoptr(GError) error = NULL;
    mnk_vlm_probe(&pair.config, &error);
    g_assert_no_error(error);
    pair.config.mmproj = pair.model;
    g_assert_false(mnk_vlm_probe(&pair.config, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/vlm/tower/sizes", test_sizes);
  g_test_add_func("/vlm/tower/grid", test_grid);
  g_test_add_func("/vlm/tower/pairs", test_pairs);
  g_test_add_func("/vlm/tower/cancel", test_cancel);
  g_test_add_func("/vlm/tower/without-projector", test_without_projector);
  g_test_add_func("/vlm/tower/probe", test_probe);
  return g_test_run();
}
