#include <math.h>
#include <string.h>

#include "memory/tokens_priv.h"
#include "support.h"

static void test_keeps(void) {
  const float rows[] = {1, 0.5F, -2, 0.333333F, 1e-8F, 65504};
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkTokens) tokens = mnk_tokens_new(rows, 3, 2, 1, -5, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(mnk_tokens_count(tokens), ==, 3);
  g_assert_cmpuint(mnk_tokens_dim(tokens), ==, 2);
  g_assert_cmpuint(mnk_tokens_columns(tokens), ==, 1);
  g_assert_cmpint(mnk_tokens_pts_ms(tokens), ==, -5);
  float out[4];
  mnk_tokens_read(tokens, 1, 2, out);
  g_assert_cmpfloat(out[0], ==, -2);
  g_assert_cmpfloat_with_epsilon(out[1], 0.333333F, 2e-4F);
  g_assert_cmpfloat(out[2], ==, 0);
  g_assert_cmpfloat(out[3], ==, 65504);
  mnk_tokens_read(tokens, 3, 0, NULL);
}

/* An outlier that float16 cannot say does not become infinite. */
static void test_saturates(void) {
  const float rows[] = {1e30F, -1e30F, 65520, 65519, 1};
  g_autoptr(MnkTokens) tokens = mnk_tokens_new(rows, 1, 5, 0, 0, NULL);
  float out[5];
  mnk_tokens_read(tokens, 0, 1, out);
  g_assert_cmpfloat(out[0], ==, 65504);
  g_assert_cmpfloat(out[1], ==, -65504);
  g_assert_cmpfloat(out[2], ==, 65504);
  g_assert_cmpfloat(out[3], ==, 65504);
  g_assert_cmpfloat(out[4], ==, 1);
}

static void check_refused(const float *rows, guint n, guint dim, guint columns, gint code) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_tokens_new(rows, n, dim, columns, 0, &error));
  g_assert_error(error, MNK_ERROR, code);
}

static void test_refuses(void) {
  float rows[] = {1, 2, 3, 4, 5, 6};
  check_refused(rows, 0, 2, 0, MNK_ERROR_BAD_INPUT);
  check_refused(rows, 2, 0, 0, MNK_ERROR_BAD_INPUT);
  check_refused(rows, 3, 2, 2, MNK_ERROR_BAD_INPUT);
  check_refused(rows, 2, 3, 4, MNK_ERROR_BAD_INPUT);
  check_refused(rows, MNK_TOKENS_MAX + 1, 1, 0, MNK_ERROR_LIMIT);
  check_refused(rows, 1, MNK_TOKENS_DIM_MAX + 1, 0, MNK_ERROR_LIMIT);
  check_refused(rows, G_MAXUINT32, G_MAXUINT32, 0, MNK_ERROR_LIMIT);
  rows[5] = NAN;
  check_refused(rows, 3, 2, 1, MNK_ERROR_BAD_INPUT);
  rows[5] = -INFINITY;
  check_refused(rows, 3, 2, 1, MNK_ERROR_BAD_INPUT);
}

static gboolean read_tokens(const guint8 *bytes, gsize length, GError **error) {
  MnkBytesReader reader;
  if (!mnk_bytes_open(&reader, bytes, length, "MNKTOKEN", 1, "the frame", error))
    return FALSE;
  g_autoptr(MnkTokens) tokens = mnk_tokens_get(&reader);
  return mnk_bytes_close(&reader, error);
}

static void test_snapshot(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  g_autoptr(MnkTokens) tokens = random_tokens(rand, 6, 5, 3, 77);
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, bytes, "MNKTOKEN", 1);
  mnk_tokens_put(tokens, &writer);
  mnk_bytes_end(&writer);

  MnkBytesReader reader;
  g_assert_true(mnk_bytes_open(&reader, bytes->data, bytes->len, "MNKTOKEN", 1, "it", NULL));
  g_autoptr(MnkTokens) same = mnk_tokens_get(&reader);
  g_assert_true(mnk_bytes_close(&reader, NULL));
  g_assert_cmpuint(mnk_tokens_columns(same), ==, 3);
  g_assert_cmpint(mnk_tokens_pts_ms(same), ==, 77);
  g_assert_cmpuint(mnk_tokens_bytes(same), ==, mnk_tokens_bytes(tokens));
  g_assert_cmpmem(mnk_tokens_rows(same), 60, mnk_tokens_rows(tokens), 60);
  check_damage(bytes, read_tokens, 3000);
}

/* Every half becomes a float and the same half again, but for what is no number: that stays none.
 */
static void test_every_half(void) {
  enum { ALL = 1 << 16 };
  g_autofree guint16 *halves = g_new(guint16, ALL), *again = g_new(guint16, ALL);
  g_autofree float *floats = g_new(float, ALL);
  for (guint i = 0; i < ALL; i++)
    halves[i] = (guint16)i;
  mnk_half_to_float(halves, floats, ALL);
  mnk_half_from_float(floats, again, ALL);
  for (guint i = 0; i < ALL; i++) {
    if ((i & 0x7fff) > 0x7c00)
      g_assert_true(isnan(floats[i]) && (again[i] & 0x7fff) > 0x7c00);
    else
      g_assert_cmpuint(again[i], ==, i);
  }
}

