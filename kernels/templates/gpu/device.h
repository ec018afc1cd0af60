// device.h: what the families of GPUs do differently, and nothing else knows which it is compiled for. Builtins and
// inline assembly only: no vendor's header, so that one source compiles with clang and hipcc for gfx11 and with clang for
// PTX. 32 threads are a warp everywhere: gfx11 runs in wave32.
//
// A template is `template <...> DEVICE void name(operands..., int block)`: all threads of a block call it, and block is the
// number within the launch's part. Operands come in the plan's order: inputs, weights, cells, then outputs, then states;
// each is aligned to 64 bytes and holds all T rows, also those past the live count.
#pragma once

#define DEVICE __attribute__((device)) inline __attribute__((always_inline))
#define SHARED __attribute__((shared, aligned(16)))  // so that lanes may take four floats of any of it at once
#define UNROLL _Pragma("unroll")

// An entry: KERNEL(name, threads, void *a0, void *a1) { matmul<...>(Arg{a0}, Arg{a1}, block); }
#if defined(__NVPTX__)
#define HIPC_BOUNDS(threads, blocks) __attribute__((launch_bounds(threads, blocks)))
#else
#define HIPC_BOUNDS(threads, blocks) __attribute__((amdgpu_flat_work_group_size(threads, threads)))
#endif
// Two blocks a processor, unless they're huge: one may then work while the other waits at a barrier.
#define KERNEL(name, threads, ...) extern "C" __attribute__((global)) HIPC_BOUNDS(threads, (threads) <= 512 ? 2 : 1) void name(__VA_ARGS__)
// Three, where that lets all blocks of a launch run at once: the experts' gate and up, 288 of them on an H100's 132 processors, took 10.7 µs in
// two rounds, and with the rest that it takes (rotate_last) 2.6 µs less in one. AMD's compiler makes no use of it.
#define DENSE_KERNEL(name, threads, ...) extern "C" __attribute__((global)) HIPC_BOUNDS(threads, 3) void name(__VA_ARGS__)
// One whose block takes more than 64 KiB of shared memory: what it keeps in registers is as much, and it may have all of them.
#define LARGE_KERNEL(name, threads, ...) extern "C" __attribute__((global)) HIPC_BOUNDS(threads, 1) void name(__VA_ARGS__)

// A real number as a template argument: HIPC_REAL(eps, 1e-05), then rmsnorm<..., eps, ...>.
#define HIPC_REAL(name, literal)            \
  struct name {                             \
    static constexpr double value = literal; \
  };

// Several, for what differs from place to place: HIPC_LIST(factors, 1, 1.5).
#define HIPC_LIST(name, ...)                           \
  struct name {                                        \
    static constexpr double values[] = {__VA_ARGS__};  \
  };

