// delta.h: the gated delta rule (Yang et al. 2024). Value head h of HV reads key head h / (HV / HK) and keeps S[DK, DV]. Per token:
//   S *= e^g;  d = beta (v - Sᵀk);  S += k dᵀ;  y = Sᵀq;  S is 0 at position 0.
//
// Up to 8 rows: token by token, with S read twice and written once: Sᵀk and Sᵀq are both taken from the old S, since
// y = e^g Sᵀq + (k·q) d. More rows: by chunks of 64, as products of matrices. With c the sum of g from the chunk's start:
//   L_ij = e^(c_i - c_j) for i >= j, else 0, masked before e^ since c_i - c_j grows above the diagonal
//   d_i = beta_i (v_i - e^(c_i) S₀ᵀk_i) - Σ_{j<i} beta_i (k_i·k_j) L_ij d_j
//   y_i = e^(c_i) S₀ᵀq_i + Σ_{j<=i} (q_i·k_j) L_ij d_j;   S₁ = e^(c_n) S₀ + Σ_j e^(c_n - c_j) k_j d_jᵀ
// Of 32 heads of 128 × 128 a row takes 43 µs on one Zen 4 core, in chunks 47 (AVX2: 71 and 52): a chunk reads S once but has as many
// multiplications left. A block is a value head. Grid HV. y must not be an operand.
#pragma once
#include "product.h"
#include "rotate.h"

