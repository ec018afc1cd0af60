// conv.hip: causal depthwise convolution over positions: y_t[c] = Σ_j w[c, j] x_{t-W+1+j}[c], tap W - 1 the newest; before position 0 all is 0.
//
// state[W - 1, C] holds the last inputs, oldest first. A thread is a channel; of many rows a block takes 32. Inputs before a block's rows are
// other rows of x, or the state for the first ones: that block alone reads the state, and so it can write it without asking the others.
#pragma once
#include "elementwise.hip"

namespace hipc {

constexpr int conv_rows = 32;

// Grid ceil(C / 256) ceil(T / 32). y must not be x.
template <class End, int C, int W, int T>
DEVICE void conv(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block) {
  constexpr int past = W - 1, tiles = ceil_div(C, 256), tile = T == 1 ? 1 : conv_rows;
  static_assert(past <= conv_rows, "what a block's first row reads must be in the block before");
  const int c = block % tiles * 256 + thread(), rows = live_rows<T>(live), from = block / tiles * tile;
  if (c >= C || from >= rows) return;
  float taps[W], old[past], first[past];
  if constexpr (W == 4) {
    f4 v = load4(w + (long)c * 4);
    UNROLL for (int j = 0; j < W; j++) taps[j] = v[j];
  } else {
    UNROLL for (int j = 0; j < W; j++) taps[j] = w[(long)c * W + j];
  }
  const bool fresh = *pos == 0;
  UNROLL for (int j = 0; j < past; j++) {
    if (from > 0) old[j] = x[(long)(from - past + j) * C + c];
    else old[j] = fresh ? 0 : state[(long)j * C + c];
    first[j] = old[j];
  }
  const int to = from + tile < rows ? from + tile : rows;
  for (int t = from; t < to; t++) {
    float u = x[(long)t * C + c], s = taps[past] * u;
    UNROLL for (int j = 0; j < past; j++) s = fma(taps[j], old[j], s);
    y[(long)t * C + c] = End::of(s);
    UNROLL for (int j = 0; j + 1 < past; j++) old[j] = old[j + 1];
    old[past - 1] = u;
  }
  if (from > 0) return;
  UNROLL for (int j = 0; j < past; j++) {  // the last inputs, of which there may be fewer than the state holds
    if constexpr (T > 1) {
      int t = rows - past + j;
      float v = t >= 0 ? x[(long)t * C + c] : 0;
      UNROLL for (int i = 0; i < past; i++)
        if (t + past == i) v = first[i];
      old[j] = v;
    }
    state[(long)j * C + c] = old[j];
  }
}

struct Same { static DEVICE float of(float x) { return x; } };

template <int C, int W, int T> DEVICE void conv1d(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block) {
  conv<Same, C, W, T>(x, w, pos, live, y, state, block);
}

// y = silu(conv1d(x)).
template <int C, int W, int T> DEVICE void conv_silu(const float *x, const float *w, const int *pos, const int *live, float *y, float *state, int block) {
  conv<silu, C, W, T>(x, w, pos, live, y, state, block);
}

}  // namespace hipc
