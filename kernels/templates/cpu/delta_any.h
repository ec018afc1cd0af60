// delta_any.h: the gated delta rule for heads of any width, token by token; delta.h's is for multiples of 16, which all published models
// have. A block is a value head. Grid HV.
#pragma once
#include "delta.h"

namespace hipc {

// q and k[T, HK, DK], v and y[T, HV, DV], beta and g[T, HV]. y must not be an operand.
template <int HK, int HV, int DK, int DV, int T>
inline void delta_rule_any(const float *q, const float *k, const float *v, const float *beta, const float *g, const int *pos,
                           const int *live, float *y, float *S, int h) {
  static_assert(HV % HK == 0, "value heads must be a multiple of key heads");
  int rows = live_rows<T>(live);
  S += (long)h * DK * DV;
  if (rows > 0 && *pos == 0) __builtin_memset(S, 0, sizeof(float) * DK * DV);
  for (int t = 0; t < rows; t++) {
    long key = ((long)t * HK + h / (HV / HK)) * DK, head = (long)t * HV + h;
    float decay = lane0(exponential(all(g[head]))), d[DV] = {}, o[DV] = {};
    for (int i = 0; i < DK; i++)
      for (int j = 0; j < DV; j++) d[j] += S[i * DV + j] * k[key + i];
    for (int j = 0; j < DV; j++) d[j] = beta[head] * (v[head * DV + j] - decay * d[j]);
    for (int i = 0; i < DK; i++)
      for (int j = 0; j < DV; j++) {
        float s = decay * S[i * DV + j] + k[key + i] * d[j];
        S[i * DV + j] = s, o[j] += s * q[key + i];
      }
    for (int j = 0; j < DV; j++) y[head * DV + j] = o[j];
  }
}

}  // namespace hipc
