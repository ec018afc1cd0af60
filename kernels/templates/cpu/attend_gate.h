// attend_gate.h: attention, times sigmoid of a gate, and the rotation that the next product wants.
// A block gates what it has attended to itself, so grids are attend_kv's.
#pragma once
#include "attend.h"
#include "rotate.h"

namespace hipc {

// Calls each(offset, width) for the channels of q that block has attended to: whole heads, row by row.
template <int H, int KV, int D, int T, class Each> HIPC_INLINE void attended(const int *live, int block, Each each) {
  int rows = live_rows<T>(live);
  if constexpr (T <= 8) {
    constexpr int width = H / KV * D;
    for (int t = 0; t < rows; t++) each((long)t * H * D + block * width, std::integral_constant<int, width>());
  } else {
    constexpr int R = attend_tile, tiles = ceil_div(T, R);
    int h = block % H, t = (tiles - 1 - block / H) * R;
    for (int end = t + R < rows ? t + R : rows; t < end; t++) each(((long)t * H + h) * D, std::integral_constant<int, D>());
  }
}

// y = attend_kv(q) sigmoid(g), q, g and y[T, H, D].
template <int H, int KV, int D, int P, class Scale, int Window, int T>
inline void attend_gate(const float *q, const float *g, const int *pos, const int *live, const int *table, float *y, const float *kv,
                        int block) {
  attend_kv<H, KV, D, P, Scale, Window, T>(q, pos, live, table, y, kv, block);
  attended<H, KV, D, T>(live, block, [&](long at, auto width) __attribute__((always_inline)) {
    for (long i = at; i < at + width; i += 16) store(y + i, load(y + i) * sigmoid::of(load(g + i)));
  });
}

// y = rotate(attend_kv(q) sigmoid(g), r), r over all H * D. The channels of a block must be whole groups: H / KV * D for T <= 8, else D.
template <int H, int KV, int D, int P, class Scale, int Window, int G, int T>
inline void attend_gate_rotate(const float *q, const float *g, const uint8_t *r, const int *pos, const int *live, const int *table, float *y,
                               const float *kv, int block) {
  attend_kv<H, KV, D, P, Scale, Window, T>(q, pos, live, table, y, kv, block);
  attended<H, KV, D, T>(live, block, [&](long at, auto width) __attribute__((always_inline)) {
    static_assert(width % G == 0, "what a block attends to must be whole groups");
    const uint8_t *group = r + at % (H * D) / G * rotation_bytes<G>;
    for (long i = at; i < at + width; i += G, group += rotation_bytes<G>)
      rotate_group<G>(group, [&](int c) __attribute__((always_inline)) { return load(y + i + c) * sigmoid::of(load(g + i + c)); },
                      [&](int c, V v) __attribute__((always_inline)) { store(y + i + c, v); });
  });
}

}  // namespace hipc
