// rotate.h: ParoQuant's rotation of an activation, alone, after a norm, after a gate.
//
// Channels come in groups of G that are independent. A group of r (76 G bytes): G f32 scales, then for each of 8 stages G u8 partners
// (a channel without one is its own), G f32 cosines, G f32 sines, signed: v[i] <- cos[i] v[i] + sin[i] v[partner[i]], after v[i] =
// x[i] scale[i]. A group stays in registers through all stages (AVX-512), or in L1 (AVX2).
//
// 2048 channels in groups of 128 on one Zen 4 core: 2.1 µs with the rotation's 152 KiB in cache, 6.8 with gathers instead of shuffles (AVX2, by
// gathers: 5.7), and 13 to 17 from memory, which it is bound by.
#pragma once
#include "elementwise.h"
#include "shuffle.h"

namespace hipc {

constexpr int rotation_stages = 8;
template <int G> constexpr long rotation_bytes = 4 * G + rotation_stages * 9 * G;

// One group: get(i) gives channels i ... i + 15 of it, put(i, v) takes them. r is the group's.
template <int G, class Get, class Put> HIPC_INLINE void rotate_group(const uint8_t *r, Get get, Put put) {
  static_assert(G % 32 == 0 && G <= 128, "groups of 32, 64 or 128 channels");
  constexpr int n = G / 16;
  alignas(64) V v[n];
  HIPC_UNROLL(8) for (int i = 0; i < n; i++) v[i] = get(16 * i) * load((const float *)r + 16 * i);
  r += 4 * G;
  HIPC_UNROLL(1) for (int s = 0; s < rotation_stages; s++, r += 9 * G) {
    const float *cos = (const float *)(r + G), *sin = cos + G;
    alignas(64) V u[n];
    HIPC_UNROLL(8) for (int i = 0; i < n; i++) u[i] = fma(load(sin + 16 * i), picked<G>(v, r + 16 * i), load(cos + 16 * i) * v[i]);
    HIPC_UNROLL(8) for (int i = 0; i < n; i++) v[i] = u[i];
  }
  HIPC_UNROLL(8) for (int i = 0; i < n; i++) put(16 * i, v[i]);
}

// A block of the kernels below: one group, for one row of `rows`, or for rotated_rows of them if there are more than 8.
constexpr int rotated_rows = 16;
template <int rows> constexpr int rotated_tile = rows > 8 ? rotated_rows : 1;

// Calls each(row, group) for what block has to do; live counts tokens, of R rows each.
template <int R, int Groups, int T, class Each> HIPC_INLINE void rotated(const int *live, int block, Each each) {
  constexpr int tile = rotated_tile<T * R>;
  int group = block % Groups, row = block / Groups * tile, rows = live_rows<T>(live) * R;
  for (int end = row + tile < rows ? row + tile : rows; row < end; row++) each(row, group);
}

// y = rotate(x, r): x[T, R, K], each of the R rows by itself. y may be x.
// Grid K / G * T * R, for T * R > 8 K / G * ((T * R + 15) / 16).
template <int R, int K, int G, int T>
inline void rotate(const float *x, const uint8_t *r, const int *live, float *y, int block) {
  static_assert(K % G == 0, "the width must be whole groups");
  rotated<R, K / G, T>(live, block, [&](int row, int group) __attribute__((always_inline)) {
    long at = (long)row * K + group * G;
    rotate_group<G>(r + group * rotation_bytes<G>, [&](int i) __attribute__((always_inline)) { return load(x + at + i); },
                    [&](int i, V v) __attribute__((always_inline)) { store(y + at + i, v); });
  });
}

// n = rmsnorm(x) w and y[j] = rotate(n, r[j]): one launch takes up to four rotations, passed as (r_1 ..., live, n, y_1 ...). A block is a
// token, so its norm is taken once. For a single token that is one block for all its work: there the planner takes the norm in the
// product's last block and lets the rotations share a launch instead. Cutting a token into two groups a block
// was dropped, untimed: each block then sums the row's squares by itself, a tenth of the work as its author counted it.
// Grid T.
template <int K, int G, class Eps, int N, int T>
HIPC_INLINE void norm_rotate_block(const float *x, const float *w, const uint8_t *const *r, const int *live, float *n, float *const *y, int block) {
  static_assert(K % G == 0, "the width must be whole groups");
  if (block >= live_rows<T>(live)) return;
  long at = (long)block * K;
  rmsnorm_row<K, Eps>(x + at, w, n + at);
  for (int j = 0; j < N; j++)
    for (int group = 0; group < K / G; group++) {
      const float *ng = n + at + group * G;
      float *yg = y[j] + at + group * G;
      rotate_group<G>(r[j] + group * rotation_bytes<G>, [&](int i) __attribute__((always_inline)) { return load(ng + i); },
                      [&](int i, V v) __attribute__((always_inline)) { store(yg + i, v); });
    }
}
template <int K, int G, class Eps, int T>
inline void norm_rotate(const float *x, const float *w, const uint8_t *r0, const int *live, float *n, float *y0, int block) {
  const uint8_t *r[] = {r0};
  float *y[] = {y0};
  norm_rotate_block<K, G, Eps, 1, T>(x, w, r, live, n, y, block);
}
template <int K, int G, class Eps, int T>
inline void norm_rotate2(const float *x, const float *w, const uint8_t *r0, const uint8_t *r1, const int *live, float *n, float *y0,
                         float *y1, int block) {
  const uint8_t *r[] = {r0, r1};
  float *y[] = {y0, y1};
  norm_rotate_block<K, G, Eps, 2, T>(x, w, r, live, n, y, block);
}
template <int K, int G, class Eps, int T>
inline void norm_rotate3(const float *x, const float *w, const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const int *live,
                         float *n, float *y0, float *y1, float *y2, int block) {
  const uint8_t *r[] = {r0, r1, r2};
  float *y[] = {y0, y1, y2};
  norm_rotate_block<K, G, Eps, 3, T>(x, w, r, live, n, y, block);
}
template <int K, int G, class Eps, int T>
inline void norm_rotate4(const float *x, const float *w, const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
                         const int *live, float *n, float *y0, float *y1, float *y2, float *y3, int block) {
  const uint8_t *r[] = {r0, r1, r2, r3};
  float *y[] = {y0, y1, y2, y3};
  norm_rotate_block<K, G, Eps, 4, T>(x, w, r, live, n, y, block);
}

// y = rmsnorm(o) w silu(z) over each of the R heads of D. Grid T.
template <int R, int D, class Eps, int T>
inline void gated_norm(const float *o, const float *w, const float *z, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  for (int h = 0; h < R; h++) {
    long at = ((long)block * R + h) * D;
    V by = all(1.0f / __builtin_sqrtf(sum_of_squares<D>(o + at) / D + (float)Eps::value));
    vectors<D>([&](int i, auto n) __attribute__((always_inline)) {
      set(y + at + i, get(o + at + i, n) * by * get(w + i, n) * silu::of(get(z + at + i, n)), n);
    });
  }
}

// Group `group` of rotate(rmsnorm(o) w silu(z), r), o, z and y being heads of D one after another from the head where a group begins.
template <int D, int G, class Eps>
HIPC_INLINE void gated_norm_group(const float *o, const float *w, const float *z, const uint8_t *r, float *y, int group) {
  static_assert(D % G == 0 || G % D == 0, "a rotation's group holds whole heads, or a head whole groups");
  static_assert(D % 16 == 0, "heads are whole vectors");
  constexpr int heads = G > D ? G / D : 1;
  int at = group * G, head = at / D * D;
  V by[heads];
  for (int h = 0; h < heads; h++) by[h] = all(1.0f / __builtin_sqrtf(sum_of_squares<D>(o + head + h * D) / D + (float)Eps::value));
  rotate_group<G>(r + group * rotation_bytes<G>,
                  [&](int i) __attribute__((always_inline)) {
                    return load(o + at + i) * by[heads > 1 ? i / D : 0] * load(w + (at + i) % D) * silu::of(load(z + at + i));
                  },
                  [&](int i, V v) __attribute__((always_inline)) { store(y + at + i, v); });
}

// y = rotate(rmsnorm(o) w silu(z), r), o and z[T, R, D], r over all R * D. Grid R * D / G * T, for T > 8 R * D / G * ((T + 15) / 16).
// y must not be o; it may be z.
template <int R, int D, int G, class Eps, int T>
inline void gated_norm_rotate(const float *o, const float *w, const float *z, const uint8_t *r, const int *live, float *y, int block) {
  constexpr int K = R * D;
  static_assert(K % G == 0, "the width must be whole groups");
  rotated<1, K / G, T>(live, block, [&](int row, int group) __attribute__((always_inline)) {
    long at = (long)row * K;
    gated_norm_group<D, G, Eps>(o + at, w, z + at, r, y + at, group);
  });
}

}  // namespace hipc
