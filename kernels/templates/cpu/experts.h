// experts.h: products with experts that a router has chosen. w[E, N, K] in layout x16 is E N rows, N a multiple of 16: expert e begins at
// group e N / 16. id[T, S] are the S experts of each token. An id out of range is clamped: nothing reads past w.
//
// One row: a block is a slot and a tile of outputs, so that each weight of a chosen expert is read once.
// More rows: a block is an expert and a tile of outputs; it gathers the rows that chose it, and where there is none returns at once.
#pragma once
#include "matmul.h"
#include "rotate.h"

namespace hipc {

template <class W, int E, int N, int K> HIPC_INLINE const uint8_t *expert(const uint8_t *w, int id) {
  static_assert(N % 16 == 0, "an expert's rows must be whole groups");
  id = id < 0 ? 0 : id >= E ? E - 1 : id;
  return w + (long)id * (N / 16) * group_bytes<W, K>;
}

constexpr int gathered_rows = 32;  // at once: 256 KiB of stack for 2048 columns

// Rows at(0) ... at(count - 1) against the pair (wa, wb); end(i, a, b).
template <class W, int K, class At, class End>
HIPC_INLINE void gathered(int count, const uint8_t *wa, const uint8_t *wb, At at, End end) {
  alignas(64) float x[gathered_rows * K];
  for (int from = 0; from < count; from += gathered_rows) {
    int n = count - from < gathered_rows ? count - from : gathered_rows;
    for (int i = 0; i < n; i++) __builtin_memcpy(x + (long)i * K, at(from + i), sizeof(float) * K);
    auto put = [&](int i, V a, V b) __attribute__((always_inline)) { end(from + i, a, b); };
    if (n == 1) thin<W, W, K, 1>(x, wa, wb, 0, n, put);
    else if (n == 2) thin<W, W, K, 2>(x, wa, wb, 0, n, put);
    else if (n <= 4) thin<W, W, K, 4>(x, wa, wb, 0, n, put);
    else thick<W, W, K>(x, wa, wb, 0, n, put);
  }
}

// The places i in id[n] that hold e.
template <int most> struct Chosen {
  int count = 0, at[most];
  HIPC_INLINE Chosen(const int *id, int n, int e) {
    V want = all((float)e);  // ids are far below 2^24
    int i = 0;
    for (; i + 16 <= n; i += 16) {
      if (!any(same(real(words(id + i)), want))) continue;
      for (int j = i; j < i + 16; j++)
        if (id[j] == e) at[count++] = j;
    }
    for (; i < n; i++)
      if (id[i] == e) at[count++] = i;
  }
};

constexpr int expert_tile = 64;  // outputs of a block where there are more rows than one

// matmul_each for an N that isn't whole groups: an expert then begins within one, and every weight is decoded by itself. Slow, and right.
// Grid T * S.
template <class W, int E, int S, int K, int N, int PerSlot, int T>
inline void matmul_each_any(const float *x, const int *id, const uint8_t *w, const int *live, float *y, int block) {
  int t = block / S, e = id[block] < 0 ? 0 : id[block] >= E ? E - 1 : id[block];
  if (t >= live_rows<T>(live)) return;
  x += (long)(PerSlot ? block : t) * K;
  for (int n = 0; n < N; n++) {
    long row = (long)e * N + n;
    const uint8_t *p = w + row / 16 * group_bytes<W, K>;
    float sum = 0;
    for (int k = 0; k < K; k += W::block, p += W::bytes) {
      float v[W::block];
      W::lane(p, row % 16, v);
      for (int i = 0; i < W::block; i++) sum += v[i] * x[k + i];
    }
    y[(long)block * N + n] = sum;
  }
}

// y[T, S, N] = w[id] · x, with x[T, K], or x[T, S, K] where PerSlot is 1.
// Grid S * ((N + 31) / 32) for T == 1; else E * ((N + 63) / 64).
template <class W, int E, int S, int K, int N, int PerSlot, int T>
inline void matmul_each(const float *x, const int *id, const uint8_t *w, const int *live, float *y, int block) {
  auto row = [&](int i) __attribute__((always_inline)) { return x + (long)(PerSlot ? i : i / S) * K; };
  if constexpr (T == 1) {
    constexpr int tiles = ceil_div(N, 32);
    int s = block / tiles;
    Columns<W, K, N> c(expert<W, E, N, K>(w, id[s]), block % tiles);
    thin<W, W, K, 1>(row(s), c.a, c.b, 0, 1, [&](int, V a, V b) __attribute__((always_inline)) { put<N>(y + s * N, nullptr, c.n, a, b); });
  } else {
    constexpr int tiles = ceil_div(N, expert_tile);
    int e = block / tiles, from = block % tiles * (expert_tile / 32);
    Chosen<T * S> list(id, live_rows<T>(live) * S, e);
    if (list.count == 0) return;
    for (int tile = from; tile < from + expert_tile / 32 && tile * 32 < N; tile++) {
      Columns<W, K, N> c(expert<W, E, N, K>(w, e), tile);
      gathered<W, K>(list.count, c.a, c.b, [&](int i) __attribute__((always_inline)) { return row(list.at[i]); },
                     [&](int i, V a, V b) __attribute__((always_inline)) { put<N>(y + (long)list.at[i] * N, nullptr, c.n, a, b); });
    }
  }
}

// y[T, S, F] = silu(g) u, g the first F of the 2 F outputs of w[id] · x and u the others.
// Grid S * (F / 16) for T == 1; else E * ((F + 31) / 32).
template <class W, int E, int S, int K, int F, int PerSlot, int T>
inline void swiglu_each(const float *x, const int *id, const uint8_t *w, const int *live, float *y, int block) {
  static_assert(F % 16 == 0, "gate and up must be whole groups");
  constexpr long up = F / 16 * group_bytes<W, K>;
  auto row = [&](int i) __attribute__((always_inline)) { return x + (long)(PerSlot ? i : i / S) * K; };
  if constexpr (T == 1) {
    int s = block / (F / 16), tile = block % (F / 16);
    const uint8_t *g = expert<W, E, 2 * F, K>(w, id[s]) + tile * group_bytes<W, K>;
    thin<W, W, K, 1>(row(s), g, g + up, 0, 1,
                     [&](int, V a, V b) __attribute__((always_inline)) { store(y + s * F + tile * 16, silu::of(a) * b); });
  } else {
    constexpr int tiles = ceil_div(F, 32);
    int e = block / tiles, from = block % tiles * 2;
    Chosen<T * S> list(id, live_rows<T>(live) * S, e);
    if (list.count == 0) return;
    for (int tile = from; tile < from + 2 && tile < F / 16; tile++) {
      const uint8_t *g = expert<W, E, 2 * F, K>(w, e) + tile * group_bytes<W, K>;
      gathered<W, K>(list.count, g, g + up, [&](int i) __attribute__((always_inline)) { return row(list.at[i]); },
                     [&](int i, V a, V b) __attribute__((always_inline)) {
                       store(y + (long)list.at[i] * F + tile * 16, silu::of(a) * b);
                     });
    }
  }
}

// G values of silu(a · wa) (b · wb), one row, rotated.
template <class WA, class WB, int K, int G, class A, class B>
HIPC_INLINE void swiglu_group(const A &a, const uint8_t *wa, const B &b, const uint8_t *wb, const uint8_t *r, float *y) {
  alignas(64) float v[G];
  for (int i = 0; i < G / 16; i++) {
    V g, u;
    a.times(wa + i * group_bytes<WA, K>, &g);
    b.times(wb + i * group_bytes<WB, K>, &u);
    store(v + 16 * i, silu::of(g) * u);
  }
  rotate_group<G>(r, [&](int i) __attribute__((always_inline)) { return load(v + i); },
                  [&](int i, V o) __attribute__((always_inline)) { store(y + i, o); });
}

// y = rotate(silu(a · wa) (b · wb), r), one row. A block is a group of r: grid N / G. Few blocks: it's meant to stand beside the routed
// experts' launch, as one expert more.
template <class WA, class WB, int K, int N, int G>
inline void swiglu_rotate(const float *a, const uint8_t *wa, const float *b, const uint8_t *wb, const uint8_t *r, float *y, int block) {
  static_assert(N % G == 0, "the outputs must be whole groups");
  Operand<WA, K, 1> xa(a);
  Operand<WB, K, 1> xb(b);
  swiglu_group<WA, WB, K, G>(xa, wa + (long)block * (G / 16) * group_bytes<WA, K>, xb, wb + (long)block * (G / 16) * group_bytes<WB, K>,
                             r + block * rotation_bytes<G>, y + block * G);
}

// y[S, F] = swiglu_each, each slot rotated by r; one row. Grid S * (F / G).
template <class W, int E, int S, int K, int F, int G, int PerSlot>
inline void swiglu_each_rotate(const float *x, const int *id, const uint8_t *w, const uint8_t *r, float *y, int block) {
  static_assert(F % G == 0, "an expert's width must be whole groups");
  int s = block / (F / G), group = block % (F / G);
  Operand<W, K, 1> xs(x + (PerSlot ? s * K : 0));
  const uint8_t *g = expert<W, E, 2 * F, K>(w, id[s]) + group * (G / 16) * group_bytes<W, K>;
  swiglu_group<W, W, K, G>(xs, g, xs, g + F / 16 * group_bytes<W, K>, r + group * rotation_bytes<G>, y + s * F + group * G);
}

// y = silu(a · wa) (b · wb), N outputs, K inputs each; a and b are two rows, as two rotations of one row are.
// Grid ((N + 31) / 32) * ((T + 255) / 256).
template <class WA, class WB, int K, int N, int T>
inline void swiglu2(const float *a, const uint8_t *wa, const float *b, const uint8_t *wb, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, 32);
  Columns<WA, K, N> ca(wa, block % tiles);
  Columns<WB, K, N> cb(wb, block % tiles);
  product<WA, WA, K, T>(a, ca.a, ca.b, live, block / tiles, [&](int t, V g, V h) __attribute__((always_inline)) {
    put<N>(y + (long)t * N, nullptr, ca.n, silu::of(g), silu::of(h));
  });
  product<WB, WB, K, T>(b, cb.a, cb.b, live, block / tiles, [&](int t, V u, V v) __attribute__((always_inline)) {
    float *to = y + (long)t * N;
    int n = cb.n, rest = N - n < 32 ? N - n : 32;
    u = u * load(to + n, rest < 16 ? rest : 16);
    if (rest > 16) v = v * load(to + n + 16, rest - 16);
    put<N>(to, nullptr, n, u, v);
  });
}

}  // namespace hipc
