// gated.h: gated products with any activation, and norms of what a block gives, before it is added to the residual stream.
#pragma once
#include "elementwise.h"
#include "matmul.h"

namespace hipc {

// y = act(x · wg) (x · wu), both of N rows; each in its own format.
template <class Act, class WG, class WU, int K, int N, int T>
HIPC_INLINE void gated(const float *x, const uint8_t *wg, const uint8_t *wu, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, 16);
  int tile = block % tiles, n = tile * 16, count = N - n < 16 ? N - n : 16;
  product<WG, WU, K, T>(x, wg + tile * group_bytes<WG, K>, wu + tile * group_bytes<WU, K>, live, block / tiles,
                        [&](int t, V g, V u) __attribute__((always_inline)) {
                          V a = Act::of(g) * u;
                          if (N % 16 == 0) store(y + (long)t * N + n, a);
                          else store(y + (long)t * N + n, a, count);
                        });
}

// Gemma's, with gelu as tanh approximates it. Grid ((N + 15) / 16) * ((T + 255) / 256).
template <class WG, class WU, int K, int N, int T>
inline void geglu(const float *x, const uint8_t *wg, const uint8_t *wu, const int *live, float *y, int block) {
  gated<gelu_tanh, WG, WU, K, N, T>(x, wg, wu, live, y, block);
}

// s = h + rmsnorm(y) w of one row. s may be h or y.
template <int D, class Eps> HIPC_INLINE void norm_add_row(const float *h, const float *y, const float *w, float *s) {
  V r = all(1.0f / __builtin_sqrtf(sum_of_squares<D>(y) / D + (float)Eps::value));
  vectors<D>([&](int i, auto n) __attribute__((always_inline)) { set(s + i, get(h + i, n) + get(y + i, n) * r * get(w + i, n), n); });
}

// s = h + rmsnorm(x · w) p of one row, in the block that ends last; till then the product lies in s, which is no operand. ticket is 0
// before and after. Grid (N + 31) / 32. True in that block.
template <class W, int K, int N, class Eps>
inline bool matmul_norm_add(const float *x, const uint8_t *w, const float *h, const float *p, int *ticket, float *s, int block) {
  matmul<W, K, N, 1>(x, w, nullptr, s, block);
  if (__atomic_add_fetch(ticket, 1, __ATOMIC_ACQ_REL) < ceil_div(N, 32)) return false;
  __atomic_store_n(ticket, 0, __ATOMIC_RELAXED);
  norm_add_row<N, Eps>(h, s, p, s);
  return true;
}

// The same and n = rmsnorm(s) g.
template <class W, int K, int N, class Eps>
inline void matmul_norm_add_norm(const float *x, const uint8_t *w, const float *h, const float *p, const float *g, int *ticket, float *s,
                                 float *n, int block) {
  if (matmul_norm_add<W, K, N, Eps>(x, w, h, p, ticket, s, block)) rmsnorm_row<N, Eps>(s, g, n);
}

// Grid T.
template <int D, class Eps, int T>
inline void norm_add(const float *h, const float *y, const float *w, const int *live, float *s, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  norm_add_row<D, Eps>(h + at, y + at, w, s + at);
}

// s = h + rmsnorm(y) w, n = rmsnorm(s) g. Grid T.
template <int D, class Eps, int T>
inline void norm_add_norm(const float *h, const float *y, const float *w, const float *g, const int *live, float *s, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  norm_add_row<D, Eps>(h + at, y + at, w, s + at);
  rmsnorm_row<D, Eps>(s + at, g, n + at);
}

}  // namespace hipc
