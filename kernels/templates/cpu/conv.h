// conv.h: causal depthwise convolution over positions: y_t[c] = Σ_j w[c, j] x_{t-W+1+j}[c], tap W - 1 the newest; before position 0 all is 0.
//
// state[W - 1, C] holds the last inputs, oldest first. A block is 512 channels: grid (C + 511) / 512. y must not be x.
#pragma once
#include "elementwise.h"
#include "shuffle.h"

namespace hipc {

constexpr int conv_span = 512;

// Tap j of channels c ... c + n - 1.
template <int W> HIPC_INLINE V tap(const float *w, int c, int j, int n) {
  if constexpr (W == 4)
    if (n == 16) return every_fourth(w + (long)c * W, j);
  alignas(64) float v[16] = {};
  for (int i = 0; i < n; i++) v[i] = w[(long)(c + i) * W + j];
  return load(v);
}

template <int C, int W, int T, class End>
HIPC_INLINE void conv(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block, End end) {
  constexpr int past = W - 1;
  int from = block * conv_span, to = C - from < conv_span ? C : from + conv_span, rows = live_rows<T>(live);
  if (rows <= 0) return;
  for (int c = from; c < to; c += 16) {
    int n = to - c < 16 ? to - c : 16;
    V taps[W], old[past];
    HIPC_UNROLL(8) for (int j = 0; j < W; j++) taps[j] = tap<W>(w, c, j, n);
    HIPC_UNROLL(8) for (int j = 0; j < past; j++) old[j] = *pos == 0 ? zero() : load(state + (long)j * C + c, n);
    for (int t = 0; t < rows; t++) {
      V u = load(x + (long)t * C + c, n), s = taps[past] * u;
      HIPC_UNROLL(8) for (int j = 0; j < past; j++) s = fma(taps[j], old[j], s);
      store(y + (long)t * C + c, end(s), n);
      HIPC_UNROLL(8) for (int j = 0; j + 1 < past; j++) old[j] = old[j + 1];
      old[past - 1] = u;
    }
    HIPC_UNROLL(8) for (int j = 0; j < past; j++) store(state + (long)j * C + c, old[j], n);
  }
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
