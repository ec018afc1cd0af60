// rope.h: rotary embedding (rotate-half on the first R of D dimensions), alone and before the append to the cache:
//   f_i = position / theta^(2i / R);  a = x[0 : R/2], b = x[R/2 : R];  [a cos f - b sin f, b cos f + a sin f, x[R:]]
// Frequencies are made at compile time and rounded as transformers rounds them: exponent, power, reciprocal and the angle itself in
// float32. Sine and cosine then are exact to an ulp for any position: their argument is reduced in double.
#pragma once
#include "norm.h"
#include "pages.h"

namespace hipc {

constexpr double ln2 = 0.693147180559945309417;
constexpr double log_of(double x) {  // x > 0
  int e = 0;
  while (x > 1.5) x /= 2, e++;
  while (x < 0.75) x *= 2, e--;
  double s = (x - 1) / (x + 1), z = s * s, term = s, sum = 0;
  for (int i = 1; i < 60; i += 2, term *= z) sum += term / i;
  return e * ln2 + 2 * sum;
}
constexpr double exp_of(double x) {  // x >= 0
  int n = (int)(x / ln2);
  double r = x - n * ln2, term = 1, sum = 1;
  for (int i = 1; i < 30; i++) term *= r / i, sum += term;
  while (n-- > 0) sum *= 2;
  return sum;
}

// A base whose frequencies are slowed down for longer contexts, in float32 as transformers does, a wave being theta^(2i/R): all are
// divided by Factor, or each by its own where that is a list. Where Original isn't 0, only those that turn fewer than Low times in so many
// positions are, those that turn more than High times stay, and between it goes over linearly in the turns, or with Ramp in i.
template <class F> constexpr auto is_list(int) -> decltype(F::values[0] > 0) { return true; }
template <class F> constexpr bool is_list(long) { return false; }
template <class Theta, class Factor, class Low, class High, class Original, int Ramp, class Gain> struct slowed {
  static constexpr double value = Theta::value;
  static constexpr float of(float wave, int i, int R) {
    float f = 1.0f / wave;
    if constexpr (is_list<Factor>(0)) {
      return 1.0f / ((float)Factor::values[i] * wave);
    } else if constexpr (Original::value == 0 || Factor::value == 1) {
      return f / (float)Factor::value;
    } else if constexpr (Ramp) {
      int first = whole(turning(R, High::value)), last = -whole(-turning(R, Low::value));
      if (first < 0) first = 0;
      if (last > R - 1) last = R - 1;
      float at = (float)(i - first) / (first == last ? 0.001f : (float)(last - first));
      float stays = 1 - (at < 0 ? 0 : at > 1 ? 1 : at);
      return 1.0f / ((float)Factor::value * wave) * (1 - stays) + f * stays;
    } else {
      constexpr float low = (float)Low::value, high = (float)High::value;
      float slow = f / (float)Factor::value, turns = (float)Original::value / (6.28318530717958648f / f);
      if (turns < low) return slow;
      if (turns > high || low == high) return f;
      float smooth = (turns - low) / (float)(High::value - Low::value);
      return (1 - smooth) * slow + smooth * f;
    }
  }
  // The i of the frequency that turns so many times, and the whole number below.
  static constexpr double turning(int R, double times) {
    return R * log_of(Original::value / (times * 2 * 3.14159265358979323846)) / (2 * log_of(Theta::value));
  }
  static constexpr int whole(double x) { return (int)x - ((double)(int)x > x); }
};

template <class Theta> constexpr float frequency(const Theta *, float wave, int, int) { return 1.0f / wave; }
template <class Theta> constexpr float gain(const Theta *) { return 1; }
template <class A, class B, class C, class D, class E, int Ramp, class Gain>
constexpr float frequency(const slowed<A, B, C, D, E, Ramp, Gain> *s, float wave, int i, int R) {
  return s->of(wave, i, R);
}
template <class A, class B, class C, class D, class E, int Ramp, class Gain>
constexpr float gain(const slowed<A, B, C, D, E, Ramp, Gain> *) {
  return (float)Gain::value;
}

template <int R, class Theta> struct Frequencies {
  alignas(64) float at[R / 2] = {};
  constexpr Frequencies() {
    for (int i = 0; i < R / 2; i++) {
      double e = (float)(2 * i) / (float)R;
      at[i] = frequency((const Theta *)nullptr, (float)exp_of(e * log_of(Theta::value)), i, R);
    }
  }
};

// cos and sin of position · f_i, for all heads of a row.
template <int R, class Theta> struct Angles {
  alignas(64) float cos[R / 2], sin[R / 2];
  HIPC_INLINE Angles(int position) {
    static constexpr Frequencies<R, Theta> f;
    constexpr float g = gain((const Theta *)nullptr);
    for (int i = 0; i < R / 2; i++) {
      float angle = (float)position * f.at[i];
      constexpr double round = 6755399441055744.0;  // 1.5 × 2^52: adding and taking it away rounds to an integer
      double n = (double)angle * 0.636619772367581343 + round - round;
      float r = (float)((double)angle - n * 1.57079632679489662), z = r * r;
      float s = r + r * z * (-0.166666552f + z * (0.00833217334f + z * -0.000195166635f));
      float c = 1 - 0.5f * z + z * z * (0.0416666456f + z * (-0.00138873619f + z * 2.44377225e-05f));
      int quarter = (int)n;
      float a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
      sin[i] = (quarter & 2 ? -a : a) * g;
      cos[i] = ((quarter + 1) & 2 ? -b : b) * g;
    }
  }
};

// One head. y may be x.
template <int D, int R, class Theta> HIPC_INLINE void rotate_head(const Angles<R, Theta> &f, const float *x, float *y) {
  static_assert(R % 2 == 0 && R <= D, "the rotated width is even and at most the head's");
  vectors<R / 2>([&](int i, auto n) __attribute__((always_inline)) {
    V a = get(x + i, n), b = get(x + R / 2 + i, n), c = get(f.cos + i, n), s = get(f.sin + i, n);
    set(y + i, a * c - b * s, n);
    set(y + R / 2 + i, b * c + a * s, n);
  });
  if (y != x)
    for (int i = R; i < D; i++) y[i] = x[i];
}

// x[T, H, D], row t at position *pos + t. Grid T.
template <int H, int D, int R, class Theta, int T>
inline void rope(const float *x, const int *pos, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  Angles<R, Theta> f(*pos + block);
  for (int h = 0; h < H; h++) {
    long at = ((long)block * H + h) * D;
    rotate_head<D>(f, x + at, y + at);
  }
}

// prepare(x, w, y) does to each head of q and k what comes before the rotation; it returns where the rotation reads.
template <int H, int KV, int D, int R, class Theta, int P, int T, class Prepare>
HIPC_INLINE void rope_append_rows(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                                  const int *live, const int *table, float *qout, float *kv, int block, Prepare prepare) {
  constexpr int G = H / KV;
  static_assert(H % KV == 0, "query heads must be a multiple of key heads");
  Pages<KV, D, P> pages{table, kv};
  int head = block % KV, t = block / KV * append_rows, rows = live_rows<T>(live);
  for (int end = t + append_rows < rows ? t + append_rows : rows; t < end; t++) {
    Angles<R, Theta> f(*pos + t);
    alignas(64) float kt[D];
    for (int g = 0; g < G; g++) {
      long at = ((long)t * H + head * G + g) * D;
      rotate_head<D>(f, prepare(q + at, qw, qout + at), qout + at);
    }
    long at = ((long)t * KV + head) * D;
    rotate_head<D>(f, prepare(k + at, kw, kt), kt);
    float *to = pages.k(head, *pos + t);
    for (int d = 0; d < D; d++) to[(long)d * P] = kt[d];
    __builtin_memcpy(pages.v(head, *pos + t), v + at, sizeof(float) * D);
  }
}

// qout = rope(q); rope(k) and v are appended. q[T, H, D], k and v[T, KV, D]; qout may be q. Grid ((T + 15) / 16) * KV.
template <int H, int KV, int D, int R, class Theta, int P, int T>
inline void rope_append(const float *q, const float *k, const float *v, const int *pos, const int *live, const int *table, float *qout,
                        float *kv, int block) {
  rope_append_rows<H, KV, D, R, Theta, P, T>(q, k, v, nullptr, nullptr, pos, live, table, qout, kv, block,
                                             [](const float *x, const float *, float *) { return x; });
}

// The same after an rmsnorm of each head, with weights qw[D] and kw[D]. Grid ((T + 15) / 16) * KV.
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T>
inline void norm_rope_append(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                             const int *live, const int *table, float *qout, float *kv, int block) {
  rope_append_rows<H, KV, D, R, Theta, P, T>(q, k, v, qw, kw, pos, live, table, qout, kv, block,
                                             [](const float *x, const float *w, float *y) -> const float * {
                                               rmsnorm_row<D, Eps>(x, w, y);
                                               return y;
                                             });
}

// The same after one rmsnorm of all heads together, with weights qw[H, D] and kw[KV, D]. A block takes Each key heads of its rows: with one of
// many it sums up the squares of a whole row, as others do; qout is no operand. Grid ((T + 15) / 16) * KV / Each.
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T, int Each>
inline void norm_rope_append_wide(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                                  const int *live, const int *table, float *qout, float *kv, int block) {
  constexpr int G = H / KV, sets = KV / Each;
  static_assert(H % KV == 0 && KV % Each == 0, "query heads must be a multiple of key heads");
  Pages<KV, D, P> pages{table, kv};
  auto scaled = [](const float *x, V r, const float *w, float *y) __attribute__((always_inline)) {
    vectors<D>([&](int i, auto n) __attribute__((always_inline)) { set(y + i, get(x + i, n) * r * get(w + i, n), n); });
  };
  int first = block % sets * Each, t = block / sets * append_rows, rows = live_rows<T>(live);
  for (int end = t + append_rows < rows ? t + append_rows : rows; t < end; t++) {
    const float *qt = q + (long)t * H * D, *kt = k + (long)t * KV * D;
    V rq = all(1.0f / __builtin_sqrtf(sum_of_squares<H * D>(qt) / (H * D) + (float)Eps::value));
    V rk = all(1.0f / __builtin_sqrtf(sum_of_squares<KV * D>(kt) / (KV * D) + (float)Eps::value));
    Angles<R, Theta> f(*pos + t);
    for (int g = first * G; g < (first + Each) * G; g++) {
      float *to = qout + ((long)t * H + g) * D;
      scaled(qt + g * D, rq, qw + g * D, to);
      rotate_head<D>(f, to, to);
    }
    for (int head = first; head < first + Each; head++) {
      alignas(64) float turned[D];
      scaled(kt + head * D, rk, kw + head * D, turned);
      rotate_head<D>(f, turned, turned);
      float *to = pages.k(head, *pos + t);
      for (int d = 0; d < D; d++) to[(long)d * P] = turned[d];
      __builtin_memcpy(pages.v(head, *pos + t), v + ((long)t * KV + head) * D, sizeof(float) * D);
    }
  }
}

// As norm_rope_append, of queries that come with a gate: x[T, H, 2 D] holds each head's q, then its g. gout = g.
// Grid ((T + 15) / 16) * KV.
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T>
inline void split_norm_rope_append(const float *x, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                                   const int *live, const int *table, float *qout, float *gout, float *kv, int block) {
  constexpr int G = H / KV;
  static_assert(H % KV == 0, "query heads must be a multiple of key heads");
  Pages<KV, D, P> pages{table, kv};
  int head = block % KV, t = block / KV * append_rows, rows = live_rows<T>(live);
  for (int end = t + append_rows < rows ? t + append_rows : rows; t < end; t++) {
    Angles<R, Theta> f(*pos + t);
    for (int g = 0; g < G; g++) {
      long at = (long)t * H + head * G + g;
      rmsnorm_row<D, Eps>(x + at * 2 * D, qw, qout + at * D);
      rotate_head<D>(f, qout + at * D, qout + at * D);
      __builtin_memcpy(gout + at * D, x + (at * 2 + 1) * D, sizeof(float) * D);
    }
    alignas(64) float kt[D];
    long at = ((long)t * KV + head) * D;
    rmsnorm_row<D, Eps>(k + at, kw, kt);
    rotate_head<D>(f, kt, kt);
    float *to = pages.k(head, *pos + t);
    for (int d = 0; d < D; d++) to[(long)d * P] = kt[d];
    __builtin_memcpy(pages.v(head, *pos + t), v + at, sizeof(float) * D);
  }
}

}  // namespace hipc
