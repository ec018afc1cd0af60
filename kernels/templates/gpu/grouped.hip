// grouped.hip: products of many rows with experts, each row with those that its token chose: y[t, s, n] = Σ x[t, k] w[id[t, s], n, k], or x[t, s, k].
//
// A block has an expert and BN of its outputs. It looks for its rows itself, through all ids, and does what gemm.hip does with
// BM of them at a time. So there is no step that sorts, nothing to clear and nobody to wait for; an expert without rows costs its blocks that one
// look, 16 KB from the second-level cache for 512 tokens of 8 experts. Whatever the order in which rows are found, each has its own sums: results
// don't depend on it.
//
// Grid E ceil(N / BN), of swiglu_each E ceil(2 F / BN); 2 BN threads.
#pragma once
#include "gemm.hip"

namespace hipc {

// The places of expert e in id, found by a block of S::threads: chunk by chunk, so that only the last tile isn't full. All threads of the block call
// everything. A place is below 65536.
template <class S, int E, int A, int T> struct Places {
  static constexpr int all = T * A, chunk = all < 4096 ? all : 4096;
  static_assert(all <= 65536, "places are 16 bits");
  static DEVICE u16 *list() {
    static SHARED u16 places[chunk + S::BM];
    return places;
  }
  static DEVICE int *counter() {
    static SHARED int count;
    return &count;
  }
  static DEVICE void begin() {
    if (thread() == 0) *counter() = 0;
    barrier();
  }
  // Adds those of id[from] ... id[from + chunk - 1] that are below n, and gives how many there are then.
  static DEVICE int add(const int *id, int from, int n, int e) {
    auto take = [&](int i, int x) {
      if (i < n && (x < 0 ? 0 : x >= E ? E - 1 : x) == e) list()[atomic_add(counter(), 1)] = (u16)i;
    };
    if constexpr (all % 4 == 0) {
      for (int i = from + 4 * thread(); i < from + chunk && i < n; i += 4 * S::threads) {
        w4 four = *(const w4 *)(id + i);
        UNROLL for (int j = 0; j < 4; j++) take(i + j, (int)four[j]);
      }
    } else {
      for (int i = from + thread(); i < from + chunk && i < n; i += S::threads) take(i, id[i]);
    }
    barrier();
    return uniform(*counter());
  }
  // Only the last `rest`, fewer than BM, are left.
  static DEVICE void keep(int count, int rest) {
    barrier();
    if (thread() < rest) {
      u16 last = list()[count - rest + thread()];
      list()[thread()] = last;  // count - rest is a multiple of BM, 0 or beyond rest
    }
    if (thread() == 0) *counter() = rest;
    barrier();
  }
};

// one(rows, place) for tiles of the rows of expert e: place(i) is the i-th's, of rows.
template <class S, int E, int A, int T, class One> DEVICE void tiles_of(const int *id, const int *live, int e, One one) {
  typedef Places<S, E, A, T> P;
  const int n = live_rows<T>(live) * A;
  P::begin();
  for (int from = 0; from < n; from += P::chunk) {
    int count = P::add(id, from, n, e), first = 0;
    bool last = from + P::chunk >= n;
    for (; last ? first < count : first + S::BM <= count; first += S::BM) one(count - first, [=](int i) { return (int)P::list()[first + i]; });
    if (!last) P::keep(count, count - first);
  }
}

// Few rows share a weight, so memory is what is waited for: more of it is under way.
template <class W, int K> constexpr int ahead = K % 128 == 0 && K >= 256 && sizeof(Piece<W>) <= 16 ? 4 : 2;

// Where x has the row of a place: PerSlot, a row each, else one a token.
template <int A, int K, int PerSlot> DEVICE const float *row_of(const float *x, int place) { return x + (long)(PerSlot ? place : place / A) * K; }

template <class W, int E, int A, int K, int N, int PerSlot, int T, int BM, int BN>
DEVICE void matmul_each_tiles(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  static_assert(N % 16 == 0, "an expert must be whole groups");
  typedef Shape<K < 256 ? 32 : BM, BN> S;  // the few steps of a short K are mixed, and more rows would spill
  constexpr int wide = ceil_div(N, BN);
  int e = block / wide, n0 = block % wide * BN;
  tiles_of<S, E, A, T>(id, live, e, [&](int rows, auto place) {
    Sums<S> s;
    gemm<S, W, K, ahead<W, K>>(s, rows, [&](int i) { return row_of<A, K, PerSlot>(x, place(i)); },
                  [&](int i) { return w + ((long)e * (N / 16) + group_at<N>(n0 / 16 + i)) * group_bytes<W, K>; });
    each_sum<S, 1>([&](int r, int c, int i, int j, int v) {
      if (r < rows && (N % BN == 0 || n0 + c < N)) y[(long)place(r) * N + n0 + c] = s.t[i][j].v[v];
    });
  });
}

// y[t, s, F] = silu(g) u, g the first F of an expert's 2 F outputs and u the others.
template <class W, int E, int A, int K, int F, int PerSlot, int T, int BM, int BN>
DEVICE void swiglu_each_tiles(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  static_assert(F % 16 == 0, "gate and up must be whole groups");
  typedef Shape<K < 256 ? 32 : BM, BN, 2> S;
  constexpr int wide = ceil_div(F, S::outputs), half = S::outputs / 16;
  int e = block / wide, n0 = block % wide * S::outputs;
  tiles_of<S, E, A, T>(id, live, e, [&](int rows, auto place) {
    Sums<S> s;
    gemm<S, W, K, ahead<W, K>>(s, rows, [&](int i) { return row_of<A, K, PerSlot>(x, place(i)); },
                  [&](int i) { return w + ((2L * e + i / half) * (F / 16) + group_at<F>(n0 / 16 + i % half)) * group_bytes<W, K>; });
    each_sum<S, 2>([&](int r, int c, int i, int j, int v) {
      if (r < rows && (F % S::outputs == 0 || n0 + c < F)) y[(long)place(r) * F + n0 + c] = Silu::of(s.t[i][j].v[v]) * s.t[i + 1][j].v[v];
    });
  });
}

}  // namespace hipc
