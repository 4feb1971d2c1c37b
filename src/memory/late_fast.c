#include "memory/late_fast_priv.h"
#include "memory/memory.h"

#include <math.h>
#include <string.h>

guint mnk_fast_width(guint dim) {
  return (dim + MNK_FAST_CHUNK - 1) / MNK_FAST_CHUNK * MNK_FAST_CHUNK;
}

guint mnk_fast_panels(guint n_keys) {
  return (n_keys + 2 * MNK_PANEL - 1) / (2 * MNK_PANEL) * 2;
}

void mnk_fast_dither(guint32 seed, guint dim, guint width, float *out) {
  guint64 state = seed;
  for (guint i = 0; i < width; i++) {
    state = state * G_GUINT64_CONSTANT(6364136223846793005) + 1442695040888963407;
    out[i] = i < dim ? (float)(gint32)(state >> 32) * 0x1p-32F : 0;
  }
}

static gint32 pair_of(float first, float second) {
  gint32 low = (gint32)lrintf(first), high = (gint32)lrintf(second);
  low = CLAMP(low, -MNK_FAST_ONE, MNK_FAST_ONE);
  high = CLAMP(high, -MNK_FAST_ONE, MNK_FAST_ONE);
  return (gint32)((guint32)high << 16 | ((guint32)low & 0xffff));
}

void mnk_fast_query(const float *rows, guint n, guint dim, const float *dither, MnkFastPair *out) {
  guint width = mnk_fast_width(dim);
  for (guint row = 0; row < n; row++, rows += dim, out += width / 2) {
    for (guint i = 0; i < width; i += 2) {
      float first = i < dim ? rows[i] * MNK_FAST_ONE + dither[i] : 0;
      float second = i + 1 < dim ? rows[i + 1] * MNK_FAST_ONE + dither[i + 1] : 0;
      out[i / 2] = pair_of(first, second);
    }
  }
}

#if defined(__x86_64__)

#include <immintrin.h>

#define MNK_AVX2 __attribute__((target("avx2,fma,f16c")))
#define MNK_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

MnkLateKind mnk_late_kind(void) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("f16c"))
    return MNK_LATE_PLAIN;
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return MNK_LATE_VNNI;
  return MNK_LATE_AVX2;
}

/* ---- Keys: eight rows of sixteen dimensions become eight registers of one pair each ---- */

enum { ROWS = 8, PAIRS = MNK_FAST_CHUNK / 2 };

/* The pairs of 16 dimensions in the order in which packing leaves them: see PAIR_AT. */
MNK_AVX2 static inline __m256i chunk_of(const guint16 *halves, __m256 scale, const float *dither) {
  __m256 low = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)halves));
  __m256 high = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(halves + 8)));
  low = _mm256_fmadd_ps(low, scale, _mm256_loadu_ps(dither));
  high = _mm256_fmadd_ps(high, scale, _mm256_loadu_ps(dither + 8));
  return _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high));
}

static const guint8 PAIR_AT[PAIRS] = {0, 1, 4, 5, 2, 3, 6, 7};

