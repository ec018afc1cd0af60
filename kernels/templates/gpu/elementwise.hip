// elementwise.hip: y = op(x) and y = op(a, b) over rows of N. Grid of both: T ceil(N / 1024). y may be an operand of the same size.
#pragma once
#include "device.h"

namespace hipc {

struct add { static DEVICE float of(float a, float b) { return a + b; } };
struct sub { static DEVICE float of(float a, float b) { return a - b; } };
struct mul { static DEVICE float of(float a, float b) { return a * b; } };
struct div { static DEVICE float of(float a, float b) { return a / b; } };

struct copy { static DEVICE float of(float x) { return x; } };
struct neg { static DEVICE float of(float x) { return -x; } };
struct sqrt { static DEVICE float of(float x) { return root(x); } };
struct exp { static DEVICE float of(float x) { return exponential(x); } };
struct sigmoid { static DEVICE float of(float x) { return inverse(1 + exponential(-x)); } };
struct silu { static DEVICE float of(float x) { return over(x, 1 + exponential(-x)); } };
struct gelu_tanh {
  static DEVICE float of(float x) { return over(x, 1 + exponential(-x * fma(x * x, 2 * 0.79788456f * 0.044715f, 2 * 0.79788456f))); }
};

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), and log1p(u) = 2 atanh(u / (2 + u)): its argument is at most 1/3, so 8 terms do.
struct softplus {
  static DEVICE float of(float x) {
    float u = exponential(-__builtin_fabsf(x)), s = over(u, 2 + u), z = s * s, p = 2.0f / 15;
    p = fma(p, z, 2.0f / 13), p = fma(p, z, 2.0f / 11), p = fma(p, z, 2.0f / 9), p = fma(p, z, 2.0f / 7);
    p = fma(p, z, 2.0f / 5), p = fma(p, z, 2.0f / 3), p = fma(p, z, 2.0f);
    return fma(p, s, greater(x, 0));
  }
};

// 0.5 x (1 + erf(x / √2)), erfc by Abramowitz and Stegun 7.1.26: an absolute error of erf below 1.5e-7.
struct gelu {
  static DEVICE float of(float x) {
    float a = __builtin_fabsf(x) * 0.70710678f, t = inverse(fma(a, 0.3275911f, 1)), p = 1.061405429f;
    p = fma(p, t, -1.453152027f), p = fma(p, t, 1.421413741f), p = fma(p, t, -0.284496736f), p = fma(p, t, 0.254829592f);
    float tail = 0.5f * p * t * exponential(-a * a);  // half of erfc(|x| / √2)
    return x * (x < 0 ? tail : 1 - tail);
  }
};

// A two-operand op with a constant on its right or left as an op of one: map1<right<div, r1>, ...> is x / r1.
template <class Op, class C> struct right { static DEVICE float of(float x) { return Op::of(x, (float)C::value); } };
template <class Op, class C> struct left { static DEVICE float of(float x) { return Op::of((float)C::value, x); } };

constexpr int span = 1024;  // elements of a row that one block does

template <class Op, int N, int T> DEVICE void map1(const float *x, const int *live, float *y, int block) {
  constexpr int parts = ceil_div(N, span);
  int t = block / parts, from = block % parts * span, to = N - from < span ? N : from + span;
  if (t >= live_rows<T>(live)) return;
  for (int i = from + thread(); i < to; i += 256) y[(long)t * N + i] = Op::of(x[(long)t * N + i]);
}

// y[T, N] = op(a, b); a has A elements a row and b has B, which divide N; the shorter is aligned from the left: w[K] against y[K, d] is each
// w d times. RowsA, RowsB: 1 when the operand has a row a token, 0 when it is one row for all (a weight).
template <class Op, int N, int A, int B, int T, int RowsA = 1, int RowsB = 1>
DEVICE void map2(const float *a, const float *b, const int *live, float *y, int block) {
  static_assert(N % A == 0 && N % B == 0, "an operand's size must divide the result's");
  constexpr int parts = ceil_div(N, span);
  int t = block / parts, from = block % parts * span, to = N - from < span ? N : from + span;
  if (t >= live_rows<T>(live)) return;
  a += (long)t * A * RowsA, b += (long)t * B * RowsB, y += (long)t * N;
  for (int i = from + thread(); i < to; i += 256) y[i] = Op::of(a[i / (N / A)], b[i / (N / B)]);
}

// The parts of x[T, R, A + B + C], A, B and C values of each row, C may be 0. Grid T.
template <int R, int A, int B, int C, int T>
DEVICE void cut(const float *x, const int *live, float *a, float *b, float *c, int block) {
  if (block >= live_rows<T>(live)) return;
  constexpr int all = A + B + C;
  for (int i = thread(); i < R * all; i += 256) {
    long row = (long)block * R + i / all;
    int j = i % all;
    float v = x[row * all + j];
    if (j < A) a[row * A + j] = v;
    else if (j < A + B) b[row * B + j - A] = v;
    else c[row * C + j - A - B] = v;
  }
}
template <int R, int A, int B, int T> DEVICE void split(const float *x, const int *live, float *a, float *b, int block) {
  cut<R, A, B, 0, T>(x, live, a, b, nullptr, block);
}
template <int R, int A, int B, int C, int T>
DEVICE void split3(const float *x, const int *live, float *a, float *b, float *c, int block) {
  cut<R, A, B, C, T>(x, live, a, b, c, block);
}

}  // namespace hipc
