// experts.hip: products with experts that a router has chosen. w[E, N, K] in layout x16 is E N rows, N a multiple of 16: expert e begins at
// group e N / 16. id[T, S] are the S experts of each token. An id out of range is clamped: nothing reads past w.
//
// One row: a block is a slot and a tile of groups, Split warps a group, so that a chosen expert's weights are read once and by many units.
// Several rows, the same for each token and slot by itself, a warp a group: right, and slow where rows share experts.
#pragma once
#include "matmul.hip"
#include "rotate.hip"

namespace hipc {

template <int E> DEVICE int clamped(int id) { return id < 0 ? 0 : id >= E ? E - 1 : id; }
template <class W, int E, int N, int K> DEVICE const u8 *expert(const u8 *w, int id) {
  static_assert(N % 16 == 0, "an expert's rows must be whole groups");
  return w + (long)clamped<E>(id) * (N / 16) * group_bytes<W, K>;
}

// y[T, S, N] = w[id] · x, with x[T, K], or x[T, S, K] where PerSlot is 1. Grid T S ceil(N / 16 / (8 / Split)).
template <class W, int E, int S, int K, int N, int PerSlot, int T, int Split>
DEVICE void matmul_each(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  Place<N, 1, Split> p(block % Place<N, 1, Split>::tiles);
  const int at = block / p.tiles;  // token and slot
  if (at / S >= live_rows<T>(live)) return;
  f4 acc[1] = {f4(0.0f)};
  if (p.live()) dot<W, K, 1>(x + (long)(PerSlot ? at : at / S) * K, expert<W, E, N, K>(w, id[at]) + p.group * group_bytes<W, K>, p.part, Split, acc);
  finish<Split, 1>(acc, 1, p.live(), [&](int, int i, float s) { y[(long)at * N + p.group * 16 + i] = s; });
}

// The same for an N that isn't whole groups: an expert then begins within one, and every weight is decoded by itself. A warp an output; grid
// T S ceil(N / 8).
template <class W, int E, int S, int K, int N, int PerSlot, int T>
DEVICE void matmul_each_any(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(N, warps);
  const int at = block / tiles, n = block % tiles * warps + warp();
  if (at / S >= live_rows<T>(live) || n >= N) return;
  long row = (long)clamped<E>(id[at]) * N + n;
  const u8 *p = w + row / 16 * group_bytes<W, K>;
  x += (long)(PerSlot ? at : at / S) * K;
  float sum = 0;
  for (int k = lane(); k < K; k += warp_size) sum = fma(W::one(p, k, row % 16), x[k], sum);
  sum = warp_sum(sum);
  if (lane() == 0) y[(long)at * N + n] = sum;
}

// y[T, S, F] = silu(g) u, g the first F of the 2 F outputs of w[id] · x and u the others. Grid T S ceil(F / 16 / (8 / Split)).
template <class W, int E, int S, int K, int F, int T, int Split>
DEVICE void swiglu_each(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  Place<F, 1, Split> p(block % Place<F, 1, Split>::tiles);
  const int at = block / p.tiles;
  if (at / S >= live_rows<T>(live)) return;
  f4 acc[2] = {f4(0.0f), f4(0.0f)};
  if (p.live()) {
    const float *row = x + (long)(at / S) * K;
    const u8 *g = expert<W, E, 2 * F, K>(w, id[at]) + p.group * group_bytes<W, K>;
    dot<W, K, 1>(row, g, p.part, Split, acc);
    dot<W, K, 1>(row, g + F / 16 * group_bytes<W, K>, p.part, Split, acc + 1);
  }
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) acc[i][j] = warp_sum<4>(acc[i][j]);
  static SHARED float part[warps][2][16];
  if (lane() < 4) store4(&part[warp()][0][lane() * 4], acc[0]), store4(&part[warp()][1][lane() * 4], acc[1]);
  barrier();
  int i = thread() % (Split * warp_size), set = warp() / Split * Split;
  if (!p.live() || i >= 16) return;
  float g = 0, u = 0;
  UNROLL for (int q = 0; q < Split; q++) g += part[set + q][0][i], u += part[set + q][1][i];
  y[(long)at * F + p.group * 16 + i] = silu::of(g) * u;
}

