// embed.h: rows out of a weight in layout x16, and rows out of an activation.
#pragma once
#include <utility>

#include "formats.h"

namespace hipc {

// One row: a lane of its group. The host refuses ids outside 0 ... N - 1; here they are clamped so that nothing reads past w.
template <class W, int N, int D> HIPC_INLINE void embed_row(int id, const uint8_t *w, float *y) {
  static_assert(D % W::block == 0, "D must be whole blocks of the weight's format");
  id = id < 0 ? 0 : id >= N ? N - 1 : id;
  const uint8_t *p = w + id / 16 * group_bytes<W, D>;
  for (int k = 0; k < D; k += W::block, p += W::bytes) W::lane(p, id % 16, y + k);
}

// y[T, D] = rows tokens[T] of w[N, D]. Grid T.
template <class W, int N, int D, int T>
inline void embed(const int *tokens, const uint8_t *w, const int *live, float *y, int block) {
  if (block >= live_rows<T>(live)) return;
  embed_row<W, N, D>(tokens[block], w, y + (long)block * D);
}

}  // namespace hipc
