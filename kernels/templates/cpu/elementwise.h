// elementwise.h: y = op(x) and y = op(a, b) over rows of N.
//
// Grid of both: T * ((N + 4095) / 4096). y may be an operand of the same size.
#pragma once
#include "norm.h"

namespace hipc {

struct add { static HIPC_INLINE V of(V a, V b) { return a + b; } };
struct sub { static HIPC_INLINE V of(V a, V b) { return a - b; } };
struct mul { static HIPC_INLINE V of(V a, V b) { return a * b; } };
struct div { static HIPC_INLINE V of(V a, V b) { return a / b; } };

struct copy { static HIPC_INLINE V of(V x) { return x; } };
struct neg { static HIPC_INLINE V of(V x) { return zero() - x; } };
struct sqrt { static HIPC_INLINE V of(V x) { return root(x); } };
struct exp { static HIPC_INLINE V of(V x) { return exponential(x); } };
struct sigmoid { static HIPC_INLINE V of(V x) { return all(1.0f) / (all(1.0f) + exponential(zero() - x)); } };
struct silu { static HIPC_INLINE V of(V x) { return x / (all(1.0f) + exponential(zero() - x)); } };

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), and log1p(u) = 2 atanh(u / (2 + u)): its argument is at most 1/3, so 8 terms do.
struct softplus {
  static HIPC_INLINE V of(V x) {
    V u = exponential(zero() - magnitude(x)), s = u / (all(2.0f) + u), z = s * s, p = all(2.0f / 15);
    p = fma(p, z, all(2.0f / 13)), p = fma(p, z, all(2.0f / 11)), p = fma(p, z, all(2.0f / 9));
    p = fma(p, z, all(2.0f / 7)), p = fma(p, z, all(2.0f / 5)), p = fma(p, z, all(2.0f / 3));
    p = fma(p, z, all(2.0f));
    return fma(p, s, max(zero(), x));
  }
};

// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))) = x sigmoid(2 ...)
struct gelu_tanh {
  static HIPC_INLINE V of(V x) {
    V z = x * fma(x * x, all(2 * 0.79788456f * 0.044715f), all(2 * 0.79788456f));
    return x / (all(1.0f) + exponential(zero() - z));
  }
};

// 0.5 x (1 + erf(x / √2)), erfc by Abramowitz and Stegun 7.1.26: an absolute error of erf below 1.5e-7.
struct gelu {
  static HIPC_INLINE V of(V x) {
    V a = magnitude(x) * all(0.70710678f), t = all(1.0f) / fma(a, all(0.3275911f), all(1.0f)), p = all(1.061405429f);
    p = fma(p, t, all(-1.453152027f)), p = fma(p, t, all(1.421413741f)), p = fma(p, t, all(-0.284496736f));
    p = fma(p, t, all(0.254829592f));
    V tail = all(0.5f) * p * t * exponential(zero() - a * a);  // half of erfc(|x| / √2)
    return x * choose(less(x, zero()), tail, all(1.0f) - tail);
  }
};

// A two-operand op with a constant on its right or left as an op of one: map1<right<div, r1>, ...> is x / r1.
template <class Op, class C> struct right { static HIPC_INLINE V of(V x) { return Op::of(x, all((float)C::value)); } };
template <class Op, class C> struct left { static HIPC_INLINE V of(V x) { return Op::of(all((float)C::value), x); } };

constexpr int span = 4096;  // elements of a row that one block does

template <class Op, int N, int T> inline void map1(const float *x, const int *live, float *y, int block) {
  constexpr int parts = ceil_div(N, span);
  int t = block / parts, from = block % parts * span, to = N - from < span ? N : from + span;
  if (t >= live_rows<T>(live)) return;
  x += (long)t * N, y += (long)t * N;
  int i = from;
  for (; i + 16 <= to; i += 16) store(y + i, Op::of(load(x + i)));
  if (i < to) store(y + i, Op::of(load(x + i, to - i)), to - i);
}

// Sixteen of an operand that has A elements to N of the result, aligned from the left: w[K] against y[K, d] is each w d times.
template <int N, int A> HIPC_INLINE V repeated(const float *a, int i, int n) {
  constexpr int times = N / A;
  if constexpr (times == 1) return n == 16 ? load(a + i) : load(a + i, n);
  if constexpr (times % 16 == 0 || A == 1) return all(a[i / times]);
  alignas(64) float v[16] = {};
  for (int j = 0; j < n; j++) v[j] = a[(i + j) / times];
  return load(v);
}

// y[T, N] = op(a, b); a has A elements a row and b has B, which divide N. RowsA, RowsB: 1 when the operand has a row a token, 0
// when it is one row for all (a weight).
template <class Op, int N, int A, int B, int T, int RowsA = 1, int RowsB = 1>
inline void map2(const float *a, const float *b, const int *live, float *y, int block) {
  static_assert(N % A == 0 && N % B == 0, "an operand's size must divide the result's");
  constexpr int parts = ceil_div(N, span);
  int t = block / parts, from = block % parts * span, to = N - from < span ? N : from + span;
  if (t >= live_rows<T>(live)) return;
  a += (long)t * A * RowsA, b += (long)t * B * RowsB, y += (long)t * N;
  for (int i = from; i < to; i += 16) {
    int n = to - i < 16 ? to - i : 16;
    V r = Op::of(repeated<N, A>(a, i, n), repeated<N, B>(b, i, n));
    n == 16 ? store(y + i, r) : store(y + i, r, n);
  }
}

}  // namespace hipc
