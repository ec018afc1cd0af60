// formats.h: how a weight is stored, as traits that the products are written over. A format is an axis: it appears in no
// template's name.
//
// Layout x16: 16 rows (one a lane) to a group, the last padded with zero rows; a group holds its blocks along K in order.
//   q4_1      16 f16 d, 16 f16 m, then for each 8 consecutive k 16 little-endian uint32, one a row: nibble i is k + i.
//             w = d q + m. 320 bytes for 16 × 32.
//   q4_0      16 f16 d, then the same 256 bytes. w = d (q - 8)
//   q8_0      16 f16 d, then for each k 16 int8, one a row. w = d q. 544 bytes
//   f16 bf16  for each k 16 values of 2 bytes, one a row
//   f32       for each k 16 floats
//
// A trait gives, for a block at p:  w[k] = scale · code<k> · unit(k) + shift,  each a V over the 16 rows. `scaled` and
// `shifted` say whether scale and shift are there at all; unit is a power of two that the products put on x, once, rather than
// on every weight (why: vec.h, nibble). lane() decodes one row of a block, for embeddings.
#pragma once
#include "vec.h"

namespace hipc {

// Four bits, 8 weights of a row to a word that starts `head` bytes into the block.
template <int head> struct nibbles {
  static constexpr int block = 32, bytes = head + 256;
  static constexpr bool scaled = true, shifted = true, lifted = true;
  static constexpr float unit(int k) { return nibble_unit(k % 8); }
  template <int k> static HIPC_INLINE V code(const uint8_t *p) { return nibble<k % 8>(words(p + head + k / 8 * 64)); }
  static HIPC_INLINE V scale(const uint8_t *p) { return halfs(p); }
  static HIPC_INLINE void lane(const uint8_t *p, int row, float d, float m, float *y) {
    for (int k = 0; k < 32; k += 8) {
      uint32_t w;
      __builtin_memcpy(&w, p + head + k * 8 + row * 4, 4);
      for (int i = 0; i < 8; i++) y[k + i] = (float)(int)(w >> 4 * i & 15) * d + m;
    }
  }
};

struct Q4_1 : nibbles<64> {
  static HIPC_INLINE V shift(const uint8_t *p) { return halfs(p + 32); }
  static void lane(const uint8_t *p, int row, float *y) {
    nibbles<64>::lane(p, row, half(p + 2 * row), half(p + 32 + 2 * row), y);
  }
};

struct Q4_0 : nibbles<32> {
  static HIPC_INLINE V shift(const uint8_t *p) { return halfs(p) * all(-8.0f); }
  static void lane(const uint8_t *p, int row, float *y) {
    float d = half(p + 2 * row);
    nibbles<32>::lane(p, row, d, -8 * d, y);
  }
};

struct Q8_0 {
  static constexpr int block = 32, bytes = 544;
  static constexpr bool scaled = true, shifted = false, lifted = false;
  static constexpr float unit(int) { return 1; }
  template <int k> static HIPC_INLINE V code(const uint8_t *p) { return int8s(p + 32 + k * 16); }
  static HIPC_INLINE V scale(const uint8_t *p) { return halfs(p); }
  static HIPC_INLINE V shift(const uint8_t *) { return zero(); }
  static void lane(const uint8_t *p, int row, float *y) {
    float d = half(p + 2 * row);
    for (int k = 0; k < 32; k++) y[k] = d * (float)(int8_t)p[32 + k * 16 + row];
  }
};

// One value after another: a block is one k. The products still go by steps of 32 k where K allows.
struct plain {
  static constexpr int block = 1;
  static constexpr bool scaled = false, shifted = false, lifted = false;
  static constexpr float unit(int) { return 1; }
  static HIPC_INLINE V scale(const uint8_t *) { return all(1.0f); }
  static HIPC_INLINE V shift(const uint8_t *) { return zero(); }
};

struct F16 : plain {
  static constexpr int bytes = 32;
  template <int k> static HIPC_INLINE V code(const uint8_t *p) { return halfs(p + k * 32); }
  static void lane(const uint8_t *p, int row, float *y) { *y = half(p + 2 * row); }
};

struct BF16 : plain {
  static constexpr int bytes = 32;
  template <int k> static HIPC_INLINE V code(const uint8_t *p) { return bfloats(p + k * 32); }
  static void lane(const uint8_t *p, int row, float *y) {
    uint32_t bits = (uint32_t)(p[2 * row] | p[2 * row + 1] << 8) << 16;
    __builtin_memcpy(y, &bits, 4);
  }
};

struct F32 : plain {
  static constexpr int bytes = 64;
  template <int k> static HIPC_INLINE V code(const uint8_t *p) { return load((const float *)(p + k * 64)); }
  static void lane(const uint8_t *p, int row, float *y) { __builtin_memcpy(y, p + 4 * row, 4); }
};

// How many k a product decodes in one unrolled step: the block, or for one-value blocks the largest power of two up to 32
// that divides K.
template <class W, int K> constexpr int step_of = W::block > 1 ? W::block
                                                  : K % 32 == 0 ? 32 : K % 16 == 0 ? 16 : K % 8 == 0 ? 8 : K % 4 == 0 ? 4 : 1;

// Bytes of a group of 16 rows.
template <class W, int K> constexpr long group_bytes = (long)(K / W::block) * W::bytes;

}  // namespace hipc
