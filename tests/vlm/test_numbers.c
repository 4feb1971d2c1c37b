/* What the adapter computes, against the libraries' own path: the same picture and words give the
 * same tokens and the same scores; other orders give others; what the cache keeps changes nothing.
 */
#include "stock.h"
#include "vlm/vlm_priv.h"

#include <locale.h>
#include <math.h>
#include <string.h>

/* Texts begin and end with brackets, which no tokeniser here joins with what the template has
 * beside them. */
static const char BEFORE[] = "(a person walks) ";
static const char AFTER[] = "(what happened before the dog runs?)";

typedef struct {
  const char *family;
  int width, height; /* pictures of this size are not scaled */
} Case;
static const Case cases[] = {
    {"qwen25vl", 196, 140}, {"smolvlm", 64, 64}, {"gemma3", 112, 112}, {"colour", 196, 140}};

/* Tokens are kept in float16. */
static const float TOLERANCE = 1e-3f; /* of the largest value */
/* Of what is computed in the same way. */
static const float EXACT = 1e-6f;

/* ---- A model and its scores ---- */

static MnkVlm *load(TinyPair *pair, const char *family) {
  tiny_pair(pair, family);
  pair->config.logits_all = TRUE;
  g_autoptr(GError) error = NULL;
  MnkVlm *vlm = mnk_vlm_load(&pair->config, &error);
  g_assert_no_error(error);
  return vlm;
}

static MnkTokens *encode(MnkVlm *vlm, const Case *c, guint32 seed) {
  MnkFrame *picture = tiny_picture(c->width, c->height, seed);
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens = mnk_vlm_encode(vlm, &picture, 1, NULL, &error);
  g_assert_no_error(error);
  mnk_frame_unref(picture);
  return tokens;
}

/* The scores after a prompt. cached: how many of its tokens came from the cache; NULL: any. */
static float *scores(MnkVlm *vlm, const MnkVlmPart *parts, guint n_parts, guint prefix, guint *n,
                     MnkVlmAnswer *answer) {
  MnkVlmRequest request = {.parts = parts, .n_parts = n_parts, .prefix = prefix, .tokens_max = 1};
  g_autoptr(GError) error = NULL;
  tiny_ask(vlm, &request, answer, &error);
  g_assert_no_error(error);
  float *values = mnk_vlm_last_logits(vlm, n);
  g_assert_nonnull(values);
  return values;
}

static float *scores_of_one(MnkVlm *vlm, MnkTokens *tokens, guint *n, guint *prompt_tokens) {
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TEXT, .text = BEFORE},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = AFTER},
  };
  MnkVlmAnswer answer = {0};
  float *values = scores(vlm, parts, G_N_ELEMENTS(parts), 0, n, &answer);
  if (prompt_tokens)
    *prompt_tokens = answer.prompt_tokens;
  mnk_vlm_answer_clear(&answer);
  return values;
}

static float *scores_of_two(MnkVlm *vlm, MnkTokens *first, MnkTokens *second, guint *n) {
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TOKENS, .tokens = first},
      {.kind = MNK_VLM_TOKENS, .tokens = second},
      {.kind = MNK_VLM_TEXT, .text = AFTER},
  };
  MnkVlmAnswer answer = {0};
  float *values = scores(vlm, parts, G_N_ELEMENTS(parts), 0, n, &answer);
  mnk_vlm_answer_clear(&answer);
  return values;
}

static float largest(const float *values, gsize n) {
  float most = 0;
  for (gsize i = 0; i < n; i++)
    most = MAX(most, fabsf(values[i]));
  return most;
}

static float farthest(const float *a, const float *b, gsize n) {
  float most = 0;
  for (gsize i = 0; i < n; i++)
    most = MAX(most, fabsf(a[i] - b[i]));
  return most;
}

/* ---- Tests ---- */