namespace hipc {

// One token of one head; q and k as they meet S.
template <int DK, int DV>
HIPC_INLINE void delta_step(const float *q, const float *k, const float *v, float beta, float g, float *S, float *y) {
  static_assert(DV % 16 == 0 && DK % 16 == 0, "head widths are whole vectors");
  constexpr int most = wide ? 8 : 2, N = DV / 16 < most ? DV / 16 : most;  // whole rows of S where registers allow: one stream
  V kq = zero(), decay = exponential(all(g));
  for (int i = 0; i < DK; i += 16) kq = fma(load(k + i), load(q + i), kq);
  V both = all(sum(kq));
  auto columns = [&](int c, auto count) __attribute__((always_inline)) {
    constexpr int n = decltype(count)::value;
    V m[n], o[n];
    HIPC_UNROLL(8) for (int j = 0; j < n; j++) m[j] = o[j] = zero();
    for (int i = 0; i < DK; i++)
      HIPC_UNROLL(8) for (int j = 0; j < n; j++) {
        V s = load(S + (long)i * DV + c + 16 * j);
        m[j] = fma(s, k + i, m[j]), o[j] = fma(s, q + i, o[j]);
      }
    HIPC_UNROLL(8) for (int j = 0; j < n; j++) {
      m[j] = all(beta) * (load(v + c + 16 * j) - decay * m[j]);
      store(y + c + 16 * j, fma(both, m[j], decay * o[j]));
    }
    for (int i = 0; i < DK; i++)
      HIPC_UNROLL(8) for (int j = 0; j < n; j++) {
        float *s = S + (long)i * DV + c + 16 * j;
        store(s, fma(m[j], k + i, decay * load(s)));
      }
  };
  int c = 0;
  for (; c + 16 * N <= DV; c += 16 * N) columns(c, std::integral_constant<int, N>());
  if constexpr (DV / 16 % N)
    for (; c < DV; c += 16) columns(c, std::integral_constant<int, 1>());
}

// end(row, column, begin(row, column) + a[rows, n] · b[n, N]) for all columns, or, with lower, for those that are not above the diagonal
// by more than what a register holds; a may be read up to a whole number of four rows.
template <int N, bool lower = false, class Begin, class End>
HIPC_INLINE void matrix(const float *a, long lda, const float *b, long ldb, int n, int rows, Begin begin, End end) {
  constexpr int R = 4, most = wide ? 4 : 1, NV = N / 16 < most ? N / 16 : most;
  for (int r = 0; r < rows; r += R) {
    auto some = [&](int c, auto count) __attribute__((always_inline)) {
      constexpr int M = decltype(count)::value;
      V acc[R][M];
      HIPC_UNROLL(4) for (int i = 0; i < R; i++)
        HIPC_UNROLL(4) for (int v = 0; v < M; v++) acc[i][v] = r + i < rows ? begin(r + i, c + 16 * v) : zero();
      panel<R, M>(a + r * lda, lda, b + c, ldb, 16, n, acc);
      HIPC_UNROLL(4) for (int i = 0; i < R; i++)
        HIPC_UNROLL(4) for (int v = 0; v < M; v++)
          if (r + i < rows) end(r + i, c + 16 * v, acc[i][v]);
    };
    int c = 0, columns = lower ? (r + R + 15) / 16 * 16 : N;
    for (; c + 16 * NV <= columns; c += 16 * NV) some(c, std::integral_constant<int, NV>());
    if constexpr (lower || N / 16 % NV)
      for (; c < columns; c += 16) some(c, std::integral_constant<int, 1>());
  }
}

constexpr int delta_chunk = 64;

// A chunk of one head: q and k[n, DK] as they meet S, kt = k transposed, beta and g[n]. v(i) and y(i) give row i's place.
template <int DK, int DV> struct Chunk {
  static constexpr int C = delta_chunk;
  alignas(64) float q[C * DK], k[C * DK], kt[DK * C], a[C * C], p[C * C], d[C * DV], beta[C], g[C], up[C], down[C];

  // Goes over n rows: S becomes what it is after them.
  template <class Value, class Out> HIPC_INLINE void run(int n, float *S, Value v, Out y) {
    alignas(64) float c[C];
    float total = 0;
    for (int i = 0; i < C; i++) c[i] = total += i < n ? g[i] : 0;
    for (int i = 0; i < C; i += 16) {
      store(up + i, exponential(load(c + i)));
      store(down + i, exponential(all(total) - load(c + i)));
    }
    for (int j = 0; j < C; j++)
      for (int i = 0; i < DK; i++) kt[i * C + j] = j < n ? k[j * DK + i] : 0;
    for (int i = 0; i < n; i++)
      for (int j = 0; j <= i; j += 16) {
        V l = choose(less(ramp() + all((float)j), all(i + 0.5f)), all(c[i]) - load(c + j), all(-1000.0f));
        store(p + i * C + j, exponential(l));
      }
    auto nothing = [](int, int) __attribute__((always_inline)) { return zero(); };
    matrix<C, true>(k, DK, kt, C, DK, n, nothing, [&](int i, int j, V x) __attribute__((always_inline)) {
      store(a + i * C + j, x * load(p + i * C + j) * all(-beta[i]));
    });
    matrix<C, true>(q, DK, kt, C, DK, n, nothing, [&](int i, int j, V x) __attribute__((always_inline)) {
      store(p + i * C + j, x * load(p + i * C + j));
    });
    matrix<DV>(k, DK, S, DV, DK, n, nothing, [&](int i, int j, V x) __attribute__((always_inline)) {
      store(d + i * DV + j, all(beta[i]) * (load(v(i) + j) - all(up[i]) * x));
    });
    for (int i = 0; i < n; i += 4) {  // four rows take all those before them at once, then each other
      int rows = n - i < 4 ? n - i : 4;
      matrix<DV>(a + i * C, C, d, DV, i, rows, [&](int r, int j) __attribute__((always_inline)) { return load(d + (i + r) * DV + j); },
                 [&](int r, int j, V x) __attribute__((always_inline)) { store(d + (i + r) * DV + j, x); });
      for (int r = i + 1; r < i + rows; r++)
        for (int s = i; s < r; s++)
          for (int j = 0; j < DV; j += 16) store(d + r * DV + j, fma(load(d + s * DV + j), a + r * C + s, load(d + r * DV + j)));
    }
    matrix<DV>(q, DK, S, DV, DK, n, nothing,
               [&](int i, int j, V x) __attribute__((always_inline)) { store(y(i) + j, x * all(up[i])); });
    for (int i = 0; i < n; i += 4) {
      int rows = n - i < 4 ? n - i : 4;
      matrix<DV>(p + i * C, C, d, DV, i + rows, rows, [&](int r, int j) __attribute__((always_inline)) { return load(y(i + r) + j); },
                 [&](int r, int j, V x) __attribute__((always_inline)) { store(y(i + r) + j, x); });
    }
    for (int i = 0; i < DK; i++)
      for (int j = 0; j < C; j += 16) store(kt + i * C + j, load(kt + i * C + j) * load(down + j));
    V end = all(up[C - 1]);
    matrix<DV>(kt, C, d, DV, n, DK, [&](int i, int j) __attribute__((always_inline)) { return load(S + i * DV + j) * end; },
               [&](int i, int j, V x) __attribute__((always_inline)) { store(S + i * DV + j, x); });
  }
};

// What delta_rule and gdn share: from(t, q, k, &beta, &g) puts row t's q and k as they meet S, v(t) and y(t) are its places.
template <int DK, int DV, int T, class From, class Value, class Out>
HIPC_INLINE void delta_rows(int rows, bool first, float *S, From from, Value v, Out y) {
  if (rows <= 0) return;
  if (first) __builtin_memset(S, 0, sizeof(float) * DK * DV);
  if constexpr (T <= thin_rows) {
    alignas(64) float q[DK], k[DK];
    for (int t = 0; t < rows; t++) {
      float beta, g;
      from(t, q, k, &beta, &g);
      delta_step<DK, DV>(q, k, v(t), beta, g, S, y(t));
    }
  } else {
    Chunk<DK, DV> c;
    for (int t = 0; t < rows; t += c.C) {
      int n = rows - t < c.C ? rows - t : c.C;
      for (int i = 0; i < n; i++) from(t + i, c.q + i * DK, c.k + i * DK, c.beta + i, c.g + i);
      c.run(n, S, [&](int i) __attribute__((always_inline)) { return v(t + i); },
            [&](int i) __attribute__((always_inline)) { return y(t + i); });
    }
  }
}

// q and k[T, HK, DK], v and y[T, HV, DV], beta and g[T, HV].
template <int HK, int HV, int DK, int DV, int T>
inline void delta_rule(const float *q, const float *k, const float *v, const float *beta, const float *g, const int *pos, const int *live,
                       float *y, float *S, int h) {
  static_assert(HV % HK == 0, "value heads must be a multiple of key heads");
  int kh = h / (HV / HK);
  delta_rows<DK, DV, T>(
      live_rows<T>(live), *pos == 0, S + (long)h * DK * DV,
      [&](int t, float *qt, float *kt, float *bt, float *gt) __attribute__((always_inline)) {
        __builtin_memcpy(qt, q + ((long)t * HK + kh) * DK, sizeof(float) * DK);
        __builtin_memcpy(kt, k + ((long)t * HK + kh) * DK, sizeof(float) * DK);
        *bt = beta[(long)t * HV + h], *gt = g[(long)t * HV + h];
      },
      [&](int t) __attribute__((always_inline)) { return v + ((long)t * HV + h) * DV; },
      [&](int t) __attribute__((always_inline)) { return y + ((long)t * HV + h) * DV; });
}

// y = x / (√(Σx² + eps) scale)
template <int D, class Eps> HIPC_INLINE void l2norm_row(const float *x, float scale, float *y) {
  V by = all(1.0f / (__builtin_sqrtf(sum_of_squares<D>(x) + (float)Eps::value) * scale));
  vectors<D>([&](int i, auto n) __attribute__((always_inline)) { set(y + i, get(x + i, n) * by, n); });
}

// x[T, R, D]. Grid T. y may be x.
template <int R, int D, class Eps, int T> inline void l2norm(const float *x, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  for (int r = 0; r < R; r++) l2norm_row<D, Eps>(x + ((long)block * R + r) * D, 1, y + ((long)block * R + r) * D);
}

HIPC_INLINE float lane0(V a) {
  alignas(64) float v[16];
  store(v, a);
  return v[0];
}

// Head h of x[T, q | k | v], all heads of one after another; beta = sigmoid(b), g = na softplus(a + dt). y(t) takes row t.
template <int HK, int HV, int DK, int DV, class Eps, class Scale, int T, class Out>
HIPC_INLINE void gdn_head(const float *x, const float *b, const float *na, const float *a, const float *dt, const int *pos,
                          const int *live, float *S, int h, Out y) {
  static_assert(HV % HK == 0, "value heads must be a multiple of key heads");
  constexpr long row = 2 * HK * DK + HV * DV;
  int kh = h / (HV / HK);
  delta_rows<DK, DV, T>(
      live_rows<T>(live), *pos == 0, S + (long)h * DK * DV,
      [&](int t, float *qt, float *kt, float *bt, float *gt) __attribute__((always_inline)) {
        l2norm_row<DK, Eps>(x + t * row + kh * DK, (float)Scale::value, qt);
        l2norm_row<DK, Eps>(x + t * row + (HK + kh) * DK, 1, kt);
        *bt = lane0(sigmoid::of(all(b[(long)t * HV + h])));
        *gt = na[h] * lane0(softplus::of(all(a[(long)t * HV + h] + dt[h])));
      },
      [&](int t) __attribute__((always_inline)) { return x + t * row + 2 * HK * DK + h * DV; }, y);
}

// y[T, HV, DV] = delta_rule(l2norm(q) / scale, l2norm(k), v, sigmoid(b), na softplus(a + dt)); b and a[T, HV].
template <int HK, int HV, int DK, int DV, class Eps, class Scale, int T>
inline void gdn(const float *x, const float *b, const float *na, const float *a, const float *dt, const int *pos, const int *live,
                float *y, float *S, int h) {
  gdn_head<HK, HV, DK, DV, Eps, Scale, T>(x, b, na, a, dt, pos, live, S, h,
                                          [&](int t) __attribute__((always_inline)) { return y + ((long)t * HV + h) * DV; });
}

// One row: gdn, then rmsnorm(., w) silu(z). Grid HV.
template <int HK, int HV, int DK, int DV, class Eps, class Scale, class NormEps>
inline void gdn_norm(const float *x, const float *b, const float *na, const float *a, const float *dt, const float *w, const float *z,
                     const int *pos, const int *live, float *y, float *S, int h) {
  alignas(64) float o[DV];
  gdn_head<HK, HV, DK, DV, Eps, Scale, 1>(x, b, na, a, dt, pos, live, S, h, [&](int) __attribute__((always_inline)) { return o; });
  gated_norm<1, DV, NormEps, 1>(o, w, z + h * DV, live, y + h * DV, 0);
}

// The same, rotated by r over all HV * DV. A block is as many heads as a group holds, at least one: grid HV * DV / max(DV, G).
template <int HK, int HV, int DK, int DV, int G, class Eps, class Scale, class NormEps>
inline void gdn_norm_rotate(const float *x, const float *b, const float *na, const float *a, const float *dt, const float *w,
                            const float *z, const uint8_t *r, const int *pos, const int *live, float *y, float *S, int block) {
  constexpr int N = DV > G ? DV : G, heads = N / DV;
  static_assert(HV % heads == 0, "the heads must be whole groups");
  alignas(64) float o[N];
  for (int i = 0; i < heads; i++)
    gdn_head<HK, HV, DK, DV, Eps, Scale, 1>(x, b, na, a, dt, pos, live, S, block * heads + i,
                                            [&](int) __attribute__((always_inline)) { return o + i * DV; });
  for (int g = 0; g < N / G; g++)
    gated_norm_group<DV, G, NormEps>(o, w, z + block * N, r + block * (N / G) * rotation_bytes<G>, y + block * N, g);
}

}  // namespace hipc
