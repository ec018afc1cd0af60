// matrix.hip: matrix units, a warp at a time: WMMA on gfx11, mma.sync on sm_80 and later. Products are
//
//   Tile[16 rows, 16 columns] += Rows[16 rows, 16 k] · Cols[16 columns, 16 k]ᵀ
//
// of two operands in E (f16 or bf16), summed in fp32. Both families give a lane eight sums of a tile, and a lane has them all in
// few rows: one on gfx11, where the operands are handed over the other way round for that, two on NVIDIA. So a softmax over a row
// is registers first, then lanes; and a tile of sums is an operand of the next product without going through memory.
//
// All lanes of a warp call everything here. On gfx11 lanes 16 to 31 hold what 0 to 15 hold of an operand.
#pragma once
#include "device.h"

namespace hipc {

typedef f16 h16 __attribute__((ext_vector_type(16)));
typedef bf16 b16 __attribute__((ext_vector_type(16)));
typedef u16 s16 __attribute__((ext_vector_type(16)));
typedef u32 w8 __attribute__((ext_vector_type(8)));
typedef float f8 __attribute__((ext_vector_type(8)));

// a and b, rounded to nearest and even, in one word; a is the low half.
template <class E> DEVICE u32 pair(float a, float b) {
  typedef E two __attribute__((ext_vector_type(2)));
#if defined(__NVPTX__)
  u32 w;
  if constexpr (__is_same(E, f16)) asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a));
  else asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a));
  return w;
#else
  if constexpr (__is_same(E, f16)) return __builtin_bit_cast(u32, two{(E)a, (E)b});
  auto nearest = [](float x) { u32 w = __builtin_bit_cast(u32, x); return w + 0x7fff + (w >> 16 & 1); };  // NaN may become infinite
  return __builtin_amdgcn_perm(nearest(b), nearest(a), 0x07060302);
#endif
}

#if defined(__NVPTX__)

template <class E> struct Rows { u32 v[4]; };  // lane l: rows l / 4 and + 8, of each k 2 (l % 4), + 1, + 8, + 9
template <class E> struct Cols { u32 v[4]; };  // lane l: columns l / 4 and + 8, the same k

struct Tile {
  static constexpr int slots = 2;  // rows of a lane
  f8 v;
  static DEVICE int row(int slot) { return lane() / 4 + 8 * slot; }
  static constexpr int slot(int i) { return i / 2 % 2; }
  static constexpr int col0(int i) { return i / 4 * 8 + i % 2; }  // a column is this and what the lane adds to all
  static DEVICE u32 lane_col() { return lane() % 4 * 2; }
  static DEVICE int col(int i) { return col0(i) + lane_col(); }
  // Over the lanes that have a row between them.
  static DEVICE float row_sum(float x) { return warp_sum<1, 4>(x); }
  static DEVICE float row_max(float x) { return warp_max<1, 4>(x); }
};

DEVICE u32 shared_address(const void *p) { return (u32)(__UINTPTR_TYPE__)(__attribute__((address_space(3))) const void *)p; }

template <class E> DEVICE void multiply(Tile &t, const Rows<E> &a, const Cols<E> &b) {
#define HIPC_MMA(type, at, k)                                                                                                             \
  asm("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+f"(c[at]), "+f"(c[at + 1]), "+f"(c[at + 2]), "+f"(c[at + 3])                                                                    \
      : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[k]), "r"(b.v[k + 1]))
  float c[8];
  UNROLL for (int i = 0; i < 8; i++) c[i] = t.v[i];
  if constexpr (__is_same(E, f16)) {
    HIPC_MMA("f16", 0, 0);
    HIPC_MMA("f16", 4, 2);
  } else {
    HIPC_MMA("bf16", 0, 0);
    HIPC_MMA("bf16", 4, 2);
  }
  UNROLL for (int i = 0; i < 8; i++) t.v[i] = c[i];
#undef HIPC_MMA
}

// p[row · stride + k] and p[column · stride + k] in shared memory, 16-byte aligned; a stride that is 8 more than a multiple of 64 has no bank
// conflicts.
template <class E> DEVICE Rows<E> load_rows(const E *p, int stride) {
  Rows<E> a;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(a.v[0]), "=r"(a.v[1]), "=r"(a.v[2]), "=r"(a.v[3])
               : "r"(shared_address(p + lane() % 16 * stride + lane() / 16 * 8)) : "memory");
  return a;
}
template <class E> DEVICE Cols<E> load_cols(const E *p, int stride) {
  Cols<E> b;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(b.v[0]), "=r"(b.v[1]), "=r"(b.v[2]), "=r"(b.v[3])
               : "r"(shared_address(p + (lane() / 16 * 8 + lane() % 8) * stride + lane() / 8 % 2 * 8)) : "memory");
  return b;
}
// The same of p[k · stride + column].
template <class E> DEVICE Cols<E> load_cols_across(const E *p, int stride) {
  Cols<E> b;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(b.v[0]), "=r"(b.v[1]), "=r"(b.v[2]), "=r"(b.v[3])
               : "r"(shared_address(p + lane() % 16 * stride + lane() / 16 * 8)) : "memory");
  return b;
}

