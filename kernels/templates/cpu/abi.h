// abi.h: what a compiled model's shared object and its host agree on, and what every template takes for granted.
//
// A template is `template <...> inline void name(operands..., int block)`: one call runs one block of one launch. The
// operands come in the plan's order: inputs, weights, cells, then outputs, then states. Activations are float, row-major
// [T, dims...]; a cell is a pointer to what the host or an earlier step wrote (token ids, positions, live counts).
// All templates live in namespace hipc; generated source opens that namespace, because names such as exp and div are libc's too:
//
//     #include "cpu.h"
//     namespace hipc {
//     HIPC_REAL(eps, 1e-05f)
//     extern "C" void norm(void *const *a, int block) {
//       rmsnorm<1, 576, eps, 1>((const float *)a[0], (const float *)a[1], (const int *)a[2], (float *)a[3], block);
//     }
//     }  // namespace hipc
//
// Every operand is aligned to 64 bytes and holds all T rows, also those past the live count.
#pragma once
#include <stdint.h>

typedef void hipc_kernel(void *const *arg, int block);

// One step: fn(arg, 0) ... fn(arg, grid - 1), in any order and on any thread. grid < 2^31.
struct hipc_launch {
  hipc_kernel *fn;
  void *const *arg;
  long grid;
};

extern "C" {
// A pool of `threads` threads: the caller of hipc_replay and threads - 1 workers. Null when a thread can't be started.
void *hipc_pool_open(int threads);
// Runs l[0..n) in order and returns after the last: 0. One replay at a time on a pool.
int hipc_replay(void *pool, const hipc_launch *l, long n);
// The same, with the nanoseconds that each step took in ns[0..n).
int hipc_time(void *pool, const hipc_launch *l, long n, long *ns);
void hipc_pool_close(void *pool);
}

// A real number as a template argument: HIPC_REAL(eps, 1e-05f), then rmsnorm<..., eps, ...>.
#define HIPC_REAL(name, literal)            \
  struct name {                             \
    static constexpr double value = literal; \
  };

// Several, for what differs from place to place: HIPC_LIST(factors, 1, 1.5).
#define HIPC_LIST(name, ...)                           \
  struct name {                                        \
    static constexpr double values[] = {__VA_ARGS__};  \
  };

#define HIPC_INLINE inline __attribute__((always_inline))
#define HIPC_STRING(x) #x
#if defined(__clang__)
#define HIPC_UNROLL(n) _Pragma(HIPC_STRING(unroll n))
#else
#define HIPC_UNROLL(n) _Pragma(HIPC_STRING(GCC unroll n))
#endif

namespace hipc {

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// How many of a bucket's T rows are live. A decode bucket has one row, always live, and its cell (may be null) is not read.
template <int T> HIPC_INLINE int live_rows(const int *live) {
  if (T == 1) return 1;
  int n = *live;
  return n < 0 ? 0 : n > T ? T : n;
}

}  // namespace hipc
