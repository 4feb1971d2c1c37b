#include <float.h>
#include <string.h>

#include "memory/memory.h"
#include "support.h"

static MnkTokenMemory *new_memory(MnkTokenMemoryConfig config) {
  g_autoptr(GError) error = NULL;
  if (config.iterations == 0)
    config.iterations = 2;
  MnkTokenMemory *memory = mnk_token_memory_new(&config, &error);
  g_assert_no_error(error);
  return memory;
}

static void check_labels(const MnkTokenMemory *memory, const guint32 *expected, guint n) {
  guint n_labels;
  const guint32 *labels = mnk_token_memory_labels(memory, &n_labels);
  g_assert_cmpmem(labels, n_labels * sizeof *labels, expected, n * sizeof *expected);
}

static void check_counts(const MnkTokenMemory *memory, const guint32 *expected, guint n) {
  g_assert_cmpuint(mnk_token_memory_count(memory), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint(mnk_token_memory_stats(memory)[i].count, ==, expected[i]);
}

static void check_centres(const MnkTokenMemory *memory, const float *expected, guint n) {
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon(mnk_token_memory_centres(memory)[i], expected[i], 1e-6F);
}

static void check_refused(MnkTokenMemoryConfig config, gint code) {
  g_autoptr(GError) error = NULL;
  g_assert_null(mnk_token_memory_new(&config, &error));
  g_assert_error(error, MNK_ERROR, code);
}

static void test_refuses(void) {
  check_refused((MnkTokenMemoryConfig){.tokens = 0, .dim = 4, .iterations = 2}, MNK_ERROR_USAGE);
  check_refused((MnkTokenMemoryConfig){.tokens = 4, .dim = 0, .iterations = 2}, MNK_ERROR_USAGE);
  check_refused((MnkTokenMemoryConfig){.tokens = 4, .dim = 4, .iterations = 0}, MNK_ERROR_USAGE);
  check_refused(
      (MnkTokenMemoryConfig){.tokens = 4, .dim = 4, .iterations = 2, .mode = (MnkTokenMemoryMode)9},
      MNK_ERROR_USAGE);
  check_refused((MnkTokenMemoryConfig){.tokens = G_MAXUINT32, .dim = 4, .iterations = 2},
                MNK_ERROR_LIMIT);
  check_refused((MnkTokenMemoryConfig){.tokens = 8192, .dim = 16384, .iterations = 2},
                MNK_ERROR_LIMIT);
  check_refused((MnkTokenMemoryConfig){.tokens = 4, .dim = G_MAXUINT32, .iterations = 2},
                MNK_ERROR_LIMIT);
  check_refused((MnkTokenMemoryConfig){.tokens = 4, .dim = 4, .iterations = 1000}, MNK_ERROR_LIMIT);
}

/* By hand: on a line at 0, 10 and 20, then 1 and 12. */
static void test_by_hand(void) {
  g_autoptr(MnkTokenMemory) memory = new_memory((MnkTokenMemoryConfig){.tokens = 3, .dim = 1});
  const float first[] = {0, 10, 20}, second[] = {1, 12};
  mnk_token_memory_add_rows(memory, first, 3, 3, 1000);
  check_labels(memory, (const guint32[]){0, 1, 2}, 3);
  check_centres(memory, first, 3);
  mnk_token_memory_add_rows(memory, second, 2, 1, 3000);
  check_labels(memory, (const guint32[]){0, 1}, 2);
  check_counts(memory, (const guint32[]){2, 2, 1}, 3);
  check_centres(memory, (const float[]){0.5F, 11, 20}, 3);
  const MnkCentre *stats = mnk_token_memory_stats(memory);
  g_assert_cmpfloat(stats[1].t_ms, ==, 2000);
  g_assert_cmpfloat(stats[1].row, ==, 0.5); /* of places (0, 1) and (1, 0) */
  g_assert_cmpfloat(stats[1].column, ==, 0.5);
  g_assert_cmpint(stats[1].first_ms, ==, 1000);
  g_assert_cmpint(stats[1].last_ms, ==, 3000);
  g_assert_cmpint(stats[2].last_ms, ==, 1000);
  mnk_token_memory_add_rows(memory, second, 1, 1, 4000);
  check_counts(memory, (const guint32[]){3, 2, 1}, 3);
  check_centres(memory, (const float[]){2.0F / 3, 11, 20}, 3);
}

/* The second iteration moves what the first has put elsewhere: 5 goes to 4 and draws it to 4.5;
 * then 4 itself, an old row, is as near as before. */
static void test_second_iteration(void) {
  const float first[] = {0, 4, 9}, second[] = {6.4F, 6.4F, 6.4F};
  for (guint iterations = 1; iterations <= 2; iterations++) {
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.tokens = 3, .dim = 1, .iterations = iterations});
    mnk_token_memory_add_rows(memory, first, 3, 0, 0);
    mnk_token_memory_add_rows(memory, second, 3, 0, 1);
    check_labels(memory, (const guint32[]){1, 1, 1}, 3);
    /* 5.8 is farther from 4 than nothing else is: it stays */
    check_counts(memory, (const guint32[]){1, 4, 1}, 3);
    check_centres(memory, (const float[]){0, 5.8F, 9}, 3);
  }
  /* here an old row does leave: 4 is drawn to 7, and 4 is nearer to 2 than to 7 */
  const float again[] = {2, 4, 20}, strong[] = {8, 8, 8};
  g_autoptr(MnkTokenMemory) memory = new_memory((MnkTokenMemoryConfig){.tokens = 3, .dim = 1});
  mnk_token_memory_add_rows(memory, again, 3, 0, 5);
  mnk_token_memory_add_rows(memory, strong, 3, 0, 9);
  check_counts(memory, (const guint32[]){2, 3, 1}, 3);
  check_centres(memory, (const float[]){3, 8, 20}, 3);
  g_assert_cmpint(mnk_token_memory_stats(memory)[1].first_ms, ==, 9);
  g_assert_cmpint(mnk_token_memory_stats(memory)[0].last_ms, ==, 5);
}

