// delta_chunk.hip: the gated delta rule of many rows, by chunks of 32 and matrix units (Yang et al. 2024, 2025). What it computes: delta.hip.
// With c the sum of g from the chunk's start, S₀ the state before it, everything below the diagonal:
//   A_ij = beta_i (k_i·k_j) e^(c_i - c_j), i > j;  P_ij = (q_i·k_j) e^(c_i - c_j), i >= j
//   (1 + A) D = beta (V - e^c K S₀);  Y = e^c Q S₀ + P D;  S₁ = e^(c_n) S₀ + Kᵀ (e^(c_n - c) D)
// c_i - c_j is masked before e^, since it grows above the diagonal. (1 + A) is solved by halves: D₀ = (1 + A₀₀)⁻¹ R₀, D₁ = (1 + A₁₁)⁻¹ (R₁ - A₁₀ D₀).
//
// A warp keeps 16 columns of S, transposed, in fp32 registers over all rows, and does all that needs S: so S, R and D never go through
// memory, and warps that keep S don't need each other. What doesn't need S is made a chunk ahead by four more warps: q and k normed and
// rounded to f16, A, P and the two inverses (fp32, by substitution). A chunk has three phases, after each a barrier of the block. A block has
// Columns of a head's columns, so blocks of one head make the same A and P.
//
// 512 rows, 16 key heads, 32 value heads of 128 × 128 on an H100: 43 µs with 32 columns a block, 48 with 64, 66 with 128; delta.hip's rows one by
// one 450. A wait for a chunk is what it is made of, 2.5 µs each: with norms' sums one after another, gates fetched when wanted, and a
// warp that doesn't know that it doesn't diverge (WARPSYNC before each shuffle) it was 119.
//
// Operands of products are f16, sums fp32. Of 512 rows with 128 × 128, against the recurrence in fp64 (numpy): the state's relative error is 2e-4 to
// 4e-4 for random keys, 8e-4 for keys that nearly repeat; it doesn't grow with rows, since each step takes back what is wrong along k. In two
// f16s each the operands of KᵀD alone would make it 3e-5, which nothing asks for.
#pragma once
#include "delta.hip"
#include "matrix.hip"

