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

// y[T, D] = rows tokens[T] of w[N, D]. Grid T.
template <class W, int N, int D, int T> DEVICE void embed(const int *tokens, const u8 *w, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  embed_row<W, N, D>(tokens[block], w, y + (long)block * D);
}

}  // namespace hipc