// The block that ends last of a rotation's group of outputs turns it, from y to y. r, ticket and y are the group's; G / 16 blocks make it.
template <int G> DEVICE void rotate_last(const u8 *r, int *ticket, float *y) {
  static SHARED Boxes boxes;
  const int at = 4 * lane() % G;
  Turns<G> turns;
  if (warp() == 0) turns.load(r);  // in all blocks: it's there by when one knows to be the last
  if (!last_block(ticket, G / 16) || warp() > 0) return;
  f4 v = turns.apply(load4(y + at), boxes.box[0]);
  if (4 * lane() < G) store4(y + at, v);
}

// y[S, F] = swiglu_each, each slot rotated by r; one row. Grid S F / 16.
template <class W, int E, int S, int K, int F, int G>
DEVICE void swiglu_each_rotate(const float *x, const int *id, const u8 *w, const u8 *r, int *ticket, float *y, int block) {
  static_assert(F % G == 0, "an expert's width must be whole groups");
  swiglu_each<W, E, S, K, F, 1, warps>(x, id, w, nullptr, y, block);
  const int group = block / (G / 16);
  rotate_last<G>(r + group % (F / G) * rotation_bytes<G>, ticket + group, y + group * G);
}

// y[F] = rotate(silu(a · wa) (b · wb), r); one row: the shared expert's, beside the routed ones. Grid F / 16.
template <class WA, class WB, int K, int F, int G>
DEVICE void swiglu_rotate(const float *a, const u8 *wa, const float *b, const u8 *wb, const u8 *r, int *ticket, float *y, int block) {
  static_assert(F % G == 0, "the outputs must be whole groups");
  gated<Silu, WA, WB, K, F, 1, warps>(a, wa, b, wb, nullptr, y, block);
  const int group = block / (G / 16);
  rotate_last<G>(r + group * rotation_bytes<G>, ticket + group, y + group * G);
}

// One row: 16 outputs of all K chosen experts w[E, N, F] and, where there is one, of the shared one ws[N, FS]: each warp has experts of its own
// where they divide evenly, all of them a part of the shared one.
template <class W, class WS, bool Shared, int E, int K, int F, int FS, int N>
DEVICE void down(const float *p, const int *id, const float *y, const u8 *w, const float *s, const float *ys, const u8 *ws, const float *h,
                 float *out, int group) {
  constexpr int split = K % warps == 0 ? 1 : warps % K == 0 ? warps / K : warps;
  f4 sum[1] = {f4(0.0f)};
  for (int k = warp() / split; k < K; k += warps / split) {
    f4 acc[1] = {f4(0.0f)};
    dot<W, F, 1>(y + k * F, expert<W, E, N, F>(w, id[k]) + group * group_bytes<W, F>, warp() % split, split, acc);
    sum[0] += acc[0] * p[k];
  }
  if constexpr (Shared) {
    f4 acc[1] = {f4(0.0f)};
    dot<WS, FS, 1>(ys, ws + group * group_bytes<WS, FS>, warp(), warps, acc);
    sum[0] += acc[0] * inverse(1 + exponential(-*s));
  }
  finish<warps, 1>(sum, 1, true, [&](int, int i, float v) { out[group * 16 + i] = h[group * 16 + i] + v; });
}

// One row: t = h + (Σ_k p[k] y[k] · w[id[k]] + sigmoid(s) ys · ws), and n = rmsnorm(t) g in the block that ends last; experts_ without a shared
// expert. Grid N / 16. t may be h.
template <class W, class WS, int E, int K, int F, int FS, int N, class Eps>
DEVICE void moe_down_norm(const float *p, const int *id, const float *y, const u8 *w, const float *s, const float *ys, const u8 *ws,
                          const float *h, const float *g, int *ticket, float *t, float *n, int block) {
  down<W, WS, true, E, K, F, FS, N>(p, id, y, w, s, ys, ws, h, t, block);
  if (last_block(ticket, N / 16)) rmsnorm_row<N, Eps>(t, g, n);
}
template <class W, int E, int K, int F, int N, class Eps>
DEVICE void experts_down_norm(const float *p, const int *id, const float *y, const u8 *w, const float *h, const float *g, int *ticket, float *t,
                              float *n, int block) {
  down<W, W, false, E, K, F, F, N>(p, id, y, w, nullptr, nullptr, nullptr, h, t, block);
  if (last_block(ticket, N / 16)) rmsnorm_row<N, Eps>(t, g, n);
}

}  // namespace hipc
