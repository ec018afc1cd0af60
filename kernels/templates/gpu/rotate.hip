// rotate.hip: ParoQuant's rotation of an activation, alone, after a norm, after a gate. What it is, and a rotation's bytes:
// templates/cpu/rotate.h.
//
// A warp takes a span of 128 channels of a row, whole groups: a lane has four, so scales, cosines and sines are 16-byte loads, and all of
// a span's 9.7 KB are under way before the first stage. Partners come through the warp's own piece of shared memory: a stage is a write,
// four reads and no barrier of the block. In a decode step one warp of a block turns (a norm before it is all warps' work), so that as many units as
// there are spans load.
#pragma once
#include "elementwise.hip"
#include "norm.hip"

namespace hipc {

constexpr int rotation_stages = 8, span_width = 128;
template <int G> constexpr long rotation_bytes = 4 * G + rotation_stages * 9 * G;

// The warps' pieces, each in two halves that stages use in turn.
struct Boxes {
  float box[8][2][span_width];
};

// What a lane has of a rotation: four channels, those of a group being G / 4 lanes.
template <int G> struct Turns {
  static_assert(G == 32 || G == 64 || G == 128, "groups of 32, 64 or 128 channels");
  const float *scale;  // read when it's wanted, with the row: four registers less let a unit hold two blocks
  f4 cos[rotation_stages], sin[rotation_stages];
  u32 partner[rotation_stages];
  // r is of the lane's group.
  DEVICE void load(const u8 *r) {
    int l = lane() % (G / 4);
    scale = (const float *)r + 4 * l;
    UNROLL for (int s = 0; s < rotation_stages; s++) {
      const u8 *at = r + 4 * G + s * 9 * G;
      partner[s] = *(const u32 *)(at + 4 * l), cos[s] = load4((const float *)(at + G) + 4 * l), sin[s] = load4((const float *)(at + 5 * G) + 4 * l);
    }
  }
  // All lanes of the warp.
  DEVICE f4 apply(f4 v, float (*box)[span_width]) const { return turn(v * load4(scale), box); }
  // The same of what is scaled already: who waits for the row alone reads the scales before.
  DEVICE f4 turn(f4 v, float (*box)[span_width]) const {
    const int group = lane() / (G / 4) * G;
    UNROLL for (int s = 0; s < rotation_stages; s++) {
      float *b = box[s % 2];
      store4(b + 4 * lane(), v);
      warp_barrier();
      f4 o;
      // Where rows follow one another the compiler would unpack all partners before the first, into 32 registers: of half the stages it may not.
      u32 p = s < rotation_stages / 2 ? partner[s] : unknown(partner[s]);
      UNROLL for (int i = 0; i < 4; i++) o[i] = b[group + (p >> 8 * i & 255)];
      UNROLL for (int i = 0; i < 4; i++) v[i] = fma(sin[s][i], o[i], cos[s][i] * v[i]);
    }
    return v;
  }
};

// A lane's place in a span of K channels, and its rotation; where the last span isn't whole, lanes beyond it do the first group's work.
template <int K, int G> struct SpanPlace {
  static_assert(K % G == 0, "the width must be whole groups");
  static constexpr int spans = ceil_div(K, span_width);
  int at;
  bool in;
  DEVICE SpanPlace(int span) : at(span * span_width + 4 * lane()), in(at < K) {
    if (!in) at = 4 * lane() % G;
  }
  DEVICE const u8 *of(const u8 *r) const { return r + at / G * rotation_bytes<G>; }
};

// For `rows` rows of K: spans × ceil(rows / tile) blocks; a warp's rows are every eighth of a tile. get(row, channel) and put(row, channel, f4).
template <int rows> constexpr int rotated_tile = rows > 8 ? 64 : 8;
template <int K, int G, int rows, class Get, class Put> DEVICE void rotate_rows(const u8 *r, int live, int block, Get get, Put put) {
  static SHARED Boxes boxes;
  SpanPlace<K, G> p(block % SpanPlace<K, G>::spans);
  int row = block / p.spans * rotated_tile<rows> + warp(), end = row - warp() + rotated_tile<rows>;
  if (row >= live) return;
  Turns<G> turns;
  turns.load(p.of(r));
  _Pragma("unroll 1") for (; row < end && row < live; row += 8) {  // a rotation is 76 registers
    f4 v = turns.apply(get(row, p.at), boxes.box[warp()]);
    if (p.in) put(row, p.at, v);
    warp_barrier();
  }
}

// y = rotate(x, r): x[T, R, K], each of the R rows by itself. y may be x. Grid K / 128 rounded up, for T R > 8 times ceil(T R / 64).
template <int R, int K, int G, int T> DEVICE void rotate(const float *x, const u8 *r, const int *live, float *y, int block) {
  rotate_rows<K, G, T * R>(r, live_rows<T>(live) * R, block, [&](int row, int c) { return load4(x + (long)row * K + c); },
                           [&](int row, int c, f4 v) { store4(y + (long)row * K + c, v); });
}

// 1 / the root mean square of a row, in all lanes of a warp.
template <int D, class Eps> DEVICE float warp_inverse_rms(const float *x) {
  float sum = 0;
  for (int i = lane(); i < D; i += warp_size) sum = fma(x[i], x[i], sum);
  return inverse(root(warp_sum(sum) / D + (float)Eps::value));
}

// The same in all threads of a block.
template <int D, class Eps> DEVICE float block_inverse_rms(const float *x) {
  float sum = 0;
  for (int i = thread(); i < D; i += 256) sum = fma(x[i], x[i], sum);
  return inverse(root(block_sum<256>(sum) / D + (float)Eps::value));
}

// n = rmsnorm(x) w and y[j] = rotate(n, r[j]), one row. A block turns a span by one rotation: that the row's norm is taken by each of them costs
// less than to wait for one that takes it for all. The rotation is under way meanwhile. Grid N spans.
template <int K, int G, class Eps, int N>
DEVICE void norm_rotate_span(const float *x, const float *w, const u8 *const (&r)[N], float *n, float *const (&y)[N], int block) {
  static SHARED float box[2][span_width];
  SpanPlace<K, G> p(block % SpanPlace<K, G>::spans);
  const int j = block / p.spans;
  const u8 *rotation = r[0];
  float *to = y[0];
  UNROLL for (int i = 1; i < N; i++)
    if (j == i) rotation = r[i], to = y[i];
  Turns<G> turns;
  f4 v, scale;
  if (warp() == 0) turns.load(p.of(rotation)), scale = load4(turns.scale), v = load4(x + p.at) * load4(w + p.at);
  float by = block_inverse_rms<K, Eps>(x);
  if (warp() > 0) return;
  v *= by;
  if (j == 0 && p.in) store4(n + p.at, v);
  v = turns.turn(v * scale, box);
  if (p.in) store4(to + p.at, v);
}

// The same of several rows. A block takes eight, so that a rotation is loaded once for them; a norm is a warp's work. Grid ceil(T / 8).
template <int K, int G, class Eps, int T, int N>
DEVICE void norm_rotate_block(const float *x, const float *w, const u8 *const (&r)[N], const int *live, float *n, float *const (&y)[N], int block) {
  if constexpr (T == 1) return norm_rotate_span<K, G, Eps, N>(x, w, r, n, y, block);
  constexpr int tile = 8;
  static SHARED Boxes boxes;
  const int from = block * tile, rows = live_rows<T>(live) - from < tile ? live_rows<T>(live) - from : tile;
  if (rows <= 0) return;
  x += (long)from * K, n += (long)from * K;
  if (warp() < rows) {
    const float *row = x + (long)warp() * K;
    float by = warp_inverse_rms<K, Eps>(row);
    for (int i = lane(); i < K; i += warp_size) n[(long)warp() * K + i] = row[i] * by * w[i];
  }
  barrier();
  UNROLL for (int j = 0; j < N; j++)
    for (int span = warp(); span < SpanPlace<K, G>::spans; span += 8) {
      SpanPlace<K, G> p(span);
      Turns<G> turns;
      turns.load(p.of(r[j]));
      float *to = y[j] + (long)from * K;
      for (int t = 0; t < rows; t++) {
        f4 v = turns.apply(load4(n + (long)t * K + p.at), boxes.box[warp()]);
        if (p.in) store4(to + (long)t * K + p.at, v);
        warp_barrier();
      }
    }
}
template <int K, int G, class Eps, int T>
DEVICE void norm_rotate(const float *x, const float *w, const u8 *r0, const int *live, float *n, float *y0, int block) {
  norm_rotate_block<K, G, Eps, T, 1>(x, w, {r0}, live, n, {y0}, block);
}
template <int K, int G, class Eps, int T>
DEVICE void norm_rotate2(const float *x, const float *w, const u8 *r0, const u8 *r1, const int *live, float *n, float *y0, float *y1, int block) {
  norm_rotate_block<K, G, Eps, T, 2>(x, w, {r0, r1}, live, n, {y0, y1}, block);
}
template <int K, int G, class Eps, int T>
DEVICE void norm_rotate3(const float *x, const float *w, const u8 *r0, const u8 *r1, const u8 *r2, const int *live, float *n, float *y0, float *y1,
                         float *y2, int block) {
  norm_rotate_block<K, G, Eps, T, 3>(x, w, {r0, r1, r2}, live, n, {y0, y1, y2}, block);
}
template <int K, int G, class Eps, int T>
DEVICE void norm_rotate4(const float *x, const float *w, const u8 *r0, const u8 *r1, const u8 *r2, const u8 *r3, const int *live, float *n,
                         float *y0, float *y1, float *y2, float *y3, int block) {
  norm_rotate_block<K, G, Eps, T, 4>(x, w, {r0, r1, r2, r3}, live, n, {y0, y1, y2, y3}, block);
}

// y = rmsnorm(o) w silu(z) over one head of D, by a warp. y may be o or z.
template <int D, class Eps> DEVICE void gated_norm_head(const float *o, const float *w, const float *z, float *y) {
  float by = warp_inverse_rms<D, Eps>(o);
  for (int i = lane(); i < D; i += warp_size) y[i] = o[i] * by * w[i] * silu::of(z[i]);
}

// o, z and y[T, R, D]: a warp a head. Grid ceil(T R / 8).
template <int R, int D, class Eps, int T>
DEVICE void gated_norm(const float *o, const float *w, const float *z, const int *live, float *y, int block) {
  long row = (long)block * 8 + warp();
  if (row >= (long)live_rows<T>(live) * R) return;
  gated_norm_head<D, Eps>(o + row * D, w, z + row * D, y + row * D);
}

// Four channels of w silu(z), z being heads of D one after another.
template <int D> DEVICE f4 gate_four(const float *w, const float *z, int at) {
  f4 g = load4(z + at);
  UNROLL for (int i = 0; i < 4; i++) g[i] = silu::of(g[i]);
  return g * load4(w + at % D);
}

// Four channels of rmsnorm(o), heads of D one after another. All lanes of a warp, each with the next four of a span. Where heads divide a span, a
// lane reads o at its own channels alone, else all of its head.
template <int D, int G, class Eps> DEVICE f4 norm_four(const float *o, int at) {
  static_assert(D % G == 0 || G % D == 0, "a rotation's group holds whole heads, or a head whole groups");
  static_assert(D % 16 == 0, "lanes have four channels of one head");
  f4 v = load4(o + at);
  float sum = 0;
  if constexpr (span_width % D == 0) {
    UNROLL for (int i = 0; i < 4; i++) sum = fma(v[i], v[i], sum);
    sum = warp_sum<1, D / 4>(sum);
  } else {
    static_assert(D % G == 0, "a head that doesn't divide a span is whole groups");
    const float *head = o + at / D * D;
    for (int i = lane() % (G / 4); i < D / 4; i += G / 4) {
      f4 u = load4(head + 4 * i);
      UNROLL for (int j = 0; j < 4; j++) sum = fma(u[j], u[j], sum);
    }
    sum = warp_sum<1, G / 4>(sum);
  }
  return v * inverse(root(sum / D + (float)Eps::value));
}

// y = rotate(rmsnorm(o) w silu(z), r), o and z[T, R, D], r over all R D. Grid as rotate's of T rows of R D. y must not be o; it may be z.
template <int R, int D, int G, class Eps, int T>
DEVICE void gated_norm_rotate(const float *o, const float *w, const float *z, const u8 *r, const int *live, float *y, int block) {
  constexpr int K = R * D;
  rotate_rows<K, G, T>(r, live_rows<T>(live), block,
                       [&](int row, int c) { return norm_four<D, G, Eps>(o + (long)row * K, c) * gate_four<D>(w, z + (long)row * K, c); },
                       [&](int row, int c, f4 v) { store4(y + (long)row * K + c, v); });
}

}  // namespace hipc
