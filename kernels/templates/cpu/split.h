// split.h: cutting an activation into two or three parts.
#pragma once
#include "abi.h"

namespace hipc {

// The parts of x[T, R, A + B + C], A, B and C values of each row, C may be 0. Grid T.
template <int R, int A, int B, int C, int T>
HIPC_INLINE void cut(const float *x, const int *live, float *a, float *b, float *c, int block) {
  if (block >= live_rows<T>(live)) return;
  for (long r = (long)block * R; r < (long)(block + 1) * R; r++) {
    const float *row = x + r * (A + B + C);
    __builtin_memcpy(a + r * A, row, sizeof(float) * A);
    __builtin_memcpy(b + r * B, row + A, sizeof(float) * B);
    if (C > 0) __builtin_memcpy(c + r * C, row + A + B, sizeof(float) * C);
  }
}
template <int R, int A, int B, int T> inline void split(const float *x, const int *live, float *a, float *b, int block) {
  cut<R, A, B, 0, T>(x, live, a, b, nullptr, block);
}
template <int R, int A, int B, int C, int T>
inline void split3(const float *x, const int *live, float *a, float *b, float *c, int block) {
  cut<R, A, B, C, T>(x, live, a, b, c, block);
}

}  // namespace hipc