namespace hipc {

// What the warps that keep S find of a chunk.
template <int DK> struct ChunkBuffer {
  static constexpr int ld = DK + 8, lt = 24;  // of q and k, of 16 x 16 values: no bank conflicts
  f16 q[32 * ld], k[32 * ld];
  f16 inverse[2][16 * lt], minus_a[16 * lt], p[3][16 * lt];  // p: 00, 10, 11
  float beta[32], up[32], down[32], c[32];                   // up = e^c, down = e^(c_n - c)
};
template <int DK> struct ChunkMemory {
  ChunkBuffer<DK> buffer[2];
  float a[2][16][20];  // A's blocks on the diagonal, column by column
  // The keys of the chunk that is met, the other way round, where matrix units can't read them so by themselves.
  static constexpr int lk = 40;
  f16 across[across_is_free ? 8 : DK * lk];
};

constexpr int chunk_rows = 32, chunk_makers = 4;

template <bool x> struct Always {
  static constexpr bool value = x;
};

// Sums of 16 numbers over the lanes of a warp in 16 exchanges: lane l gets that of v[l % 16]. One after another they'd be 80.
template <int n = 16> DEVICE float warp_sums(float (&v)[16]) {
  if constexpr (n == 1) return v[0] + swap<16>(v[0]);
  constexpr int half = n > 1 ? n / 2 : 1;
  const bool high = lane() & half;
  UNROLL for (int i = 0; i < half; i++) {
    float keep = high ? v[i + half] : v[i], give = high ? v[i] : v[i + half];
    v[i] = keep + swap<half>(give);
  }
  return warp_sums<half>(v);
}

// The warps that make chunks. In gives q, k, beta and g of a row. What comes from memory is asked for a chunk before it's wanted.
template <int DK, class In> struct ChunkMaker {
  static constexpr int each = chunk_rows / chunk_makers, words = DK / 64;
  static_assert(each == 8, "sums of q and k are 16");
  const In &in;
  const int rows, w;  // live rows, and which of the warps
  typedef float f2 __attribute__((ext_vector_type(2)));
  f2 q[each][words], k[each][words];
  float beta, g;

  DEVICE void load(int t0) {
    const int from = t0 + w * each;
    auto get = [&](auto all) {  // a loop for whole chunks: a branch for each load would cost more than the load
      UNROLL for (int r = 0; r < each; r++) {
        bool there = all.value || from + r < rows;
        const f2 *qt = (const f2 *)in.q(from + r), *kt = (const f2 *)in.k(from + r);
        UNROLL for (int i = 0; i < words; i++) {
          u32 d = lane() + 32 * i;
          q[r][i] = there ? qt[d] : f2(0.0f), k[r][i] = there ? kt[d] : f2(0.0f);
        }
      }
    };
    if (from + each <= rows) get(Always<true>());
    else get(Always<false>());
  }
  DEVICE void load_gates(int t0) {
    int t = t0 + lane();
    if (w == chunk_makers - 1) beta = t < rows ? in.beta(t) : 0, g = t < rows ? in.g(t) : 0;
  }

  DEVICE void norm(ChunkBuffer<DK> &b) {
    if (w == chunk_makers - 1) {
      float c = g;
      UNROLL for (int d = 1; d < 32; d *= 2) {
        float before = from_lane(c, (lane() - d) & 31);
        if (lane() >= d) c += before;
      }
      b.beta[lane()] = beta, b.c[lane()] = c, b.up[lane()] = exponential(c), b.down[lane()] = exponential(from_lane(c, 31) - c);
    }
    float squares[16];
    UNROLL for (int r = 0; r < each; r++) {
      float qq = 0, kk = 0;
      UNROLL for (int i = 0; i < words; i++) UNROLL for (int j = 0; j < 2; j++) qq = fma(q[r][i][j], q[r][i][j], qq), kk = fma(k[r][i][j], k[r][i][j], kk);
      squares[r] = qq, squares[each + r] = kk;
    }
    const float sum = warp_sums(squares), by = lane() & each ? in.scale_k(sum) : in.scale_q(sum);
    UNROLL for (int r = 0; r < each; r++) {
      float qby = from_lane(by, r), kby = from_lane(by, each + r);
      UNROLL for (int i = 0; i < words; i++) {
        int at = (w * each + r) * b.ld + 2 * lane() + 64 * i;
        *(u32 *)(b.q + at) = pair<f16>(q[r][i][0] * qby, q[r][i][1] * qby), *(u32 *)(b.k + at) = pair<f16>(k[r][i][0] * kby, k[r][i][1] * kby);
      }
    }
  }

  DEVICE void turn(ChunkMemory<DK> &m, const ChunkBuffer<DK> &b) {
    if constexpr (!across_is_free)
      for (int d = w; d < DK / 16; d += chunk_makers) UNROLL for (int j = 0; j < 2; j++) {
        Cols<f16> k = load_cols_across(b.k + 16 * j * b.ld + 16 * d, b.ld);
        store_cols(m.across + 16 * d * m.lk + 16 * j, m.lk, k);
      }
  }

  // Three warps: blocks 00, 10 and 11 of A and of P.
  DEVICE void pairs(ChunkMemory<DK> &m, ChunkBuffer<DK> &b) {
    if (w > 2) return;
    const int i0 = w > 0 ? 16 : 0, j0 = w > 1 ? 16 : 0;
    Tile a, p;
    a.v = p.v = f8(0.0f);
    _Pragma("unroll 2") for (int d = 0; d < DK; d += 16) {  // unrolled wholly, clang keeps all operands in registers at once and spills
      Cols<f16> right = load_cols(b.k + j0 * b.ld + d, b.ld);
      multiply(a, load_rows(b.k + i0 * b.ld + d, b.ld), right), multiply(p, load_rows(b.q + i0 * b.ld + d, b.ld), right);
    }
    UNROLL for (int e = 0; e < 8; e++) {
      int row = Tile::row(Tile::slot(e)), col = Tile::col(e), i = i0 + row, j = j0 + col;
      float fade = i >= j ? exponential(b.c[i] - b.c[j]) : 0, x = b.beta[i] * fade * a.v[e];  // of which the diagonal isn't read
      b.p[w][row * b.lt + col] = (f16)(fade * p.v[e]);
      if (w == 1) b.minus_a[row * b.lt + col] = (f16)-x;
      else m.a[w / 2][col][row] = x;
    }
  }

  // (1 + A)⁻¹ of both blocks: a lane has a column. What is known of it goes into all rows below at once.
  DEVICE void invert(ChunkMemory<DK> &m, ChunkBuffer<DK> &b) {
    if (w > 0) return;
    const int half = lane() / 16, column = lane() % 16;
    float x[16];
    UNROLL for (int i = 0; i < 16; i++) x[i] = i == column;
    UNROLL for (int j = 0; j < 16; j++) {
      UNROLL for (int i = (j + 1) / 4 * 4; i < 16; i += 4) {
        f4 a = load4(&m.a[half][j][i]);
        UNROLL for (int e = 0; e < 4; e++)
          if (i + e > j) x[i + e] = fma(-a[e], x[j], x[i + e]);
      }
      b.inverse[half][j * b.lt + column] = (f16)x[j];
    }
  }
};

// The warps that keep S: 16 columns each, from `column` on. put(t, c, more, lanes, value): row t + more, column c + lanes.
template <int DK, int DV, class In, class Put> struct ChunkKeeper {
  const In &in;
  const int rows, column;
  Put put;
  Tile s[DK / 16], r[2], o[2], v[2];  // rows are columns of S; columns are those of K, or tokens

  // Where its columns are in a row of S or of values: one number for a lane, so that the rest of an address is known to all.
  DEVICE u32 lane_row() const { return column + Tile::row(0); }
  template <class Each> DEVICE void each_of_state(Each each) const {
    UNROLL for (int d = 0; d < DK / 16; d++) UNROLL for (int i = 0; i < 8; i++)
      each(d, i, (long)(d * 16 + Tile::col0(i)) * DV + 8 * Tile::slot(i), Tile::lane_col() * DV + lane_row());
  }
  DEVICE void load(const float *S, bool fresh) {
    UNROLL for (int d = 0; d < DK / 16; d++) s[d].v = f8(0.0f);
    if (!fresh) each_of_state([&](int d, int i, long at, u32 lanes) { s[d].v[i] = (S + at)[lanes]; });
  }
  DEVICE void store(float *S) const {
    each_of_state([&](int d, int i, long at, u32 lanes) { (S + at)[lanes] = s[d].v[i]; });
  }

  // each(j, i, t, lanes): element i of tile j belongs to token t + Tile::lane_col(); those of live tokens.
  template <class Each> DEVICE void each_token(int t0, Each each) const {
    auto go = [&](auto all) {
      UNROLL for (int j = 0; j < 2; j++) UNROLL for (int i = 0; i < 8; i++) {
        int t = t0 + 16 * j + Tile::col0(i);
        if (all.value || t + (int)Tile::lane_col() < rows) each(j, i, t);
      }
    };
    if (t0 + chunk_rows <= rows) go(Always<true>());
    else go(Always<false>());
  }
  DEVICE void load_values(int t0) {
    UNROLL for (int j = 0; j < 2; j++) v[j].v = f8(0.0f);
    const u32 lanes = unknown(Tile::lane_col()) * (u32)(in.v(1) - in.v(0)) + unknown(lane_row());  // made anew: registers are short
    each_token(t0, [&](int j, int i, int t) { v[j].v[i] = (in.v(t) + 8 * Tile::slot(i))[lanes]; });
  }

  // r = beta (V - e^c K S), o = e^c Q S.
  DEVICE void meet(const ChunkBuffer<DK> &b) {
    UNROLL for (int j = 0; j < 2; j++) r[j].v = o[j].v = f8(0.0f);
    UNROLL for (int d = 0; d < DK / 16; d++) {
      Rows<f16> state = as_rows<f16>(s[d]);
      UNROLL for (int j = 0; j < 2; j++) {
        multiply(r[j], state, load_cols(b.k + 16 * j * b.ld + 16 * d, b.ld));
        multiply(o[j], state, load_cols(b.q + 16 * j * b.ld + 16 * d, b.ld));
      }
    }
    UNROLL for (int j = 0; j < 2; j++) UNROLL for (int i = 0; i < 8; i++) {
      int t = 16 * j + Tile::col(i);
      float up = b.up[t];
      r[j].v[i] = b.beta[t] * (v[j].v[i] - up * r[j].v[i]), o[j].v[i] *= up;
    }
  }

  // r becomes D, o is given away.
  DEVICE void solve(const ChunkBuffer<DK> &b, int t0) {
    UNROLL for (int j = 0; j < 2; j++) {
      Tile d;
      d.v = f8(0.0f);
      multiply(d, as_rows<f16>(r[j]), load_cols(b.inverse[j], b.lt));
      r[j] = d;
      Rows<f16> left = as_rows<f16>(d);
      if (j == 0) multiply(r[1], left, load_cols(b.minus_a, b.lt)), multiply(o[0], left, load_cols(b.p[0], b.lt)), multiply(o[1], left, load_cols(b.p[1], b.lt));
      else multiply(o[1], left, load_cols(b.p[2], b.lt));
    }
    each_token(t0, [&](int j, int i, int t) { put(t, 8 * Tile::slot(i), Tile::lane_col(), lane_row(), o[j].v[i]); });
  }

  DEVICE void update(const ChunkMemory<DK> &m, const ChunkBuffer<DK> &b) {
    const float last = b.up[31];
    Rows<f16> left[2];
    UNROLL for (int j = 0; j < 2; j++) {
      UNROLL for (int i = 0; i < 8; i++) r[j].v[i] *= b.down[16 * j + Tile::col(i)];
      left[j] = as_rows<f16>(r[j]);
    }
    UNROLL for (int d = 0; d < DK / 16; d++) {
      s[d].v *= last;
      UNROLL for (int j = 0; j < 2; j++)
        if constexpr (across_is_free) multiply(s[d], left[j], load_cols_across(b.k + 16 * j * b.ld + 16 * d, b.ld));
        else multiply(s[d], left[j], load_cols(m.across + 16 * d * m.lk + 16 * j, m.lk));
    }
  }
};

// A block's head and columns: grid HV · DV / Columns, of Columns / 16 + 4 warps.
template <int HV, int DK, int DV, int Columns, int T, class In> DEVICE void delta_chunks(In in, const int *pos, const int *live, float *y, float *S, int block) {
  static_assert(DK % 64 == 0 && DK <= 128 && DV % Columns == 0 && Columns % 16 == 0, "a warp keeps 16 columns of up to 128");
  static_assert(sizeof(ChunkMemory<DK>) == 256 * (DK + 8) + 12800 + (across_is_free ? 16 : 80 * DK), "the registry says how much");
  constexpr int keepers = Columns / 16, parts = DV / Columns;
  ChunkMemory<DK> &m = *(ChunkMemory<DK> *)block_memory;
  const int rows = live_rows<T>(live), chunks = ceil_div(rows, chunk_rows), w = uniform(warp());
  if (rows <= 0) return;
  in.h = block / parts;
  if (w >= keepers) {
    ChunkMaker<DK, In> maker{in, rows, w - keepers};
    maker.load(0), maker.load_gates(0);
    for (int n = 0; n <= chunks; n++) {
      const bool more = n < chunks;
      ChunkBuffer<DK> &b = m.buffer[n % 2];
      if (more) maker.norm(b);
      if (n > 0) maker.turn(m, m.buffer[(n + 1) % 2]);
      barrier();
      if (more) maker.pairs(m, b);
      barrier();
      if (more) maker.invert(m, b), maker.load((n + 1) * chunk_rows), maker.load_gates((n + 1) * chunk_rows);
      barrier();
    }
  } else {
    auto put = [&](int t, int c, u32 more, u32 lanes, float v) { (y + ((long)t * HV + in.h) * DV + c)[more * (HV * DV) + lanes] = v; };
    ChunkKeeper<DK, DV, In, decltype(put)> keeper{in, rows, block % parts * Columns + w * 16, put};
    S += (long)in.h * DK * DV;
    keeper.load(S, *pos == 0), keeper.load_values(0);
    for (int n = 0; n <= chunks; n++) {
      const bool more = n > 0;
      const int t0 = (n - 1) * chunk_rows;
      const ChunkBuffer<DK> &b = m.buffer[(n + 1) % 2];
      if (more) keeper.meet(b);
      barrier();
      if (more) keeper.solve(b, t0);
      barrier();
      if (more) keeper.load_values(t0 + chunk_rows), keeper.update(m, b);
      barrier();
    }
    keeper.store(S);
  }
}

// As delta.hip's delta_rule. y must not be an operand.
template <int HK, int HV, int DK, int DV, int Columns, int T>
DEVICE void delta_rule_chunked(const float *q, const float *k, const float *v, const float *beta, const float *g, const int *pos, const int *live,
                               float *y, float *S, int block) {
  delta_chunks<HV, DK, DV, Columns, T>(Plain<HK, HV, DK, DV>{q, k, v, beta, g, 0}, pos, live, y, S, block);
}

// As delta.hip's gdn.
template <int HK, int HV, int DK, int DV, class Eps, class Scale, int Columns, int T>
DEVICE void gdn_chunked(const float *x, const float *b, const float *na, const float *a, const float *dt, const int *pos, const int *live, float *y,
                        float *S, int block) {
  delta_chunks<HV, DK, DV, Columns, T>(Projected<HK, HV, DK, DV, Eps, Scale>{x, b, na, a, dt, 0}, pos, live, y, S, block);
}

}  // namespace hipc