MNK_AVX2 static inline void turn(__m256i rows[ROWS]) {
  __m256i two[ROWS], four[ROWS];
  for (guint i = 0; i < ROWS; i += 2) {
    two[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    two[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (guint i = 0; i < ROWS; i += 4) {
    four[i] = _mm256_unpacklo_epi64(two[i], two[i + 2]);
    four[i + 1] = _mm256_unpackhi_epi64(two[i], two[i + 2]);
    four[i + 2] = _mm256_unpacklo_epi64(two[i + 1], two[i + 3]);
    four[i + 3] = _mm256_unpackhi_epi64(two[i + 1], two[i + 3]);
  }
  for (guint i = 0; i < ROWS / 2; i++) {
    rows[i] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x31);
  }
}

/* Eight keys into one half of a panel. ahead: where, from each, the memory is that is wanted next:
 * the keys come from far away, and are too short for the CPU to foresee. */
MNK_AVX2 static void fill_half(const guint16 *const keys[ROWS], gsize ahead,
                               const float scales[ROWS], guint dim, const float *dither,
                               MnkFastPair *panel) {
  for (guint at = 0; at < dim; at += MNK_FAST_CHUNK) {
    __m256i rows[ROWS];
    for (guint i = 0; i < ROWS; i++) {
      const guint16 *halves = keys[i] + at;
      _mm_prefetch((const char *)(halves + ahead), _MM_HINT_T1);
      guint16 last[MNK_FAST_CHUNK] = {0};
      if (dim - at < MNK_FAST_CHUNK) {
        memcpy(last, halves, (dim - at) * sizeof *halves);
        halves = last;
      }
      rows[i] = chunk_of(halves, _mm256_set1_ps(scales[i]), dither + at);
    }
    turn(rows);
    for (guint i = 0; i < PAIRS; i++)
      _mm256_storeu_si256((__m256i *)(void *)(panel + (at / 2 + PAIR_AT[i]) * MNK_PANEL), rows[i]);
  }
}

void mnk_fast_keys(const guint16 *keys, const float *inverse_lengths, guint n_keys, guint dim,
                   const float *dither, MnkFastPair *panels) {
  guint width = mnk_fast_width(dim), filled = mnk_fast_panels(n_keys) * MNK_PANEL;
  for (guint at = 0; at < filled; at += ROWS) {
    const guint16 *rows[ROWS];
    float scales[ROWS];
    for (guint i = 0; i < ROWS; i++) {
      guint key = MIN(at + i, n_keys - 1);
      rows[i] = keys + (gsize)key * dim;
      scales[i] = inverse_lengths[key] * MNK_FAST_ONE;
    }
    MnkFastPair *panel = panels + (gsize)(at / MNK_PANEL) * MNK_PANEL * (width / 2);
    gsize ahead = at + 2 * ROWS <= n_keys ? (gsize)ROWS * dim : 0;
    fill_half(rows, ahead, scales, dim, dither, panel + at % MNK_PANEL);
  }
}

/* ---- Products ---- */

enum { QUERIES_VNNI = 8, QUERIES_AVX2 = 4 };

/* A line of the cache is fetched with each pair of dimensions. */
enum { LINE = 64 / sizeof(guint16) };

/* Eight query rows with two panels. ahead: pairs * LINE numbers, or NULL. */
MNK_VNNI static void products_vnni(const MnkFastPair *const *query, const MnkFastPair *panels,
                                   guint pairs, const guint16 *ahead, gint32 *const *out) {
  const MnkFastPair *second = panels + (gsize)pairs * MNK_PANEL;
  __m512i sums[QUERIES_VNNI][2];
  for (guint i = 0; i < QUERIES_VNNI; i++)
    sums[i][0] = sums[i][1] = _mm512_setzero_si512();
  for (guint pair = 0; pair < pairs; pair++) {
    if (ahead != NULL)
      _mm_prefetch((const char *)(ahead + (gsize)pair * LINE), _MM_HINT_T1);
    __m512i a = _mm512_loadu_si512(panels + (gsize)pair * MNK_PANEL);
    __m512i b = _mm512_loadu_si512(second + (gsize)pair * MNK_PANEL);
    for (guint i = 0; i < QUERIES_VNNI; i++) {
      __m512i q = _mm512_set1_epi32(query[i][pair]);
      sums[i][0] = _mm512_dpwssd_epi32(sums[i][0], q, a);
      sums[i][1] = _mm512_dpwssd_epi32(sums[i][1], q, b);
    }
  }
  for (guint i = 0; i < QUERIES_VNNI; i++) {
    _mm512_storeu_si512(out[i], sums[i][0]);
    _mm512_storeu_si512(out[i] + MNK_PANEL, sums[i][1]);
  }
}

/* Four query rows with one panel. */
MNK_AVX2 static void products_avx2(const MnkFastPair *const *query, const MnkFastPair *panel,
                                   guint pairs, const guint16 *ahead, gint32 *const *out) {
  __m256i sums[QUERIES_AVX2][2];
  for (guint i = 0; i < QUERIES_AVX2; i++)
    sums[i][0] = sums[i][1] = _mm256_setzero_si256();
  for (guint pair = 0; pair < pairs; pair++) {
    if (ahead != NULL)
      _mm_prefetch((const char *)(ahead + (gsize)pair * LINE), _MM_HINT_T1);
    const __m256i *keys = (const __m256i *)(const void *)(panel + (gsize)pair * MNK_PANEL);
    __m256i a = _mm256_loadu_si256(keys), b = _mm256_loadu_si256(keys + 1);
    for (guint i = 0; i < QUERIES_AVX2; i++) {
      __m256i q = _mm256_set1_epi32(query[i][pair]);
      sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(q, a));
      sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(q, b));
    }
  }
  for (guint i = 0; i < QUERIES_AVX2; i++) {
    _mm256_storeu_si256((__m256i *)(void *)out[i], sums[i][0]);
    _mm256_storeu_si256((__m256i *)(void *)(out[i] + MNK_PANEL / 2), sums[i][1]);
  }
}

