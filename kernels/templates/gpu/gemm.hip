// gemm.hip: products of many rows, by matrix units: y[t, n] = Σ x[t, k] w[n, k], and what may follow in the same launch.
//
// A block makes BM rows of x times BN rows of w, 32 k at a time. Each warp unpacks one group of 16 rows of w to f16 in shared memory, all threads
// round x to f16 beside it; while one half of that memory is multiplied the other is filled, from what was loaded before: one barrier a step. A
// warp has NT × MT tiles of 16 × 16 sums in fp32. w takes the rows' side of the matrix units, so that lanes hold neighbouring outputs.
//
// x is rounded to nearest; beyond f16's range it becomes ±65504, so that one outlier costs itself and not the row (NaN stays NaN). w is exact
// but for the product with its scale, which is rounded: both together have an NMSE of 7e-8.
//
// Grid of all: ceil(N / BN) ceil(T / BM), of swiglu and geglu ceil(2 N / BN) ceil(T / BM), 2 BN threads; the blocks that read the same weights are neighbours, and those past the live rows leave.
#pragma once
#include "formats.hip"
#include "gates.hip"
#include "matrix.hip"

namespace hipc {

typedef f16 h2 __attribute__((ext_vector_type(2)));

DEVICE h2 splat(f16 x) { return h2{x, x}; }
// Nibbles i and i + 4 of w, exact.
DEVICE h2 nibbles16(u32 w, int i, f16 less) { return __builtin_bit_cast(h2, (w >> 4 * i & 0x000f000fu) | 0x64006400u) - splat(less); }

// What a lane unpacks of a step: 16 weights of its warp's group. fetch() asks memory, put() writes them as rows of ld. Eight k lie in the order
// 0 4 1 5 2 6 3 7 where that saves a shuffle (turned); x is put likewise.
template <class W> struct Piece;

template <int Block, int Head> struct nibble_piece {
  static constexpr bool turned = true;
  w2 words;
  DEVICE const u8 *codes(const u8 *w, int k0, int l) {
    const u8 *p = w + (long)(k0 / Block) * (Head + 8 * Block);
    words = *(const w2 *)(p + Head + k0 % Block * 8 + l * 8);
    return p;
  }
  template <class Value> DEVICE void put_rows(f16 *to, int ld, int l, Value value) const {
    UNROLL for (int r = 0; r < 2; r++) {
      w4 v;
      UNROLL for (int i = 0; i < 4; i++) v[i] = __builtin_bit_cast(u32, value(words[r], i, r));
      *(w4 *)(to + (l % 8 * 2 + r) * ld + l / 8 * 8) = v;
    }
  }
};

template <> struct Piece<Q4_1> : nibble_piece<32, 64> {
  h2 d, m;
  DEVICE void fetch(const u8 *w, int k0, int l) {
    const u8 *p = codes(w, k0, l) + l % 8 * 4;
    d = *(const h2 *)p, m = *(const h2 *)(p + 32);
  }
  DEVICE void put(f16 *to, int ld, int l) const {
    put_rows(to, ld, l, [&](u32 w, int i, int r) { return nibbles16(w, i, 1024) * splat(d[r]) + splat(m[r]); });
  }
};

template <> struct Piece<Q4_0> : nibble_piece<32, 32> {
  h2 d;
  DEVICE void fetch(const u8 *w, int k0, int l) { d = *(const h2 *)(codes(w, k0, l) + l % 8 * 4); }
  DEVICE void put(f16 *to, int ld, int l) const {
    put_rows(to, ld, l, [&](u32 w, int i, int r) { return nibbles16(w, i, 1032) * splat(d[r]); });
  }
};

template <int G> struct Piece<I4<G>> : nibble_piece<G, 64> {
  h2 d;
  u16 z;
  DEVICE void fetch(const u8 *w, int k0, int l) {
    const u8 *p = this->codes(w, k0, l);
    d = *(const h2 *)(p + l % 8 * 4), z = *(const u16 *)(p + 32 + l % 8 * 2);
  }
  DEVICE void put(f16 *to, int ld, int l) const {
    u32 zeros = (z & 255) | (z & 0xff00u) << 8 | 0x64006400u;
    h2 less = __builtin_bit_cast(h2, zeros);  // 1024 + zero point: below 2048, exact
    this->put_rows(to, ld, l, [&](u32 w, int i, int r) { return nibbles16(w, i, less[r]) * splat(d[r]); });
  }
};

// Formats of one value after another: four rows of four k.
struct value_piece {
  static constexpr bool turned = false;
  template <class Pair> static DEVICE void put_rows(f16 *to, int ld, int l, Pair pair) {
    UNROLL for (int r = 0; r < 4; r++) {
      w2 v = {pair(r, 0), pair(r, 2)};
      *(w2 *)(to + (l % 4 * 4 + r) * ld + l / 4 * 4) = v;
    }
  }
};

template <> struct Piece<F16> : value_piece {
  h4 v[4];
  DEVICE void fetch(const u8 *w, int k0, int l) {
    UNROLL for (int j = 0; j < 4; j++) v[j] = *(const h4 *)(w + (long)k0 * 32 + (l / 4 * 4 + j) * 32 + l % 4 * 8);
  }
  DEVICE void put(f16 *to, int ld, int l) const {
    put_rows(to, ld, l, [&](int r, int k) { return __builtin_bit_cast(u32, h2{v[k][r], v[k + 1][r]}); });
  }
};

// As f16: exact, but below 6e-5 the last bits go, to a 3e-8th.
template <> struct Piece<BF16> : value_piece {
  s4 v[4];
  DEVICE void fetch(const u8 *w, int k0, int l) {
    UNROLL for (int j = 0; j < 4; j++) v[j] = *(const s4 *)(w + (long)k0 * 32 + (l / 4 * 4 + j) * 32 + l % 4 * 8);
  }
  DEVICE void put(f16 *to, int ld, int l) const {
    put_rows(to, ld, l, [&](int r, int k) { return pair<f16>(brain(v[k][r]), brain(v[k + 1][r])); });
  }
};

template <> struct Piece<Q8_0> : value_piece {
  u32 v[4];
  h4 d;
  DEVICE void fetch(const u8 *w, int k0, int l) {
    const u8 *p = w + (long)(k0 / 32) * Q8_0::bytes;
    d = *(const h4 *)(p + l % 4 * 8);
    UNROLL for (int j = 0; j < 4; j++) v[j] = *(const u32 *)(p + 32 + (l / 4 * 4 + j) * 16 + l % 4 * 4);
  }
  DEVICE void put(f16 *to, int ld, int l) const {
    put_rows(to, ld, l, [&](int r, int k) {
      u32 both = byte_pair(v[k] ^ 0x80808080u, v[k + 1] ^ 0x80808080u, r) | 0x64006400u;
      return __builtin_bit_cast(u32, (__builtin_bit_cast(h2, both) - splat(1152)) * splat(d[r]));
    });
  }
};

// The shape of a block: BM rows, BN rows of w, of which the second half may be the other factor of a gated product (Pairs 2: a warp then
// has both of each output). Warps are BN / 16: BN / 16 / NT side by side over n, NT over rows.
template <int M, int N, int Pairs = 1> struct Shape {
  static constexpr int BM = M, BN = N, NT = BM >= 128 ? 4 : BM >= 64 || Pairs == 2 ? 2 : 1, MT = BM / 16 / NT, threads = 2 * BN;
  static constexpr int outputs = BN / Pairs;
  static constexpr int ld = 40;  // 32 k, and 16 bytes for the banks' sake
  static constexpr int each = ceil_div(BM * 4, threads), half = (BN + each * threads / 4) * ld;  // chunks of x a thread; where BM is less, nobody reads the last
  static DEVICE int output(int i) { return warp() % (BN / 16 / NT) * (NT / Pairs) * 16 + i / Pairs * 16; }  // first of a warp's i-th tile
  static DEVICE int tile_n(int i) { return i % Pairs * outputs + output(i); }
  static DEVICE int first_row() { return warp() / (BN / 16 / NT) * MT * 16; }
};

template <class S> struct Sums {
  Tile t[S::NT][S::MT];
  DEVICE Sums() { UNROLL for (int i = 0; i < S::NT; i++) UNROLL for (int j = 0; j < S::MT; j++) t[i][j].v = f8(0.0f); }
};
// end(row, output, i, j, v): sum v of tile i, j, or of tiles i and i + 1 where they are pairs.
template <class S, int Pairs, class End> DEVICE void each_sum(End end) {
  UNROLL for (int j = 0; j < S::MT; j++) UNROLL for (int i = 0; i < S::NT; i += Pairs) UNROLL for (int v = 0; v < 8; v++)
    end(S::first_row() + 16 * j + Tile::col(v), S::output(i) + Tile::row(Tile::slot(v)), i, j, v);
}

template <int N> DEVICE long group_at(int i) { return i < ceil_div(N, 16) ? i : ceil_div(N, 16) - 1; }

// Eight values of a row of x, in f16.
template <bool turned> DEVICE w4 rounded(f4 a, f4 b) {
  UNROLL for (int i = 0; i < 4; i++) a[i] = within_half(a[i]), b[i] = within_half(b[i]);
  if constexpr (turned) return w4{pair<f16>(a[0], b[0]), pair<f16>(a[1], b[1]), pair<f16>(a[2], b[2]), pair<f16>(a[3], b[3])};
  else return w4{pair<f16>(a[0], a[1]), pair<f16>(a[2], a[3]), pair<f16>(b[0], b[1]), pair<f16>(b[2], b[3])};
}

// sums += rows of x times rows of w: row(i) is where the block's i-th row of x is, of `rows` that there are; group(i) its i-th 16 rows of w. All
// threads of the block; shared memory is in use until the next barrier.
//
// What is loaded is used two steps later, of w Ahead steps: from memory it takes longer than a step. Between the two halves of a step's products what
// came is rounded and unpacked, so that both units have work.
template <class S, class W, int K, int Ahead = 2, class Row, class Group> DEVICE void gemm(Sums<S> &sums, int rows, Row row, Group group) {
  static_assert(K % 32 == 0 && K % W::block == 0, "K must be whole steps");
  constexpr int each = S::each, steps = K / 32;
  static_assert(Ahead == 2 || steps % Ahead == 0, "whole rounds");
  f16 *memory = (f16 *)block_memory;  // 4 half bytes: as an array of its own it would add up where products share a launch
  const int l = lane();
  const u8 *w = group(warp());
  const float *from[each];
  UNROLL for (int i = 0; i < each; i++) {  // beyond the last row it's the first, which is there: a branch would cost more
    int c = thread() + i * S::threads;
    from[i] = row(c / 4 < rows && c / 4 < S::BM ? c / 4 : 0) + c % 4 * 8;
  }
  struct Values {
    f4 v[each][2];
  } xs[2];
  Piece<W> ws[Ahead];
  auto at = [&](int n) __attribute__((always_inline)) { return (n < steps ? n : steps - 1) * 32; };
  auto fetch_x = [&](Values &x, int k0) __attribute__((always_inline)) {
    UNROLL for (int i = 0; i < each; i++) x.v[i][0] = load4(from[i] + k0), x.v[i][1] = load4(from[i] + k0 + 4);
  };
  auto put_w = [&](const Piece<W> &p, int side) __attribute__((always_inline)) { p.put(memory + side * S::half + warp() * 16 * S::ld, S::ld, l); };
  auto put_x = [&](const Values &x, int side) __attribute__((always_inline)) {
    UNROLL for (int i = 0; i < each; i++) {
      int c = thread() + i * S::threads;
      *(w4 *)(memory + side * S::half + (S::BN + c / 4) * S::ld + c % 4 * 8) = rounded<Piece<W>::turned>(x.v[i][0], x.v[i][1]);
    }
  };
  auto products = [&](int side, int k) __attribute__((always_inline)) {
    const f16 *a = memory + side * S::half + k, *b = a + S::BN * S::ld;
    Rows<f16> r[S::NT];
    UNROLL for (int i = 0; i < S::NT; i++) r[i] = load_rows(a + S::tile_n(i) * S::ld, S::ld);
    UNROLL for (int j = 0; j < S::MT; j++) {
      Cols<f16> c = load_cols(b + (S::first_row() + 16 * j) * S::ld, S::ld);
      UNROLL for (int i = 0; i < S::NT; i++) multiply(sums.t[i][j], r[i], c);
    }
  };
  // Step n is at side n % 2 of shared memory; xs[n % 2] and ws[n % Ahead] have it until it goes there. At the end the last is loaded and put again:
  // without a branch there is less to keep (with one, 128 × 128 takes 340 bytes of scratch memory on gfx11).
  auto step = [&](int n, int side, Piece<W> &w_next, Values &x_next) __attribute__((always_inline)) {
    products(side, 0);
    in_order();
    put_w(w_next, side ^ 1);
    w_next.fetch(w, at(n + 1 + Ahead), l);
    in_order();
    products(side, 16);
    in_order();
    put_x(x_next, side ^ 1);
    fetch_x(x_next, at(n + 3));
    barrier();
  };
  UNROLL for (int i = 0; i < Ahead; i++) ws[i].fetch(w, at(i), l);
  fetch_x(xs[0], 0), fetch_x(xs[1], at(1));
  put_w(ws[0], 0), put_x(xs[0], 0);
  ws[0].fetch(w, at(Ahead), l), fetch_x(xs[0], at(2));
  barrier();
  // Unrolled further, a short K's steps are mixed until registers run out.
  _Pragma("nounroll") for (int n = 0; n + Ahead <= steps; n += Ahead)
    unrolled<Ahead>([&](int i) __attribute__((always_inline)) { step(n + i, i % 2, ws[(i + 1) % Ahead], xs[(i + 1) % 2]); });
  if constexpr (steps % 2) step(steps - 1, 0, ws[1], xs[1]);
}

// The place of a block among the tiles of N outputs of T rows.
template <class S, int N, int T> struct Area {
  static constexpr int tall = ceil_div(T, S::BM);
  int row, n, live;
  DEVICE Area(const int *live, int block) : row(block % tall * S::BM), n(block / tall * S::outputs), live(live_rows<T>(live)) {}
  DEVICE bool dead() const { return row >= live || n >= N; }
  DEVICE int rows() const { return live - row; }
  template <int K> DEVICE auto row_of(const float *x) const {
    return [x, row = this->row](int i) { return x + (long)(row + i) * K; };
  }
  // The block's i-th group of w; beyond the last it is the last.
  template <class W, int K> DEVICE auto groups(const u8 *w) const {
    return [w, first = n / 16](int i) { return w + group_at<N>(first + i) * group_bytes<W, K>; };
  }
  // end(t, n, i, j, v) of live rows and outputs below N.
  template <int Pairs, class End> DEVICE void each(End end) const {
    each_sum<S, Pairs>([&](int r, int c, int i, int j, int v) {
      if (row + r < live && (N % S::outputs == 0 || n + c < N)) end(row + r, n + c, i, j, v);
    });
  }
};

template <class W, int K, int N, int T, int BM, int BN> DEVICE void matmul_tiles(const float *x, const u8 *w, const int *live, float *y, int block) {
  typedef Shape<BM, BN> S;
  Area<S, N, T> area(live, block);
  if (area.dead()) return;
  Sums<S> s;
  gemm<S, W, K>(s, area.rows(), area.template row_of<K>(x), area.template groups<W, K>(w));
  area.template each<1>([&](int t, int n, int i, int j, int v) { y[(long)t * N + n] = s.t[i][j].v[v]; });
}

// y = h + x · w. y may be h.
template <class W, int K, int N, int T, int BM, int BN>
DEVICE void matmul_add_tiles(const float *x, const u8 *w, const float *h, const int *live, float *y, int block) {
  typedef Shape<BM, BN> S;
  Area<S, N, T> area(live, block);
  if (area.dead()) return;
  Sums<S> s;
  gemm<S, W, K>(s, area.rows(), area.template row_of<K>(x), area.template groups<W, K>(w));
  area.template each<1>([&](int t, int n, int i, int j, int v) { y[(long)t * N + n] = h[(long)t * N + n] + s.t[i][j].v[v]; });
}

// y = act(a · wa) (b · wb): of one x in one format both at once, BN / 2 outputs a block; else one after the other, the first's sums staying in
// registers, and the latter half of the blocks has nothing to do.
template <class Act, bool once, class WA, class WB, int K, int N, int T, int BM, int BN>
DEVICE void gated_tiles(const float *a, const u8 *wa, const float *b, const u8 *wb, const int *live, float *y, int block) {
  if constexpr (once && __is_same(WA, WB)) {
    typedef Shape<BM, BN, 2> S;
    Area<S, N, T> area(live, block);
    if (area.dead()) return;
    Sums<S> s;
    gemm<S, WA, K>(s, area.rows(), area.template row_of<K>(a), [&](int i) {
      constexpr int half = S::outputs / 16;
      return (i < half ? wa : wb) + group_at<N>(area.n / 16 + i % half) * group_bytes<WA, K>;
    });
    area.template each<2>([&](int t, int n, int i, int j, int v) { y[(long)t * N + n] = Act::of(s.t[i][j].v[v]) * s.t[i + 1][j].v[v]; });
  } else {
    typedef Shape<BM, BN> S;
    Area<S, N, T> area(live, block);
    if (area.dead()) return;
    Sums<S> g, u;
    gemm<S, WA, K>(g, area.rows(), area.template row_of<K>(a), area.template groups<WA, K>(wa));
    gemm<S, WB, K>(u, area.rows(), area.template row_of<K>(b), area.template groups<WB, K>(wb));
    area.template each<1>([&](int t, int n, int i, int j, int v) { y[(long)t * N + n] = Act::of(g.t[i][j].v[v]) * u.t[i][j].v[v]; });
  }
}

template <class WG, class WU, int K, int N, int T, int BM, int BN>
DEVICE void swiglu_tiles(const float *x, const u8 *wg, const u8 *wu, const int *live, float *y, int block) {
  gated_tiles<Silu, true, WG, WU, K, N, T, BM, BN>(x, wg, x, wu, live, y, block);
}
template <class WG, class WU, int K, int N, int T, int BM, int BN>
DEVICE void geglu_tiles(const float *x, const u8 *wg, const u8 *wu, const int *live, float *y, int block) {
  gated_tiles<GeluTanh, true, WG, WU, K, N, T, BM, BN>(x, wg, x, wu, live, y, block);
}
template <class WA, class WB, int K, int N, int T, int BM, int BN>
DEVICE void swiglu2_tiles(const float *a, const u8 *wa, const float *b, const u8 *wb, const int *live, float *y, int block) {
  gated_tiles<Silu, false, WA, WB, K, N, T, BM, BN>(a, wa, b, wb, live, y, block);
}

}  // namespace hipc