static void test_ties(void) {
  const float first[] = {-1, 1, 1, 5, 5, 5}, second[] = {0, 1, 5};
  g_autoptr(MnkTokenMemory) memory =
      new_memory((MnkTokenMemoryConfig){.tokens = 6, .dim = 1, .iterations = 1});
  mnk_token_memory_add_rows(memory, first, 6, 0, 0);
  mnk_token_memory_add_rows(memory, second, 3, 0, 1);
  check_labels(memory, (const guint32[]){0, 1, 3}, 3);
  check_counts(memory, (const guint32[]){2, 2, 1, 2, 1, 1}, 6);
}

/* In one iteration an equal centre gives itself up only where its distance is asked for. */
static void test_exact(void) {
  const float first[] = {3, 3, 8}, second[] = {8.5F};
  for (guint exact = 0; exact < 2; exact++) {
    g_autoptr(MnkTokenMemory) memory = new_memory(
        (MnkTokenMemoryConfig){.tokens = 3, .dim = 1, .iterations = 1, .exact = (gboolean)exact});
    mnk_token_memory_add_rows(memory, first, 3, 0, 0);
    mnk_token_memory_add_rows(memory, second, 1, 0, 0);
    check_counts(memory, exact ? (const guint32[]){2, 0, 2} : (const guint32[]){1, 1, 2}, 3);
  }
}

/* Rows that have nearly all of their length in common: products alone cannot tell them apart. */
static void test_far_from_zero(void) {
  enum { D = 64, K = 8 };
  g_autoptr(GRand) rand = g_rand_new_with_seed(6);
  g_autofree float *centres = random_floats(rand, K * D);
  for (guint i = 0; i < K * D; i++)
    centres[i] += 4096;
  g_autoptr(MnkTokenMemory) memory = new_memory((MnkTokenMemoryConfig){.tokens = K, .dim = D});
  mnk_token_memory_add_rows(memory, centres, K, 0, 0);
  float rows[K * D];
  for (guint i = 0; i < K * D; i++) /* a little of the next is mixed in */
    rows[i] = 0.75F * centres[i] + 0.25F * centres[(i + D) % (K * D)];
  mnk_token_memory_add_rows(memory, rows, K, 0, 1);
  check_labels(memory, (const guint32[]){0, 1, 2, 3, 4, 5, 6, 7}, K);
  check_counts(memory, (const guint32[]){2, 2, 2, 2, 2, 2, 2, 2}, K);
}

