// pages.hip: where keys and values lie. A page holds P tokens: K as [KV][P][D], then V likewise, in f16: 16 bytes are eight dimensions of
// one token. Token at position p is in page table[p / P] at p % P.
#pragma once
#include "device.h"

namespace hipc {

template <int KV, int D, int P> struct Pages {
  static_assert(D % 8 == 0, "a head must be a multiple of 8 wide");
  static constexpr long keys = (long)KV * D * P, page = 2 * keys;
  const int *table;
  f16 *kv;
  DEVICE f16 *k(int head, int position) const { return kv + table[position / P] * page + ((long)head * P + position % P) * D; }
  DEVICE f16 *v(int head, int position) const { return k(head, position) + keys; }
};

// Rows k[T, KV, D] and v[T, KV, D] go to positions *pos ... Grid T.
template <int KV, int D, int P, int T>
DEVICE void append(const float *k, const float *v, const int *pos, const int *live, const int *table, f16 *kv, int block) {
  if (block >= live_rows<T>(live)) return;
  Pages<KV, D, P> pages{table, kv};
  for (int i = thread(); i < KV * D; i += 256) {
    long at = (long)block * KV * D + i;
    pages.k(i / D, *pos + block)[i % D] = (f16)k[at];
    pages.v(i / D, *pos + block)[i % D] = (f16)v[at];
  }
}

}  // namespace hipc
