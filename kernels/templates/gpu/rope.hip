// rope.hip: rotary embedding (rotate-half on the first R of D dimensions), alone and before the append to the cache:
//   f_i = position / theta^(2i / R);  a = x[0 : R/2], b = x[R/2 : R];  [a cos f - b sin f, b cos f + a sin f, x[R:]]
// Frequencies are made at compile time and rounded as transformers rounds them: exponent, power, reciprocal and the angle itself in
// float32. The angle is reduced by π/2 in three parts, each exact in an fma, as far as positions go.
#pragma once
#include "norm.hip"
#include "pages.hip"

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

// A base whose frequencies are slowed down for longer contexts: as templates/cpu/rope.h says.
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
  float at[R / 2];
  constexpr Frequencies() : at{} {
    for (int i = 0; i < R / 2; i++) {
      double e = (float)(2 * i) / (float)R;
      at[i] = frequency((const Theta *)nullptr, (float)exp_of(e * log_of(Theta::value)), i, R);
    }
  }
};

struct Turn {
  float cos, sin;
};
template <int R, class Theta> DEVICE Turn turn(int position, int i) {
  static constexpr Frequencies<R, Theta> f;
  constexpr float g = gain((const Theta *)nullptr);
  float angle = (float)position * f.at[i];
  float n = __builtin_rintf(angle * 0.636619772f);
  float r = fma(-n, 1.57079637f, angle);  // float32's π/2, and what it is too much
  r = fma(-n, -4.37113883e-8f, r);
  r = fma(-n, -1.71512449e-15f, r);
  float z = r * r, s = r + r * z * (-0.166666552f + z * (0.00833217334f + z * -0.000195166635f));
  float c = 1 - 0.5f * z + z * z * (0.0416666456f + z * (-0.00138873619f + z * 2.44377225e-05f));
  int quarter = (int)n;
  float a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
  return {((quarter + 1) & 2 ? -b : b) * g, (quarter & 2 ? -a : a) * g};
}

// One head by one warp, times scale and weight (1 where w is null): put(i, value). put may write where x is read.
template <int D, int R, class Theta, class Put> DEVICE void rotate_head(const float *x, const float *w, float scale, int position, Put put) {
  static_assert(R % 2 == 0 && R <= D, "the rotated width is even and at most the head's");
  for (int i = lane(); i < R / 2; i += warp_size) {
    Turn t = turn<R, Theta>(position, i);
    float a = x[i] * scale, b = x[i + R / 2] * scale;
    if (w) a *= w[i], b *= w[i + R / 2];
    put(i, a * t.cos - b * t.sin), put(i + R / 2, b * t.cos + a * t.sin);
  }
  if constexpr (R < D)
    moved<D - R, warp_size>(lane(), [&](int i) { return w ? x[R + i] * scale * w[R + i] : x[R + i]; }, [&](int i, float v) { put(R + i, v); });
}

// 1 / the root mean square of a head, in all lanes of a warp.
template <int D, class Eps> DEVICE float inverse_rms(const float *x) {
  float sum = 0;
  for (int i = lane(); i < D; i += warp_size) sum = fma(x[i], x[i], sum);
  return inverse(root(warp_sum(sum) / D + (float)Eps::value));
}

struct NoNorm {};  // in the place of an eps: heads aren't normed

// x[T, H, D], row t at position *pos + t; y may be x. Grid T.
template <int H, int D, int R, class Theta, int T> DEVICE void rope(const float *x, const int *pos, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  for (int h = warp(); h < H; h += 8) {
    long at = ((long)block * H + h) * D;
    rotate_head<D, R, Theta>(x + at, nullptr, 1, *pos + block, [&](int i, float v) { y[at + i] = v; });
  }
}

