// attend_any.h: attention for heads of any width; attend.h's is for multiples of 16, which nearly all models have. Sixteen keys at a
// time, a row and a head after the other.
#pragma once
#include "attend.h"

namespace hipc {

constexpr int any_rows = 16;  // rows of a block

// q and y [T, H, D]: row t at position p = *pos + t sees positions up to p, and with Window > 0 only the last Window of them. y may be
// q. Grid H * ((T + 15) / 16).
template <int H, int KV, int D, int P, class Scale, int Window, int T>
inline void attend_any(const float *q, const int *pos, const int *live, const int *table, float *y, const float *kv, int block) {
  Pages<KV, D, P> pages{table, const_cast<float *>(kv)};
  int h = block % H, t = block / H * any_rows, rows = live_rows<T>(live), head = h / (H / KV);
  for (int end = t + any_rows < rows ? t + any_rows : rows; t < end; t++) {
    const float *x = q + ((long)t * H + h) * D;
    float o[D] = {}, most = hidden, total = 0;
    int p = *pos + t, first = Window > 0 && p >= Window ? p - Window + 1 : 0;
    for (int key = first / 16 * 16; key <= p; key += 16) {
      const float *k = pages.k(head, key), *v = pages.v(head, key);
      V s = zero(), i = ramp() + all((float)key);
      for (int d = 0; d < D; d++) s = fma(all(x[d]), load(k + (long)d * P), s);
      s = choose(less(i, all(p + 0.5f)), choose(less(all(first - 0.5f), i), s * all((float)Scale::value), all(hidden)), all(hidden));
      float now = peak(s), w[16];
      if (now < most) now = most;
      V e = exponential(s - all(now));
      float fade = sum(exponential(all(most - now))) / 16;
      store(w, e);
      total = total * fade + sum(e), most = now;
      int n = p + 1 - key < 16 ? p + 1 - key : 16;  // beyond them V may hold anything
      for (int d = 0; d < D; d++) {
        float a = o[d] * fade;
        for (int j = 0; j < n; j++) a += w[j] * v[(long)j * D + d];
        o[d] = a;
      }
    }
    for (int d = 0; d < D; d++) y[((long)t * H + h) * D + d] = o[d] / total;
  }
}

}  // namespace hipc
