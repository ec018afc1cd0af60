// stream.hip: a row of x times a group of 16 rows of w, as a decode step has it: one warp, each weight used once.
//
// What counts is bytes under way: a lane loads 16 bytes at a time, several times before it uses the first, and no weight goes through shared
// memory. Stream<W> is what a lane holds of a step: fetch() asks memory, add() multiplies. Lane l ends with rows 4 (l % 4) ... + 3.
//
// x is f32 and stays exact to 16 bits of mantissa: where weights are nibbles, x = hi + lo in bf16, and bf16 holds 128 + nibble without
// rounding, so a pair of weights is one and-or and two dot products (gfx11), or an operand of the matrix units (sm_80). A single f16 would take
// 8 instructions less per 32 weights, but it overflows at 65504, and its NMSE is 3e-8 and not 1e-10. Scales and zero points are applied to sums in f32.
#pragma once
#include "formats.hip"

namespace hipc {

template <class W> struct Stream;

// 32 weights of a step of 64: words of four rows, eight k each; wide is what shares a head: d and whatever else. What a lane reads of a step
// begins at the same offsets in every step, so addresses are scalars plus those.
template <int Block, int Head> struct nibble_stream {
  static constexpr int wide = Block == 128 ? 128 : 64, rows = 4, loads = wide / 64, bytes = Head + 8 * Block;
  w4 words[loads];
  f4 xs[loads][2];

#if defined(__NVPTX__)
  // Lanes as the matrix units want them: rows 4 (g % 4) ... of lane 4 g + t, and k from 8 (t + 4 (g / 4)). Of the 8 columns that a
  // product has, four are used: hi and lo of the first 32 k and of the others.
  static DEVICE u32 quad(int l) { return l / 4 % 4; }
  static DEVICE u32 first(int l) { return (l % 4 + l / 16 * 4) * 8; }
  static DEVICE u32 first_x(int l) { return (l % 4 + l / 4 % 2 * 4) * 8; }
#else
  static DEVICE u32 quad(int l) { return l % 4; }
  static DEVICE u32 first(int l) { return l / 4 * 8; }
  static DEVICE u32 first_x(int l) { return first(l); }
#endif

  // Whether a lane's part of the step at k0 is within K, which isn't always whole steps.
  template <int K> static DEVICE bool within(int k0, u32 first) { return K % wide == 0 || k0 + (int)first < K; }
  // Where a lane's block is. A lane beyond the end reads the step's first block, and multiplies it with 0.
  template <int K> static DEVICE const u8 *at(const u8 *w, int k0, int l) {
    u32 in = Block < wide && within<K>(k0, first(l)) ? first(l) / Block * bytes : 0;
    return w + (long)(k0 / Block) * bytes + in;
  }
  template <int K> DEVICE void codes(const u8 *w, int k0, int l) {
    const u8 *p = at<K>(w, k0, l) + (first(l) % Block * 8 + quad(l) * 16);
    UNROLL for (int i = 0; i < loads; i++) words[i] = *(const w4 *)(p + Head + 512 * i);
  }
  template <int K> DEVICE void take(const float *x, int k0, int l) {
    u32 k = first_x(l);
    bool there = within<K>(k0, k);
    UNROLL for (int i = 0; i < loads; i++) UNROLL for (int j = 0; j < 2; j++) {
      xs[i][j] = f4(0.0f);
      if (there) xs[i][j] = load4(x + k0 + k + 64 * i + 4 * j);
    }
  }

  // q[i] = Σ x (128 + nibble) over the lane's part, sum = Σ x.
  DEVICE void sums(int l, float *q, float &sum) const;
};

#if defined(__NVPTX__)

template <int Block, int Head> DEVICE void nibble_stream<Block, Head>::sums(int l, float *q, float &sum) const {
  constexpr u32 ones = 0x3f803f80;
  int g = l / 4;
  float c[3][4] = {};
  UNROLL for (int i = 0; i < loads; i++) {
    f4 a = xs[i][0], b = xs[i][1];
    u32 p[4];
    UNROLL for (int j = 0; j < 4; j++) {
      float u = g & 2 ? a[j] - high_half(a[j]) : a[j], v = g & 2 ? b[j] - high_half(b[j]) : b[j];
      p[j] = high_halves(u, v);
    }
    UNROLL for (int j = 0; j < 4; j += 2) {
      u32 s[4], t[4];
      UNROLL for (int r = 0; r < 4; r++) s[r] = nibble_pair(words[i][r], j), t[r] = nibble_pair(words[i][r], j + 1);
      mma_bf16(c[0], s[0], s[1], t[0], t[1], p[j], p[j + 1]);
      mma_bf16(c[1], s[2], s[3], t[2], t[3], p[j], p[j + 1]);
      mma_bf16(c[2], ones, ones, ones, ones, p[j], p[j + 1]);
    }
  }
  bool odd = g >= 4;
  UNROLL for (int r = 0; r < 4; r++) q[r] = odd ? c[r / 2][r % 2 * 2 + 1] : c[r / 2][r % 2 * 2];
  sum = odd ? c[2][1] : c[2][0];
}

// Lanes 4 g and 4 g + 1 have the sums with hi and lo; the others nothing.
DEVICE f4 to_quads(const float *acc, int l) {
  f4 out;
  int c = l / 4, from = 4 * (l % 4 + c / 2 * 4) + c % 2;
  UNROLL for (int r = 0; r < 4; r++) {
    float v = from_lane(acc[r], from % 32);
    out[r] = c < 4 ? v : 0;
  }
  return out;
}

#else

template <int Block, int Head> DEVICE void nibble_stream<Block, Head>::sums(int, float *q, float &sum) const {
  constexpr u32 ones = 0x3f803f80;
  UNROLL for (int r = 0; r < 4; r++) q[r] = 0;
  sum = 0;
  UNROLL for (int i = 0; i < loads; i++) {
    f4 a = xs[i][0], b = xs[i][1];
    UNROLL for (int j = 0; j < 4; j++) {
      u32 hi = high_halves(a[j], b[j]), lo = high_halves(a[j] - high_half(a[j]), b[j] - high_half(b[j]));
      sum = dot2_bf16(lo, ones, dot2_bf16(hi, ones, sum));
      UNROLL for (int r = 0; r < 4; r++) {
        u32 p = nibble_pair(words[i][r], j);
        q[r] = dot2_bf16(lo, p, dot2_bf16(hi, p, q[r]));
      }
    }
  }
}

DEVICE f4 to_quads(const float *acc, int) { return f4{acc[0], acc[1], acc[2], acc[3]}; }

#endif

template <> struct Stream<Q4_1> : nibble_stream<32, 64> {
  h4 d, m;
  template <int K> DEVICE void fetch(const u8 *w, int k0, int l) {
    codes<K>(w, k0, l);
    const u8 *p = at<K>(w, k0, l) + quad(l) * 8;
    d = *(const h4 *)p, m = *(const h4 *)(p + 32);
  }
  DEVICE void add(int l, float *acc) const {
    float q[4], s;
    sums(l, q, s);
    UNROLL for (int r = 0; r < 4; r++) acc[r] = fma((float)m[r], s, fma((float)d[r], fma(-128.0f, s, q[r]), acc[r]));
  }
};

template <> struct Stream<Q4_0> : nibble_stream<32, 32> {
  h4 d;
  template <int K> DEVICE void fetch(const u8 *w, int k0, int l) { codes<K>(w, k0, l), d = *(const h4 *)(at<K>(w, k0, l) + quad(l) * 8); }
  DEVICE void add(int l, float *acc) const {
    float q[4], s;
    sums(l, q, s);
    UNROLL for (int r = 0; r < 4; r++) acc[r] = fma((float)d[r], fma(-136.0f, s, q[r]), acc[r]);
  }
};

template <int G> struct Stream<I4<G>> : nibble_stream<G, 64> {
  typedef nibble_stream<G, 64> base;
  h4 d;
  u32 z;
  template <int K> DEVICE void fetch(const u8 *w, int k0, int l) {
    this->template codes<K>(w, k0, l);
    const u8 *p = base::template at<K>(w, k0, l);
    d = *(const h4 *)(p + base::quad(l) * 8), z = *(const u32 *)(p + 32 + base::quad(l) * 4);
  }
  DEVICE void add(int l, float *acc) const {
    float q[4], s;
    this->sums(l, q, s);
    UNROLL for (int r = 0; r < 4; r++) {
      float zero = (float)(z >> 8 * r & 255);
      acc[r] = fma((float)d[r], fma(-zero, s, fma(-128.0f, s, q[r])), acc[r]);
    }
  }
};

// Values one k after another. A lane takes Rows of them of one k at a time, 16 bytes; half of the lanes, or all, have different ks.
// The halves of rows go to where they belong at the end: to_quads.
template <class W, int Rows> struct value_stream {
  static constexpr int rows = Rows, each = 16 / Rows, ks = 32 / each, loads = 4, wide = ks * loads;  // each: lanes that share a k
  w4 words[loads];
  float xs[loads];
  static DEVICE u32 first(int l) { return Rows == 8 ? l / 4 * 2 + l % 2 : l / 4; }
  static DEVICE u32 part(int l) { return Rows == 8 ? l / 2 % 2 : l % 4; }
  template <int K> DEVICE void fetch(const u8 *w, int k0, int l) {
    const u8 *p = w + (long)k0 * W::bytes;
    UNROLL for (int i = 0; i < loads; i++) {
      u32 k = i * ks + first(l);
      if (K % wide) k = k0 + (int)k < K ? k : 0;
      words[i] = *(const w4 *)(p + (k * W::bytes + part(l) * 16));
    }
  }
  template <int K> DEVICE void take(const float *x, int k0, int l) {
    UNROLL for (int i = 0; i < loads; i++) {
      u32 k = i * ks + first(l);
      xs[i] = 0;
      if (K % wide == 0 || k0 + (int)k < K) xs[i] = (x + k0)[k];
    }
  }
};

template <> struct Stream<F16> : value_stream<F16, 8> {
  DEVICE void add(int, float *acc) const {
    UNROLL for (int i = 0; i < loads; i++) {
      h8 h = __builtin_bit_cast(h8, words[i]);
      UNROLL for (int r = 0; r < 8; r++) acc[r] = fma((float)h[r], xs[i], acc[r]);
    }
  }
};

template <> struct Stream<BF16> : value_stream<BF16, 8> {
  DEVICE void add(int, float *acc) const {
    UNROLL for (int i = 0; i < loads; i++)
      UNROLL for (int r = 0; r < 8; r++) {
        u32 w = words[i][r / 2];
        acc[r] = fma(__builtin_bit_cast(float, r % 2 ? w & 0xffff0000u : w << 16), xs[i], acc[r]);
      }
  }
};

template <> struct Stream<F32> : value_stream<F32, 4> {
  DEVICE void add(int, float *acc) const {
    UNROLL for (int i = 0; i < loads; i++) {
      f4 v = __builtin_bit_cast(f4, words[i]);
      UNROLL for (int r = 0; r < 4; r++) acc[r] = fma(v[r], xs[i], acc[r]);
    }
  }
};

// 16 rows of two ks side by side, of one block for 16 lanes.
template <> struct Stream<Q8_0> {
  static constexpr int rows = 16, wide = 64;
  w4 words[2];
  h8 d[2];
  float xs[2];
  template <int K> DEVICE void fetch(const u8 *w, int k0, int l) {
    u32 k = 2 * l;
    if (K % wide) k = k0 + (int)k < K ? k : 0;
    const u8 *p = w + (long)(k0 / 32) * Q8_0::bytes + k / 32 * Q8_0::bytes, *q = p + k % 32 * 16;
    UNROLL for (int i = 0; i < 2; i++) words[i] = *(const w4 *)(q + 32 + 16 * i), d[i] = *(const h8 *)(p + 16 * i);
  }
  template <int K> DEVICE void take(const float *x, int k0, int l) {
    u32 k = 2 * l;
    xs[0] = xs[1] = 0;
    if (K % wide == 0 || k0 + (int)k < K) xs[0] = (x + k0)[k], xs[1] = (x + k0)[k + 1];
  }
  DEVICE void add(int, float *acc) const {
    float less = -128.0f * (xs[0] + xs[1]);
    UNROLL for (int i = 0; i < 4; i++) four<0>(words[0][i] ^ 0x80808080u, words[1][i] ^ 0x80808080u, xs[0], xs[1], less, i, acc);
  }
  template <int r> DEVICE void four(u32 u, u32 v, float a, float b, float less, int i, float *acc) const {
    int n = 4 * i + r;
    acc[n] = fma((float)d[n / 8][n % 8], fma(ubyte<r>(v), b, fma(ubyte<r>(u), a, less)), acc[n]);
    if constexpr (r < 3) four<r + 1>(u, v, a, b, less, i, acc);
  }
};

// Of 2 n sums a lane keeps the half that bit `mask` of its number says, and adds its neighbour's.
template <int mask, int n> DEVICE void keep_half(float *acc, int l) {
  bool upper = l & mask;
  UNROLL for (int i = 0; i < n; i++) {
    float mine = upper ? acc[n + i] : acc[i], other = upper ? acc[i] : acc[n + i];
    acc[i] = mine + swap<mask>(other);
  }
}

// What a block does to get x ready, once its first weights are under way: all threads come here, each once. Nothing where x is in memory.
struct Ready {
  DEVICE void operator()() const {}
};

// acc += what a lane has of n steps from `first` on, whose loads are all under way before the first product. Steps of Parts parts of most each
// may be more than there are.
template <class W, int K, int n, bool all, class Head> DEVICE void steps_of(const float *x, const u8 *w, int first, float *acc, Head head) {
  typedef Stream<W> S;
  const int l = lane();
  S f[n];
  unrolled<n>([&](int s) __attribute__((always_inline)) {
    if (all || (first + s) * S::wide < K) f[s].template fetch<K>(w, (first + s) * S::wide, l);
  });
  head();
  unrolled<n>([&](int s) __attribute__((always_inline)) {
    if (all || (first + s) * S::wide < K) f[s].template take<K>(x, (first + s) * S::wide, l);
  });
  in_order();
  unrolled<n>([&](int s) __attribute__((always_inline)) {
    if (all || (first + s) * S::wide < K) f[s].add(l, acc);
  });
}

// Rows 4 (l % 4) ... + 3 of what the lanes of a warp have.
template <class W> DEVICE f4 four_of(float *acc, int l) {
  typedef Stream<W> S;
  if constexpr (S::rows == 16) keep_half<2, 8>(acc, l);
  if constexpr (S::rows >= 8) {
    keep_half<1, 4>(acc, l);
    return f4{acc[0], acc[1], acc[2], acc[3]};
  } else if constexpr (S::wide <= 128 && W::per == 8) {
    return to_quads(acc, l);
  } else {
    return f4{acc[0], acc[1], acc[2], acc[3]};
  }
}

template <class W, int K, int Parts, class Head = Ready> DEVICE void stream(const float *x, const u8 *w, int part, f4 &out, Head head = {}) {
  typedef Stream<W> S;
  constexpr int steps = ceil_div(K, S::wide), most = ceil_div(steps, Parts);
  // Steps whose loads are under way at once. Four wide ones take 150 registers on gfx11, and more than there are in a loop or beside other work; on
  // an H100 four of a product's quarter gain nothing (702 µs for 701 of a token of 8 layers), and don't fit three blocks a processor.
  constexpr int widest = S::wide < 128 || (Parts == 8 || Parts == 1) && most <= 4 ? 4 : 2, depth = most < widest ? most : widest;
  constexpr bool all = steps == most * Parts;
  const int l = lane();
  float acc[S::rows];
  UNROLL for (int r = 0; r < S::rows; r++) acc[r] = 0;
  constexpr int headed = __is_same(Head, Ready) ? 0 : depth;
  if constexpr (headed) steps_of<W, K, depth, all>(x, w, part * most, acc, head);
  _Pragma("nounroll") for (int s0 = headed; s0 + depth <= most; s0 += depth) steps_of<W, K, depth, all>(x, w, part * most + s0, acc, Ready{});
  if constexpr (most % depth) steps_of<W, K, most % depth, all>(x, w, part * most + most / depth * depth, acc, Ready{});
  out += four_of<W>(acc, l);
}

}  // namespace hipc