static void test_tokens_are_the_librarys(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  g_auto(Stock) stock = {0};
  stock_open(&stock, &pair);
  g_auto(StockPrompt) prompt = {0};
  g_autoptr(MnkFrame) picture = tiny_picture(c->width, c->height, 3);
  stock_prompt(&stock, &prompt, BEFORE, picture, AFTER);
  guint n, dim = mnk_vlm_files(vlm)->dim;
  g_autofree float *wanted = stock_encode(&stock, &prompt, &n);
  g_assert_cmpuint(mnk_tokens_count(tokens), ==, n);
  g_assert_cmpuint(mnk_tokens_dim(tokens), ==, dim);
  g_autofree float *found = g_new(float, (gsize)n *dim);
  mnk_tokens_read(tokens, 0, n, found);
  float difference = farthest(found, wanted, (gsize)n * dim);
  g_test_message("%u tokens, largest %g, difference %g", n, (double)largest(wanted, (gsize)n * dim),
                 (double)difference);
  /* float16 keeps eleven bits */
  g_assert_cmpfloat(difference, <=, TOLERANCE * largest(wanted, (gsize)n * dim));
}

/* The scores of the libraries' own path; rows as in stock_logits. */
static float *stock_scores(const TinyPair *pair, const Case *c, float *rows, guint *n,
                           guint *prompt_tokens) {
  g_auto(Stock) stock = {0};
  stock_open(&stock, pair);
  g_auto(StockPrompt) prompt = {0};
  g_autoptr(MnkFrame) picture = tiny_picture(c->width, c->height, 3);
  stock_prompt(&stock, &prompt, BEFORE, picture, AFTER);
  *prompt_tokens = stock_prompt_tokens(&prompt);
  return stock_logits(&stock, &prompt, rows, n);
}

/* The same rows at the same places give the same scores. */
static void test_injected_tokens_score_as_the_librarys(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  guint n_found, n_wanted, prompt_tokens, wanted_tokens, n_tokens = mnk_tokens_count(tokens);
  g_autofree float *found = scores_of_one(vlm, tokens, &n_found, &prompt_tokens);
  g_autofree float *rows = g_new(float, (gsize)n_tokens *mnk_tokens_dim(tokens));
  mnk_tokens_read(tokens, 0, n_tokens, rows);
  g_autofree float *wanted = stock_scores(&pair, c, rows, &n_wanted, &wanted_tokens);
  g_assert_cmpuint(prompt_tokens, ==, wanted_tokens);
  g_assert_cmpuint(n_found, ==, n_wanted);
  float difference = farthest(found, wanted, n_found);
  g_test_message("largest %g, difference %g", (double)largest(wanted, n_found), (double)difference);
  g_assert_cmpfloat(difference, <=, EXACT * MAX(largest(wanted, n_found), 1));
}

/* From pixels on: the tokens alone are rounded. */
static void test_pictures_score_as_the_librarys(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  guint n_found, n_wanted, wanted_tokens;
  g_autofree float *found = scores_of_one(vlm, tokens, &n_found, NULL);
  g_autofree float *wanted = stock_scores(&pair, c, NULL, &n_wanted, &wanted_tokens);
  float difference = farthest(found, wanted, n_found);
  g_test_message("largest %g, difference %g", (double)largest(wanted, n_found), (double)difference);
  g_assert_cmpfloat(difference, <=, TOLERANCE * MAX(largest(wanted, n_found), 1));
}

/* The random models alone: the colour model does not look at positions. */
static void test_order_changes_scores(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkTokens) a = encode(vlm, c, 3);
  g_autoptr(MnkTokens) b = encode(vlm, c, 4);
  guint n, m;
  g_autofree float *forth = scores_of_two(vlm, a, b, &n);
  g_autofree float *again = scores_of_two(vlm, a, b, &m);
  g_autofree float *back = scores_of_two(vlm, b, a, &m);
  g_assert_cmpuint(n, ==, m);
  g_test_message("repeated %g, turned %g", (double)farthest(forth, again, n),
                 (double)farthest(forth, back, n));
  g_assert_cmpfloat(farthest(forth, again, n), <=, EXACT);
  g_assert_cmpfloat(farthest(forth, back, n), >, 20 * TOLERANCE);
}

