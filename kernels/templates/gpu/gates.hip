// gates.hip: the activations of gated products.
#pragma once
#include "device.h"

namespace hipc {

struct Silu { static DEVICE float of(float x) { return over(x, 1 + exponential(-x)); } };
struct GeluTanh {
  static DEVICE float of(float x) { return over(x, 1 + exponential(-x * fma(x * x, 2 * 0.79788456f * 0.044715f, 2 * 0.79788456f))); }
};

}  // namespace hipc
