// product.hip: x[T, K] · wᵀ for groups of 16 rows of w, which matmul.hip turns into kernels.
//
// Split warps of a block share a group, each a part of K; what they have is added up in shared memory. A decode step has one row;
// of T > 1 a block takes R at a time, so that a weight is decoded once for R rows. Weights go from memory to registers: each is used by
// one lane, so there is nothing to stage.
#pragma once
#include "stream.hip"

namespace hipc {

constexpr int threads = 256, warps = threads / warp_size;

// Rows of x that a block takes at a time.
template <int T> constexpr int rows_of = T % 8 == 0 ? 8 : 1;

template <class W, int j, int R> DEVICE void times(const W &f, const float (&x)[R][W::per], f4 *q) {
  f4 v = {f.template value<j>(0), f.template value<j>(1), f.template value<j>(2), f.template value<j>(3)};
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int i = 0; i < 4; i++) q[r][i] = fma(x[r][j], v[i], q[r][i]);
  if constexpr (j + 1 < W::per) times<W, j + 1, R>(f, x, q);
}

// acc[r] += what this lane has of R rows times four rows of a group, of the parts-th part of K. K is whole blocks of the format; where
// it isn't whole steps, lanes beyond it have nothing. A head is for one row: see stream.
template <class W, int K, int R, class Head = Ready> DEVICE void dot(const float *x, const u8 *w, int part, int parts, f4 *acc, Head head = {}) {
  static_assert(K % W::block == 0, "K must be whole blocks of the weight's format");
  if constexpr (R == 1) {
    if (parts == 8) stream<W, K, 8>(x, w, part, *acc, head);
    else if (parts == 4) stream<W, K, 4>(x, w, part, *acc, head);
    else if (parts == 2) stream<W, K, 2>(x, w, part, *acc, head);
    else stream<W, K, 1>(x, w, part, *acc, head);
    return;
  }
  const int l = lane(), first = W::first(l);
  constexpr int depth = R > 4 ? 1 : 4;  // steps whose loads are under way at once
  for (int k0 = part * W::step; k0 < K; k0 += parts * W::step * depth) {
    W f[depth];
    UNROLL for (int s = 0; s < depth; s++) {
      int k = k0 + s * parts * W::step + first;
      bool whole = k + (W::per - 1) * W::stride < K;
      if (whole) f[s].load(w, k, l);
    }
    UNROLL for (int s = 0; s < depth; s++) {
      int k = k0 + s * parts * W::step + first;
      if (k + (W::per - 1) * W::stride >= K) {
        if constexpr (W::block == 1 && K % W::step != 0) {  // the end of a row of single values
          for (int j = 0; j < W::per && k + 8 * j < K; j++)
            UNROLL for (int i = 0; i < 4; i++) {
              float v = W::one(w, k + 8 * j, l % 4 * 4 + i);
              UNROLL for (int r = 0; r < R; r++) acc[r][i] = fma(x[(long)r * K + k + 8 * j], v, acc[r][i]);
            }
        }
        continue;
      }
      float xs[R][W::per];
      f4 q[R], *sums = W::scaled ? q : acc;  // without a scale to come, they're added where they belong
      UNROLL for (int r = 0; r < R; r++) {
        const float *at = x + (long)r * K + k;
        if constexpr (W::stride == 1) {
          f4 a = load4(at), b = load4(at + 4);
          UNROLL for (int i = 0; i < 4; i++) xs[r][i] = a[i], xs[r][i + 4] = b[i];
        } else {
          UNROLL for (int j = 0; j < W::per; j++) xs[r][j] = at[j * W::stride];
        }
        q[r] = f4(0.0f);
      }
      times<W, 0, R>(f[s], xs, sums);
      f4 d = f[s].scale() * W::unit, m = f[s].shift() - d * W::bias;
      UNROLL for (int r = 0; r < R; r++) {
        if constexpr (W::scaled) {
          UNROLL for (int i = 0; i < 4; i++) acc[r][i] = fma(d[i], q[r][i], acc[r][i]);
        }
        if constexpr (W::shifted) {
          float sum = 0;
          UNROLL for (int j = 0; j < W::per; j++) sum += xs[r][j];
          UNROLL for (int i = 0; i < 4; i++) acc[r][i] = fma(m[i], sum, acc[r][i]);
        }
      }
    }
  }
}

// The place of a block in a product of N rows: groups of 16, Split warps each.
template <int N, int T, int Split> struct Place {
  static constexpr int groups = ceil_div(N, 16), each = warps / Split, tiles = ceil_div(groups, each), R = rows_of<T>;
  int group, part, row;  // group may be beyond the last
  DEVICE Place(int block) : group(block % tiles * each + warp() / Split), part(warp() % Split), row(block / tiles * R) {}
  DEVICE bool live() const { return group < groups; }
};

// Adds up what lanes and warps have of `rows` times 16 rows of w each and hands every sum out once: end(i, group's row, sum) by some thread
// of the block. n is how many there are of 16 sums each. All threads of the block come here.
template <int Split, int n, class End> DEVICE void finish(f4 *acc, int rows, bool live, End end) {
  UNROLL for (int i = 0; i < n; i++) UNROLL for (int j = 0; j < 4; j++) acc[i][j] = warp_sum<4>(acc[i][j]);
  if constexpr (Split == 1) {
    if (live)
      UNROLL for (int i = 0; i < n; i++)
        if (i < rows && lane() < 4) UNROLL for (int j = 0; j < 4; j++) end(i, lane() * 4 + j, acc[i][j]);
  } else {
    static SHARED float part[warps / Split][Split][n][16];
    int set = warp() / Split;
    if (lane() < 4) UNROLL for (int i = 0; i < n; i++) UNROLL for (int j = 0; j < 4; j++) part[set][warp() % Split][i][lane() * 4 + j] = acc[i][j];
    barrier();
    if (!live) return;
    for (int i = thread() % (Split * warp_size); i < n * 16; i += Split * warp_size) {
      float s = 0;
      UNROLL for (int p = 0; p < Split; p++) s += part[set][p][i / 16][i % 16];
      if (i / 16 < rows) end(i / 16, i % 16, s);
    }
  }
}

}  // namespace hipc