/* Of equal centres the lowest takes all; the others stay where they are with nothing in them, and
 * take in again what comes near. */
static void test_empty_clusters(void) {
  const float first[] = {3, 3, 3, 8}, second[] = {3}, third[] = {3.5F}, fourth[] = {2.9F, 3.05F};
  for (guint exact = 0; exact < 2; exact++) {
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.tokens = 4, .dim = 1, .exact = (gboolean)exact});
    mnk_token_memory_add_rows(memory, first, 4, 0, 7);
    mnk_token_memory_add_rows(memory, second, 1, 0, 8);
    check_labels(memory, (const guint32[]){0}, 1);
    check_counts(memory, (const guint32[]){4, 0, 0, 1}, 4);
    check_centres(memory, first, 4);
    g_assert_cmpint(mnk_token_memory_stats(memory)[1].first_ms, ==, 7);
    mnk_token_memory_add_rows(memory, third, 1, 0, 9);
    if (exact) /* as all of them are one, all go with it in the first iteration */
      check_labels(memory, (const guint32[]){0}, 1);
    guint64 sum = 0;
    for (guint i = 0; i < 4; i++)
      sum += mnk_token_memory_stats(memory)[i].count;
    g_assert_cmpuint(sum, ==, 6);
    mnk_token_memory_add_rows(memory, fourth, 2, 0, 10);
    sum = 0;
    for (guint i = 0; i < 4; i++)
      sum += mnk_token_memory_stats(memory)[i].count;
    g_assert_cmpuint(sum, ==, 8);
  }
}

/* All tokens of all frames are in the counts, whatever the sizes; and labels are of centres. */
static void test_counts_add_up(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(11);
  for (guint run = 0; run < 60; run++) {
    guint k = (guint)g_rand_int_range(rand, 1, 40), dim = (guint)g_rand_int_range(rand, 1, 20);
    g_autoptr(MnkTokenMemory) memory = new_memory((MnkTokenMemoryConfig){
        .tokens = k, .dim = dim, .iterations = 1 + run % 4, .exact = run % 3 == 0});
    guint64 all = 0;
    for (guint i = 0; i < 20; i++) {
      guint n = (guint)g_rand_int_range(rand, 0, 60);
      g_autofree float *rows = random_floats(rand, (gsize)n * dim);
      for (gsize j = 0; j < (gsize)n * dim && run % 2 == 0; j++)
        rows[j] = rows[j] > 0 ? 1 : -1; /* many are equal */
      mnk_token_memory_add_rows(memory, rows, n, 0, i);
      all += n;
      guint64 sum = 0;
      for (guint j = 0; j < mnk_token_memory_count(memory); j++)
        sum += mnk_token_memory_stats(memory)[j].count;
      g_assert_cmpuint(sum, ==, all);
      g_assert_cmpuint(mnk_token_memory_count(memory), ==, MIN(all, k));
      guint n_labels;
      const guint32 *labels = mnk_token_memory_labels(memory, &n_labels);
      g_assert_cmpuint(n_labels, ==, n);
      for (guint j = 0; j < n; j++)
        g_assert_cmpuint(labels[j], <, mnk_token_memory_count(memory));
    }
  }
}

/* With frames that differ, the shortcut changes nothing. */
static void test_exact_is_the_same(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(4);
  MnkTokenMemoryConfig config = {.tokens = 24, .dim = 40, .iterations = 3};
  g_autoptr(MnkTokenMemory) quick = new_memory(config);
  config.exact = TRUE;
  g_autoptr(MnkTokenMemory) exact = new_memory(config);
  for (guint i = 0; i < 40; i++) {
    g_autofree float *rows = random_floats(rand, 10 * 40);
    mnk_token_memory_add_rows(quick, rows, 10, 5, i);
    mnk_token_memory_add_rows(exact, rows, 10, 5, i);
    guint n;
    check_labels(exact, mnk_token_memory_labels(quick, &n), 10);
    check_centres(exact, mnk_token_memory_centres(quick), mnk_token_memory_count(quick) * 40);
  }
}