/* The last few of a run go another way than whole vectors: both must say the same. */
static void test_halves_one_by_one(void) {
  enum { N = 100003 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(5);
  g_autofree float *floats = g_new(float, N), *back = g_new(float, N);
  g_autofree guint16 *halves = g_new(guint16, N);
  for (guint i = 0; i < N; i++)
    floats[i] = ldexpf((float)g_rand_double_range(rand, -1, 1), g_rand_int_range(rand, -30, 20));
  mnk_half_from_float(floats, halves, N);
  mnk_half_to_float(halves, back, N);
  for (guint i = 0; i < N; i++) {
    guint16 half;
    float value;
    mnk_half_from_float(&floats[i], &half, 1);
    mnk_half_to_float(&half, &value, 1);
    g_assert_cmpuint(half, ==, halves[i]);
    g_assert_true(memcmp(&value, &back[i], sizeof value) == 0);
  }
}

/* ---- Token dropping ---- */

static MnkTokenDrop *new_drop(guint refresh) {
  MnkTokenDropConfig config = {
      .threshold = 0.5F, .refresh = refresh, .window = 32, .deviations = 2};
  return mnk_token_drop_new(&config);
}

static void test_drop_begins(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  g_autoptr(MnkTokenDrop) drop = new_drop(0);
  g_autoptr(MnkTokens) frame = random_tokens(rand, 6, 16, 3, 0);
  g_autoptr(MnkTokens) turned = random_tokens(rand, 6, 16, 2, 0);
  g_autoptr(MnkTokens) wider = random_tokens(rand, 6, 17, 2, 0);
  MnkTokens *const frames[] = {frame, turned, wider, frame};
  for (guint i = 0; i < G_N_ELEMENTS(frames); i++) {
    guint8 keep[6] = {0};
    const guint8 whole[6] = {1, 1, 1, 1, 1, 1}, nothing[6] = {0};
    float score = 0;
    gboolean boundary = FALSE;
    g_assert_cmpuint(mnk_token_drop_add(drop, frames[i], keep, &score, &boundary), ==, 6);
    g_assert_cmpmem(keep, 6, whole, 6);
    g_assert_cmpfloat(score, ==, 1);
    g_assert_true(boundary);
    g_assert_cmpuint(mnk_token_drop_add(drop, frames[i], keep, &score, &boundary), ==, 0);
    g_assert_cmpmem(keep, 6, nothing, 6);
    g_assert_cmpfloat(score, ==, 0);
    g_assert_false(boundary);
  }
}

/* Every so many frames one is kept whole, which is no change of the scene. */
static void test_drop_refreshes(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  g_autoptr(MnkTokenDrop) drop = new_drop(4);
  g_autoptr(MnkTokens) frame = random_tokens(rand, 6, 16, 3, 0);
  for (guint i = 0; i < 40; i++) {
    guint8 keep[6];
    float score;
    gboolean boundary;
    guint kept = mnk_token_drop_add(drop, frame, keep, &score, &boundary);
    g_assert_cmpuint(kept, ==, i % 4 == 0 ? 6 : 0);
    g_assert_cmpfloat(score, ==, i == 0 ? 1 : 0);
    g_assert_true(boundary == (i == 0));
  }
}

/* A steady share of change is no boundary, whatever the share; a new scene is. */
static void test_drop_boundary(void) {
  enum { N = 7, D = 16 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  g_autofree float *rows = random_floats(rand, N * D);
  g_autoptr(MnkTokenDrop) drop = new_drop(16);
  for (guint i = 0; i < 200; i++) {
    if (i == 150) {
      g_free(rows);
      rows = random_floats(rand, N * D);
    } else {
      for (guint j = 0; j < 3 * D; j++) /* three tokens of seven turn round */
        rows[j] = -rows[j];
    }
    g_autoptr(MnkTokens) frame = mnk_tokens_new(rows, N, D, 0, i, NULL);
    guint8 keep[N];
    float score;
    gboolean boundary;
    mnk_token_drop_add(drop, frame, keep, &score, &boundary);
    g_assert_true(boundary == (i == 0 || i == 150));
    g_assert_cmpfloat_with_epsilon(score, i == 0 || i == 150 ? 1 : 3.0F / N, 1e-6F);
  }
}

/* Where there are few scores to stand out from, a change is no boundary: there and back at 7, but
 * at 20 it is. */
static void test_drop_early(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  g_autoptr(MnkTokenDrop) drop = new_drop(0);
  g_autoptr(MnkTokens) still = random_tokens(rand, 7, 16, 7, 0);
  for (guint i = 0; i < 22; i++) {
    g_autoptr(MnkTokens) other = random_tokens(rand, 7, 16, 7, 0);
    guint8 keep[7];
    float score;
    gboolean boundary;
    mnk_token_drop_add(drop, i == 7 || i == 20 ? other : still, keep, &score, &boundary);
    g_assert_true(boundary == (i == 0 || i >= 20));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokens/keeps", test_keeps);
  g_test_add_func("/tokens/saturates", test_saturates);
  g_test_add_func("/tokens/refuses", test_refuses);
  g_test_add_func("/tokens/snapshot", test_snapshot);
  g_test_add_func("/half/every", test_every_half);
  g_test_add_func("/half/one-by-one", test_halves_one_by_one);
  g_test_add_func("/drop/begins", test_drop_begins);
  g_test_add_func("/drop/refreshes", test_drop_refreshes);
  g_test_add_func("/drop/boundary", test_drop_boundary);
  g_test_add_func("/drop/early", test_drop_early);
  return g_test_run();
}
