// attend.hip: causal attention of new rows over the paged cache, in which their own keys already are.
//
// A block takes one row and Q query heads that share a key head, so K and V are read once for those. D / 8 lanes take a key,
// 16 bytes of it each: a warp goes over several keys at once, each lane with an online softmax of its own over the keys that it meets
// (all lanes of a key have the same). At the end lanes and warps are brought to one maximum and added up.
//
// A decode step has few heads, and what it waits for is memory: 32 warps a head, each with two keys' loads under way. 8 warps for three heads
// at once, one load under way, took 30 µs for 1000 keys of 3 heads of 64 on an H100.
#pragma once
#include "pages.hip"

namespace hipc {

constexpr float hidden = -1e30f;  // a maximum over no keys; finite, so that hidden - hidden is 0 and not NaN

// q and y [T, H, D]: row t at position *pos + t sees positions up to p, and with Window > 0 only the last Window of them. Query head h
// reads key head h / (H / KV). y may be q. gate(h's index in y, value) is what is stored. Grid T H / Q.
template <int H, int KV, int D, int P, class Scale, int Window, int Q, int W, int T, class Gate>
DEVICE void attend_rows(const float *q, const int *pos, const int *live, const int *table, float *y, const f16 *kv, int block, Gate gate) {
  static_assert(H % KV == 0, "query heads must be a multiple of key heads");
  static_assert(H / KV % Q == 0, "a block's heads share a key head");
  constexpr int G = Q, parts = H / Q, wide = D / 8, L = wide <= 1 ? 1 : wide <= 2 ? 2 : wide <= 4 ? 4 : wide <= 8 ? 8 : wide <= 16 ? 16 : 32;
  static_assert(wide <= 32, "a head is at most 256 wide");
  constexpr int keys = warp_size / L, step = W * keys, ahead = Q == 1 ? 2 : 1;  // keys of a warp and of a block at once; steps under way
  const int t = block / parts, from = block % parts * Q, head = from / (H / KV), position = *pos + t;
  if (t >= live_rows<T>(live)) return;
  Pages<KV, D, P> pages{table, const_cast<f16 *>(kv)};
  const int part = lane() % L, d = part * 8;
  const bool in = part < wide;  // of 24 parts of a head of 192 lanes 24 to 31 have none
  float query[G][8], sum[G], most[G], acc[G][8];
  UNROLL for (int g = 0; g < G; g++) {
    UNROLL for (int i = 0; i < 8; i++) query[g][i] = in ? q[((long)t * H + from + g) * D + d + i] * (float)Scale::value : 0, acc[g][i] = 0;
    sum[g] = 0, most[g] = hidden;
  }
  int first = Window > 0 && position >= Window ? position - Window + 1 : 0;
  for (int at = first + warp() * keys; at <= position; at += step * ahead) {  // alike in all lanes of a warp: they meet in sums
    h8 ks[ahead], vs[ahead];
    UNROLL for (int a = 0; a < ahead; a++) {
      int key = at + a * step + lane() / L;
      const f16 *k = pages.k(head, key <= position ? key : position) + d;
      ks[a] = in ? *(const h8 *)k : h8(0), vs[a] = in ? *(const h8 *)(k + pages.keys) : h8(0);
    }
    UNROLL for (int a = 0; a < ahead; a++) UNROLL for (int g = 0; g < G; g++) {
      float s = 0;
      UNROLL for (int i = 0; i < 8; i++) s = fma(query[g][i], (float)ks[a][i], s);
      s = warp_sum<1, L>(s);
      if (at + a * step + lane() / L <= position) {
        float now = greater(s, most[g]), fade = exponential(most[g] - now), e = exponential(s - now);
        most[g] = now, sum[g] = fma(sum[g], fade, e);
        UNROLL for (int i = 0; i < 8; i++) acc[g][i] = fma(acc[g][i], fade, e * (float)vs[a][i]);
      }
    }
  }
  static SHARED float peaks[W][G], sums[W][G], outs[W][G][D];
  UNROLL for (int g = 0; g < G; g++) {
    float now = warp_max<L>(most[g]), fade = exponential(most[g] - now);
    sum[g] = warp_sum<L>(sum[g] * fade);
    UNROLL for (int i = 0; i < 8; i++) {
      float a = warp_sum<L>(acc[g][i] * fade);
      if (lane() < wide) outs[warp()][g][d + i] = a;
    }
    if (lane() == 0) peaks[warp()][g] = now, sums[warp()][g] = sum[g];
  }
  barrier();
  for (int i = thread(); i < G * D; i += W * warp_size) {
    int g = i / D;
    float top = hidden, total = 0, a = 0;
    UNROLL for (int w = 0; w < W; w++) top = greater(peaks[w][g], top);
    UNROLL for (int w = 0; w < W; w++) {
      float fade = exponential(peaks[w][g] - top);
      total = fma(sums[w][g], fade, total), a = fma(outs[w][g][i % D], fade, a);
    }
    long at = ((long)t * H + from + g) * D + i % D;
    y[at] = gate(at, over(a, total));
  }
}

template <int H, int KV, int D, int P, class Scale, int Window, int Q, int W, int T>
DEVICE void attend_kv(const float *q, const int *pos, const int *live, const int *table, float *y, const f16 *kv, int block) {
  attend_rows<H, KV, D, P, Scale, Window, Q, W, T>(q, pos, live, table, y, kv, block, [](long, float v) { return v; });
}

// Attention whose output is gated: y = attention · sigmoid(g), g[T, H, D].
template <int H, int KV, int D, int P, class Scale, int Window, int Q, int W, int T>
DEVICE void attend_gate(const float *q, const float *g, const int *pos, const int *live, const int *table, float *y, const f16 *kv, int block) {
  attend_rows<H, KV, D, P, Scale, Window, Q, W, T>(q, pos, live, table, y, kv, block, [&](long at, float v) { return over(v, 1 + exponential(-g[at])); });
}

}  // namespace hipc