static void test_tokens_and_rows(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(9);
  MnkTokenMemoryConfig config = {.tokens = 12, .dim = 7};
  g_autoptr(MnkTokenMemory) of_tokens = new_memory(config), of_rows = new_memory(config);
  g_autoptr(GByteArray) a = g_byte_array_new(), b = g_byte_array_new();
  for (guint i = 0; i < 10; i++) {
    g_autoptr(MnkTokens) frame = random_tokens(rand, 6, 7, 3, 100 * i);
    float rows[6 * 7];
    mnk_tokens_read(frame, 0, 6, rows);
    mnk_token_memory_add(of_tokens, frame);
    mnk_token_memory_add_rows(of_rows, rows, 6, 3, 100 * i);
  }
  mnk_token_memory_save(of_tokens, a);
  mnk_token_memory_save(of_rows, b);
  g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

/* Where the first centre's count is in a snapshot. */
enum { HEADER = 24, FIELDS = 9 * 4, COUNT_AT = HEADER + FIELDS };

static void test_counts_saturate(void) {
  const float first[] = {0.5F, 10}, more[] = {1, 1, 1};
  for (guint mode = MNK_TOKEN_MEMORY_KMEANS; mode <= MNK_TOKEN_MEMORY_ADJACENT; mode++) {
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.mode = mode, .tokens = 2, .dim = 1});
    mnk_token_memory_add_rows(memory, first, 2, 0, 0);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    mnk_token_memory_save(memory, bytes);
    patch_u32(bytes, COUNT_AT, G_MAXUINT32 - 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkTokenMemory) old = mnk_token_memory_restore(bytes->data, bytes->len, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < 4; i++)
      mnk_token_memory_add_rows(old, more, 3, 0, 1);
    g_assert_cmpuint(mnk_token_memory_stats(old)[0].count, ==, G_MAXUINT32);
    if (mode == MNK_TOKEN_MEMORY_KMEANS) /* as heavy as that, it hardly moves */
      g_assert_cmpfloat_with_epsilon(mnk_token_memory_centres(old)[0], 0.5F, 1e-6F);
  }
}

/* With counts cut, the old is forgotten: the centre comes near what is seen now. */
static void test_cap_counts(void) {
  const float first[] = {0, 100}, now[] = {1};
  for (guint cap = 0; cap <= 4; cap += 4) {
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.tokens = 2, .dim = 1, .cap_counts = cap});
    mnk_token_memory_add_rows(memory, first, 2, 0, 0);
    for (guint i = 0; i < 99; i++)
      mnk_token_memory_add_rows(memory, first, 1, 0, 0);
    g_assert_cmpuint(mnk_token_memory_stats(memory)[0].count, ==, cap ? cap : 100);
    for (guint i = 0; i < 10; i++)
      mnk_token_memory_add_rows(memory, now, 1, 0, 0);
    float centre = mnk_token_memory_centres(memory)[0];
    if (cap > 0)
      g_assert_cmpfloat(centre, >, 0.85F);
    else
      g_assert_cmpfloat_with_epsilon(centre, 10.0F / 110, 1e-5F);
  }
}

/* By time, then row, then column, as they are rounded. */
static void test_order(void) {
  g_autoptr(MnkTokenMemory) memory =
      new_memory((MnkTokenMemoryConfig){.tokens = 8, .dim = 1, .mode = MNK_TOKEN_MEMORY_NONE});
  const float rows[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  mnk_token_memory_add_rows(memory, rows, 6, 3, 2000);
  mnk_token_memory_add_rows(memory, rows + 6, 4, 2, 1000); /* the last two go to the first slots */
  guint order[8];
  const guint expected[] = {6, 7, 0, 1, 2, 3, 4, 5};
  mnk_token_memory_order(memory, order);
  g_assert_cmpmem(order, sizeof order, expected, sizeof expected);
}

/* What the kinds of memory hold is bounded by their sizes and the largest frame, however long. */
static void test_bounded(void) {
  enum { K = 32, D = 8, N = 48 };
  const gsize rows = (3 * K + N) * D * sizeof(float); /* centres, moved, changed; the frame */
  const gsize dots = 2 * (N + K) * K * sizeof(float);
  const gsize each = 2 * K * sizeof(MnkCentre) + 16 * (N + K) * sizeof(guint32);
  for (guint mode = MNK_TOKEN_MEMORY_KMEANS; mode <= MNK_TOKEN_MEMORY_NONE; mode++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.mode = mode, .tokens = K, .dim = D});
    for (guint i = 0; i < 3000; i++) {
      g_autoptr(MnkTokens) frame =
          random_tokens(rand, (guint)g_rand_int_range(rand, 1, N + 1), D, 0, i);
      mnk_token_memory_add(memory, frame);
      g_assert_cmpuint(mnk_token_memory_count(memory), <=, K);
      g_assert_cmpuint(mnk_token_memory_bytes(memory), <=, rows + dots + each + 512);
    }
  }
}

