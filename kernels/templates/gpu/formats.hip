// formats.hip: weights in layout x16, as the lanes of a warp read them (the bytes: templates/cpu/formats.h and int4.h).
//
// A warp goes over a group of 16 rows in steps of W::step values. Lane l has rows 4 (l % 4) ... + 3, and of the step the W::per values
// k = first(l) + stride · j. So sixteen bytes of nibbles are one load, 32 weights, and a warp's loads of one step are side by side.
//
// A trait's fragment is what a lane holds of a step: load() asks memory for it, value<j>(r) is weight j of row r up to scale and shift:
//   w = scale[r] · (value<j>(r) - W::bias) · W::unit + shift[r]
// which the product applies to sums and not to each weight. one() is weight k of one row: what embeddings read.
#pragma once
#include "device.h"

namespace hipc {

DEVICE float half(const u8 *p) { return (float)*(const f16 *)p; }
DEVICE f4 halfs(const u8 *p) { return __builtin_convertvector(*(const h4 *)p, f4); }

// Four bits: Block values share the Head bytes before them.
template <int Block, int Head> struct nibbles {
  static constexpr int block = Block, bytes = Head + 8 * Block, step = 64, per = 8, stride = 1;
  static constexpr bool scaled = true, shifted = true;
  static constexpr float unit = code_unit, bias = code_bias;
  static DEVICE int first(int lane) { return lane / 4 * 8; }
  w4 words;
  DEVICE void codes(const u8 *p, int k, int lane) { words = *(const w4 *)(p + k / Block * bytes + Head + k % Block * 8 + lane % 4 * 16); }
  static DEVICE const u8 *head(const u8 *p, int k, int lane) { return p + k / Block * bytes + lane % 4 * 8; }
  template <int j> DEVICE float value(int r) const { return code<j>(words[r]); }
  static DEVICE float nibble(const u8 *p, int k, int row) {
    return (float)(*(const u32 *)(p + k / Block * bytes + Head + k % Block / 8 * 64 + row * 4) >> k % 8 * 4 & 15);
  }
};

struct Q4_1 : nibbles<32, 64> {
  f4 d, m;
  DEVICE void load(const u8 *p, int k, int lane) { codes(p, k, lane), d = halfs(head(p, k, lane)), m = halfs(head(p, k, lane) + 32); }
  DEVICE f4 scale() const { return d; }
  DEVICE f4 shift() const { return m; }
  static DEVICE float one(const u8 *p, int k, int row) {
    const u8 *at = p + k / 32 * bytes + row * 2;
    return fma(half(at), nibble(p, k, row), half(at + 32));
  }
};

struct Q4_0 : nibbles<32, 32> {
  f4 d;
  DEVICE void load(const u8 *p, int k, int lane) { codes(p, k, lane), d = halfs(head(p, k, lane)); }
  DEVICE f4 scale() const { return d; }
  DEVICE f4 shift() const { return d * -8.0f; }
  static DEVICE float one(const u8 *p, int k, int row) { return half(p + k / 32 * bytes + row * 2) * (nibble(p, k, row) - 8); }
};

template <int G> struct I4 : nibbles<G, 64> {
  f4 d;
  u32 z;
  DEVICE void load(const u8 *p, int k, int lane) {
    this->codes(p, k, lane), d = halfs(this->head(p, k, lane)), z = *(const u32 *)(p + k / G * I4::bytes + 32 + lane % 4 * 4);
  }
  DEVICE f4 scale() const { return d; }
  DEVICE f4 shift() const { return -d * f4{(float)(z & 255), (float)(z >> 8 & 255), (float)(z >> 16 & 255), (float)(z >> 24)}; }
  static DEVICE float one(const u8 *p, int k, int row) {
    const u8 *at = p + k / G * I4::bytes;
    return half(at + row * 2) * (I4::nibble(p, k, row) - (float)at[32 + row]);
  }
};
typedef I4<64> I4_64;
typedef I4<128> I4_128;

// Values one k after another: a lane has every eighth.
template <int Step> struct spread {
  static constexpr int step = Step, per = Step / 8, stride = 8;
  static constexpr bool shifted = false;
  static constexpr float unit = 1, bias = 0;
  static DEVICE int first(int lane) { return lane / 4; }
  DEVICE f4 shift() const { return f4(0.0f); }
};

struct Q8_0 : spread<32> {
  static constexpr int block = 32, bytes = 544;
  static constexpr bool scaled = true;
  u32 words[4];
  f4 d;
  DEVICE void load(const u8 *p, int k, int lane) {
    p += k / 32 * bytes, d = halfs(p + lane % 4 * 8);
    UNROLL for (int j = 0; j < 4; j++) words[j] = *(const u32 *)(p + 32 + (k % 32 + 8 * j) * 16 + lane % 4 * 4);
  }
  template <int j> DEVICE float value(int r) const { return r == 0 ? byte_of<0>(words[j]) : r == 1 ? byte_of<1>(words[j]) : r == 2 ? byte_of<2>(words[j]) : byte_of<3>(words[j]); }
  DEVICE f4 scale() const { return d; }
  static DEVICE float one(const u8 *p, int k, int row) {
    p += k / 32 * bytes;
    return half(p + row * 2) * (float)(signed char)p[32 + k % 32 * 16 + row];
  }
};

struct plain : spread<32> {
  static constexpr int block = 1;
  static constexpr bool scaled = false;
  DEVICE f4 scale() const { return f4(1.0f); }
};

struct F16 : plain {
  static constexpr int bytes = 32;
  h4 v[4];
  DEVICE void load(const u8 *p, int k, int lane) { UNROLL for (int j = 0; j < 4; j++) v[j] = *(const h4 *)(p + (k + 8 * j) * bytes + lane % 4 * 8); }
  template <int j> DEVICE float value(int r) const { return (float)v[j][r]; }
  static DEVICE float one(const u8 *p, int k, int row) { return half(p + k * bytes + row * 2); }
};

struct BF16 : plain {
  static constexpr int bytes = 32;
  s4 v[4];
  DEVICE void load(const u8 *p, int k, int lane) { UNROLL for (int j = 0; j < 4; j++) v[j] = *(const s4 *)(p + (k + 8 * j) * bytes + lane % 4 * 8); }
  template <int j> DEVICE float value(int r) const { return brain(v[j][r]); }
  static DEVICE float one(const u8 *p, int k, int row) { return brain(*(const u16 *)(p + k * bytes + row * 2)); }
};

struct F32 : plain {
  static constexpr int bytes = 64;
  f4 v[4];
  DEVICE void load(const u8 *p, int k, int lane) { UNROLL for (int j = 0; j < 4; j++) v[j] = *(const f4 *)(p + (k + 8 * j) * bytes + lane % 4 * 16); }
  template <int j> DEVICE float value(int r) const { return v[j][r]; }
  static DEVICE float one(const u8 *p, int k, int row) { return *(const float *)(p + k * bytes + row * 4); }
};

// Bytes of a group of 16 rows.
template <class W, int K> constexpr long group_bytes = (long)(K / W::block) * W::bytes;

}  // namespace hipc
