// grouped.hip: products of many rows with experts, each row with those that its token chose: y[t, s, n] = Σ x[t, k] w[id[t, s], n, k], or x[t, s, k].
//
// A block has an expert and BN of its outputs. It looks for its rows itself, through all ids, 4096 at a time, and then does what gemm.hip does,
// BM of them at a time. So there is no step that sorts, nothing to clear and nobody to wait for; an expert without rows costs its blocks that one
// look, 16 KB from the second-level cache for 512 tokens of 8 experts. Whatever the order in which rows are found, each has its own sums: results
// don't depend on it.
//
// Grid of both: E ceil(N / BN), 2 BN threads.
#pragma once
#include "gemm.hip"

namespace hipc {

// The places i in id[n] that hold e, found by a block of Threads; most is the largest n. All threads of the block call find(), which gives their
// number: at[0] ... are they until it's called again. n is rounded up to four where ids are read.
template <int most, int Threads> struct Found {
  static constexpr int room = most < 4096 ? most : 4096;
  static DEVICE u16 *at() {
    static SHARED u16 list[room];
    return list;
  }
  template <int E> static DEVICE int find(const int *id, int n, int e) {
    static SHARED int count;
    barrier();  // the list, and what came of it, is no longer read
    if (thread() == 0) count = 0;
    barrier();
    auto take = [&](int i, int x) {
      if ((x < 0 ? 0 : x >= E ? E - 1 : x) == e && i < n) at()[atomic_add(&count, 1)] = (u16)i;
    };
    if constexpr (most % 4 == 0) {
      for (int i = 4 * thread(); i < n; i += 4 * Threads) {
        w4 four = *(const w4 *)(id + i);
        UNROLL for (int j = 0; j < 4; j++) take(i + j, (int)four[j]);
      }
    } else {
      for (int i = thread(); i < n; i += Threads) take(i, id[i]);
    }
    barrier();
    return uniform(count);
  }
};

// each(place of a row in x, i) for all tiles of rows of expert e: do one(row, rows, places).
template <class S, int E, int A, int T, class One> DEVICE void tiles_of(const int *id, const int *live, int e, One one) {
  typedef Found<T * A, S::threads> F;
  int all = live_rows<T>(live) * A;
  for (int from = 0; from < T * A; from += F::room) {
    if (from >= all) break;
    int count = F::template find<E>(id + from, all - from < F::room ? all - from : F::room, e);
    for (int first = 0; first < count; first += S::BM) {
      if (first) barrier();
      one(count - first, [=](int i) { return from + F::at()[first + i < count ? first + i : count - 1]; });
    }
  }
}

// Where x has the row of a place: PerSlot, a row each, else one a token.
template <int A, int K, int PerSlot> DEVICE const float *row_of(const float *x, int place) { return x + (long)(PerSlot ? place : place / A) * K; }

template <class W, int E, int A, int K, int N, int PerSlot, int T, int BM, int BN>
DEVICE void matmul_each_tiles(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  static_assert(N % 16 == 0, "an expert must be whole groups");
  typedef Shape<BM, BN> S;
  constexpr int wide = ceil_div(N, BN);
  int e = block / wide, n0 = block % wide * BN;
  w += (long)(e * (N / 16) + n0 / 16) * group_bytes<W, K>;
  tiles_of<S, E, A, T>(id, live, e, [&](int rows, auto place) {
    Sums<S> s;
    gemm<S, W, K>(s, [&](int i) { return row_of<A, K, PerSlot>(x, place(i)); }, w, N / 16 - n0 / 16);
    Sums<S>::each([&](int r, int c, int i, int j, int v) {
      if (r < rows && (N % BN == 0 || n0 + c < N)) y[(long)place(r) * N + n0 + c] = s.t[i][j].v[v];
    });
  });
}

// y[t, s, F] = silu(g) u, g the first F of an expert's 2 F outputs and u the others.
template <class W, int E, int A, int K, int F, int PerSlot, int T, int BM, int BN>
DEVICE void swiglu_each_tiles(const float *x, const int *id, const u8 *w, const int *live, float *y, int block) {
  static_assert(F % 16 == 0, "gate and up must be whole groups");
  typedef Shape<BM, BN> S;
  constexpr int wide = ceil_div(F, BN);
  int e = block / wide, n0 = block % wide * BN;
  w += (long)(e * (2 * F / 16) + n0 / 16) * group_bytes<W, K>;
  tiles_of<S, E, A, T>(id, live, e, [&](int rows, auto place) {
    Sums<S> g, u;
    auto row = [&](int i) { return row_of<A, K, PerSlot>(x, place(i)); };
    gemm<S, W, K>(g, row, w, F / 16 - n0 / 16);
    barrier();
    gemm<S, W, K>(u, row, w + F / 16 * group_bytes<W, K>, F / 16 - n0 / 16);
    Sums<S>::each([&](int r, int c, int i, int j, int v) {
      if (r < rows && (F % BN == 0 || n0 + c < F)) y[(long)place(r) * F + n0 + c] = Silu::of(g.t[i][j].v[v]) * u.t[i][j].v[v];
    });
  });
}

}  // namespace hipc