static void check_same(const MnkTokenMemory *a, const MnkTokenMemory *b) {
  g_autoptr(GByteArray) x = g_byte_array_new(), y = g_byte_array_new();
  mnk_token_memory_save(a, x);
  mnk_token_memory_save(b, y);
  g_assert_cmpmem(x->data, x->len, y->data, y->len);
}

/* A restored memory goes on bit for bit as the one that was saved. */
static void test_restores(void) {
  for (guint mode = MNK_TOKEN_MEMORY_KMEANS; mode <= MNK_TOKEN_MEMORY_NONE; mode++) {
    for (guint frames = 0; frames < 12; frames += 3) {
      g_autoptr(GRand) rand = g_rand_new_with_seed(mode);
      g_autoptr(MnkTokenMemory) memory = new_memory((MnkTokenMemoryConfig){
          .mode = mode, .tokens = 20, .dim = 33, .cap_counts = frames, .exact = frames == 6});
      for (guint i = 0; i < frames; i++) {
        g_autoptr(MnkTokens) frame = random_tokens(rand, 7, 33, 7, i);
        mnk_token_memory_add(memory, frame);
      }
      g_autoptr(GByteArray) bytes = g_byte_array_new();
      g_autoptr(GError) error = NULL;
      mnk_token_memory_save(memory, bytes);
      g_autoptr(MnkTokenMemory) other = mnk_token_memory_restore(bytes->data, bytes->len, &error);
      g_assert_no_error(error);
      check_same(memory, other);
      for (guint i = 0; i < 20; i++) {
        g_autoptr(MnkTokens) frame = random_tokens(rand, 7, 33, 7, 100 + i);
        mnk_token_memory_add(memory, frame);
        mnk_token_memory_add(other, frame);
        check_same(memory, other);
      }
    }
  }
}

/* Reads, and uses what it has read. */
static gboolean read_memory(const guint8 *bytes, gsize length, GError **error) {
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_restore(bytes, length, error);
  if (memory == NULL)
    return FALSE;
  guint count = mnk_token_memory_count(memory);
  g_autofree guint *order = g_new(guint, count);
  mnk_token_memory_order(memory, order);
  guint n;
  mnk_token_memory_labels(memory, &n);
  const float rows[64] = {1, 2, 3};
  g_autoptr(GByteArray) again = g_byte_array_new();
  mnk_token_memory_save(memory, again);
  /* the width, for which there may be too few rows, is the third number */
  guint32 dim;
  memcpy(&dim, bytes + HEADER + 8, sizeof dim);
  if (GUINT32_FROM_LE(dim) <= 16)
    mnk_token_memory_add_rows(memory, rows, 4, 2, 5);
  return TRUE;
}

static void test_damage(void) {
  for (guint mode = MNK_TOKEN_MEMORY_KMEANS; mode <= MNK_TOKEN_MEMORY_NONE; mode++) {
    g_autoptr(GRand) rand = g_rand_new_with_seed(mode);
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.mode = mode, .tokens = 6, .dim = 4});
    for (guint i = 0; i < 3; i++) {
      g_autoptr(MnkTokens) frame = random_tokens(rand, 3, 4, 3, i);
      mnk_token_memory_add(memory, frame);
    }
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    mnk_token_memory_save(memory, bytes);
    check_damage(bytes, read_memory, 4000);
  }
}

