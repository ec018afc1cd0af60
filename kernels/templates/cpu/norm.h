// norm.h: rmsnorm alone and after an addition or an embedding: rmsnorm(x) = x / sqrt(mean(x²) + eps) · w.
// One block a token: grid T.
#pragma once
#include "embed.h"

namespace hipc {

// Goes over a row of D by vectors: each(i, count) with count = 16 but for the last.
template <int D, class Each> HIPC_INLINE void vectors(Each each) {
  int i = 0;
  for (; i + 16 <= D; i += 16) each(i, std::integral_constant<int, 16>());
  if constexpr (D % 16) each(i, std::integral_constant<int, D % 16>());
}
template <int count> HIPC_INLINE V get(const float *p, std::integral_constant<int, count>) {
  return count == 16 ? load(p) : load(p, count);
}
template <int count> HIPC_INLINE void set(float *p, V a, std::integral_constant<int, count>) {
  count == 16 ? store(p, a) : store(p, a, count);
}

template <int D> HIPC_INLINE float sum_of_squares(const float *x) {
  V s[4] = {zero(), zero(), zero(), zero()};
  int i = 0;
  for (; i + 64 <= D; i += 64)
    HIPC_UNROLL(4) for (int j = 0; j < 4; j++) {
      V a = load(x + i + 16 * j);
      s[j] = fma(a, a, s[j]);
    }
  for (; i < D; i += 16) {
    V a = i + 16 <= D ? load(x + i) : load(x + i, D % 16);
    s[0] = fma(a, a, s[0]);
  }
  return sum((s[0] + s[1]) + (s[2] + s[3]));
}

// y may be x.
template <int D, class Eps> HIPC_INLINE void rmsnorm_row(const float *x, const float *w, float *y) {
  V r = all(1.0f / __builtin_sqrtf(sum_of_squares<D>(x) / D + (float)Eps::value));
  vectors<D>([&](int i, auto n) __attribute__((always_inline)) { set(y + i, get(x + i, n) * r * get(w + i, n), n); });
}

// x[T, R, D]: R rows (heads) a token, one w[D] for all.
template <int R, int D, class Eps, int T>
inline void rmsnorm(const float *x, const float *w, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  for (int r = 0; r < R; r++) {
    long at = ((long)block * R + r) * D;
    rmsnorm_row<D, Eps>(x + at, w, y + at);
  }
}

// s = h + y, n = rmsnorm(s) w. s may be h or y.
template <int D, class Eps, int T>
inline void add_norm(const float *h, const float *y, const float *w, const int *live, float *s, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * D;
  vectors<D>([&](int i, auto c) __attribute__((always_inline)) { set(s + at + i, get(h + at + i, c) + get(y + at + i, c), c); });
  rmsnorm_row<D, Eps>(s + at, w, n + at);
}

// h = the embedding times Scale, n = rmsnorm(h) g.
template <class W, int N, int D, class Scale, class Eps, int T>
inline void embed_scale_norm(const int *tokens, const uint8_t *w, const float *g, const int *live, float *h, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  float *row = h + (long)block * D;
  embed_row<W, N, D>(tokens[block], w, row);
  vectors<D>([&](int i, auto c) __attribute__((always_inline)) { set(row + i, get(row + i, c) * all((float)Scale::value), c); });
  rmsnorm_row<D, Eps>(row, g, n + (long)block * D);
}

// h = the embedding, n = rmsnorm(h) g.
template <class W, int N, int D, class Eps, int T>
inline void embed_norm(const int *tokens, const uint8_t *w, const float *g, const int *live, float *h, float *n, int block) {
  if (block >= live_rows<T>(live)) return;
  embed_row<W, N, D>(tokens[block], w, h + (long)block * D);
  rmsnorm_row<D, Eps>(h + (long)block * D, g, n + (long)block * D);
}

}  // namespace hipc
