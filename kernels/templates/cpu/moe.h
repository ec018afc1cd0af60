// moe.h: what comes before and after the experts: the router's choice, and the weighted sum with the shared expert and the residual.
#pragma once
#include "experts.h"
#include "tail.h"

namespace hipc {

// y = e^(x - max x) / Σ; x[T, R, D]. Grid T. y may be x.
template <int D> HIPC_INLINE V exponentials(const float *x, float *y) {  // without the division; returns the sum in all lanes
  V top = all(greatest<D>(x)), s = zero();
  vectors<D>([&](int i, auto n) __attribute__((always_inline)) {
    V e = exponential(get(x + i, n) - top);
    if (n < 16) e = choose(less(ramp(), all((float)n)), e, zero());
    set(y + i, e, n);
    s = s + e;
  });
  return all(sum(s));
}
template <int R, int D, int T> inline void softmax(const float *x, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  for (int r = 0; r < R; r++) {
    float *to = y + ((long)block * R + r) * D;
    V by = all(1.0f) / exponentials<D>(x + ((long)block * R + r) * D, to);
    vectors<D>([&](int i, auto n) __attribute__((always_inline)) { set(to + i, get(to + i, n) * by, n); });
  }
}

// The K greatest of x[E], the lower index first among equals. Ids are always in range and distinct, whatever x holds: NaN comes last.
template <int E, int K> HIPC_INLINE void topk_row(const float *x, float *p, int *id) {
  static_assert(K <= E, "there are fewer values than are wanted");
  constexpr int n = ceil_div(E, 16);
  alignas(64) float left[n * 16];
  for (int i = 0; i < n * 16; i++) left[i] = -__builtin_inff();
  vectors<E>([&](int i, auto c) __attribute__((always_inline)) { set(left + i, max(get(x + i, c), all(-3e38f)), c); });
  for (int k = 0; k < K; k++) {
    V top = load(left);
    for (int i = 1; i < n; i++) top = max(top, load(left + 16 * i));
    float most = peak(top);
    int i = 0;
    while (!any(same(load(left + i), all(most)))) i += 16;
    while (left[i] != most) i++;
    id[k] = i, p[k] = x[i], left[i] = -__builtin_inff();
  }
}

// Grid T.
template <int E, int K, int T> inline void topk(const float *x, const int *live, float *p, int *id, int block) {
  if (block >= live_rows<T>(live)) return;
  topk_row<E, K>(x + (long)block * E, p + (long)block * K, id + (long)block * K);
}

// p, id = topk(softmax(l)), then p / Σ p: the softmax's own sum falls out.
template <int E, int K> HIPC_INLINE void softmax_topk_row(const float *l, float *p, int *id) {
  alignas(64) float e[ceil_div(E, 16) * 16];
  exponentials<E>(l, e);
  topk_row<E, K>(e, p, id);
  float s = 0;
  for (int k = 0; k < K; k++) s += p[k];
  for (int k = 0; k < K; k++) p[k] /= s;
}

// Grid T.
template <int E, int K, int T> inline void softmax_topk(const float *l, const int *live, float *p, int *id, int block) {
  if (block >= live_rows<T>(live)) return;
  softmax_topk_row<E, K>(l + (long)block * E, p + (long)block * K, id + (long)block * K);
}

// Counts a block as done; true in the last one, which sees what all others have written. ticket is 0 before and after.
template <int blocks> HIPC_INLINE bool last_block(int *ticket) {
  if (__atomic_add_fetch(ticket, 1, __ATOMIC_ACQ_REL) < blocks) return false;
  __atomic_store_n(ticket, 0, __ATOMIC_RELAXED);
  return true;
}

// One row: l = x · w and, in the block that ends last, softmax_topk(l). Grid (E + 31) / 32.
template <class W, int D, int E, int K>
inline void router(const float *x, const uint8_t *w, int *ticket, float *l, float *p, int *id, int block) {
  matmul<W, D, E, 1>(x, w, nullptr, l, block);
  if (last_block<ceil_div(E, 32)>(ticket)) softmax_topk_row<E, K>(l, p, id);
}

// One row: l = x · w and, in the block that ends last, the lowest index of the greatest. Grid (N + 31) / 32. The logits of a vocabulary
// of 248,320 are a thousandth of the bytes of its matrix: looking through them once more costs less than keeping maxima apart.
template <class W, int K, int N>
inline void matmul_argmax(const float *x, const uint8_t *w, int *pos, int *ticket, float *l, int *next, int block) {
  matmul<W, K, N, 1>(x, w, nullptr, l, block);
  if (last_block<ceil_div(N, 32)>(ticket)) argmax<N>(l, pos, next, 0);
}

// y[B] = Σ x[A, B] over A. Grid T.
template <int A, int B, int T> inline void sum_first(const float *x, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  x += (long)block * A * B, y += (long)block * B;
  vectors<B>([&](int i, auto n) __attribute__((always_inline)) {
    V s = zero();
    for (int a = 0; a < A; a++) s = s + get(x + (long)a * B + i, n);
    set(y + i, s, n);
  });
}

// out = h + (Σ_k w[k] y[k] + sigmoid(s) sh), without sh where s is null. Grid T * ((D + 511) / 512). out may be h or sh.
constexpr int sum_span = 512;
template <int K, int D, int T>
HIPC_INLINE void weighted(const float *w, const float *y, const float *s, const float *sh, const float *h, const int *live, float *out,
                          int block) {
  constexpr int parts = ceil_div(D, sum_span);
  int t = block / parts, from = block % parts * sum_span, to = D - from < sum_span ? D : from + sum_span;
  if (t >= live_rows<T>(live)) return;
  w += (long)t * K, y += (long)t * K * D;
  long row = (long)t * D;
  V gate = s ? sigmoid::of(all(s[t])) : zero();
  for (int i = from; i < to; i += 16) {
    int n = to - i < 16 ? to - i : 16;
    V a = zero();
    for (int k = 0; k < K; k++) a = fma(all(w[k]), load(y + (long)k * D + i, n), a);
    if (s) a = fma(gate, load(sh + row + i, n), a);
    store(out + row + i, load(h + row + i, n) + a, n);
  }
}
template <int K, int D, int T>
inline void moe_sum(const float *w, const float *y, const float *s, const float *sh, const float *h, const int *live, float *out, int block) {
  weighted<K, D, T>(w, y, s, sh, h, live, out, block);
}
template <int K, int D, int T>
inline void experts_sum(const float *w, const float *y, const float *h, const int *live, float *out, int block) {
  weighted<K, D, T>(w, y, nullptr, nullptr, h, live, out, block);
}

// One row: 32 outputs of all K chosen experts w[E, N, F] and, where ws isn't null, of the shared one ws[N, FS].
template <class W, class WS, int E, int K, int F, int FS, int N>
HIPC_INLINE void down(const float *p, const int *id, const float *y, const uint8_t *w, const float *s, const float *ys, const uint8_t *ws,
                      const float *h, float *out, int block) {
  V a = zero(), b = zero();
  for (int k = 0; k < K; k++) {
    Columns<W, F, N> c(expert<W, E, N, F>(w, id[k]), block);
    thin<W, W, F, 1>(y + k * F, c.a, c.b, 0, 1,
                     [&](int, V u, V v) __attribute__((always_inline)) { a = fma(u, p + k, a), b = fma(v, p + k, b); });
  }
  if (ws) {
    V gate = sigmoid::of(all(*s));
    Columns<WS, FS, N> c(ws, block);
    thin<WS, WS, FS, 1>(ys, c.a, c.b, 0, 1, [&](int, V u, V v) __attribute__((always_inline)) { a = fma(gate, u, a), b = fma(gate, v, b); });
  }
  put<N>(out, h, block * 32, a, b);
}

// One row: h + (Σ_k p[k] y[k] · w[id[k]] + sigmoid(s) ys · ws), and with _norm n = rmsnorm(.) g in the block that ends last; experts_ without a
// shared expert. Grid (N + 31) / 32. The sum may be h.
template <class W, class WS, int E, int K, int F, int FS, int N>
inline void moe_down(const float *p, const int *id, const float *y, const uint8_t *w, const float *s, const float *ys, const uint8_t *ws,
                     const float *h, float *out, int block) {
  down<W, WS, E, K, F, FS, N>(p, id, y, w, s, ys, ws, h, out, block);
}
template <class W, class WS, int E, int K, int F, int FS, int N, class Eps>
inline void moe_down_norm(const float *p, const int *id, const float *y, const uint8_t *w, const float *s, const float *ys,
                          const uint8_t *ws, const float *h, const float *g, int *ticket, float *out, float *n, int block) {
  down<W, WS, E, K, F, FS, N>(p, id, y, w, s, ys, ws, h, out, block);
  if (last_block<ceil_div(N, 32)>(ticket)) rmsnorm_row<N, Eps>(out, g, n);
}
template <class W, int E, int K, int F, int N>
inline void experts_down(const float *p, const int *id, const float *y, const uint8_t *w, const float *h, float *out, int block) {
  down<W, W, E, K, F, F, N>(p, id, y, w, nullptr, nullptr, nullptr, h, out, block);
}
template <class W, int E, int K, int F, int N, class Eps>
inline void experts_down_norm(const float *p, const int *id, const float *y, const uint8_t *w, const float *h, const float *g, int *ticket,
                              float *out, float *n, int block) {
  down<W, W, E, K, F, F, N>(p, id, y, w, nullptr, nullptr, nullptr, h, out, block);
  if (last_block<ceil_div(N, 32)>(ticket)) rmsnorm_row<N, Eps>(out, g, n);
}

}  // namespace hipc