// What lies between the projections and attention, for one key head of one row: a warp a head. q[T, H, Stride] in rows of Stride values, of
// which the first D are the query's.
template <int H, int KV, int D, int R, int Stride, class Eps, class Theta, int P, int T>
DEVICE void rope_append_rows(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                             const int *live, const int *table, float *qout, float *gout, f16 *kv, int block) {
  static_assert(H % KV == 0, "query heads must be a multiple of key heads");
  constexpr int G = H / KV;
  int t = block / KV, head = block % KV, position = *pos + t;
  if (t >= live_rows<T>(live)) return;
  Pages<KV, D, P> pages{table, kv};
  for (int g = warp(); g < G + 2; g += 8) {
    long kat = ((long)t * KV + head) * D, qrow = (long)t * H + head * G + g;
    const float *x = g < G ? q + qrow * Stride : k + kat;
    float scale = 1;
    if constexpr (!__is_same(Eps, NoNorm)) scale = inverse_rms<D, Eps>(x);
    if (g < G) {
      rotate_head<D, R, Theta>(x, qw, scale, position, [&](int i, float y) { qout[qrow * D + i] = y; });
      if constexpr (Stride > D)
        moved<D, warp_size>(lane(), [&](int i) { return x[D + i]; }, [&](int i, float v) { gout[qrow * D + i] = v; });
    } else if (g == G) {
      f16 *to = pages.k(head, position);
      rotate_head<D, R, Theta>(x, kw, scale, position, [&](int i, float y) { to[i] = (f16)y; });
    } else {
      f16 *to = pages.v(head, position);
      moved<D, warp_size>(lane(), [&](int i) { return v[kat + i]; }, [&](int i, float x) { to[i] = (f16)x; });
    }
  }
}

// qout = rope(q); rope(k) and v are appended. q[T, H, D], k and v[T, KV, D]; qout may be q. Grid T KV.
template <int H, int KV, int D, int R, class Theta, int P, int T>
DEVICE void rope_append(const float *q, const float *k, const float *v, const int *pos, const int *live, const int *table, float *qout,
                        f16 *kv, int block) {
  rope_append_rows<H, KV, D, R, D, NoNorm, Theta, P, T>(q, k, v, nullptr, nullptr, pos, live, table, qout, nullptr, kv, block);
}

// The same after an rmsnorm of each head, with weights qw[D] and kw[D].
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T>
DEVICE void norm_rope_append(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                             const int *live, const int *table, float *qout, f16 *kv, int block) {
  rope_append_rows<H, KV, D, R, D, Eps, Theta, P, T>(q, k, v, qw, kw, pos, live, table, qout, nullptr, kv, block);
}

// The same after one rmsnorm of all heads together, with weights qw[H, D] and kw[KV, D]. A block takes Each key heads of a row: with one of many it
// sums up the squares of the whole row, which the other blocks do, too; qout is no operand. Grid T KV / Each.
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T, int Each>
DEVICE void norm_rope_append_wide(const float *q, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                                  const int *live, const int *table, float *qout, f16 *kv, int block) {
  static_assert(H % KV == 0 && KV % Each == 0, "query heads must be a multiple of key heads");
  constexpr int G = H / KV, sets = KV / Each;
  int t = block / sets, first = block % sets * Each, position = *pos + t;
  if (t >= live_rows<T>(live)) return;
  q += (long)t * H * D, k += (long)t * KV * D, v += (long)t * KV * D, qout += (long)t * H * D;
  float a = 0, b = 0;
  for (int i = thread(); i < H * D; i += 256) a = fma(q[i], q[i], a);
  for (int i = thread(); i < KV * D; i += 256) b = fma(k[i], k[i], b);
  float rq = inverse(root(block_sum<256>(a) / (H * D) + (float)Eps::value)), rk = inverse(root(block_sum<256>(b) / (KV * D) + (float)Eps::value));
  Pages<KV, D, P> pages{table, kv};
  for (int j = warp(); j < Each * (G + 2); j += 8) {
    int head = first + j / (G + 2), g = j % (G + 2), at = g < G ? (head * G + g) * D : head * D;
    if (g < G) {
      rotate_head<D, R, Theta>(q + at, qw + at, rq, position, [&](int i, float y) { qout[at + i] = y; });
    } else if (g == G) {
      f16 *to = pages.k(head, position);
      rotate_head<D, R, Theta>(k + at, kw + at, rk, position, [&](int i, float y) { to[i] = (f16)y; });
    } else {
      f16 *to = pages.v(head, position);
      for (int i = lane(); i < D; i += warp_size) to[i] = (f16)v[at + i];
    }
  }
}

// The same of queries that come with a gate: x[T, H, 2 D] holds each head's q, then its g. gout = g.
template <int H, int KV, int D, int R, class Eps, class Theta, int P, int T>
DEVICE void split_norm_rope_append(const float *x, const float *k, const float *v, const float *qw, const float *kw, const int *pos,
                                   const int *live, const int *table, float *qout, float *gout, f16 *kv, int block) {
  rope_append_rows<H, KV, D, R, 2 * D, Eps, Theta, P, T>(x, k, v, qw, kw, pos, live, table, qout, gout, kv, block);
}

}  // namespace hipc
