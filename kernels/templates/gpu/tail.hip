// tail.hip: from logits to the next token, and to its place: whoever chooses the token ends the step, so it moves pos on by one, and the
// next replay begins where this one ended without a word from the host. NaN logits are never chosen; where no logit is a number next is 0.
#pragma once
#include "matmul.hip"

namespace hipc {

// A number that is greater when the float is.
DEVICE u32 ordered(float x) {
  u32 bits = __builtin_bit_cast(u32, x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
// A logit and its index as one number that is greater when the logit is, or the index lower. 0 for NaN.
DEVICE u64 ranked(float x, int i) { return x == x ? (u64)ordered(x) << 32 | (u32)~i : 0; }
DEVICE int index_of(u64 rank) { return rank ? (int)~(u32)rank : 0; }

template <int mask> DEVICE u64 swap(u64 x) { return (u64)(u32)swap<mask>((int)(x >> 32)) << 32 | (u32)swap<mask>((int)(u32)x); }
template <int mask = 1> DEVICE u64 warp_greatest(u64 x) {
  u64 y = swap<mask>(x);
  if constexpr (mask < 16) return warp_greatest<2 * mask>(x > y ? x : y);
  else return x > y ? x : y;
}
// The greatest over a block; all threads have it.
template <int Threads> DEVICE u64 block_greatest(u64 x) {
  static SHARED u64 part[Threads / warp_size];
  x = warp_greatest(x);
  if (lane() == 0) part[warp()] = x;
  barrier();
  for (int i = 0; i < Threads / warp_size; i++) x = part[i] > x ? part[i] : x;
  barrier();
  return x;
}

// The lowest index of the greatest logit. Grid 1, 1024 threads.
template <int N> DEVICE void argmax(const float *logits, int *pos, int *next, int) {
  u64 best = 0;
  for (int i = thread(); i < N; i += 1024) {
    u64 r = ranked(logits[i], i);
    best = r > best ? r : best;
  }
  best = block_greatest<1024>(best);
  if (thread() == 0) *next = index_of(best), ++*pos;
}

// y = x · w and its argmax: one row. The blocks' best meet in the ticket's second pair of words, which is 0 before and after.
template <class W, int K, int N, int Split> DEVICE void matmul_argmax(const float *x, const u8 *w, int *pos, int *ticket, float *y, int *next, int block) {
  u64 best = 0;
  product<W, K, N, 1, Split>(x, w, nullptr, block, [&](int, int n, float s) {
    y[n] = s;
    u64 r = ranked(s, n);
    best = r > best ? r : best;
  });
  u64 *top = (u64 *)(ticket + 2);
  best = block_greatest<threads>(best);
  if (thread() == 0 && best) atomic_max(top, best);
  if (last_block(ticket, Place<N, 1, Split>::tiles) && thread() == 0) *next = index_of(*top), *top = 0, ++*pos;
}

// What sample reads.
struct sampling {
  float temperature, top_k, top_p, min_p, repetition_penalty;
};

// Draws a token, as templates/cpu/tail.h defines it: from the weights on everything is integers, so no result depends on the order of a
// sum. What the filters keep is always the start of one order (weight descending, then index): all weights above `low`, and of those that
// are `low` the first `ties`. A threshold is found digit by digit, by a histogram of a digit over what shares the digits before: four passes
// over the logits, where a search by bits takes 31. Grid 1, 1024 threads.
template <int N> struct Drawing {
  const float *logits;
  const int *counts;
  float penalty, reward, top, rate;
  DEVICE float logit(int i) const {
    float l = logits[i];
    return counts && counts[i] > 0 ? l * (l > 0 ? reward : penalty) : l;
  }
  DEVICE u32 weight(int i) const {
    float l = logit(i), w = l == top ? 1073741824.0f : exponential((l - top) * rate) * 1073741824.0f;
    return w > 0 ? (u32)w : 0;
  }
};

// A prefix of the order. count is of the ties that it keeps; all where it's N.
struct Kept {
  u32 low;
  int ties;
};

// The shortest prefix of `old` that has `need` values, or a sum of weights of `need`.
template <int N, bool Count, class D> DEVICE Kept prefix(const D &d, Kept old, u64 need) {
  static SHARED u64 bins[256];
  static SHARED u32 digits;
  static SHARED u64 rest;
  u32 found = 0;
  u64 missing = need;  // of what is above `found`'s digits so far
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (thread() < 256) bins[thread()] = 0;
    barrier();
    for (int i = thread(); i < N; i += 1024) {
      u32 w = d.weight(i);
      if (w > 0 && w >= old.low && (shift == 24 || w >> (shift + 8) == found >> (shift + 8))) atomic_add(&bins[w >> shift & 255], Count ? (u64)1 : (u64)w);
    }
    barrier();
    if (thread() == 0) {
      u64 left = missing;
      int b = 255;
      while (b > 0 && bins[b] < left) left -= bins[b], b--;
      digits = (u32)b, rest = left;
    }
    barrier();
    found |= digits << shift, missing = rest;
    barrier();
  }
  if (found == 0) return old;  // all of them are too few
  u64 ties = Count ? missing : (missing + found - 1) / found;
  int n = ties < (u64)N ? (int)ties : N;
  return found == old.low && old.ties < n ? old : Kept{found, n};
}

template <int N> DEVICE void sample(const float *logits, int *pos, const sampling *params, u64 *rng, int *counts, int *next, int) {
  constexpr int W = 32, each = ceil_div(N, W);  // warps, and indices of one
  static SHARED u64 sums[W];
  static SHARED int ties[W];
  static SHARED int chosen;
  float rp = params->repetition_penalty;
  Drawing<N> d{logits, counts, rp, inverse(rp), 0, 0};
  u64 best = 0;
  for (int i = thread(); i < N; i += 1024) {
    u64 r = ranked(d.logit(i), i);
    best = r > best ? r : best;
  }
  best = block_greatest<1024>(best);
  int first = index_of(best);
  if (!best || !(params->temperature > 0)) {
    if (thread() == 0) {
      *next = first, ++*pos;
      if (counts) counts[first]++;
    }
    return;
  }
  d.top = d.logit(first), d.rate = inverse(params->temperature);
  Kept kept{1, N};
  if (params->top_k >= 1 && params->top_k < N) kept = prefix<N, true>(d, kept, (u64)params->top_k);

  // Sums over what is kept: a warp has consecutive indices, 32 at a time, so that ties count in their order.
  const int from = warp() * each, to = from + each < N ? from + each : N;
  auto total = [&](Kept k) {
    int same = 0;
    for (int i = from + lane(); i < to; i += warp_size) same += d.weight(i) == k.low;
    same = (int)warp_sum((float)same);  // at most N, which float32 has exactly
    if (lane() == 0) ties[warp()] = same;
    barrier();
    int before = 0;
    for (int w = 0; w < warp(); w++) before += ties[w];
    barrier();  // ties is written anew below
    int mine = k.ties - before;
    mine = mine < 0 ? 0 : mine < same ? mine : same;
    u64 s = 0;
    for (int i = from + lane(); i < to; i += warp_size) {
      u32 w = d.weight(i);
      if (w > k.low) s += w;
    }
    UNROLL for (int m = 16; m > 0; m >>= 1) s += (u64)(u32)from_lane((int)(s >> 32), lane() ^ m) << 32 | (u32)from_lane((int)(u32)s, lane() ^ m);
    if (lane() == 0) sums[warp()] = s + (u64)mine * k.low, ties[warp()] = mine;
    barrier();
    u64 all = 0;
    for (int w = 0; w < W; w++) all += sums[w];
    return all;
  };
  if (params->top_p < 1) {
    u64 all = total(kept);
    double part = __builtin_ceil((double)params->top_p * (double)all);
    barrier();
    kept = prefix<N, false>(d, kept, part >= 1 ? (u64)part : 1);
  }
  double least = __builtin_ceil((double)params->min_p * 1073741824.0);
  if (least > kept.low) kept = {least < 1073741824.0 ? (u32)least : 1u << 30, N};
  u64 all = total(kept), z = *rng + 0x9E3779B97F4A7C15u, state = z;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  u64 high = z >> 32, low = z & 0xffffffffu, ah = all >> 32, al = all & 0xffffffffu;  // r = z · all >> 64
  u64 middle = high * al + (low * al >> 32), other = low * ah + (middle & 0xffffffffu);
  u64 r = high * ah + (middle >> 32) + (other >> 32);
  u64 before = 0;
  for (int w = 0; w < warp(); w++) before += sums[w];
  if (thread() == 0) chosen = first;
  barrier();
  if (before <= r && r < before + sums[warp()]) {  // one warp has it
    int left = ties[warp()];
    for (int i = from; i < to; i += warp_size) {
      int at = i + lane();
      u32 w = at < to ? d.weight(at) : 0;
      u64 mine = 0, run = 0;
      int tied = w == kept.low, rank = 0;
      for (int j = 0; j < warp_size; j++) rank += from_lane(tied, j) & (j < lane());
      if (w > kept.low || (tied && rank < left)) mine = w;
      for (int j = 0; j < warp_size; j++) {
        u64 x = (u64)(u32)from_lane((int)(mine >> 32), j) << 32 | (u32)from_lane((int)(u32)mine, j);
        if (j <= lane()) run += x;
      }
      if (mine && before + run > r && before + run - mine <= r) chosen = at;
      before += (u64)(u32)from_lane((int)(run >> 32), 31) << 32 | (u32)from_lane((int)(u32)run, 31);
      int taken = from_lane(rank + tied, 31);
      left = left > taken ? left - taken : 0;
    }
  }
  barrier();
  if (thread() == 0) {
    *rng = state, *next = chosen, ++*pos;
    if (counts) counts[chosen]++;
  }
}

}  // namespace hipc
