/* Base64 by vectors of 32 characters.
 * Source: W. Mula, D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions", ACM
 * Transactions on the Web 12(3), 2018: a character's two halves look up whether it is of the
 * alphabet, its upper half what must be added to it; multiplications pack six bits to eight. */
#include "wire/base64_priv.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum {
  VECTOR = 32,
  BEHIND = 16, /* characters that must follow: 32 bytes are stored and 24 of them meant */
};

/* Sets of upper halves that go with the same lower ones, and the one that goes with none. */
enum { PUNCTUATION = 1, DIGITS = 2, FIRST_LETTERS = 4, LAST_LETTERS = 8, NEVER = 16 };
/* By the lower half: the sets that it does not go with. */
enum {
  LOW_0 = NEVER | PUNCTUATION | FIRST_LETTERS,
  LOW_1_9 = NEVER | PUNCTUATION,
  LOW_A = NEVER | PUNCTUATION | DIGITS,
  LOW_B_F = NEVER | DIGITS | LAST_LETTERS, /* + and / */
  LOW_C_E = NEVER | PUNCTUATION | DIGITS | LAST_LETTERS,
};

#define TWICE(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

/* The six bits of each; FALSE when one is not of the alphabet. */
__attribute__((target("avx2"))) static gboolean to_sextets(__m256i text, __m256i *sextets) {
  const __m256i half = _mm256_set1_epi8(0x0f);
  const __m256i by_low =
      TWICE(LOW_0, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9, LOW_1_9,
            LOW_A, LOW_B_F, LOW_C_E, LOW_C_E, LOW_C_E, LOW_B_F);
  const __m256i by_high =
      TWICE(NEVER, NEVER, PUNCTUATION, DIGITS, FIRST_LETTERS, LAST_LETTERS, FIRST_LETTERS,
            LAST_LETTERS, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER);
  /* At 1 what is added to the slash, which shares its upper half with the plus. */
  const __m256i added = TWICE(0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0, 0,
                              0, 0, 0, 0, 0, 0);
  __m256i low = _mm256_and_si256(text, half);
  __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), half);
  __m256i bad =
      _mm256_and_si256(_mm256_shuffle_epi8(by_low, low), _mm256_shuffle_epi8(by_high, high));
  __m256i is_slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('/'));
  __m256i which = _mm256_add_epi8(high, is_slash);
  *sextets = _mm256_add_epi8(text, _mm256_shuffle_epi8(added, which));
  return _mm256_testz_si256(bad, bad);
}

/* 32 times six bits to 24 bytes at the beginning. */
__attribute__((target("avx2"))) static __m256i pack(__m256i sextets) {
  const __m256i order = TWICE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
  __m256i twelve = _mm256_maddubs_epi16(sextets, _mm256_set1_epi32(0x01400140));
  __m256i twenty_four = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
  __m256i bytes = _mm256_shuffle_epi8(twenty_four, order);
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
}

__attribute__((target("avx2"))) static gsize decode_avx2(const char *text, gsize length,
                                                         guint8 *out) {
  gsize at = 0;
  for (; length - at >= VECTOR + BEHIND; at += VECTOR, out += VECTOR / 4 * 3) {
    __m256i sextets;
    if (!to_sextets(_mm256_loadu_si256((const __m256i *)(const void *)(text + at)), &sextets))
      break;
    _mm256_storeu_si256((__m256i *)(void *)out, pack(sextets));
  }
  return at;
}

gsize mnk_base64_decode_vectors(const char *text, gsize length, guint8 *out) {
  return __builtin_cpu_supports("avx2") ? decode_avx2(text, length, out) : 0;
}

#else

gsize mnk_base64_decode_vectors(const char *text, gsize length, guint8 *out) {
  return 0;
}

#endif
