// entry.h: how generated source spells a kernel.
//
//     KERNEL(add_norm_576) { add_norm<576, eps_1em05, 1>(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], block); }
//
// exports a hipc_kernel of that name. arg[i] takes the type of the pointer that the template wants there.
#pragma once
#include "abi.h"

#define HIPC_EXPORT extern "C" __attribute__((visibility("default")))

namespace hipc {

// An operand. It lies in memory as the pointer that the host put there.
struct Arg {
  void *p;
  template <class T> operator T *() const { return (T *)p; }
};
static_assert(sizeof(Arg) == sizeof(void *));

}  // namespace hipc

#define KERNEL(name) HIPC_EXPORT void name([[maybe_unused]] const hipc::Arg *arg, [[maybe_unused]] int block)

// The object hides what it doesn't export; these are what abi.h promises, and pool.h defines.
HIPC_EXPORT void *hipc_pool_open(int threads);
HIPC_EXPORT int hipc_replay(void *pool, const hipc_launch *l, long n);
HIPC_EXPORT int hipc_time(void *pool, const hipc_launch *l, long n, long *ns);
HIPC_EXPORT void hipc_pool_close(void *pool);
