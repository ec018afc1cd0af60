// matmul.h: products with a weight w of N rows of K, and what may follow them in the same launch. y[t, n] = Σ x[t, k] w[n, k].
//
// Grid of matmul and matmul_add: ((N + 31) / 32) * ((T + 255) / 256); of matmul_add_norm: (N + 31) / 32; of swiglu:
// ((N + 15) / 16) * ((T + 255) / 256). K is a multiple of the format's block, N is any; padding rows are never written.
#pragma once
#include "norm.h"
#include "product.h"

namespace hipc {

// A tile of N outputs: the pair of groups of one block, and storing as much of them as there is.
template <class W, int K, int N> struct Columns {
  static constexpr int groups = ceil_div(N, 16);
  int n;
  const uint8_t *a, *b;
  HIPC_INLINE Columns(const uint8_t *w, int tile) : n(tile * 32) {
    a = w + tile * 2 * group_bytes<W, K>;
    b = groups % 2 && tile * 2 + 1 == groups ? a : a + group_bytes<W, K>;  // an odd last group is its own partner
  }
};

// Adds the row at h (unless null) and stores outputs n ... n + 31 of one row that are below N.
template <int N> HIPC_INLINE void put(float *y, const float *h, int n, V a, V b) {
  if (N % 32 == 0 || n + 32 <= N) {
    if (h) a = a + load(h + n), b = b + load(h + n + 16);
    store(y + n, a), store(y + n + 16, b);
    return;
  }
  for (; n < N; n += 16, a = b) {
    int count = N - n < 16 ? N - n : 16;
    if (h) a = a + load(h + n, count);
    store(y + n, a, count);
  }
}

template <class W, int K, int N, int T>
inline void matmul(const float *x, const uint8_t *w, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, 32);
  Columns<W, K, N> c(w, block % tiles);
  product<W, W, K, T>(x, c.a, c.b, live, block / tiles, [&](int t, V a, V b) __attribute__((always_inline)) {
    put<N>(y + (long)t * N, nullptr, c.n, a, b);
  });
}

// y = h + x · w. y may be h.
template <class W, int K, int N, int T>
inline void matmul_add(const float *x, const uint8_t *w, const float *h, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, 32);
  Columns<W, K, N> c(w, block % tiles);
  product<W, W, K, T>(x, c.a, c.b, live, block / tiles, [&](int t, V a, V b) __attribute__((always_inline)) {
    put<N>(y + (long)t * N, h + (long)t * N, c.n, a, b);
  });
}

// s = h + x · w and, in the block that ends last, n = rmsnorm(s) g: one row. s may be h. ticket counts the blocks that are
// done; it is 0 before and after.
template <class W, int K, int N, class Eps>
inline void matmul_add_norm(const float *x, const uint8_t *w, const float *h, const float *g, int *ticket, float *s, float *n, int block) {
  matmul_add<W, K, N, 1>(x, w, h, nullptr, s, block);
  if (__atomic_add_fetch(ticket, 1, __ATOMIC_ACQ_REL) < ceil_div(N, 32)) return;
  __atomic_store_n(ticket, 0, __ATOMIC_RELAXED);
  rmsnorm_row<N, Eps>(s, g, n);
}

// y = silu(x · wg) (x · wu), both of N rows; each in its own format.
template <class WG, class WU, int K, int N, int T>
inline void swiglu(const float *x, const uint8_t *wg, const uint8_t *wu, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, 16);
  int tile = block % tiles, n = tile * 16, count = N - n < 16 ? N - n : 16;
  product<WG, WU, K, T>(x, wg + tile * group_bytes<WG, K>, wu + tile * group_bytes<WU, K>, live, block / tiles,
                        [&](int t, V g, V u) __attribute__((always_inline)) {
                          V a = g * u / (all(1.0f) + exponential(zero() - g));
                          if (N % 16 == 0) store(y + (long)t * N + n, a);
                          else store(y + (long)t * N + n, a, count);
                        });
}

}  // namespace hipc
