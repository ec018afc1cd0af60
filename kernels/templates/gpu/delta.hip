// delta.hip: the gated delta rule (Yang et al. 2024) token by token. Value head h of HV reads key head h / (HV / HK) and keeps S[DK, DV]:
//   S *= e^g;  d = beta (v - Sᵀk);  S += k dᵀ;  y = Sᵀq;  S is 0 at position 0.
// Sᵀk and Sᵀq are both taken from the old S, since y = e^g Sᵀq + (k·q) d: S goes from memory to registers and back, once a launch.
//
// S's columns don't need each other. One row: a block has 32 columns of a head, so that 32 heads of 128 are 128 blocks; 8 lanes read 128
// consecutive bytes of a row of S, all of it under way before q and k are normed. Several rows: a warp has four columns for all rows, so that no
// row waits for a barrier.
#pragma once
#include "rotate.hip"

namespace hipc {

template <int D, class Eps> DEVICE void l2norm_head(const float *x, float *y) {
  float sum = 0;
  for (int i = lane(); i < D; i += warp_size) sum = fma(x[i], x[i], sum);
  float by = inverse(root(warp_sum(sum) + (float)Eps::value));
  for (int i = lane(); i < D; i += warp_size) y[i] = x[i] * by;
}

// x[T, R, D]: a warp a head. Grid ceil(T R / 8). y may be x.
template <int R, int D, class Eps, int T> DEVICE void l2norm(const float *x, const int *live, float *y, int block) {
  long row = (long)block * 8 + warp();
  if (row < (long)live_rows<T>(live) * R) l2norm_head<D, Eps>(x + row * D, y + row * D);
}

// What the recurrence takes, in both spellings. q(t), k(t) and v(t) are row t's of head h as they come; qk() turns the sums of q², k² and q k
// into what q and k are to be multiplied by.
template <int HK, int HV, int DK, int DV> struct Plain {  // q and k[T, HK, DK], v[T, HV, DV], beta and g[T, HV]
  const float *qs, *ks, *vs, *betas, *gs;
  int h;
  DEVICE const float *q(int t) const { return qs + ((long)t * HK + h / (HV / HK)) * DK; }
  DEVICE const float *k(int t) const { return ks + ((long)t * HK + h / (HV / HK)) * DK; }
  DEVICE const float *v(int t) const { return vs + ((long)t * HV + h) * DV; }
  DEVICE float beta(int t) const { return betas[(long)t * HV + h]; }
  DEVICE float g(int t) const { return gs[(long)t * HV + h]; }
  static DEVICE float scale_q(float) { return 1; }
  static DEVICE float scale_k(float) { return 1; }
};

// x[T, q | k | v], all heads of one after another: q is l2norm(q) / scale, k l2norm(k), beta = sigmoid(b), g = na softplus(a + dt).
template <int HK, int HV, int DK, int DV, class Eps, class Scale> struct Projected {
  static constexpr long row = 2 * HK * DK + HV * DV;
  const float *x, *b, *na, *a, *dt;
  int h;
  DEVICE const float *q(int t) const { return x + t * row + h / (HV / HK) * DK; }
  DEVICE const float *k(int t) const { return q(t) + HK * DK; }
  DEVICE const float *v(int t) const { return x + t * row + 2 * HK * DK + h * DV; }
  DEVICE float beta(int t) const { return sigmoid::of(b[(long)t * HV + h]); }
  DEVICE float g(int t) const { return na[h] * softplus::of(a[(long)t * HV + h] + dt[h]); }
  static DEVICE float scale_q(float squares) { return inverse(root(squares + (float)Eps::value) * (float)Scale::value); }
  static DEVICE float scale_k(float squares) { return inverse(root(squares + (float)Eps::value)); }
};

// Columns of a block in a decode step.
template <int DV> constexpr int delta_columns = DV % 32 == 0 ? 32 : DV;

// One token, columns `from` to from + C of a head; put(column, f4) takes what comes of four of them, in some thread.
template <int DK, int DV, class In, class Put> DEVICE void delta_step(const In &in, bool fresh, float *S, int from, Put put) {
  constexpr int C = delta_columns<DV>, quads = C / 4, L = quads <= 4 ? 4 : quads <= 8 ? 8 : quads <= 16 ? 16 : 32;
  static_assert(C % 4 == 0 && quads <= 32, "a block has at most 128 columns, in fours");
  constexpr int groups = 256 / L, per = ceil_div(DK, groups);  // rows of S go round the groups of L lanes
  const int column = thread() % L * 4, group = thread() / L;
  const bool mine = thread() % L < quads;
  float *at = S + (long)group * DV + from + column;
  f4 s[per];
  UNROLL for (int j = 0; j < per; j++) s[j] = mine && !fresh && group + j * groups < DK ? load4(at + (long)j * groups * DV) : f4(0.0f);

  static SHARED float qs[DK], ks[DK], product;
  if (warp() == 0) {
    constexpr int each = ceil_div(DK, warp_size);
    const float *q = in.q(0), *k = in.k(0);
    float a[each], b[each], qq = 0, kk = 0, qk = 0;
    UNROLL for (int j = 0; j < each; j++) {
      int i = lane() + j * warp_size;
      a[j] = i < DK ? q[i] : 0, b[j] = i < DK ? k[i] : 0;
      qq = fma(a[j], a[j], qq), kk = fma(b[j], b[j], kk), qk = fma(a[j], b[j], qk);
    }
    float by = in.scale_q(warp_sum(qq)), ky = in.scale_k(warp_sum(kk));
    qk = warp_sum(qk);
    UNROLL for (int j = 0; j < each; j++) {
      int i = lane() + j * warp_size;
      if (i < DK) qs[i] = a[j] * by, ks[i] = b[j] * ky;
    }
    if (lane() == 0) product = qk * by * ky;
  }
  const float beta = in.beta(0), decay = exponential(in.g(0));
  f4 value = mine ? load4(in.v(0) + from + column) : f4(0.0f);
  barrier();

  f4 m = f4(0.0f), o = f4(0.0f);
  float kj[per];
  UNROLL for (int j = 0; j < per; j++) {
    int i = group + j * groups;
    bool row = DK % groups == 0 || i < DK;
    kj[j] = row ? ks[i] : 0;
    m += s[j] * kj[j], o += s[j] * (row ? qs[i] : 0);
  }
  static SHARED float sums[8][2][C];
  UNROLL for (int i = 0; i < 4; i++) m[i] = warp_sum<L>(m[i]), o[i] = warp_sum<L>(o[i]);
  if (mine && lane() < L) store4(&sums[warp()][0][column], m), store4(&sums[warp()][1][column], o);
  barrier();
  if (!mine) return;
  m = f4(0.0f);
  UNROLL for (int i = 0; i < 8; i++) m += load4(&sums[i][0][column]);
  f4 d = beta * (value - decay * m);
  UNROLL for (int j = 0; j < per; j++)
    if (DK % groups == 0 || group + j * groups < DK) store4(at + (long)j * groups * DV, decay * s[j] + d * kj[j]);
  if (group > 0) return;
  o = f4(0.0f);
  UNROLL for (int i = 0; i < 8; i++) o += load4(&sums[i][1][column]);
  put(from + column, decay * o + product * d);
}

// All live rows, four columns from `from` on, by a warp: lane i has rows i, i + 32, ... of S. put(t, f4) by one lane.
template <int DK, int DV, class In, class Put> DEVICE void delta_rows(const In &in, int rows, bool fresh, float *S, int from, Put put) {
  constexpr int each = ceil_div(DK, warp_size);
  f4 s[each];
  auto row = [&](int j) { return lane() + j * warp_size; };
  auto there = [&](int j) { return DK % warp_size == 0 || row(j) < DK; };
  UNROLL for (int j = 0; j < each; j++) s[j] = !fresh && there(j) ? load4(S + (long)row(j) * DV + from) : f4(0.0f);
  for (int t = 0; t < rows; t++) {
    const float *q = in.q(t), *k = in.k(t);
    float a[each], b[each], qq = 0, kk = 0, qk = 0;
    f4 m = f4(0.0f), o = f4(0.0f);
    UNROLL for (int j = 0; j < each; j++) {
      a[j] = there(j) ? q[row(j)] : 0, b[j] = there(j) ? k[row(j)] : 0;
      qq = fma(a[j], a[j], qq), kk = fma(b[j], b[j], kk), qk = fma(a[j], b[j], qk);
      m += s[j] * b[j], o += s[j] * a[j];
    }
    f4 v = load4(in.v(t) + from);
    float by = in.scale_q(warp_sum(qq)), ky = in.scale_k(warp_sum(kk)), beta = in.beta(t), decay = exponential(in.g(t));
    qk = warp_sum(qk) * by * ky;
    UNROLL for (int i = 0; i < 4; i++) m[i] = warp_sum(m[i]) * ky, o[i] = warp_sum(o[i]) * by;
    f4 d = beta * (v - decay * m);
    UNROLL for (int j = 0; j < each; j++) s[j] = decay * s[j] + d * (b[j] * ky);
    if (lane() == 0) put(t, decay * o + qk * d);
  }
  UNROLL for (int j = 0; j < each; j++)
    if (there(j)) store4(S + (long)row(j) * DV + from, s[j]);
}

// Head and columns of a block's work, for one row and for several: grid HV DV / delta_columns, or ceil(HV DV / 32).
template <int HV, int DK, int DV, int T, class In> DEVICE void delta(In in, const int *pos, const int *live, float *y, float *S, int block) {
  if constexpr (T == 1) {
    constexpr int parts = DV / delta_columns<DV>;
    in.h = block / parts;
    delta_step<DK, DV>(in, *pos == 0, S + (long)in.h * DK * DV, block % parts * delta_columns<DV>, [&](int c, f4 v) { store4(y + (long)in.h * DV + c, v); });
  } else {
    int column = (block * 8 + warp()) * 4, rows = live_rows<T>(live);
    if (column >= HV * DV || rows <= 0) return;
    in.h = column / DV;
    delta_rows<DK, DV>(in, rows, *pos == 0, S + (long)in.h * DK * DV, column % DV, [&](int t, f4 v) { store4(y + (long)t * HV * DV + column, v); });
  }
}

// q and k[T, HK, DK], v and y[T, HV, DV], beta and g[T, HV]. y must not be an operand.
template <int HK, int HV, int DK, int DV, int T>
DEVICE void delta_rule(const float *q, const float *k, const float *v, const float *beta, const float *g, const int *pos, const int *live,
                       float *y, float *S, int block) {
  static_assert(HV % HK == 0, "value heads must be a multiple of key heads");
  delta<HV, DK, DV, T>(Plain<HK, HV, DK, DV>{q, k, v, beta, g, 0}, pos, live, y, S, block);
}

// y[T, HV, DV] = delta_rule(l2norm(q) / scale, l2norm(k), v, sigmoid(b), na softplus(a + dt)); b and a[T, HV].
template <int HK, int HV, int DK, int DV, class Eps, class Scale, int T>
DEVICE void gdn(const float *x, const float *b, const float *na, const float *a, const float *dt, const int *pos, const int *live, float *y,
                float *S, int block) {
  static_assert(HV % HK == 0, "value heads must be a multiple of key heads");
  delta<HV, DK, DV, T>(Projected<HK, HV, DK, DV, Eps, Scale>{x, b, na, a, dt, 0}, pos, live, y, S, block);
}

// One row: gdn, then rmsnorm(., w) silu(z). The block that ends last of a head's takes its norm, of what the others have left in y. Grid as
// gdn's: HV DV / delta_columns.
template <int HK, int HV, int DK, int DV, class Eps, class Scale, class NormEps>
DEVICE void gdn_norm(const float *x, const float *b, const float *na, const float *a, const float *dt, const float *w, const float *z,
                     const int *pos, const int *live, int *ticket, float *y, float *S, int block) {
  constexpr int parts = DV / delta_columns<DV>;
  gdn<HK, HV, DK, DV, Eps, Scale, 1>(x, b, na, a, dt, pos, live, y, S, block);
  const int h = block / parts;
  if (last_block(ticket + h, parts) && warp() == 0) gated_norm_head<DV, NormEps>(y + h * DV, w, z + h * DV, y + h * DV);
}

// The same, rotated by r over all HV DV; the last block is that of a group's heads.
template <int HK, int HV, int DK, int DV, int G, class Eps, class Scale, class NormEps>
DEVICE void gdn_norm_rotate(const float *x, const float *b, const float *na, const float *a, const float *dt, const float *w, const float *z,
                            const u8 *r, const int *pos, const int *live, int *ticket, float *y, float *S, int block) {
  constexpr int unit = DV > G ? DV : G, parts = unit / delta_columns<DV>;  // channels that end together, and their blocks
  static_assert(span_width % DV == 0 && HV * DV % unit == 0, "heads are parts of a span, and whole groups together");
  static SHARED Boxes boxes;
  gdn<HK, HV, DK, DV, Eps, Scale, 1>(x, b, na, a, dt, pos, live, y, S, block);
  const int u = block / parts;
  const bool in = 4 * lane() < unit;
  const int at = u * unit + (in ? 4 * lane() : 4 * lane() % unit);
  Turns<G> turns;
  f4 gate;
  if (warp() == 0)  // in all blocks: it's there by when one knows to be the last
    turns.load(r + at / G * rotation_bytes<G>), gate = gate_four<DV>(w, z, at) * load4(turns.scale);
  if (!last_block(ticket + u, parts) || warp() > 0) return;
  f4 v = turns.turn(norm_four<DV, G, NormEps>(y, at) * gate, boxes.box[0]);
  if (in) store4(y + at, v);
}

}  // namespace hipc
