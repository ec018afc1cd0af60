// pages.h: where keys and values lie. A page holds P tokens: K as [KV][D][P], so that scores of consecutive keys are one
// vector, then V as [KV][P][D], floats. Token at position p is in page table[p / P] at p % P.
#pragma once
#include "vec.h"

namespace hipc {

template <int KV, int D, int P> struct Pages {
  static_assert(P % 16 == 0, "pages are of whole vectors of tokens");
  static constexpr long keys = (long)KV * D * P, page = 2 * keys;
  const int *table;
  float *kv;
  HIPC_INLINE float *k(int head, int position) const {  // its d-th element is d * P floats further
    return kv + table[position / P] * page + (long)head * D * P + position % P;
  }
  HIPC_INLINE float *v(int head, int position) const {
    return kv + table[position / P] * page + keys + ((long)head * P + position % P) * D;
  }
};

constexpr int append_rows = 16;  // rows of a block: neighbours in a page's transposed K, so that two threads seldom share a line

// Rows k[T, KV, D] and v[T, KV, D] go to positions *pos ... Grid ((T + 15) / 16) * KV.
template <int KV, int D, int P, int T>
inline void append(const float *k, const float *v, const int *pos, const int *live, const int *table, float *kv, int block) {
  Pages<KV, D, P> pages{table, kv};
  int head = block % KV, t = block / KV * append_rows, rows = live_rows<T>(live);
  for (int end = t + append_rows < rows ? t + append_rows : rows; t < end; t++) {
    const float *row = k + ((long)t * KV + head) * D;
    float *to = pages.k(head, *pos + t);
    for (int d = 0; d < D; d++) to[(long)d * P] = row[d];
    __builtin_memcpy(pages.v(head, *pos + t), v + ((long)t * KV + head) * D, sizeof(float) * D);
  }
}

}  // namespace hipc
