// shuffle.h: lanes by index, and nibbles without a conversion. With vec.h the only file with intrinsics.
#pragma once
#include "vec.h"

namespace hipc {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

template <int n> HIPC_INLINE I shift_right(I a) { return n ? _mm512_srli_epi32(a, n) : a; }
// The low four bits of each word as a float: entry 0 ... 15 of t, by default those numbers.
HIPC_INLINE V low_nibble(I w, V t) { return _mm512_permutexvar_ps(w, t); }
// Bits 16 ... 19 of each word as a float, plus 128: put into the mantissa of 128.
HIPC_INLINE V nibble_plus_128(I w) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(w, _mm512_set1_epi32(15 << 16), _mm512_set1_epi32(0x43000000), 0xEA));
}

// Sixteen of v[G], by index below G: two registers a lookup (vpermi2ps), then blends by the index's upper bits. From memory
// (vgatherdps) rotate took three times as long.
template <int G> HIPC_INLINE V picked(const V *v, const uint8_t *index) {
  static_assert(G == 32 || G == 64 || G == 128, "groups of 32, 64 or 128");
  __m512i i = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)index));
  V a = _mm512_permutex2var_ps(v[0], i, v[1]);
  if constexpr (G == 32) return a;
  __mmask16 upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(32));
  a = _mm512_mask_blend_ps(upper, a, _mm512_permutex2var_ps(v[2 % (G / 16)], i, v[3 % (G / 16)]));
  if constexpr (G == 64) return a;
  V b = _mm512_mask_blend_ps(upper, _mm512_permutex2var_ps(v[4 % (G / 16)], i, v[5 % (G / 16)]),
                             _mm512_permutex2var_ps(v[6 % (G / 16)], i, v[7 % (G / 16)]));
  return _mm512_mask_blend_ps(_mm512_test_epi32_mask(i, _mm512_set1_epi32(64)), a, b);
}

// p[16][4] transposed: y[j] holds elements j, 4 + j, ... 60 + j.
HIPC_INLINE void transpose_fours(const float *p, V *y) {
  V a = load(p), b = load(p + 16), c = load(p + 32), d = load(p + 48);
  HIPC_UNROLL(4) for (int j = 0; j < 4; j++) {
    __m512i i = _mm512_add_epi32(_mm512_set_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0), _mm512_set1_epi32(j));
    y[j] = _mm512_mask_blend_ps(0xff00, _mm512_permutex2var_ps(a, i, b), _mm512_permutex2var_ps(c, i, d));
  }
}

// Sums of the lanes whose number modulo 8 is below 4, and of the others.
HIPC_INLINE void half_sums(V a, float *low, float *high) {
  __m256 s = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  s = _mm256_add_ps(s, _mm256_permute_ps(s, 0x4e));
  s = _mm256_add_ps(s, _mm256_permute_ps(s, 0xb1));
  *low = _mm256_cvtss_f32(s);
  *high = _mm_cvtss_f32(_mm256_extractf128_ps(s, 1));
}

#else

// Sixteen of v[G], by index below G.
template <int G> HIPC_INLINE V picked(const V *v, const uint8_t *index) {
  const float *p = (const float *)v;
  __m128i i = _mm_loadu_si128((const __m128i *)index);
  return {_mm256_i32gather_ps(p, _mm256_cvtepu8_epi32(i), 4), _mm256_i32gather_ps(p, _mm256_cvtepu8_epi32(_mm_srli_si128(i, 8)), 4)};
}

HIPC_INLINE void transpose_fours(const float *p, V *y) {
  auto half = [&](const float *q, __m256 *t) __attribute__((always_inline)) {
    auto both = [&](int i) __attribute__((always_inline)) {
      return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(q + 4 * i)), _mm_loadu_ps(q + 4 * i + 16), 1);
    };
    __m256 a = both(0), b = both(1), c = both(2), d = both(3);
    __m256 ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d), AB = _mm256_unpackhi_ps(a, b), CD = _mm256_unpackhi_ps(c, d);
    t[0] = _mm256_shuffle_ps(ab, cd, 0x44), t[1] = _mm256_shuffle_ps(ab, cd, 0xee);
    t[2] = _mm256_shuffle_ps(AB, CD, 0x44), t[3] = _mm256_shuffle_ps(AB, CD, 0xee);
  };
  __m256 lo[4], hi[4];
  half(p, lo), half(p + 32, hi);
  for (int j = 0; j < 4; j++) y[j] = {lo[j], hi[j]};
}

#endif

}  // namespace hipc
