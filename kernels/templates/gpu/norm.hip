// norm.hip: rmsnorm alone and after an addition or an embedding: rmsnorm(x) = x / sqrt(mean(x²) + eps) · w. A block takes a row.
#pragma once
#include "embed.hip"

namespace hipc {

// y may be x. All threads of the block. The weights are under way with the row: nothing waits for them behind the sum.
template <int D, class Eps, int Threads = 256> DEVICE void rmsnorm_row(const float *x, const float *w, float *y) {
  constexpr int each = ceil_div(D, Threads), held = each <= 24 ? each : 0;  // of a row that registers can hold
  float sum = 0, xs[held + 1], ws[held + 1];
  if constexpr (held > 0) {
    UNROLL for (int j = 0; j < held; j++) {
      int i = thread() + j * Threads;
      bool in = D % Threads == 0 || i < D;
      xs[j] = in ? x[i] : 0, ws[j] = in ? w[i] : 0;
    }
    UNROLL for (int j = 0; j < held; j++) sum = fma(xs[j], xs[j], sum);
  } else {
    for (int i = thread(); i < D; i += Threads) sum = fma(x[i], x[i], sum);
  }
  float r = inverse(root(block_sum<Threads>(sum) / D + (float)Eps::value));
  if constexpr (held > 0) {
    UNROLL for (int j = 0; j < held; j++) {
      int i = thread() + j * Threads;
      if (D % Threads == 0 || i < D) y[i] = xs[j] * r * ws[j];
    }
  } else {
    for (int i = thread(); i < D; i += Threads) y[i] = x[i] * r * w[i];
  }
}

// Where a block keeps a row that it has normed for itself. A block runs one part of its launch, so all parts whose rows are as long have the
// same: a row each for q, k and v of 4096 is 48 KiB, and one block a processor where there are three.
template <int D> DEVICE float *normed_row() {
  static SHARED float row[D];
  return row;
}

// normed_row = rmsnorm(x) w, there for all threads of the block.
template <int D, class Eps> DEVICE void norm_row(const float *x, const float *w) {
  rmsnorm_row<D, Eps>(x, w, normed_row<D>());
  barrier();
}

// x[T, R, D]: R rows (heads) a token, one w[D] for all. Grid T R.
template <int R, int D, class Eps, int T> DEVICE void rmsnorm(const float *x, const float *w, const int *live, float *y, int block) {
  if (block / R >= live_rows<T>(live)) return;
  rmsnorm_row<D, Eps>(x + (long)block * D, w, y + (long)block * D);
}

// s = h + y, n = rmsnorm(s) w. s may be h or y. Grid T.
template <int D, class Eps, int T>
DEVICE void add_norm(const float *h, const float *y, const float *w, const int *live, float *s, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  for (int i = thread(); i < D; i += 256) s[at + i] = h[at + i] + y[at + i];
  rmsnorm_row<D, Eps>(s + at, w, n + at);  // each thread reads what it has written
}

// s = h + rmsnorm(y) w and, with Next, n = rmsnorm(s) g. All threads of the block; s may be h or y. All operands are under way before the first
// sum.
template <int D, class Eps, bool Next> DEVICE void norm_add_row(const float *h, const float *y, const float *w, const float *g, float *s, float *n) {
  constexpr int each = ceil_div(D, 256), held = each <= 12 ? each : 0;  // of a row, that registers can hold four times
  float sum = 0, hs[held + 1], ys[held + 1], ws[held + 1], gs[held + 1];
  if constexpr (held > 0) {
    UNROLL for (int j = 0; j < held; j++) {
      int i = thread() + j * 256;
      bool in = D % 256 == 0 || i < D;
      ys[j] = in ? y[i] : 0, hs[j] = in ? h[i] : 0, ws[j] = in ? w[i] : 0, gs[j] = Next && in ? g[i] : 0;
    }
    UNROLL for (int j = 0; j < held; j++) sum = fma(ys[j], ys[j], sum);
  } else {
    for (int i = thread(); i < D; i += 256) sum = fma(y[i], y[i], sum);
  }
  float r = inverse(root(block_sum<256>(sum) / D + (float)Eps::value));
  if constexpr (held == 0) {
    for (int i = thread(); i < D; i += 256) s[i] = fma(y[i] * r, w[i], h[i]);
    if constexpr (Next) rmsnorm_row<D, Eps>(s, g, n);  // each thread reads what it has written
    return;
  }
  sum = 0;
  UNROLL for (int j = 0; j < held; j++) {
    int i = thread() + j * 256;
    ys[j] = fma(ys[j] * r, ws[j], hs[j]), sum = fma(ys[j], ys[j], sum);
    if (D % 256 == 0 || i < D) s[i] = ys[j];
  }
  if constexpr (Next) {
    r = inverse(root(block_sum<256>(sum) / D + (float)Eps::value));
    UNROLL for (int j = 0; j < held; j++) {
      int i = thread() + j * 256;
      if (D % 256 == 0 || i < D) n[i] = ys[j] * r * gs[j];
    }
  }
}

// s = h + rmsnorm(y) w. s may be h or y. Grid T.
template <int D, class Eps, int T> DEVICE void norm_add(const float *h, const float *y, const float *w, const int *live, float *s, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  norm_add_row<D, Eps, false>(h + at, y + at, w, nullptr, s + at, nullptr);
}

// s = h + rmsnorm(y) w, n = rmsnorm(s) g. s may be h or y. Grid T.
template <int D, class Eps, int T>
DEVICE void norm_add_norm(const float *h, const float *y, const float *w, const float *g, const int *live, float *s, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  norm_add_row<D, Eps, true>(h + at, y + at, w, g, s + at, n + at);
}

// h = the embedding times Scale, n = rmsnorm(h) g. Grid T.
template <class W, int N, int D, class Scale, class Eps, int T>
DEVICE void embed_scale_norm(const int *tokens, const u8 *w, const float *g, const int *live, float *h, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  float *row = h + (long)block * D;
  embed_row<W, N, D>(tokens[block], w, row);
  for (int i = thread(); i < D; i += 256) row[i] *= (float)Scale::value;  // each thread what it has written
  rmsnorm_row<D, Eps>(row, g, n + (long)block * D);
}

// h = the embedding, n = rmsnorm(h) g. Grid T.
template <class W, int N, int D, class Eps, int T>
DEVICE void embed_norm(const int *tokens, const u8 *w, const float *g, const int *live, float *h, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  embed_row<W, N, D>(tokens[block], w, h + (long)block * D);
  rmsnorm_row<D, Eps>(h + (long)block * D, g, n + (long)block * D);
}

}  // namespace hipc
