#include "memory/memory.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
  MANTISSA = 10,                     /* bits */
  DROPPED = 23 - MANTISSA,           /* of a float's mantissa */
  EXPONENT = 0x7c00,                 /* all ones: infinity, and what is no number */
  QUIET = 0x200,                     /* no number */
  BIAS = 127 - 15,                   /* between the two exponents */
  NORMAL_LEAST = BIAS + 1,           /* the float exponent of the least normal half */
  TOO_LARGE = BIAS + 31,             /* of the least that has none */
  SUBNORMAL_LEAST = BIAS - MANTISSA, /* below half of the least subnormal half */
};

/* Adds to the nearest multiple of 1 << shift, ties to the even one, and shifts. */
static guint32 round_shift(guint32 value, guint shift) {
  guint32 half = 1U << (shift - 1), odd = (value >> shift) & 1;
  return (value + half - 1 + odd) >> shift;
}

static guint16 to_half(float value) {
  guint32 bits;
  memcpy(&bits, &value, sizeof bits);
  guint16 sign = (guint16)(bits >> 16 & 0x8000);
  guint32 exponent = bits >> 23 & 0xff, mantissa = bits & 0x7fffff;
  if (exponent == 0xff) /* as F16C does, the upper bits of what is no number are kept */
    return (guint16)(sign | EXPONENT | (mantissa ? QUIET | mantissa >> DROPPED : 0));
  if (exponent >= TOO_LARGE)
    return sign | EXPONENT;
  if (exponent >= NORMAL_LEAST) /* a carry out of the mantissa steps the exponent, as it should */
    return (guint16)(sign + round_shift((exponent - BIAS) << 23 | mantissa, DROPPED));
  if (exponent < SUBNORMAL_LEAST)
    return sign;
  return (guint16)(sign + round_shift(mantissa | 1U << 23, DROPPED + NORMAL_LEAST - exponent));
}

static float from_half(guint16 half) {
  guint32 sign = (guint32)(half & 0x8000) << 16, exponent = half >> MANTISSA & 0x1f;
  guint32 mantissa = half & 0x3ff, bits;
  if (exponent == 0) { /* a multiple of 2^-24, exact as a float */
    float value = (float)mantissa * 0x1p-24F;
    return sign ? -value : value;
  }
  if (exponent == 0x1f)
    bits = sign | 0x7f800000 | mantissa << DROPPED | (mantissa ? 1U << 22 : 0);
  else
    bits = sign | (exponent + BIAS) << 23 | mantissa << DROPPED;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

#if defined(__x86_64__)

enum { VECTOR = 8 };

__attribute__((target("avx,f16c"))) static gsize to_half_f16c(const float *in, guint16 *out,
                                                              gsize n) {
  gsize i = 0;
  for (; i + VECTOR <= n; i += VECTOR) {
    __m256 values = _mm256_loadu_ps(in + i);
    _mm_storeu_si128((__m128i *)(void *)(out + i),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  return i;
}

__attribute__((target("avx,f16c"))) static gsize from_half_f16c(const guint16 *in, float *out,
                                                                gsize n) {
  gsize i = 0;
  for (; i + VECTOR <= n; i += VECTOR) {
    __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
  }
  return i;
}

static gboolean has_f16c(void) {
  return __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
}

#else

static gsize to_half_f16c(const float *in, guint16 *out, gsize n) {
  return 0;
}

static gsize from_half_f16c(const guint16 *in, float *out, gsize n) {
  return 0;
}

static gboolean has_f16c(void) {
  return FALSE;
}

#endif

void mnk_half_from_float(const float *in, guint16 *out, gsize n) {
  for (gsize i = has_f16c() ? to_half_f16c(in, out, n) : 0; i < n; i++)
    out[i] = to_half(in[i]);
}

void mnk_half_to_float(const guint16 *in, float *out, gsize n) {
  for (gsize i = has_f16c() ? from_half_f16c(in, out, n) : 0; i < n; i++)
    out[i] = from_half(in[i]);
}