/* A frame's tokens, the last first. */
static MnkTokens *reversed(const MnkTokens *tokens) {
  guint n = mnk_tokens_count(tokens), dim = mnk_tokens_dim(tokens);
  g_autofree float *rows = g_new(float, (gsize)n *dim);
  for (guint i = 0; i < n; i++)
    mnk_tokens_read(tokens, n - 1 - i, 1, rows + (gsize)i * dim);
  return mnk_tokens_new(rows, n, dim, mnk_tokens_columns(tokens), 0, NULL);
}

static void test_places_within_a_frame_change_scores(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  g_autoptr(MnkTokens) turned = reversed(tokens);
  guint n, m;
  g_autofree float *forth = scores_of_one(vlm, tokens, &n, NULL);
  g_autofree float *back = scores_of_one(vlm, turned, &m, NULL);
  g_test_message("turned %g", (double)farthest(forth, back, n));
  g_assert_cmpfloat(farthest(forth, back, n), >, 20 * TOLERANCE);
}

static float *scores_at(MnkVlm *vlm, MnkTokens *tokens, const gint32 (*places)[3], guint *n) {
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens, .places = places},
      {.kind = MNK_VLM_TEXT, .text = AFTER},
  };
  MnkVlmAnswer answer = {0};
  float *values = scores(vlm, parts, G_N_ELEMENTS(parts), 0, n, &answer);
  mnk_vlm_answer_clear(&answer);
  return values;
}

/* Qwen alone has places of its own for each token. */
static void test_given_places_are_taken(gconstpointer data) {
  g_auto(TinyPair) pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, "qwen25vl");
  g_autoptr(MnkTokens) tokens = encode(vlm, data, 3);
  guint n, n_tokens = mnk_tokens_count(tokens), columns = mnk_tokens_columns(tokens);
  g_autofree gint32(*places)[3] = g_malloc0(n_tokens * sizeof *places);
  for (guint i = 0; i < n_tokens; i++) {
    places[i][1] = (gint32)(i / columns);
    places[i][2] = (gint32)(i % columns);
  }
  g_autofree float *grid = scores_at(vlm, tokens, NULL, &n);
  g_autofree float *same = scores_at(vlm, tokens, (const gint32(*)[3])places, &n);
  /* the last rows are a second later */
  for (guint i = n_tokens / 2; i < n_tokens; i++)
    places[i][0] = 1;
  g_autofree float *later = scores_at(vlm, tokens, (const gint32(*)[3])places, &n);
  g_test_message("later by one: %g", (double)farthest(grid, later, n));
  g_assert_cmpfloat(farthest(grid, same, n), <=, EXACT);
  g_assert_cmpfloat(farthest(grid, later, n), >, 2 * TOLERANCE);
}

/* The parts that jobs share are evaluated once; another model, which never saw them, scores alike.
 */
static void test_a_kept_prefix_changes_nothing(gconstpointer data) {
  const Case *c = data;
  g_auto(TinyPair) pair = {0}, fresh_pair = {0};
  g_autoptr(MnkVlm) vlm = load(&pair, c->family);
  g_autoptr(MnkVlm) fresh = load(&fresh_pair, c->family);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  MnkVlmPart parts[] = {
      {.kind = MNK_VLM_SYSTEM, .text = "(you are a system)"},
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TEXT, .text = BEFORE},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = "(left or right?)"},
  };
  const guint prefix = 4, n_parts = G_N_ELEMENTS(parts);
  guint n;
  MnkVlmAnswer first = {0}, second = {0}, alone = {0};
  g_free(scores(vlm, parts, n_parts, prefix, &n, &first));
  guint64 evaluated = mnk_vlm_evaluated(vlm);
  parts[n_parts - 1].text = AFTER;
  g_autofree float *reused = scores(vlm, parts, n_parts, prefix, &n, &second);
  g_autofree float *wanted = scores(fresh, parts, n_parts, prefix, &n, &alone);
  g_assert_cmpuint(second.cached_tokens, >=, mnk_tokens_count(tokens));
  g_assert_cmpuint(mnk_vlm_evaluated(vlm) - evaluated, ==,
                   second.prompt_tokens - second.cached_tokens);
  g_assert_cmpuint(alone.cached_tokens, ==, 0);
  g_assert_cmpuint(second.prompt_tokens, ==, alone.prompt_tokens);
  g_test_message("cached %u of %u, difference %g", second.cached_tokens, second.prompt_tokens,
                 (double)farthest(reused, wanted, n));
  g_assert_cmpfloat(farthest(reused, wanted, n), <=, EXACT * MAX(largest(wanted, n), 1));
  g_assert_cmpstr(second.text, ==, alone.text);
  mnk_vlm_answer_clear(&first);
  mnk_vlm_answer_clear(&second);
  mnk_vlm_answer_clear(&alone);
}

