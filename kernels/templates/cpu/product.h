// product.h: x[T, K] · wᵀ for a pair of 16-row groups, which matmul.h turns into kernels. Two ways:
//
// thin (T <= 8, decode): weights are decoded into registers and used at once on all rows of x. Bound by memory: a Q4_1
// vector costs a mask, a conversion and one fma a row.
// thick (T > 8, prefill): the pair is decoded once to floats in a stack tile (it stays in L2), and panels of live rows go over it
// with all accumulators in registers.
//
// Both add up in float32 and hand each result to end(row, a, b): the 16 outputs of the first and of the second group.
#pragma once
#include <type_traits>
#include <utility>

#include "int4.h"

namespace hipc {

constexpr int thin_rows = 8;
constexpr int tile_rows = 256;  // rows of x that one block of a thick product goes over

// R rows of x as the formats A and B read them: as they are; lifted, i.e. times unit(k), for codes masked in place; and
// summed over each 32, which a shift multiplies.
template <class A, class B, int K, int R> struct Rows {
  static constexpr bool lifted = A::lifted || B::lifted, shifted = A::shifted || B::shifted;
  const float *x;
  alignas(64) float up[lifted ? R * K : 16];
  float sums[shifted ? R * (K / 32) : 1];

  HIPC_INLINE Rows(const float *x) : x(x) {
    if constexpr (lifted) {
      alignas(64) static constexpr float unit[16] = {
          nibble_unit(0), nibble_unit(1), nibble_unit(2), nibble_unit(3), nibble_unit(4), nibble_unit(5), nibble_unit(6), nibble_unit(7),
          nibble_unit(0), nibble_unit(1), nibble_unit(2), nibble_unit(3), nibble_unit(4), nibble_unit(5), nibble_unit(6), nibble_unit(7)};
      V u = load(unit);
      for (int i = 0; i < R * K; i += 32) {
        V a = load(x + i), b = load(x + i + 16);
        store(up + i, a * u);
        store(up + i + 16, b * u);
        sums[i / 32] = sum(a + b);
      }
    }
  }
  template <class W> HIPC_INLINE const float *at(int r, int k) const { return (W::lifted ? up : x) + r * K + k; }
  template <class W> HIPC_INLINE V sum_at(int r, int k) const {
    const float *s = sums + r * (K / 32) + k / 32;
    if constexpr (W::block <= 32) return all(*s);
    float t = s[0] + s[1];
    HIPC_UNROLL(4) for (int i = 2; i < W::block / 32; i++) t += s[i];
    return all(t);
  }
};

// How many sums a row has at once, since an fma takes 4 cycles. A hot 576 × 576 of Q4_1 on one Zen 4 core: one sum 11.7 µs, two 9.9, four
// 9.9 (AVX2: 11.3, 10.2, 12.5). 1.75 cycles a vector, where 1.5 is the machine's least for a mask, a conversion and an fma.
template <int R> constexpr int chains = R <= 2 ? 2 : 1;

// How far ahead of its use a weight is prefetched: the hardware stops at each 4 KiB page. From memory, 2 threads, Q4_1 576 × 576: none
// 20 GB/s, 2.5 KB 23, 5 KB 24; Q8_0 576 × 49152: 43, 44, 45 (reading alone: 44).
constexpr int ahead = 4096;

template <class W, int K, int R, int k, class X> HIPC_INLINE void decode(const uint8_t *p, const X &x, int k0, V (*q)[R]) {
  V c = W::template code<k>(p);
  HIPC_UNROLL(8) for (int r = 0; r < R; r++) q[k % chains<R>][r] = fma(c, x.template at<W>(r, k0 + k), q[k % chains<R>][r]);
}
template <class W, int K, int R, class X, int... k>
HIPC_INLINE void decode_block(const uint8_t *p, const X &x, int k0, V (*q)[R], std::integer_sequence<int, k...>) {
  (decode<W, K, R, k>(p, x, k0, q), ...);
}

// R rows against one group. One group after another, so that a core reads one stream: two groups side by side, to share the
// broadcasts of x, were equal from cache but 22 GB/s against 34 (Q4_1) and 22 against 37 (Q8_0) from memory.
template <class W, int K, int R, class X> HIPC_INLINE void dot(const uint8_t *p, const X &x, V *acc) {
  constexpr int step = step_of<W, K>, bytes = step / W::block * W::bytes;
  static_assert(K % W::block == 0, "K must be whole blocks of the weight's format");
  for (int r = 0; r < R; r++) acc[r] = zero();
  for (int k0 = 0; k0 < K; k0 += step, p += bytes) {
    if constexpr (bytes >= 256) HIPC_UNROLL(32) for (int i = 0; i < bytes; i += 64) __builtin_prefetch(p + ahead + i);
    V q[chains<R>][R];
    for (int i = 0; i < chains<R>; i++)
      for (int r = 0; r < R; r++) q[i][r] = zero();
    decode_block<W, K, R>(p, x, k0, q, std::make_integer_sequence<int, step>());
    V d = W::scale(p), m = W::shift(p);
    HIPC_UNROLL(8) for (int r = 0; r < R; r++) {
      V s = q[0][r];
      for (int i = 1; i < chains<R>; i++) s = s + q[i][r];
      acc[r] = W::scaled ? fma(d, s, acc[r]) : acc[r] + s;
      if constexpr (W::shifted) acc[r] = fma(m, x.template sum_at<W>(r, k0), acc[r]);
    }
  }
}

// R rows of x as a product with one weight W reads them, and such a product.
template <class W, int K, int R> struct Operand : Rows<W, W, K, R> {
  using Rows<W, W, K, R>::Rows;
  HIPC_INLINE void times(const uint8_t *p, V *acc) const { dot<W, K, R>(p, *this, acc); }
};
#if defined(__AVX512F__)
template <int G, int K, int R> struct Operand<I4<G>, K, R> : GroupRows<G, K, R> {
  using GroupRows<G, K, R>::GroupRows;
  HIPC_INLINE void times(const uint8_t *p, V *acc) const { dot_groups<G, K, R>(p, *this, acc); }
};
#endif

template <class A, class B, int K, int T, class End>
HIPC_INLINE void thin(const float *x, const uint8_t *wa, const uint8_t *wb, int row, int rows, End end) {
  constexpr int most = wide ? 8 : 4, R = T < most ? T : most;  // as many rows as there are registers for
  V a[R], b[R];
  if constexpr (std::is_same_v<A, B>) {
    Operand<A, K, R> xs(x + (long)row * K);
    xs.times(wa, a), xs.times(wb, b);
  } else if constexpr (int4_group<A> || int4_group<B>) {
    Operand<A, K, R>(x + (long)row * K).times(wa, a);
    Operand<B, K, R>(x + (long)row * K).times(wb, b);
  } else {
    Rows<A, B, K, R> xs(x + (long)row * K);
    dot<A, K, R>(wa, xs, a), dot<B, K, R>(wb, xs, b);
  }
  for (int r = 0; r < R && row + r < rows; r++) end(row + r, a[r], b[r]);
  if constexpr (T > R)
    if (row + R < rows) thin<A, B, K, T - R>(x, wa, wb, row + R, rows, end);
}

// Floats of k in [k0, k0 + n) of one group: tile[n][16].
template <class W, int k> HIPC_INLINE void expand(const uint8_t *p, const V *d, V m, float *tile) {
  V c = W::template code<k>(p);
  if constexpr (W::scaled) c = W::shifted ? fma(c, d[k % 8], m) : c * d[0];
  store(tile + k * 16, c);
}
template <class W, int... k> HIPC_INLINE void expand_block(const uint8_t *p, float *tile, std::integer_sequence<int, k...>) {
  V scale = W::scale(p), m = W::shift(p), d[8];
  for (int i = 0; i < 8; i++) d[i] = W::lifted ? scale * all(W::unit(i)) : scale;
  (expand<W, k>(p, d, m, tile), ...);
}
template <class W, int K> HIPC_INLINE void expand_group(const uint8_t *w, int k0, int n, float *tile) {
  constexpr int s = step_of<W, K>;
  for (int k = 0; k < n; k += s)
    expand_block<W>(w + (long)((k0 + k) / W::block) * W::bytes, tile + k * 16, std::make_integer_sequence<int, s>());
}

// acc[r][v] += sum over k < n of a[r * lda + k] · b[k * step + v * next ...]. With R × NV accumulators, NV vectors of b and one
// broadcast, everything stays in registers for 12 × 2 of 32 (AVX-512) or 6 × 1 pairs of 16 (AVX2).
template <int R, int NV> HIPC_INLINE void panel(const float *a, long lda, const float *b, long step, long next, int n, V (&acc)[R][NV]) {
  HIPC_UNROLL(4) for (int k = 0; k < n; k++) {
    V w[NV];
    HIPC_UNROLL(8) for (int v = 0; v < NV; v++) w[v] = load(b + k * step + v * next);
    HIPC_UNROLL(16) for (int r = 0; r < R; r++) {
      V x = all(a[r * lda + k]);
      HIPC_UNROLL(8) for (int v = 0; v < NV; v++) acc[r][v] = fma(x, w[v], acc[r][v]);
    }
  }
}

constexpr int most_k = 2048;  // a tile is at most 2 × 2048 × 16 floats: 256 KiB of stack, half of an L2
template <int K, int S> constexpr int chunk_of = ceil_div(ceil_div(K, ceil_div(K, most_k)), S) * S;

// R rows from x over n of K: tile[2][.][16]; sums go on from part (unless first) and end there (unless last).
template <int R, int K, bool first, bool last, class End>
HIPC_INLINE void thick_rows(const float *x, long ldx, const float *tile, long next, int n, float *part, int row, End end) {
  V acc[R][2];
  HIPC_UNROLL(16) for (int r = 0; r < R; r++)
    HIPC_UNROLL(2) for (int v = 0; v < 2; v++) acc[r][v] = first ? zero() : load(part + r * 32 + v * 16);
  if constexpr (wide) {
    panel<R, 2>(x, ldx, tile, 16, next, n, acc);
  } else {
    HIPC_UNROLL(2) for (int v = 0; v < 2; v++) {
      V one[R][1];
      HIPC_UNROLL(16) for (int r = 0; r < R; r++) one[r][0] = acc[r][v];
      panel<R, 1>(x, ldx, tile + v * next, 16, 0, n, one);
      HIPC_UNROLL(16) for (int r = 0; r < R; r++) acc[r][v] = one[r][0];
    }
  }
  HIPC_UNROLL(16) for (int r = 0; r < R; r++) {
    if constexpr (last) {
      end(row + r, acc[r][0], acc[r][1]);
    } else {
      store(part + r * 32, acc[r][0]);
      store(part + r * 32 + 16, acc[r][1]);
    }
  }
}

template <int K, int C, bool first, bool last, class End>
HIPC_INLINE void thick_chunk(const float *x, const float *tile, int n, float *part, int row, int rows, End end) {
  constexpr int most = wide ? 12 : 6;
  // Rows 4 KiB apart fall into one set of the L1, which holds 8 of them: such a panel is copied to a stride of its own.
  constexpr bool copied = K % 1024 == 0;
  constexpr long ld = copied ? C + 16 : K;
  alignas(64) float copy[copied ? most * ld : 1];
  int r = 0;
  auto some = [&](auto count) __attribute__((always_inline)) {
    constexpr int R = decltype(count)::value;
    const float *a = x + (long)r * K;
    if constexpr (copied) {
      for (int i = 0; i < R; i++) __builtin_memcpy(copy + i * ld, a + (long)i * K, sizeof(float) * n);
      a = copy;
    }
    thick_rows<R, K, first, last>(a, ld, tile, C * 16, n, part + r * 32, row + r, end);
    r += R;
  };
  while (rows - r >= most) some(std::integral_constant<int, most>());
  if constexpr (wide)
    if (rows - r >= 8) some(std::integral_constant<int, 8>());
  if (rows - r >= 4) some(std::integral_constant<int, 4>());
  if (rows - r >= 2) some(std::integral_constant<int, 2>());
  if (rows - r >= 1) some(std::integral_constant<int, 1>());
}

// Rows [row, row + rows) of x against a pair.
template <class A, class B, int K, class End>
HIPC_INLINE void thick(const float *x, const uint8_t *wa, const uint8_t *wb, int row, int rows, End end) {
  constexpr int sa = step_of<A, K>, sb = step_of<B, K>, S = sa > sb ? sa : sb, C = chunk_of<K, S>;
  static_assert(K % A::block == 0 && K % B::block == 0, "K must be whole blocks of the weight's format");
  alignas(64) float tile[2 * C * 16];
  x += (long)row * K;
  if constexpr (C >= K) {
    expand_group<A, K>(wa, 0, K, tile);
    expand_group<B, K>(wb, 0, K, tile + C * 16);
    thick_chunk<K, C, true, true>(x, tile, K, tile, row, rows, end);
  } else {
    alignas(64) float part[tile_rows * 32];
    for (int k = 0; k < K; k += C) {
      int n = K - k < C ? K - k : C;
      expand_group<A, K>(wa, k, n, tile);
      expand_group<B, K>(wb, k, n, tile + C * 16);
      if (k == 0) thick_chunk<K, C, true, false>(x, tile, n, part, row, rows, end);
      else if (k + n < K) thick_chunk<K, C, false, false>(x + k, tile, n, part, row, rows, end);
      else thick_chunk<K, C, false, true>(x + k, tile, n, part, row, rows, end);
    }
  }
}

// The pair (wa, wb) for the rows of the block's row tile; end(row, a, b) for live rows only.
template <class A, class B, int K, int T, class End>
HIPC_INLINE void product(const float *x, const uint8_t *wa, const uint8_t *wb, const int *live, int row_tile, End end) {
  int rows = live_rows<T>(live);
  if constexpr (T <= thin_rows) {
    thin<A, B, K, T>(x, wa, wb, 0, rows, end);
  } else {
    int row = row_tile * tile_rows;
    if (row >= rows) return;
    thick<A, B, K>(x, wa, wb, row, rows - row < tile_rows ? rows - row : tile_rows, end);
  }
}

}  // namespace hipc