namespace hipc {

typedef __UINT8_TYPE__ u8;
typedef __UINT16_TYPE__ u16;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;
typedef _Float16 f16;
// Only ever a name for 16 bits: nothing is computed in it.
#if defined(__AMDGCN__) && __clang_major__ < 17
typedef __INT16_TYPE__ bf16;
#else
typedef __bf16 bf16;
#endif
typedef f16 h4 __attribute__((ext_vector_type(4)));
typedef f16 h8 __attribute__((ext_vector_type(8)));
typedef float f4 __attribute__((ext_vector_type(4)));
typedef u16 s4 __attribute__((ext_vector_type(4)));
typedef u32 w4 __attribute__((ext_vector_type(4)));
typedef u32 w2 __attribute__((ext_vector_type(2)));

// An operand. It takes the type of the pointer that the template wants there.
struct Arg {
  void *p;
  template <class T> DEVICE operator T *() const { return (T *)p; }
};

constexpr int warp_size = 32;

DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

#if defined(__NVPTX__)

DEVICE int thread() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE int block_number() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE int block_count() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE void barrier() { __syncthreads(); }
DEVICE int atomic_add(int *p, int x) { return __nvvm_atom_add_gen_i(p, x); }
// Takes the next number at p. What the block wrote before a barrier that stands before is there for whoever takes a later number, and so for
// the threads behind a barrier that follows. Fences around a relaxed addition, as on gfx11, took 0.35 us more on an H100.
DEVICE int take(int *p) {
  int n;
  asm volatile("atom.acq_rel.gpu.add.s32 %0, [%1], 1;" : "=r"(n) : "l"(p) : "memory");
  return n;
}
DEVICE void taken() {}
DEVICE void atomic_max(u64 *p, u64 x) { __nvvm_atom_max_gen_ull((unsigned long long *)p, x); }
DEVICE void atomic_add(u64 *p, u64 x) { __nvvm_atom_add_gen_ll((long long *)p, (long long)x); }

template <int mask> DEVICE int swap(int x) { return __nvvm_shfl_sync_bfly_i32(-1, x, mask, 31); }
DEVICE int from_lane(int x, int lane) { return __nvvm_shfl_sync_idx_i32(-1, x, lane, 31); }
template <int lane> DEVICE int broadcast(int x) { return __nvvm_shfl_sync_idx_i32(-1, x, lane, 31); }
// What the lanes of this warp have written to shared memory is there for each other. All of them come here.
DEVICE void warp_barrier() { __nvvm_bar_warp_sync(-1); }
DEVICE bool any(bool x) { return __nvvm_vote_any_sync(-1, x); }  // of a warp's lanes

DEVICE float power2(float x) { return __nvvm_ex2_approx_ftz_f(x); }
DEVICE float log2(float x) { return __nvvm_lg2_approx_ftz_f(x); }
DEVICE float inverse(float x) { return __nvvm_rcp_rn_f(x); }
DEVICE float root(float x) { return __nvvm_sqrt_rn_f(x); }

// Nibble i of w as code_bias + q / code_unit: an and, an or and a shift where a conversion would take a pipe that runs at a quarter's rate.
constexpr float code_unit = 16, code_bias = 1;
template <int i> DEVICE float code(u32 w) {
  u32 bits = i < 5 ? w << (19 - 4 * (i < 5 ? i : 0)) : w >> (4 * (i < 5 ? 5 : i) - 19);
  return __builtin_bit_cast(float, (bits & 0x00780000u) | 0x3f800000u);
}
template <int i> DEVICE float ubyte(u32 w) { return __builtin_bit_cast(float, (u32)__nvvm_prmt(w, 0x4b000000u, 0x7650 | i)) - 8388608.0f; }
// The upper halves of two floats, a in the lower half: two bf16, cut off.
DEVICE u32 high_halves(float a, float b) { return __nvvm_prmt(__builtin_bit_cast(u32, a), __builtin_bit_cast(u32, b), 0x7632); }
// x, which all lanes of a warp know to be the same. Told so, the compiler finds no divergence in a branch on it: matrix units and shuffles in
// there need no guards.
DEVICE int uniform(int x) { return __nvvm_shfl_sync_idx_i32(-1, x, 0, 31); }
DEVICE int warp() { return thread() / 32; }
// x, of which the compiler knows nothing any more: what is made of it isn't made earlier.
DEVICE u32 unknown(u32 x) { asm volatile("" : "+r"(x)); return x; }
DEVICE void in_order() {}
// Byte i of a, and of b above it, each in 16 bits.
DEVICE u32 byte_pair(u32 a, u32 b, int i) { return __nvvm_prmt(a, b, i | (4 + i) << 8) & 0x00ff00ffu; }
// x within what f16 holds; NaN stays.
DEVICE float within_half(float x) { return __nvvm_fmax_nan_f(__nvvm_fmin_nan_f(x, 65504), -65504); }

// Matrix units: c[16, 8] += a[16, 16] b[16, 8]. Lane 4 g + t: a has rows g and g + 8 of k = 2 t and 2 t + 1, then the same of k + 8; b column g
// of k = 2 t ..., 2 t + 8 ...; c rows g and g + 8 of columns 2 t and 2 t + 1.
DEVICE void mma_bf16(float *c, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
DEVICE void mma_f16(float *c, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// Byte i of w, a signed number: put into the mantissa of 2^23 by a permutation.
template <int i> DEVICE float byte_of(u32 w) {
  return __builtin_bit_cast(float, (u32)__nvvm_prmt(w ^ 0x80808080u, 0x4b000000u, 0x7650 | i)) - 8388736.0f;
}

#elif defined(__AMDGCN__)

DEVICE int thread() { return __builtin_amdgcn_workitem_id_x(); }
DEVICE int block_number() { return __builtin_amdgcn_workgroup_id_x(); }
DEVICE void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
// All that this thread has written is there for other blocks before what it writes after this.
DEVICE void fence() { __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "agent"); }
DEVICE int atomic_add(int *p, int x) { return __hip_atomic_fetch_add(p, x, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT); }
DEVICE int take(int *p) {
  fence();
  return atomic_add(p, 1);
}
DEVICE void taken() { fence(); }
DEVICE void atomic_max(u64 *p, u64 x) { __hip_atomic_fetch_max(p, x, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT); }
DEVICE void atomic_add(u64 *p, u64 x) { __hip_atomic_fetch_add(p, x, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP); }

// Lane i's x goes to lane i ^ mask: within rows of 16 lanes by DPP, across the two rows by permlanex16. Clang 15 moves a permlanex16 under
// an `if (lane() == 0)` that alone uses it, where the other row is asleep; an empty asm that has to run keeps it where it stands, for nothing.
template <int mask> DEVICE int swap(int x) {
  if constexpr (mask == 16) {
    u32 y = __builtin_amdgcn_permlanex16(0u, (u32)x, 0x76543210u, 0xfedcba98u, false, false);
    asm volatile("" : "+v"(y));
    return (int)y;
  } else {
    return __builtin_amdgcn_update_dpp(0, x, 0x160 | mask, 15, 15, true);
  }
}
DEVICE int from_lane(int x, int lane) { return __builtin_amdgcn_ds_bpermute(4 * lane, x); }
template <int lane> DEVICE int broadcast(int x) { return __builtin_amdgcn_readlane(x, lane); }
// A wave's accesses to LDS are done in their order: this holds the compiler alone.
DEVICE void warp_barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}
#if __has_builtin(__builtin_amdgcn_ballot_w32)
DEVICE bool any(bool x) { return __builtin_amdgcn_ballot_w32(x) != 0; }
#else
DEVICE bool any(bool x) { return __builtin_amdgcn_uicmp((u32)x, 0u, 33) != 0; }  // 33: not equal
#endif

// The instructions by themselves; clang 15, which is hipcc's, has no such builtins and makes the same of the general ones.
#if __has_builtin(__builtin_amdgcn_exp2f)
DEVICE float power2(float x) { return __builtin_amdgcn_exp2f(x); }
DEVICE float log2(float x) { return __builtin_amdgcn_logf(x); }
#else
DEVICE float power2(float x) { return __builtin_exp2f(x); }
DEVICE float log2(float x) { return __builtin_log2f(x); }
#endif
DEVICE float inverse(float x) { return __builtin_amdgcn_rcpf(x); }
DEVICE float root(float x) { return __builtin_amdgcn_sqrtf(x); }

constexpr float code_unit = 1, code_bias = 0;
template <int i> DEVICE float code(u32 w) { return (float)(w >> 4 * i & 15); }
template <int i> DEVICE float byte_of(u32 w) { return (float)(int)(signed char)(w >> 8 * i); }
template <int i> DEVICE float ubyte(u32 w) { return (float)(w >> 8 * i & 255); }
DEVICE u32 high_halves(float a, float b) { return __builtin_amdgcn_perm(__builtin_bit_cast(u32, b), __builtin_bit_cast(u32, a), 0x07060302u); }
DEVICE u32 byte_pair(u32 a, u32 b, int i) { return __builtin_amdgcn_perm(b, a, 0x0c040c00u + 0x00010001u * i); }
DEVICE float within_half(float x) { return fma(x, 0, __builtin_amdgcn_fmed3f(x, -65504, 65504)); }  // of NaN fmed3 makes a number
// The compiler then keeps it, and what follows from it, in scalar registers.
DEVICE int uniform(int x) { return __builtin_amdgcn_readfirstlane(x); }
DEVICE int warp() { return uniform(thread() / 32); }
DEVICE u32 unknown(u32 x) { asm volatile("" : "+v"(x)); return x; }

// The compiler moves nothing across: what loads before this is under way before what comes after.
DEVICE void in_order() { __builtin_amdgcn_sched_barrier(0); }

// c + a · b, of two bf16 each.
#if __clang_major__ >= 19
typedef bf16 b2 __attribute__((ext_vector_type(2)));
#else
typedef short b2 __attribute__((ext_vector_type(2)));
#endif
DEVICE float dot2_bf16(u32 a, u32 b, float c) { return __builtin_amdgcn_fdot2_f32_bf16(__builtin_bit_cast(b2, a), __builtin_bit_cast(b2, b), c, false); }

#else
#error "hipc has no GPU of this family"
#endif

template <int mask> DEVICE float swap(float x) { return __builtin_bit_cast(float, swap<mask>(__builtin_bit_cast(int, x))); }
DEVICE float from_lane(float x, int lane) { return __builtin_bit_cast(float, from_lane(__builtin_bit_cast(int, x), lane)); }
template <int lane> DEVICE float broadcast(float x) { return __builtin_bit_cast(float, broadcast<lane>(__builtin_bit_cast(int, x))); }

DEVICE int lane() { return thread() % warp_size; }

DEVICE float exponential(float x) { return power2(x * 1.44269504f); }
DEVICE float over(float a, float b) { return a * inverse(b); }
DEVICE float greater(float a, float b) { return a > b ? a : b; }  // b where either is NaN

DEVICE f4 load4(const float *p) { return *(const f4 *)p; }
DEVICE void store4(float *p, f4 a) { *(f4 *)p = a; }
DEVICE float high_half(float x) { return __builtin_bit_cast(float, __builtin_bit_cast(u32, x) & 0xffff0000u); }
// Nibbles i and i + 4 of w as two bf16: 128 + nibble, exact, an and-or behind the shift.
DEVICE u32 nibble_pair(u32 w, int i) { return (w >> 4 * i & 0x000f000fu) | 0x43004300u; }
DEVICE float brain(u16 x) { return __builtin_bit_cast(float, (u32)x << 16); }

// one(0) ... one(n - 1). Unlike a loop's, their numbers are constants before anything else is done, so that arrays of structs indexed by them are
// registers: a loop that is unrolled later may leave them in local memory.
template <int n, class One> DEVICE void unrolled(One one) {
  if constexpr (n > 0) unrolled<n - 1>(one), one(n - 1);
}

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// put(i, get(i)) for i = first, first + Step, ... below N, at most Each at a time: all that get reads is under way before put writes, which the
// compiler must not assume to be elsewhere.
template <int N, int Step, int Each = 8, class Get, class Put> DEVICE void moved(int first, Get get, Put put) {
  constexpr int count = ceil_div(N, Step), each = count < Each ? count : Each;
  _Pragma("nounroll") for (int from = first; from < N; from += each * Step) {
    float v[each];
    UNROLL for (int j = 0; j < each; j++) v[j] = from + j * Step < N ? get(from + j * Step) : 0;
    UNROLL for (int j = 0; j < each; j++)
      if (from + j * Step < N) put(from + j * Step, v[j]);
  }
}

// The LDS bytes of a launch's registry row: where a kernel needs more than the 48 KiB that NVIDIA gives static arrays.
extern SHARED w4 block_memory[];

// How many of a bucket's T rows are live. A decode bucket has one row, always live, and its cell is not read.
template <int T> DEVICE int live_rows(const int *live) {
  if constexpr (T == 1) return 1;
  int n = *live;
  return n < 0 ? 0 : n > T ? T : n;
}

// Sums and maxima over lanes whose numbers differ in the bits of From, 2 From, ... 16 below Below; all of them have it.
template <int From = 1, int Below = 32> DEVICE float warp_sum(float x) {
  if constexpr (From < Below) return warp_sum<2 * From, Below>(x + swap<From>(x));
  else return x;
}
template <int From = 1, int Below = 32> DEVICE float warp_max(float x) {
  if constexpr (From < Below) return warp_max<2 * From, Below>(greater(x, swap<From>(x)));
  else return x;
}

// The sum over a block of Threads; all threads have it. Two of them need a barrier between.
template <int Threads> DEVICE float block_sum(float x) {
  static SHARED float part[Threads / warp_size];
  x = warp_sum(x);
  if (lane() == 0) part[warp()] = x;
  barrier();
  x = 0;
  UNROLL for (int i = 0; i < Threads / warp_size; i++) x += part[i];
  barrier();
  return x;
}

// The last block of a launch to come here gets true, in all threads; what the others have written is there for it. The ticket is 0
// before and after. Nobody waits. The fence of one thread behind the barrier is one for all that the block has written.
DEVICE bool last_block(int *ticket, int blocks) {
  static SHARED int last;
  barrier();
  if (thread() == 0) {
    last = take(ticket) == blocks - 1;
    if (last) *ticket = 0;
  }
  barrier();
  if (last) taken();
  return last;
}

}  // namespace hipc