// Operands from anywhere: get(row or column, k) gives the word of k and k + 1, k being even.
template <class E, class Get> DEVICE Rows<E> make_rows(Get get) {
  int r = lane() / 4, k = lane() % 4 * 2;
  return {{get(r, k), get(r + 8, k), get(r, k + 8), get(r + 8, k + 8)}};
}
template <class E, class Get> DEVICE Cols<E> make_cols(Get get) {
  int c = lane() / 4, k = lane() % 4 * 2;
  return {{get(c, k), get(c, k + 8), get(c + 8, k), get(c + 8, k + 8)}};
}

// A tile's sums as an operand: its columns become k.
template <class E> DEVICE Rows<E> as_rows(const Tile &t) {
  return {{pair<E>(t.v[0], t.v[1]), pair<E>(t.v[2], t.v[3]), pair<E>(t.v[4], t.v[5]), pair<E>(t.v[6], t.v[7])}};
}

// 16 bytes from memory to shared memory, or zeros; they are there after copies_wait and a barrier. Copies between two calls of copies_end
// are a group; copies_wait<n> waits until only the last n groups are under way.
DEVICE void copy16(void *to, const void *from, bool there = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
DEVICE void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int n> DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory"); }

// n copies that are started early and land where they were started for: start(i, to, from, there) ... land(i, to), copies_wait, barrier.
template <int n> struct Carried {
  DEVICE void start(int, void *to, const void *from, bool there) { copy16(to, from, there); }
  DEVICE void land(int, void *to) {}
};

// Whether load_cols_across costs no more than load_cols.
constexpr bool across_is_free = true;

#else

template <class E> struct Rows { w8 v; };  // lane l: row l % 16, all 16 k
template <class E> struct Cols { w8 v; };

struct Tile {
  static constexpr int slots = 1;
  f8 v;
  static DEVICE int row(int) { return lane() % 16; }
  static constexpr int slot(int) { return 0; }
  static constexpr int col0(int i) { return 2 * i; }
  static DEVICE u32 lane_col() { return lane() / 16; }
  static DEVICE int col(int i) { return col0(i) + lane_col(); }
  static DEVICE float row_sum(float x) { return warp_sum<16, 32>(x); }
  static DEVICE float row_max(float x) { return warp_max<16, 32>(x); }
};

template <class E> DEVICE void multiply(Tile &t, const Rows<E> &a, const Cols<E> &b) {
  if constexpr (__is_same(E, f16)) t.v = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(__builtin_bit_cast(h16, b.v), __builtin_bit_cast(h16, a.v), t.v);
  else t.v = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(__builtin_bit_cast(s16, b.v), __builtin_bit_cast(s16, a.v), t.v);
}

template <class E> DEVICE w8 load_line(const E *p) {
  w4 a = *(const w4 *)p, b = *(const w4 *)(p + 8);
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}
template <class E> DEVICE Rows<E> load_rows(const E *p, int stride) { return {load_line(p + lane() % 16 * stride)}; }
template <class E> DEVICE Cols<E> load_cols(const E *p, int stride) { return {load_line(p + lane() % 16 * stride)}; }
template <class E, class Get> DEVICE Rows<E> make_rows(Get get) {
  Rows<E> a;
  UNROLL for (int k = 0; k < 16; k += 2) a.v[k / 2] = get(lane() % 16, k);
  return a;
}
template <class E, class Get> DEVICE Cols<E> make_cols(Get get) { return {make_rows<E>(get).v}; }

// A lane has every second column, and the lane 16 away the others.
template <class E> DEVICE Rows<E> as_rows(const Tile &t) {
  Rows<E> a;
  u32 pick0 = lane() < 16 ? 0x01000504 : 0x05040100, pick1 = lane() < 16 ? 0x03020706 : 0x07060302;  // mine first, or the other's
  UNROLL for (int i = 0; i < 8; i += 2) {
    u32 mine = pair<E>(t.v[i], t.v[i + 1]), other = swap<16>((int)mine);
    a.v[i] = __builtin_amdgcn_perm(mine, other, pick0), a.v[i + 1] = __builtin_amdgcn_perm(mine, other, pick1);
  }
  return a;
}

template <class E> DEVICE void store_cols(E *p, int stride, const Cols<E> &b) {
  if (lane() < 16) UNROLL for (int i = 0; i < 2; i++) *(w4 *)(p + lane() * stride + 8 * i) = w4{b.v[4 * i], b.v[4 * i + 1], b.v[4 * i + 2], b.v[4 * i + 3]};
}
// The other way round by a product with 1, which is exact; by 16 loads of single values it would be as many cycles of LDS. Where the same
// is read by many warps, better keep it the other way round.
template <class E> DEVICE Cols<E> load_cols_across(const E *p, int stride) {
  Rows<E> one = make_rows<E>([](int r, int k) { return pair<E>(r == k, r == k + 1); });
  Tile t;
  t.v = f8(0.0f);
  multiply(t, one, load_cols(p, stride));
  return {as_rows<E>(t).v};
}

DEVICE void copy16(void *to, const void *from, bool there = true) { *(w4 *)to = there ? *(const w4 *)from : w4(0u); }
DEVICE void copies_end() {}
template <int n> DEVICE void copies_wait() {}

template <int n> struct Carried {
  w4 held[n];
  DEVICE void start(int i, void *, const void *from, bool there) { held[i] = there ? *(const w4 *)from : w4(0u); }
  DEVICE void land(int i, void *to) { *(w4 *)to = held[i]; }
};

constexpr bool across_is_free = false;

#endif

}  // namespace hipc
