// attend_split.hip: a decode step's attention: one row, whose keys are shared out among blocks.
//
// A block has Q query heads that share a key head, and a run of positions, so that some 128 blocks read the cache whatever the number of
// heads. How long a run is, all blocks compute alike from the position: at least what a block reads at once, so a short context keeps
// few blocks busy and the others leave without a trace. Each block writes its sums and their maximum to scratch; the one that ends last of
// its heads' brings them to one maximum, adds them up, and does what follows attention. Nobody waits.
//
// Q is at most 4: eight heads a block would read K and V once less, but leave the last block twice as much to add up.
#pragma once
#include "attend.hip"
#include "rotate.hip"

namespace hipc {

// H / Q sets of heads, `splits` blocks each: grid H / Q · splits. Scratch: 4 H (D + 2) splits bytes.
template <int H, int Q> constexpr int splits_of = ceil_div(128, H / Q);

// s[i] of all L lanes of a key, summed, for i = lane % Q: at each step a lane keeps the half of the sums that its number has a bit for, and gives
// the other half away. Q - 1 + log2(L / Q) exchanges, where sums one by one take Q log2(L).
template <int Q, int L, int n> DEVICE float turned(float (&s)[Q]) {
  if constexpr (n > 1) {
    constexpr int half = n / 2;  // lanes that differ in this bit exchange
    const bool upper = lane() & half;
    UNROLL for (int i = 0; i < half; i++) {
      float keep = upper ? s[i + half] : s[i], give = upper ? s[i] : s[i + half];
      s[i] = keep + swap<half>(give);
    }
    return turned<Q, L, half>(s);
  } else {
    return warp_sum<Q, L>(s[0]);
  }
}

// Lane g's x, of the L lanes that take a key together, for g below Q: f(g, x).
template <int Q, int L, int g = 0, class F> DEVICE void each_head(float x, F f) {
  if constexpr (L == warp_size) f(g, broadcast<g>(x));
  else f(g, from_lane(x, (lane() & ~(L - 1)) + g));
  if constexpr (g + 1 < Q) each_head<Q, L, g + 1>(x, f);
}

template <int n> DEVICE float *attention_memory() {
  static SHARED float whole[n];
  return whole;
}

// What a set of Q heads attends to: in attention_memory, in the block that ends last of them, which alone gets true. q[H, D].
template <int H, int KV, int D, int P, class Scale, int Window, int Q>
DEVICE bool attended(const float *q, const int *pos, const int *table, int *ticket, float *scratch, const f16 *kv, int set, int split) {
  static_assert(H % KV == 0 && H / KV % Q == 0, "a block's heads share a key head");
  constexpr int W = 8, wide = D / 8, L = wide <= 1 ? 1 : wide <= 2 ? 2 : wide <= 4 ? 4 : wide <= 8 ? 8 : wide <= 16 ? 16 : 32;
  static_assert(wide <= 32, "a head is at most 256 wide");
  constexpr bool across = Q > 1 && (Q & (Q - 1)) == 0 && Q <= L;  // a lane has one head's score and not all
  constexpr int N = across ? 1 : Q, keys = warp_size / L, ahead = 2, step = W * keys * ahead, splits = splits_of<H, Q>;
  const int head = set * Q / (H / KV), position = *pos, first = Window > 0 && position >= Window ? position - Window + 1 : 0;
  const int n = position + 1 - first, run = ceil_div(ceil_div(n, splits), 2 * step) * 2 * step, active = ceil_div(n, run);
  if (split >= active) return false;

  Pages<KV, D, P> pages{table, const_cast<f16 *>(kv)};
  const int part = lane() % L, d = part * 8, begin = first + split * run, end = begin + run <= position ? begin + run : position + 1;
  const bool in = part < wide;
  float query[Q][8], acc[Q][8], sum[N], most[N];
  UNROLL for (int g = 0; g < Q; g++) {
    const float *at = q + (set * Q + g) * D + d;
    f4 a = in ? load4(at) * (float)Scale::value : f4(0.0f), b = in ? load4(at + 4) * (float)Scale::value : f4(0.0f);
    UNROLL for (int i = 0; i < 4; i++) query[g][i] = a[i], query[g][4 + i] = b[i];
    UNROLL for (int i = 0; i < 8; i++) acc[g][i] = 0;
  }
  UNROLL for (int i = 0; i < N; i++) sum[i] = 0, most[i] = hidden;
  h8 nextk[ahead], nextv[ahead];  // two keys at work and two under way: four and four spill where a unit is to hold two blocks (sm_90)
  auto fetch = [&](int from) {
    UNROLL for (int a = 0; a < ahead; a++) {
      int key = from + (a * W + warp()) * keys + lane() / L;
      const f16 *k = pages.k(head, key < end ? key : end - 1) + d;
      nextk[a] = in ? *(const h8 *)k : h8(0), nextv[a] = in ? *(const h8 *)(k + pages.keys) : h8(0);
    }
  };
  fetch(begin);
  for (int from = begin; from < end; from += step) {  // alike in all lanes
    h8 ks[ahead], vs[ahead];
    float score[ahead][N];
    UNROLL for (int a = 0; a < ahead; a++) ks[a] = nextk[a], vs[a] = nextv[a];
    if (from + step < end) fetch(from + step);
    UNROLL for (int a = 0; a < ahead; a++) {
      bool seen = from + (a * W + warp()) * keys + lane() / L < end;
      float s[Q];
      UNROLL for (int g = 0; g < Q; g++) {
        s[g] = 0;
        UNROLL for (int i = 0; i < 8; i++) s[g] = fma(query[g][i], (float)ks[a][i], s[g]);
      }
      if constexpr (across) {
        score[a][0] = turned<Q, L, Q>(s);
      } else {
        UNROLL for (int g = 0; g < Q; g++) score[a][g] = warp_sum<1, L>(s[g]);
      }
      UNROLL for (int i = 0; i < N; i++) score[a][i] = seen ? score[a][i] : hidden;
    }
    float fade[N];
    UNROLL for (int i = 0; i < N; i++) {
      float now = most[i];
      UNROLL for (int a = 0; a < ahead; a++) now = greater(score[a][i], now);
      fade[i] = exponential(most[i] - now), most[i] = now, sum[i] *= fade[i];
      UNROLL for (int a = 0; a < ahead; a++) {
        bool seen = from + (a * W + warp()) * keys + lane() / L < end;
        score[a][i] = seen ? exponential(score[a][i] - now) : 0, sum[i] += score[a][i];
      }
    }
    auto scale = [&](int g, float by) { UNROLL for (int i = 0; i < 8; i++) acc[g][i] *= by; };
    auto take = [&](int g, float by, int a) { UNROLL for (int i = 0; i < 8; i++) acc[g][i] = fma(by, (float)vs[a][i], acc[g][i]); };
    if constexpr (across) {
      each_head<Q, L>(fade[0], scale);
      UNROLL for (int a = 0; a < ahead; a++) each_head<Q, L>(score[a][0], [&](int g, float e) { take(g, e, a); });
    } else {
      UNROLL for (int g = 0; g < Q; g++) {
        scale(g, fade[g]);
        UNROLL for (int a = 0; a < ahead; a++) take(g, score[a][g], a);
      }
    }
  }

  // A warp's keys, then the block's, come to one maximum.
  static SHARED float peaks[W][Q], totals[W][Q];
  UNROLL for (int i = 0; i < N; i++) {
    float now = warp_max<L>(most[i]), fade = exponential(most[i] - now), total = warp_sum<L>(sum[i] * fade);
    if (across ? lane() < Q : lane() == 0) peaks[warp()][across ? lane() : i] = now, totals[warp()][across ? lane() : i] = total;
    most[i] = fade;
  }
  auto merge = [&](int g, float fade) { UNROLL for (int i = 0; i < 8; i++) acc[g][i] = warp_sum<L>(acc[g][i] * fade); };
  if constexpr (across) {
    each_head<Q, L>(most[0], merge);
  } else {
    UNROLL for (int g = 0; g < Q; g++) merge(g, most[g]);
  }
  barrier();
  float top[Q], all[Q];
  UNROLL for (int g = 0; g < Q; g++) {
    top[g] = hidden, all[g] = 0;
    UNROLL for (int w = 0; w < W; w++) top[g] = greater(peaks[w][g], top[g]);
    UNROLL for (int w = 0; w < W; w++) all[g] = fma(totals[w][g], exponential(peaks[w][g] - top[g]), all[g]);
  }
  constexpr int round = 512 / D < 1 ? 1 : 512 / D < Q ? 512 / D : Q;  // heads that meet in shared memory at once
  static SHARED float outs[W][round][D];
  float *whole = attention_memory<Q * D>();
  float *mine = scratch + (long)(set * splits + split) * Q * D, *marks = scratch + (long)H * splits * D + (long)set * splits * Q * 2;
  UNROLL for (int g = 0; g < Q; g++)
    if (thread() == 0 && active > 1) marks[(split * Q + g) * 2] = top[g], marks[(split * Q + g) * 2 + 1] = all[g];
  UNROLL for (int g0 = 0; g0 < Q; g0 += round) {
    UNROLL for (int g = g0; g < g0 + round && g < Q; g++) {
      float fade = exponential(peaks[warp()][g] - top[g]);
      if (lane() < wide) {
        store4(&outs[warp()][g - g0][d], f4{acc[g][0], acc[g][1], acc[g][2], acc[g][3]} * fade);
        store4(&outs[warp()][g - g0][d + 4], f4{acc[g][4], acc[g][5], acc[g][6], acc[g][7]} * fade);
      }
    }
    barrier();
    UNROLL for (int g = g0; g < g0 + round && g < Q; g++)
      for (int i = thread(); i < D; i += W * warp_size) {
        float a = 0;
        UNROLL for (int w = 0; w < W; w++) a += outs[w][g - g0][i];
        if (active == 1) whole[g * D + i] = over(a, all[g]);
        else mine[g * D + i] = a;
      }
    barrier();
  }
  if (active == 1) return true;
  if (!last_block(ticket + set, active)) return false;

  static SHARED float share[Q][splits];
  if (warp() < Q) {
    float peak = hidden, total = 0;
    for (int s = lane(); s < active; s += warp_size) peak = greater(marks[(s * Q + warp()) * 2], peak);
    peak = warp_max(peak);
    for (int s = lane(); s < active; s += warp_size) {
      float e = exponential(marks[(s * Q + warp()) * 2] - peak);
      share[warp()][s] = e, total = fma(e, marks[(s * Q + warp()) * 2 + 1], total);
    }
    float by = inverse(warp_sum(total));
    for (int s = lane(); s < active; s += warp_size) share[warp()][s] *= by;
  }
  barrier();
  const float *sums = scratch + (long)set * splits * Q * D;
  for (int i = thread() * 4; i < Q * D; i += 4 * W * warp_size) {
    f4 a = f4(0.0f);
    _Pragma("unroll 8") for (int s = 0; s < active; s++) a += load4(sums + (long)s * Q * D + i) * share[i / D][s];
    store4(whole + i, a);
  }
  barrier();
  return true;
}

// y[H, D] = attention of q[H, D] at position *pos, whose key is in the cache. y may be q: a head is read by blocks that the writing one comes after.
template <int H, int KV, int D, int P, class Scale, int Window, int Q>
DEVICE void attend_kv_split(const float *q, const int *pos, const int *, const int *table, int *ticket, float *y, float *scratch, const f16 *kv, int block) {
  const int set = block / splits_of<H, Q>;
  if (!attended<H, KV, D, P, Scale, Window, Q>(q, pos, table, ticket, scratch, kv, set, block % splits_of<H, Q>)) return;
  const float *a = attention_memory<Q * D>();
  for (int i = thread(); i < Q * D; i += 256) y[set * Q * D + i] = a[i];
}

// y = attention · sigmoid(g), g[H, D].
template <int H, int KV, int D, int P, class Scale, int Window, int Q>
DEVICE void attend_gate_split(const float *q, const float *g, const int *pos, const int *, const int *table, int *ticket, float *y, float *scratch,
                              const f16 *kv, int block) {
  const int set = block / splits_of<H, Q>;
  if (!attended<H, KV, D, P, Scale, Window, Q>(q, pos, table, ticket, scratch, kv, set, block % splits_of<H, Q>)) return;
  const float *a = attention_memory<Q * D>();
  for (int i = thread(); i < Q * D; i += 256) y[set * Q * D + i] = a[i] * sigmoid::of(g[set * Q * D + i]);
}

// y = rotate(attention · sigmoid(g), r), r over all H D. Q heads must be whole groups.
template <int H, int KV, int D, int P, class Scale, int Window, int Q, int G>
DEVICE void attend_gate_rotate_split(const float *q, const float *g, const u8 *r, const int *pos, const int *, const int *table, int *ticket, float *y,
                                     float *scratch, const f16 *kv, int block) {
  static SHARED Boxes boxes;
  const int set = block / splits_of<H, Q>;
  if (!attended<H, KV, D, P, Scale, Window, Q>(q, pos, table, ticket, scratch, kv, set, block % splits_of<H, Q>)) return;
  const float *a = attention_memory<Q * D>();
  const int from = set * Q * D;
  for (int span = warp(); span < SpanPlace<Q * D, G>::spans; span += 8) {
    SpanPlace<Q * D, G> p(span);
    Turns<G> turns;
    turns.load(r + (from + p.at) / G * rotation_bytes<G>);
    f4 v = load4(a + p.at), gate = load4(g + from + p.at);
    UNROLL for (int i = 0; i < 4; i++) v[i] *= sigmoid::of(gate[i]);
    v = turns.apply(v, boxes.box[warp()]);
    if (p.in) store4(y + from + p.at, v);
    warp_barrier();
  }
}

}  // namespace hipc
