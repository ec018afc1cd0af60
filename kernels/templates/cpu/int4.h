// int4.h: four bits with a scale and a zero point a group, the format of packed W4 checkpoints: w = (q - z) s.
//
// Layout x16, for each G consecutive k: 16 f16 s, 16 u8 z, 16 bytes of nothing, then for each 8 consecutive k 16 little-endian
// uint32, one a row: nibble i is k + i. 64 + 8 G bytes: 1088 for 16 × 128.
#pragma once
#include "formats.h"
#include "shuffle.h"

namespace hipc {

template <int G> struct I4 : nibbles<64> {
  static constexpr int block = G, bytes = 64 + 8 * G;
  static HIPC_INLINE V zeros(const uint8_t *p) { return int8s(p + 32); }
  static HIPC_INLINE V shift(const uint8_t *p) { return zero() - halfs(p) * zeros(p); }
  static void lane(const uint8_t *p, int row, float *y) {
    float d = half(p + 2 * row), m = -d * (float)p[32 + row];
    for (int k = 0; k < G; k += 32) nibbles<64>::lane(p + 8 * k, row, d, m, y + k);
  }
};
typedef I4<64> I4_64;
typedef I4<128> I4_128;

template <class W> constexpr int int4_group = 0;
template <int G> constexpr int int4_group<I4<G>> = G;

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

// R rows of x as a thin product with I4<G> reads them: as they are, and summed over each group.
template <int G, int K, int R> struct GroupRows {
  const float *x;
  float low[R * (K / G)], high[R * (K / G)];  // of k whose number modulo 8 is below 4, and of the others

  HIPC_INLINE GroupRows(const float *x) : x(x) {
    for (int i = 0; i < R * (K / G); i++) {
      V s = load(x + i * G), t = load(x + i * G + 16);
      HIPC_UNROLL(8) for (int k = 32; k < G; k += 32) s = s + load(x + i * G + k), t = t + load(x + i * G + k + 16);
      half_sums(s + t, low + i, high + i);
    }
  }
};

// Nibbles 0 to 3 of a word are looked up where they lie lowest, 4 to 7 put as they are into the mantissa of 128, and so a shift serves two:
// 19 instructions on 16 × 8 weights where masking and converting takes 24 (product.h). Of what is above 128 the sum over x is taken
// away at the group's end; x reaches the fma as it is. Cycles a vector, from L2, Zen 4: 1.53; masked and converted as q4_1 is 1.75, with
// one chain a half 1.86, with a conversion in the place of one, two, four lookups 1.58, 1.63, 1.69.
//
// Not prefetched: 8192 × 2048 from memory, two threads on a machine that others used too, median of 200: 17.8 GB/s, reading alone 17.3;
// prefetched 512, 1088, 4096 bytes ahead 15.0, 14.3, 12.6.
template <int G, int K, int R> HIPC_INLINE void dot_groups(const uint8_t *p, const GroupRows<G, K, R> &x, V *acc) {
  constexpr int C = R == 1 ? 2 : 1;  // chains for each half of a word: an fma takes 4 cycles
  V numbers = ramp();
  for (int r = 0; r < R; r++) acc[r] = zero();
  for (int k0 = 0; k0 < K; k0 += G, p += I4<G>::bytes) {
    V low[C][R], high[C][R];
    for (int c = 0; c < C; c++)
      for (int r = 0; r < R; r++) low[c][r] = high[c][r] = zero();
    HIPC_UNROLL(16) for (int j = 0; j < G / 8; j++) {
      I w = words(p + 64 + j * 64);
      const float *at = x.x + k0 + j * 8;
      auto pair = [&](auto number) __attribute__((always_inline)) {
        constexpr int i = decltype(number)::value;
        I s = shift_right<4 * i>(w);
        V a = low_nibble(s, numbers), b = nibble_plus_128(s);
        HIPC_UNROLL(8) for (int r = 0; r < R; r++) {
          low[i % C][r] = fma(a, at + r * K + i, low[i % C][r]);
          high[i % C][r] = fma(b, at + r * K + i + 4, high[i % C][r]);
        }
      };
      pair(std::integral_constant<int, 0>()), pair(std::integral_constant<int, 1>());
      pair(std::integral_constant<int, 2>()), pair(std::integral_constant<int, 3>());
    }
    V d = halfs(p), z = I4<G>::zeros(p);
    HIPC_UNROLL(8) for (int r = 0; r < R; r++) {
      int g = r * (K / G) + k0 / G;
      V s = low[0][r] + fma(all(x.high[g]), all(-128.0f), high[0][r]);
      if constexpr (C > 1) s = s + (low[C - 1][r] + high[C - 1][r]);
      acc[r] = fma(d, s - z * all(x.low[g] + x.high[g]), acc[r]);
    }
  }
}

#endif

}  // namespace hipc