static void check_field(const GByteArray *bytes, gsize at, guint32 value) {
  g_autoptr(GByteArray) changed = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  g_byte_array_append(changed, bytes->data, bytes->len);
  patch_u32(changed, at, value);
  g_assert_null(mnk_token_memory_restore(changed->data, changed->len, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
}

/* Under a right checksum, each number that could lead out of bounds. */
static void test_bad_fields(void) {
  enum { MODE, TOKENS, DIM, ITERATIONS, CAP, EXACT, COUNT, OLDEST, LABELS };
  enum { CENTRE = 4 + 3 * 8 + 2 * 8, NAN_AT_TOP = 0x7ff80000 };
  const float rows[] = {1, 2, 3, 4, 5, 6};
  g_autoptr(MnkTokenMemory) memory =
      new_memory((MnkTokenMemoryConfig){.mode = MNK_TOKEN_MEMORY_NONE, .tokens = 2, .dim = 2});
  mnk_token_memory_add_rows(memory, rows, 3, 0, 100);
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  mnk_token_memory_save(memory, bytes);
  const struct {
    guint field;
    guint32 value;
  } bad[] = {{MODE, 5},
             {MODE, G_MAXUINT32},
             {TOKENS, 0},
             {TOKENS, 1},
             {TOKENS, 1U << 31},
             {DIM, 0},
             {DIM, 3},
             {DIM, 1},
             {ITERATIONS, 0},
             {EXACT, 2},
             {COUNT, 1},
             {COUNT, 3},
             {OLDEST, 2},
             {OLDEST, G_MAXUINT32},
             {LABELS, 2},
             {LABELS, 4},
             {LABELS, G_MAXUINT32}};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
    check_field(bytes, HEADER + bad[i].field * sizeof(guint32), bad[i].value);
  check_field(bytes, COUNT_AT + 8, NAN_AT_TOP);               /* the upper half of its time */
  check_field(bytes, COUNT_AT + CENTRE - 16, 101);            /* first after last */
  check_field(bytes, COUNT_AT + 2 * CENTRE + 4, 2);           /* the second label */
  check_field(bytes, COUNT_AT + 2 * CENTRE + 12, NAN_AT_TOP); /* the first centre */
}

/* Numbers so large that products of them have no float: some label, and no harm. */
static void test_huge_numbers(void) {
  const float rows[] = {FLT_MAX, -FLT_MAX, FLT_MAX, 1, 0, FLT_MAX, -FLT_MAX, 2};
  for (guint mode = MNK_TOKEN_MEMORY_KMEANS; mode <= MNK_TOKEN_MEMORY_NONE; mode++) {
    g_autoptr(MnkTokenMemory) memory =
        new_memory((MnkTokenMemoryConfig){.mode = mode, .tokens = 3, .dim = 2});
    for (guint i = 0; i < 10; i++)
      mnk_token_memory_add_rows(memory, rows, 4, 2, i);
    guint n;
    const guint32 *labels = mnk_token_memory_labels(memory, &n);
    for (guint i = 0; i < n; i++)
      g_assert_true(labels[i] < 3 || labels[i] == MNK_TOKEN_MEMORY_NO_CENTRE);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/token-memory/refuses", test_refuses);
  g_test_add_func("/token-memory/by-hand", test_by_hand);
  g_test_add_func("/token-memory/second-iteration", test_second_iteration);
  g_test_add_func("/token-memory/ties", test_ties);
  g_test_add_func("/token-memory/exact", test_exact);
  g_test_add_func("/token-memory/far-from-zero", test_far_from_zero);
  g_test_add_func("/token-memory/empty-clusters", test_empty_clusters);
  g_test_add_func("/token-memory/counts-add-up", test_counts_add_up);
  g_test_add_func("/token-memory/exact-is-the-same", test_exact_is_the_same);
  g_test_add_func("/token-memory/tokens-and-rows", test_tokens_and_rows);
  g_test_add_func("/token-memory/counts-saturate", test_counts_saturate);
  g_test_add_func("/token-memory/cap-counts", test_cap_counts);
  g_test_add_func("/token-memory/order", test_order);
  g_test_add_func("/token-memory/bounded", test_bounded);
  g_test_add_func("/token-memory/restores", test_restores);
  g_test_add_func("/token-memory/damage", test_damage);
  g_test_add_func("/token-memory/bad-fields", test_bad_fields);
  g_test_add_func("/token-memory/huge-numbers", test_huge_numbers);
  return g_test_run();
}