void mnk_fast_products(MnkLateKind kind, const MnkFastTask *task, gint32 *out) {
  guint queries = kind == MNK_LATE_VNNI ? QUERIES_VNNI : QUERIES_AVX2;
  guint step = kind == MNK_LATE_VNNI ? 2 : 1, pairs = task->width / 2;
  gsize fetched = 0;
  for (guint panel = 0; panel < task->n_panels; panel += step) {
    const MnkFastPair *keys = task->panels + (gsize)panel * MNK_PANEL * pairs;
    for (guint at = 0; at < task->n; at += queries) {
      const MnkFastPair *rows[QUERIES_VNNI];
      gint32 *to[QUERIES_VNNI];
      for (guint i = 0; i < queries; i++) {
        guint row = MIN(at + i, task->n - 1); /* the last one again, where there are no more */
        rows[i] = task->query + (gsize)row * pairs;
        to[i] = out + row * task->stride + (gsize)panel * MNK_PANEL;
      }
      gboolean fetch = fetched + (gsize)pairs * LINE <= task->n_ahead;
      const guint16 *ahead = fetch ? task->ahead + fetched : NULL;
      fetched += (gsize)pairs * LINE;
      if (kind == MNK_LATE_VNNI)
        products_vnni(rows, keys, pairs, ahead, to);
      else
        products_avx2(rows, keys, pairs, ahead, to);
    }
  }
}

/* ---- The few that may be the best ---- */

MNK_AVX2 static gint32 largest_of(const gint32 *products, guint n) {
  gint32 most = products[0];
  for (guint i = 1; i < n; i++)
    most = products[i] > most ? products[i] : most;
  return most;
}

MNK_AVX2 guint mnk_fast_candidates(const gint32 *products, guint n, guint16 *out) {
  enum { LANES = 8 };
  static const gint32 MARGIN = (gint32)(MNK_FAST_MARGIN * MNK_FAST_ONE * MNK_FAST_ONE);
  gint32 below = largest_of(products, n) - MARGIN - 1;
  __m256i limit = _mm256_set1_epi32(below);
  guint found = 0, i = 0;
  for (; i + LANES <= n; i += LANES) {
    __m256i some = _mm256_loadu_si256((const __m256i *)(const void *)(products + i));
    guint mask = (guint)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(some, limit)));
    for (; mask != 0; mask &= mask - 1)
      out[found++] = (guint16)(i + (guint)__builtin_ctz(mask));
  }
  for (; i < n; i++)
    if (products[i] > below)
      out[found++] = (guint16)i;
  return found;
}

/* ---- One product, exactly ---- */

MNK_AVX2 float mnk_fast_dot(const guint16 *key, const float *row, guint dim) {
  enum { LANES = 8, SUMS = 4 };
  __m256 sums[SUMS] = {0};
  guint i = 0;
  for (; i + SUMS * LANES <= dim; i += SUMS * LANES) {
    for (guint s = 0; s < SUMS; s++) {
      guint at = i + s * LANES;
      __m256 values = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(key + at)));
      sums[s] = _mm256_fmadd_ps(values, _mm256_loadu_ps(row + at), sums[s]);
    }
  }
  float lanes[LANES], sum = 0;
  _mm256_storeu_ps(lanes,
                   _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  for (guint lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  for (; i < dim; i++) {
    float value;
    mnk_half_to_float(key + i, &value, 1);
    sum += value * row[i];
  }
  return sum;
}

#else

MnkLateKind mnk_late_kind(void) {
  return MNK_LATE_PLAIN;
}

void mnk_fast_keys(const guint16 *keys, const float *inverse_lengths, guint n_keys, guint dim,
                   const float *dither, MnkFastPair *panels) {
  g_assert_not_reached();
}

void mnk_fast_products(MnkLateKind kind, const MnkFastTask *task, gint32 *out) {
  g_assert_not_reached();
}

guint mnk_fast_candidates(const gint32 *products, guint n, guint16 *out) {
  g_assert_not_reached();
}

float mnk_fast_dot(const guint16 *key, const float *row, guint dim) {
  g_assert_not_reached();
}

#endif
