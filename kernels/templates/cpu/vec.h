// vec.h: sixteen float lanes, and the only file with intrinsics. V is one register on AVX-512 (cpu_v4) and a pair on
// AVX2 (cpu_v3): a struct of two, since gcc 12 keeps a 64-byte vector type in memory when the machine has only 32-byte
// registers. Everything above this file is written once, for V.
#pragma once
#include <immintrin.h>

#include "abi.h"

namespace hipc {

constexpr int lanes = 16;

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

constexpr bool wide = true;  // 32 registers of a V each
typedef __m512 V;
typedef __m512i I;  // 16 × 32-bit integers
typedef __mmask16 M;

HIPC_INLINE V load(const float *p) { return _mm512_loadu_ps(p); }
HIPC_INLINE void store(float *p, V a) { _mm512_storeu_ps(p, a); }
HIPC_INLINE V load(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }  // first n, zeros
HIPC_INLINE void store(float *p, V a, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a); }
HIPC_INLINE V all(float x) { return _mm512_set1_ps(x); }
HIPC_INLINE V zero() { return _mm512_setzero_ps(); }
HIPC_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
// a · *x + c with x read by the fma itself: as a load of its own, broadcasting to 64 bytes takes half a cycle of the pipes that fmas and
// conversions need (Zen 4: 1.75 against 1.56 cycles for a mask, a conversion and an fma), and compilers hoist it when x is used twice.
HIPC_INLINE V fma(V a, const float *x, V c) {
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(a), "m"(*x));
  return c;
}
HIPC_INLINE V max(V a, V b) { return _mm512_max_ps(a, b); }  // b where either is NaN, as in C's a > b ? a : b
HIPC_INLINE V min(V a, V b) { return _mm512_min_ps(a, b); }
HIPC_INLINE V root(V a) { return _mm512_sqrt_ps(a); }
HIPC_INLINE V nearest(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
HIPC_INLINE V power2(V a, V n) { return _mm512_scalef_ps(a, n); }  // a × 2^n, n integral
HIPC_INLINE V magnitude(V a) { return _mm512_abs_ps(a); }
HIPC_INLINE float sum(V a) { return _mm512_reduce_add_ps(a); }
HIPC_INLINE float peak(V a) { return _mm512_reduce_max_ps(a); }
HIPC_INLINE M less(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
HIPC_INLINE M same(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
HIPC_INLINE V choose(M m, V a, V b) { return _mm512_mask_blend_ps(m, b, a); }  // m ? a : b
HIPC_INLINE bool any(M m) { return m != 0; }

HIPC_INLINE I words(const void *p) { return _mm512_loadu_si512(p); }
HIPC_INLINE void store(void *p, I a) { _mm512_storeu_si512(p, a); }
HIPC_INLINE I all(int32_t x) { return _mm512_set1_epi32(x); }
HIPC_INLINE I words(V a) { return _mm512_castps_si512(a); }  // the bits
HIPC_INLINE I trunc(V a) { return _mm512_cvttps_epi32(a); }
HIPC_INLINE V real(I a) { return _mm512_cvtepi32_ps(a); }
HIPC_INLINE V int8s(const uint8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p))); }
HIPC_INLINE V halfs(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
HIPC_INLINE V bfloats(const uint8_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
// Nibble i of each word as a float, times 1 / nibble_unit(i): masked where it lies, so that no shift is needed. A table lookup by the
// low four bits (vpermps) wants the shift and crowds its two pipes: a product took 12.5 µs against 11.3.
template <int i> HIPC_INLINE V nibble(I w) {
  return i == 7 ? _mm512_cvtepi32_ps(_mm512_srli_epi32(w, 28))
                : _mm512_cvtepi32_ps(_mm512_and_si512(w, _mm512_set1_epi32(15 << 4 * (i % 7))));
}

#else

constexpr bool wide = false;  // 16 registers of half a V each
struct V { __m256 lo, hi; };
struct I { __m256i lo, hi; };
struct M { __m256 lo, hi; };

HIPC_INLINE V load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
HIPC_INLINE void store(float *p, V a) { _mm256_storeu_ps(p, a.lo), _mm256_storeu_ps(p + 8, a.hi); }
HIPC_INLINE V load(const float *p, int n) {
  alignas(64) float t[16] = {};
  __builtin_memcpy(t, p, 4 * n);
  return load(t);
}
HIPC_INLINE void store(float *p, V a, int n) {
  alignas(64) float t[16];
  store(t, a);
  __builtin_memcpy(p, t, 4 * n);
}
HIPC_INLINE V all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
HIPC_INLINE V zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
HIPC_INLINE V operator+(V a, V b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
HIPC_INLINE V operator-(V a, V b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
HIPC_INLINE V operator*(V a, V b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
HIPC_INLINE V operator/(V a, V b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
HIPC_INLINE V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
HIPC_INLINE V fma(V a, const float *x, V c) { return fma(all(*x), a, c); }
HIPC_INLINE V max(V a, V b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
HIPC_INLINE V min(V a, V b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
HIPC_INLINE V root(V a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
HIPC_INLINE V nearest(V a) {
  constexpr int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, how), _mm256_round_ps(a.hi, how)};
}
HIPC_INLINE __m256 power2(__m256 a, __m256i n) {  // two steps, so that 2^128 and denormals come out right
  __m256i h = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
  __m256 first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(h, bias), 23));
  __m256 second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, h), bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(a, first), second);
}
HIPC_INLINE V power2(V a, V n) { return {power2(a.lo, _mm256_cvtps_epi32(n.lo)), power2(a.hi, _mm256_cvtps_epi32(n.hi))}; }
HIPC_INLINE V magnitude(V a) {
  __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
HIPC_INLINE float sum(V a) {
  __m256 s = _mm256_add_ps(a.lo, a.hi);
  __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  t = _mm_add_ps(t, _mm_movehl_ps(t, t));
  return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}
HIPC_INLINE float peak(V a) {
  __m256 s = _mm256_max_ps(a.lo, a.hi);
  __m128 t = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  t = _mm_max_ps(t, _mm_movehl_ps(t, t));
  return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}
HIPC_INLINE M less(V a, V b) { return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)}; }
HIPC_INLINE M same(V a, V b) { return {_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)}; }
HIPC_INLINE V choose(M m, V a, V b) { return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)}; }
HIPC_INLINE bool any(M m) { return _mm256_movemask_ps(_mm256_or_ps(m.lo, m.hi)) != 0; }

