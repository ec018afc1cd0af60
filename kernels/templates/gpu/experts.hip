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
template <class W, int E, int S, int K, int F, int T, int Split, class Head>
DEVICE void gated_each(const float *x, const int *id, const u8 *w, const int *live, float *y, int block, Head head) {
  Place<F, 1, Split> p(block % Place<F, 1, Split>::tiles);
  const int at = block / p.tiles;
  if (at / S >= live_rows<T>(live)) return;
  f4 acc[2] = {f4(0.0f), f4(0.0f)};
  if (p.live()) {
    const float *row = x + (long)(at / S) * K;
    const u8 *g = expert<W, E, 2 * F, K>(w, id[at]) + p.group * group_bytes<W, K>;
    dot<W, K, 1>(row, g, p.part, Split, acc, head);
    dot<W, K, 1>(row, g + F / 16 * group_bytes<W, K>, p.part, Split, acc + 1);
  } else {
    head();
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
template <class W, int E, int S, int K, int F, int T, int Split>
DEVICE void swiglu_each(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  gated_each<W, E, S, K, F, T, Split>(x, id, w, live, y, block, Ready{});
}
// The same of rmsnorm(x) v, one row: norm_matmul in matmul.hip.
template <class W, int E, int S, int K, int F, class Eps>
DEVICE void norm_swiglu_each(const float *x, const float *v, const int *id, const u8 *w, float *y, int block) {
  gated_each<W, E, S, K, F, 1, warps>(normed_row<K>(), id, w, nullptr, y, block, [&] { norm_row<K, Eps>(x, v); });
}

// The block that ends last of a rotation's group of outputs turns it, from y to y. r, ticket and y are the group's; G / 16 blocks make it. A
// channel a thread, and so barriers of the block: by one warp, as Turns does it, the rotation is 76 registers, and three blocks of these
// products don't fit a processor (716 µs for 711 of a token of 8 layers on an H100).
template <int G> DEVICE void rotate_last(const u8 *r, int *ticket, float *y) {
  static SHARED float turned[2][G];
  const int i = thread();
  const bool mine = i < G;
  float cos[rotation_stages], sin[rotation_stages], scale = 0, v = 0;
  int partner[rotation_stages];
  if (mine) {  // in all blocks: it's there by when one knows to be the last
    scale = ((const float *)r)[i];
    UNROLL for (int s = 0; s < rotation_stages; s++) {
      const u8 *at = r + 4 * G + s * 9 * G;
      partner[s] = at[i], cos[s] = ((const float *)(at + G))[i], sin[s] = ((const float *)(at + 5 * G))[i];
    }
  }
  if (!last_block(ticket, G / 16)) return;
  if (mine) v = y[i] * scale;
  UNROLL for (int s = 0; s < rotation_stages; s++) {
    if (mine) turned[s % 2][i] = v;
    barrier();
    if (mine) v = fma(sin[s], turned[s % 2][partner[s]], cos[s] * v);
  }
  if (mine) y[i] = v;
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
  constexpr bool ahead = Shared && FS <= warps * Stream<WS>::wide;  // a warp has one step of the shared expert, asked for with the first expert
  const u8 *shared = ws + group * group_bytes<WS, FS>;
  const int from = warp() * Stream<WS>::wide;
  Stream<WS> step;
  f4 sum[1] = {f4(0.0f)};
  auto expert_of = [&](int k, auto head) __attribute__((always_inline)) {
    f4 acc[1] = {f4(0.0f)};
    dot<W, F, 1>(y + k * F, expert<W, E, N, F>(w, id[k]) + group * group_bytes<W, F>, warp() % split, split, acc, head);
    sum[0] += acc[0] * p[k];
  };
  expert_of(warp() / split, [&]() __attribute__((always_inline)) {
    if constexpr (ahead)
      if (from < FS) step.template fetch<FS>(shared, from, lane());
  });
  _Pragma("nounroll") for (int round = 1; round < K * split / warps; round++) expert_of((warp() + round * warps) / split, Ready{});
  if constexpr (Shared) {
    f4 acc[1] = {f4(0.0f)};
    if constexpr (!ahead) {
      dot<WS, FS, 1>(ys, shared, warp(), warps, acc);
    } else if (from < FS) {
      float rows[Stream<WS>::rows] = {};
      step.template take<FS>(ys, from, lane());
      step.add(lane(), rows);
      acc[0] = four_of<WS>(rows, lane());
    }
    sum[0] += acc[0] * inverse(1 + exponential(-*s));
  }
  finish<warps, 1>(sum, 1, true, [&](int, int i, float v) { out[group * 16 + i] = h[group * 16 + i] + v; });
}

// One row: t = h + (Σ_k p[k] y[k] · w[id[k]] + sigmoid(s) ys · ws); experts_ without a shared expert. Grid N / 16. t may be h.
template <class W, class WS, int E, int K, int F, int FS, int N>
DEVICE void moe_down(const float *p, const int *id, const float *y, const u8 *w, const float *s, const float *ys, const u8 *ws, const float *h,
                     float *t, int block) {
  down<W, WS, true, E, K, F, FS, N>(p, id, y, w, s, ys, ws, h, t, block);
}
template <class W, int E, int K, int F, int N>
DEVICE void experts_down(const float *p, const int *id, const float *y, const u8 *w, const float *h, float *t, int block) {
  down<W, W, false, E, K, F, F, N>(p, id, y, w, nullptr, nullptr, nullptr, h, t, block);
}

// The same, and n = rmsnorm(t) g in the block that ends last.
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
