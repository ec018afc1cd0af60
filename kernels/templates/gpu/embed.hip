// embed.hip: rows out of a weight in layout x16.
#pragma once
#include "formats.hip"

namespace hipc {

// One row: 256 threads, thread i has values i, i + 256, ... The host refuses ids outside 0 ... N - 1; here they are clamped so that
// nothing reads past w.
template <class W, int N, int D> DEVICE void embed_row(int id, const u8 *w, float *y) {
  id = id < 0 ? 0 : id >= N ? N - 1 : id;
  const u8 *p = w + id / 16 * group_bytes<W, D>;
  moved<D, 256>(thread(), [&](int k) { return W::one(p, k, id % 16); }, [&](int k, float v) { y[k] = v; });
}

// y[T, D] = rows tokens[T] of w[N, D]. In x16 a row's values are far apart, each a sector of its own: a block takes 256 of them. Grid
// T ceil(D / 256).
template <class W, int N, int D, int T> DEVICE void embed(const int *tokens, const u8 *w, const int *live, float *y, int block) {
  constexpr int parts = ceil_div(D, 256);
  const int t = block / parts, k = block % parts * 256 + thread();
  if (t >= live_rows<T>(live) || k >= D) return;
  const int id = tokens[t] < 0 ? 0 : tokens[t] >= N ? N - 1 : tokens[t];
  y[(long)t * D + k] = W::one(w + id / 16 * group_bytes<W, D>, k, id % 16);
}

}  // namespace hipc