HIPC_INLINE I words(const void *p) {
  return {_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)};
}
HIPC_INLINE void store(void *p, I a) {
  _mm256_storeu_si256((__m256i *)p, a.lo), _mm256_storeu_si256((__m256i *)p + 1, a.hi);
}
HIPC_INLINE I all(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
HIPC_INLINE I words(V a) { return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)}; }
HIPC_INLINE I trunc(V a) { return {_mm256_cvttps_epi32(a.lo), _mm256_cvttps_epi32(a.hi)}; }
HIPC_INLINE V real(I a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
HIPC_INLINE __m256 int8s8(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
HIPC_INLINE V int8s(const uint8_t *p) { return {int8s8(p), int8s8(p + 8)}; }
HIPC_INLINE V halfs(const uint8_t *p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1))};
}
HIPC_INLINE __m256 bfloats8(const uint8_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
HIPC_INLINE V bfloats(const uint8_t *p) { return {bfloats8(p), bfloats8(p + 16)}; }
template <int i> HIPC_INLINE __m256 nibble8(__m256i w) {
  return i == 7 ? _mm256_cvtepi32_ps(_mm256_srli_epi32(w, 28))
                : _mm256_cvtepi32_ps(_mm256_and_si256(w, _mm256_set1_epi32(15 << 4 * (i % 7))));
}
template <int i> HIPC_INLINE V nibble(I w) { return {nibble8<i>(w.lo), nibble8<i>(w.hi)}; }

#endif

// What nibble<i> has to be multiplied by (exact: a power of two) is put on the other factor.
constexpr float nibble_unit(int i) { return i == 7 ? 1.0f : 1.0f / (1 << 4 * i); }

HIPC_INLINE float half(const uint8_t *p) {
  uint16_t h;
  __builtin_memcpy(&h, p, 2);
  return _cvtsh_ss(h);
}
HIPC_INLINE void pause() { _mm_pause(); }

// 0, 1, ... 15
HIPC_INLINE V ramp() {
  alignas(64) static constexpr float r[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(r);
}

// e^x to 1 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial (our own fit, 3e-9) for (e^r - 1 - r) / r². NaN stays NaN,
// below -104 it is 0, above 89 infinite.
HIPC_INLINE V exponential(V x) {
  x = min(all(89.0f), max(all(-105.0f), x));
  V n = nearest(x * all(1.44269504f));
  V r = fma(n, all(-0.693145752f), x);
  r = fma(n, all(-1.42860677e-6f), r);
  V p = all(0.00138144463f);
  p = fma(p, r, all(0.0083687827f));
  p = fma(p, r, all(0.0416683964f));
  p = fma(p, r, all(0.166665196f));
  p = fma(p, r, all(0.49999994f));
  p = fma(p * r, r, r) + all(1.0f);
  return power2(p, n);
}

}  // namespace hipc
