// tail.h: from logits to the next token, and to its place: whoever chooses the token ends the step, so it moves pos on by one, and the
// next replay begins where this one ended without a word from the host. Both are one block: at 2 cores a pass over 49152 logits is some 3 µs, less than two
// blocks cost to agree. NaN logits are never chosen.
#pragma once
#include "norm.h"

namespace hipc {

// The greatest of N values; NaN doesn't count.
template <int N> HIPC_INLINE float greatest(const float *x) {
  V m[4];
  for (int j = 0; j < 4; j++) m[j] = all(-__builtin_inff());
  int i = 0;
  for (; i + 64 <= N; i += 64)
    HIPC_UNROLL(4) for (int j = 0; j < 4; j++) m[j] = max(load(x + i + 16 * j), m[j]);
  float top = peak(max(max(m[0], m[1]), max(m[2], m[3])));
  for (; i < N; i++) top = x[i] > top ? x[i] : top;
  return top;
}

// The lowest index of the greatest logit. Grid 1.
template <int N> inline void argmax(const float *logits, int *pos, int *next, int) {
  float top = greatest<N>(logits);
  int i = 0;
  for (; i + 16 <= N && !any(same(load(logits + i), all(top))); i += 16) {}
  while (i < N && logits[i] != top) i++;
  *next = i < N ? i : 0, ++*pos;
}

// What sample reads.
struct sampling {
  float temperature;         // <= 0: the argmax after the penalty
  float top_k;               // <= 0: all
  float top_p;               // >= 1: all
  float min_p;               // <= 0: all
  float repetition_penalty;  // 1: none
};

// Draws a token. Filters in the field's order: penalty, temperature, top-k, top-p, min-p, draw. From the weights on everything is
// integers, so no result depends on the order of a sum:
//
//   l[i] = logits[i], and where counts[i] > 0:  l / penalty if l > 0, else l * penalty      (counts may be null)
//   temperature <= 0:  next = the lowest i of the greatest l; rng stays as it is
//   w[i] = floor(2^30 exp((l[i] - max l) (1 / temperature))) in float32; NaN gives 0, the maximum 2^30
//   order: w descending, then i ascending. Each filter keeps a prefix of it:
//   top-k: the first k
//   top-p: the shortest prefix whose sum of w is at least ceil(top_p · (the sum of what top-k kept)), and at least 1
//   min-p: all with w >= ceil(min_p · 2^30)
//   draw:  rng += 0x9E3779B97F4A7C15; z = rng; z = (z ^ z >> 30) 0xBF58476D1CE4E5B9; z = (z ^ z >> 27) 0x94D049BB133111EB;
//          z ^= z >> 31 (splitmix64); r = z · S >> 64, S the sum of what is left; next = the first i, ascending, whose running sum
//          is above r.
//   counts[next]++
//
// Products with top_p and min_p are in double. A weight under 2^-30 of the best is 0 and is never drawn. Where no logit is a number
// next is 0.
//
// Thresholds are found bit by bit: no sort, no memory but the stack. 31 passes over all of w took 133 µs of a 3.4 ms token (49152 logits,
// top-k 40, top-p 0.95); so first everything goes that is below the k-th greatest of the maxima of 64 neighbours: those are k
// candidates, so the k-th greatest of all can't be below it. That leaves 47 µs.
template <int N> struct Candidates {
  static_assert(N <= 1 << 19, "weights and ids are kept on the stack: at most 4 MiB");
  int n = ceil_div(N, 16) * 16;
  bool compact = false;  // ids are in id, else they are the index
  static constexpr int groups = ceil_div(N, 64);
  alignas(64) int32_t w[ceil_div(N, 16) * 16], id[ceil_div(N, 16) * 16], best[groups];  // best: of each 64, before the first cut

  long count_from(int32_t t) const {
    int c = 0;
    for (int i = 0; i < n; i++) c += w[i] >= t;
    return c;
  }
  uint64_t sum_from(int32_t t) const {
    uint64_t s = 0;
    for (int i = 0; i < n; i++) s += w[i] >= t ? (uint32_t)w[i] : 0u;
    return s;
  }
  // The greatest threshold at which measure(w >= threshold) is still at least need; 0 when there's none.
  template <class Measure> static int32_t threshold(Measure measure) {
    int32_t t = 0;
    for (int32_t bit = 1 << 30; bit > 0; bit >>= 1)
      if (measure(t | bit)) t |= bit;
    return t;
  }
  // A threshold that at least k candidates reach, and not many more; 0 when k is more than there are groups.
  int32_t reached_by(long k) const {
    return threshold([&](int32_t t) {
      int c = 0;
      for (int i = 0; i < groups; i++) c += best[i] >= t;
      return c >= k;
    });
  }
  // Keeps all above t and the first `ties` at t.
  void cut(int32_t t, long ties) {
    int kept = 0;
    for (int i = 0; i < n; i += 16) {
      int end = i + 16 < n ? i + 16 : n, some = 0;
      for (int j = i; j < end; j++) some |= w[j] >= t;
      for (int j = i; some && j < end; j++) {
        if (w[j] < t || (w[j] == t && ties-- <= 0)) continue;
        w[kept] = w[j];
        id[kept++] = compact ? id[j] : j;
      }
    }
    n = kept, compact = true;
  }
};

// Grid 1.
template <int N>
inline void sample(const float *logits, int *pos, const sampling *params, uint64_t *rng, int *counts, int *next, int) {
  float rp = params->repetition_penalty;
  V penalty = all(rp), reward = all(1.0f / rp), low = all(-__builtin_inff()), top = low;
  Candidates<N> c;
  vectors<N>([&](int i, auto n) __attribute__((always_inline)) {  // w holds the bits of l until it holds weights
    V l = get(logits + i, n);
    if (counts) {
      V seen = real(words(get((const float *)counts + i, n)));
      l = choose(less(zero(), seen), l * choose(less(zero(), l), reward, penalty), l);
    }
    if (n < 16) l = choose(less(ramp(), all((float)n)), l, low);
    store((float *)(c.w + i), l);
    top = max(l, top);
  });
  bool greedy = !(params->temperature > 0);
  top = all(peak(top));
  V inverse = all(greedy ? 0.0f : 1.0f / params->temperature), unit = all(1073741824.0f);
  for (int i = 0, g = 0; i < N; g++) {
    V best = zero();
    for (int end = i + 64 < N ? i + 64 : N; i < end; i += 16) {
      V l = load((const float *)(c.w + i)), e = greedy ? zero() : max(exponential((l - top) * inverse) * unit, zero());
      e = choose(same(l, top), unit, e);
      if (N - i < 16) e = choose(less(ramp(), all((float)(N - i))), e, zero());
      store(c.w + i, trunc(e));
      best = max(e, best);
    }
    c.best[g] = (int32_t)peak(best);
  }
  int chosen = 0;
  if (greedy) {
    while (chosen < N && c.w[chosen] == 0) chosen++;
    if (chosen == N) chosen = 0;
  } else {
    if (params->top_k >= 1 && params->top_k < N) {
      long k = (long)params->top_k;
      if (int32_t t = c.reached_by(k)) c.cut(t, N);
      int32_t t = c.threshold([&](int32_t t) { return c.count_from(t) >= k; });
      if (t > 0) c.cut(t, k - c.count_from(t + 1));
    }
    if (params->top_p < 1) {
      double part = __builtin_ceil((double)params->top_p * (double)c.sum_from(1));
      uint64_t need = part >= 1 ? (uint64_t)part : 1;
      int32_t few = c.compact ? 0 : c.reached_by(c.groups / 2);
      if (few > 0 && c.sum_from(few) >= need) c.cut(few, N);
      int32_t t = c.threshold([&](int32_t t) { return c.sum_from(t) >= need; });
      if (t > 0) c.cut(t, (long)((need - c.sum_from(t + 1) + t - 1) / t));
    }
    double least = __builtin_ceil((double)params->min_p * 1073741824.0);
    if (least > 1) c.cut(least < 1073741824.0 ? (int32_t)least : 1 << 30, N);
    uint64_t z = *rng += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    uint64_t r = (uint64_t)((unsigned __int128)z * c.sum_from(1) >> 64), sum = 0;
    int i = 0;
    while (i < c.n && (sum += (uint32_t)c.w[i]) <= r) i++;
    if (i < c.n) chosen = c.compact ? c.id[i] : i;
  }
  if (counts) counts[chosen]++;
  *next = chosen, ++*pos;
}

}  // namespace hipc
