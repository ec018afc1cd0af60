// moe.hip: what comes before and after the experts: the router's choice, and the weighted sum with the shared expert and the residual.
#pragma once
#include "matmul.hip"
#include "tail.hip"

namespace hipc {

template <int Threads> DEVICE float block_max(float x) {
  static SHARED float part[Threads / warp_size];
  x = warp_max(x);
  if (lane() == 0) part[warp()] = x;
  barrier();
  UNROLL for (int i = 0; i < Threads / warp_size; i++) x = greater(part[i], x);
  barrier();
  return x;
}

// y = e^(x - max x) / Σ; x[T, R, D]. Grid T R. y may be x.
template <int R, int D, int T> DEVICE void softmax(const float *x, const int *live, float *y, int block) {
  if (block / R >= live_rows<T>(live)) return;
  x += (long)block * D, y += (long)block * D;
  float top = -__builtin_inff(), sum = 0;
  for (int i = thread(); i < D; i += 256) top = greater(x[i], top);
  top = block_max<256>(top);
  for (int i = thread(); i < D; i += 256) {
    float e = exponential(x[i] - top);
    y[i] = e, sum += e;
  }
  float by = inverse(block_sum<256>(sum));
  for (int i = thread(); i < D; i += 256) y[i] *= by;
}

// The K greatest of x[E], the lower index first among equals: put(k, index, value). Ids are always in range and distinct, whatever x holds:
// NaN comes last. All threads of the block. A value's place is the number of those before it: with every value in shared memory that's E
// comparisons a thread and no rounds that wait for each other. A value before mine counts if it's as great, one behind me if it's greater:
// of a number, above mine - 1 and above mine, so one comparison does. As floats, with the index looked at where they're equal, it took 11.8 µs
// of 256 on an H100. Where E is too great, the greatest below the one before, K times.
template <int E, int K, class Put> DEVICE void topk_row(const float *x, Put put) {
  static_assert(K <= E, "there are fewer values than are wanted");
  constexpr int most = 1024;
  if constexpr (E <= most) {
    constexpr int whole = ceil_div(E, warp_size) * warp_size;
    static SHARED u32 all[whole];
    for (int i = thread(); i < whole; i += 256) {
      float v = i < E ? x[i] : 0;
      all[i] = i >= E ? 0 : v == v ? ordered(v) : 1;
    }
    barrier();
    for (int from = warp() * warp_size; from < whole; from += 256) {  // 32 values of a warp, one a lane
      const u32 mine = all[from + lane()];
      int place = 0;
      auto count = [&](int i, u32 above) {
        UNROLL for (int k = 0; k < warp_size; k += 4) {
          w4 v = *(const w4 *)(all + i + k);
          UNROLL for (int j = 0; j < 4; j++) place += v[j] > above;
        }
      };
      for (int i = 0; i < from; i += warp_size) count(i, mine - 1);
      UNROLL for (int k = 0; k < warp_size; k++) place += all[from + k] > mine - (k < lane());
      for (int i = from + warp_size; i < whole; i += warp_size) count(i, mine);
      if (place < K && from + lane() < E) put(place, from + lane(), x[from + lane()]);
    }
    barrier();
  } else {
    u64 before = ~(u64)0;
    for (int k = 0; k < K; k++) {
      u64 best = 0;
      for (int i = thread(); i < E; i += 256) {
        float v = x[i];
        u64 r = ranked(v == v ? v : -__builtin_inff(), i);
        if (r < before && r > best) best = r;
      }
      before = block_greatest<256>(best);
      if (thread() == 0) put(k, index_of(before), x[index_of(before)]);
    }
  }
}

// Grid T.
template <int E, int K, int T> DEVICE void topk(const float *x, const int *live, float *p, int *id, int block) {
  if (block >= live_rows<T>(live)) return;
  topk_row<E, K>(x + (long)block * E, [&](int k, int i, float v) { p[(long)block * K + k] = v, id[(long)block * K + k] = i; });
}

// p, id = topk(softmax(l)), then p / Σ p: the softmax's own sum falls out, and so it is a softmax over the chosen.
template <int E, int K> DEVICE void softmax_topk_row(const float *l, float *p, int *id) {
  static SHARED float chosen[K];
  topk_row<E, K>(l, [&](int k, int i, float v) { chosen[k] = v, id[k] = i; });
  barrier();
  float sum = 0;
  for (int k = 0; k < K; k++) sum += exponential(chosen[k] - chosen[0]);
  for (int k = thread(); k < K; k += 256) p[k] = over(exponential(chosen[k] - chosen[0]), sum);
}

// Grid T.
template <int E, int K, int T> DEVICE void softmax_topk(const float *l, const int *live, float *p, int *id, int block) {
  if (block >= live_rows<T>(live)) return;
  softmax_topk_row<E, K>(l + (long)block * E, p + (long)block * K, id + (long)block * K);
}

// One row: l = x · w and, in the block that ends last, softmax_topk(l). A router has few rows: Parts blocks share a group of 16, each a part
// of D, and leave their sums in scratch[Parts, E rounded up]. Grid ceil(E / 16) Parts.
template <class W, int D, int E, int K, int Parts, class Head>
DEVICE void routed(const float *x, const u8 *w, int *ticket, float *l, float *p, int *id, float *scratch, int block, Head head) {
  constexpr int groups = ceil_div(E, 16);
  const int group = block % groups, part = block / groups;
  f4 acc[1] = {f4(0.0f)};
  stream<W, D, Parts * warps>(x, w + group * group_bytes<W, D>, part * warps + warp(), acc[0], head);
  finish<warps, 1>(acc, 1, true, [&](int, int i, float s) { scratch[part * groups * 16 + group * 16 + i] = s; });
  if (!last_block(ticket, groups * Parts)) return;
  for (int e = thread(); e < E; e += threads) {
    float s = 0;
    UNROLL for (int q = 0; q < Parts; q++) s += scratch[q * groups * 16 + e];
    l[e] = s;
  }
  barrier();
  softmax_topk_row<E, K>(l, p, id);
}
template <class W, int D, int E, int K, int Parts>
DEVICE void router(const float *x, const u8 *w, int *ticket, float *l, float *p, int *id, float *scratch, int block) {
  routed<W, D, E, K, Parts>(x, w, ticket, l, p, id, scratch, block, Ready{});
}
// The same of rmsnorm(x) g.
template <class W, int D, int E, int K, int Parts, class Eps>
DEVICE void norm_router(const float *x, const float *g, const u8 *w, int *ticket, float *l, float *p, int *id, float *scratch, int block) {
  routed<W, D, E, K, Parts>(normed_row<D>(), w, ticket, l, p, id, scratch, block, [&] { norm_row<D, Eps>(x, g); });
}

// y[T, B] = Σ x[T, A, B] over A. Grid T ceil(B / 256).
template <int A, int B, int T> DEVICE void sum_first(const float *x, const int *live, float *y, int block) {
  constexpr int tiles = ceil_div(B, 256);
  int t = block / tiles, i = block % tiles * 256 + thread();
  if (t >= live_rows<T>(live) || i >= B) return;
  float s = 0;
  UNROLL for (int a = 0; a < A; a++) s += x[((long)t * A + a) * B + i];
  y[(long)t * B + i] = s;
}

// out = h + (Σ_k w[k] y[k] + sigmoid(s) sh), without sh where s is null. Grid T ceil(D / 256). out may be h or sh.
template <int K, int D, int T>
DEVICE void weighted(const float *w, const float *y, const float *s, const float *sh, const float *h, const int *live, float *out, int block) {
  constexpr int tiles = ceil_div(D, 256);
  int t = block / tiles, i = block % tiles * 256 + thread();
  if (t >= live_rows<T>(live) || i >= D) return;
  float a = 0;
  UNROLL for (int k = 0; k < K; k++) a = fma(w[(long)t * K + k], y[((long)t * K + k) * D + i], a);
  long at = (long)t * D + i;
  if (s) a = fma(inverse(1 + exponential(-s[t])), sh[at], a);
  out[at] = h[at] + a;
}
template <int K, int D, int T>
DEVICE void moe_sum(const float *w, const float *y, const float *s, const float *sh, const float *h, const int *live, float *out, int block) {
  weighted<K, D, T>(w, y, s, sh, h, live, out, block);
}
template <int K, int D, int T> DEVICE void experts_sum(const float *w, const float *y, const float *h, const int *live, float *out, int block) {
  weighted<K, D, T>(w, y, nullptr, nullptr, h, live, out, block);
}

}  // namespace hipc