/* ---- Models in parts ---- */

/* Words' rows and scores of a model that lies in model, with the projector of a family. */
static float *scores_of_file(const char *family, const char *model, const Case *c, guint *n,
                             MnkVlmAnswer *answer, float **rows) {
  g_auto(TinyPair) pair = {0};
  tiny_pair(&pair, family);
  g_autofree char *file = tiny_path(family, model);
  pair.config.model = file;
  pair.config.logits_all = TRUE;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&pair.config, &error);
  g_assert_no_error(error);
  g_autoptr(MnkTokens) tokens = encode(vlm, c, 3);
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = AFTER},
  };
  MnkVlmRequest request = {.parts = parts, .n_parts = G_N_ELEMENTS(parts), .tokens_max = 12};
  tiny_ask(vlm, &request, answer, &error);
  g_assert_no_error(error);
  guint rows_n;
  *rows = mnk_vlm_rows(vlm, "a dog", 2, &rows_n);
  g_assert_cmpuint(rows_n, ==, 2);
  return mnk_vlm_last_logits(vlm, n);
}

/* One file or several: not a bit differs. */
static void test_parts_score_as_the_whole(gconstpointer data) {
  const Case *c = data;
  gboolean bare = g_str_equal(c->family, "gemma3");
  guint n, m;
  MnkVlmAnswer whole_answer = {0}, answer = {0};
  g_autofree float *whole_rows = NULL, *rows = NULL;
  g_autofree float *whole =
      scores_of_file(c->family, "model.gguf", c, &n, &whole_answer, &whole_rows);
  g_autofree float *found = scores_of_file(
      bare ? "split-bare" : "split",
      bare ? "model-00001-of-00002.gguf" : "model-00001-of-00003.gguf", c, &m, &answer, &rows);
  g_assert_cmpmem(found, m * sizeof *found, whole, n * sizeof *whole);
  g_assert_cmpmem(rows, 2 * 128 * sizeof *rows, whole_rows, 2 * 128 * sizeof *rows);
  g_assert_cmpstr(answer.text, ==, whole_answer.text);
  g_assert_cmpuint(answer.answer_tokens, ==, 12);
  mnk_vlm_answer_clear(&whole_answer);
  mnk_vlm_answer_clear(&answer);
}

static void add(const char *name, const Case *c, GTestDataFunc test) {
  g_autofree char *path = g_strdup_printf("/numbers/%s/%s", c->family, name);
  g_test_add_data_func(path, c, test);
}

int main(int argc, char **argv) {
  setlocale(LC_ALL, "");
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    add("tokens", &cases[i], test_tokens_are_the_librarys);
    add("injection", &cases[i], test_injected_tokens_score_as_the_librarys);
    add("pictures", &cases[i], test_pictures_score_as_the_librarys);
    add("prefix", &cases[i], test_a_kept_prefix_changes_nothing);
    if (g_str_equal(cases[i].family, "colour"))
      continue;
    add("order", &cases[i], test_order_changes_scores);
    add("places", &cases[i], test_places_within_a_frame_change_scores);
  }
  add("given", &cases[0], test_given_places_are_taken);
  add("parts", &cases[0], test_parts_score_as_the_whole);
  add("parts", &cases[2], test_parts_score_as_the_whole);
  return g_test_run();
}
