// A product of matrices by each way in which kernels/templates/gpu/matrix.hip makes operands: a[16, 32], b[16, 32] and across[32, 16] in E,
// y[6, 16, 16] in float.
#include "matrix.hip"

namespace hipc {

template <class E> DEVICE void products(const E *a, const E *b, const E *across, float *y) {
  constexpr int ld = 40;
  static SHARED E as[16 * ld], bs[16 * ld], cs[32 * 24];
  for (int i = thread(); i < 64; i += warp_size) {
    copy16(as + i / 4 * ld + i % 4 * 8, a + i * 8), copy16(bs + i / 4 * ld + i % 4 * 8, b + i * 8);
    copy16(cs + i / 2 * 24 + i % 2 * 8, across + i * 8);
  }
  copies_end();
  copies_wait<0>();
  barrier();
  Tile t[6];
  UNROLL for (int i = 0; i < 6; i++) t[i].v = f8(0.0f);
  UNROLL for (int k = 0; k < 32; k += 16) {
    auto word = [&](const E *p, int i) { return (u32)__builtin_bit_cast(u16, p[i]) | (u32)__builtin_bit_cast(u16, p[i + 1]) << 16; };
    Rows<E> r = load_rows(as + k, ld), made = make_rows<E>([&](int r, int j) { return word(a, r * 32 + k + j); });
    Cols<E> c = load_cols(bs + k, ld);
    multiply(t[0], r, c);
    multiply(t[1], r, load_cols_across(cs + k * 24, 24));
    multiply(t[2], made, c);
    multiply(t[3], r, make_cols<E>([&](int r, int j) { return pair<E>((float)b[r * 32 + k + j], (float)b[r * 32 + k + j + 1]); }));
  }
  multiply(t[4], as_rows<E>(t[0]), load_cols(bs, ld));
  float sums[Tile::slots] = {};
  UNROLL for (int i = 0; i < 8; i++) sums[Tile::slot(i)] += t[0].v[i];
  UNROLL for (int i = 0; i < 8; i++) t[5].v[i] = Tile::row_sum(sums[Tile::slot(i)]);
  UNROLL for (int n = 0; n < 6; n++) UNROLL for (int i = 0; i < 8; i++) y[n * 256 + Tile::row(Tile::slot(i)) * 16 + Tile::col(i)] = t[n].v[i];
}

KERNEL(products_f16, 32, void *a, void *b, void *c, void *y) { products<f16>(Arg{a}, Arg{b}, Arg{c}, Arg{y}); }
KERNEL(products_bf16, 32, void *a, void *b, void *c, void *y) { products<bf16>(Arg{a}, Arg{b}, Arg{c}, Arg{y}); }

}  // namespace hipc
