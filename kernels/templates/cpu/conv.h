// conv.h: causal depthwise convolution over positions: y_t[c] = Σ_j w[c, j] x_{t-W+1+j}[c], tap W - 1 the newest; before position 0 all is 0.
//
// 8192 channels of 4 taps, one row: 6.0 µs on one Zen 4 core, 6.6 with AVX2 (gathered taps: 37).
//
// state[W - 1, C] holds the last inputs, oldest first. A block is 512 channels: grid (C + 511) / 512. y must not be x.
#pragma once
#include "elementwise.h"
#include "shuffle.h"

namespace hipc {

constexpr int conv_span = 512;

// The taps of channels c ... c + n - 1.
template <int W, int n> HIPC_INLINE void load_taps(const float *w, int c, V *taps) {
  if constexpr (W == 4 && n == 16) return transpose_fours(w + (long)c * 4, taps);
  for (int j = 0; j < W; j++) {
    alignas(64) float v[16] = {};
    for (int i = 0; i < n; i++) v[i] = w[(long)(c + i) * W + j];
    taps[j] = load(v);
  }
}

template <int C, int W, int T, class End>
HIPC_INLINE void conv(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block, End end) {
  constexpr int past = W - 1;
  int from = block * conv_span, to = C - from < conv_span ? C : from + conv_span, rows = live_rows<T>(live);
  if (rows <= 0) return;
  auto some = [&](int c, auto n) __attribute__((always_inline)) {
    V taps[W > 4 ? W : 4], old[past];
    load_taps<W, decltype(n)::value>(w, c, taps);
    HIPC_UNROLL(8) for (int j = 0; j < past; j++) old[j] = *pos == 0 ? zero() : get(state + (long)j * C + c, n);
    for (int t = 0; t < rows; t++) {
      V u = get(x + (long)t * C + c, n), s = taps[past] * u;
      HIPC_UNROLL(8) for (int j = 0; j < past; j++) s = fma(taps[j], old[j], s);
      set(y + (long)t * C + c, end(s), n);
      HIPC_UNROLL(8) for (int j = 0; j + 1 < past; j++) old[j] = old[j + 1];
      old[past - 1] = u;
    }
    HIPC_UNROLL(8) for (int j = 0; j < past; j++) set(state + (long)j * C + c, old[j], n);
  };
  int c = from;
  for (; c + 16 <= to; c += 16) some(c, std::integral_constant<int, 16>());
  if constexpr (C % 16)
    if (c < to) some(c, std::integral_constant<int, C % 16>());
}

template <int C, int W, int T>
inline void conv1d(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block) {
  conv<C, W, T>(x, w, pos, live, y, state, block, [](V s) __attribute__((always_inline)) { return s; });
}

// y = silu(conv1d(x)).
template <int C, int W, int T>
inline void conv_silu(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block) {
  conv<C, W, T>(x, w, pos, live, y, state, block, [](V s) __attribute__((always_inline)) { return silu::of(s); });
}

}  // namespace hipc
