// matmul.hip: products with a weight w of N rows of K, and what may follow them in the same launch. y[t, n] = Σ x[t, k] w[n, k].
//
// Grid of all: ceil(ceil(N / 16) / (8 / Split)) · T / R: blocks of 8 warps, R rows of x each (product.hip).
#pragma once
#include "gates.hip"
#include "norm.hip"
#include "product.hip"

namespace hipc {

// end(row, n, sum) for each live row of the block and each of its n below N. What head makes of one row, the product reads at x.
template <class W, int K, int N, int T, int Split, class End, class Head = Ready>
DEVICE void product(const float *x, const u8 *w, const int *live, int block, End end, Head head = {}) {
  Place<N, T, Split> p(block);
  int rows = live_rows<T>(live) - p.row;
  if (rows <= 0) return;
  f4 acc[p.R];
  UNROLL for (int r = 0; r < p.R; r++) acc[r] = f4(0.0f);
  if (p.live()) dot<W, K, p.R>(x + (long)p.row * K, w + p.group * group_bytes<W, K>, p.part, Split, acc, head);
  else head();
  finish<Split, p.R>(acc, rows, p.live(), [&](int r, int i, float s) {
    int n = p.group * 16 + i;
    if (N % 16 == 0 || n < N) end(p.row + r, n, s);
  });
}

template <class W, int K, int N, int T, int Split> DEVICE void matmul(const float *x, const u8 *w, const int *live, float *y, int block) {
  product<W, K, N, T, Split>(x, w, live, block, [&](int t, int n, float s) { y[(long)t * N + n] = s; });
}

// y = rmsnorm(x) g · w: one row, which each block norms for itself while its weights are under way. What is normed by the block that ends last
// of the launch before costs a ticket, and nothing else goes on meanwhile.
template <class W, int K, int N, int Split, class Eps> DEVICE void norm_matmul(const float *x, const float *g, const u8 *w, float *y, int block) {
  product<W, K, N, 1, Split>(normed_row<K>(), w, nullptr, block, [&](int, int n, float s) { y[n] = s; }, [&] { norm_row<K, Eps>(x, g); });
}

// y = h + x · w. y may be h.
template <class W, int K, int N, int T, int Split>
DEVICE void matmul_add(const float *x, const u8 *w, const float *h, const int *live, float *y, int block) {
  product<W, K, N, T, Split>(x, w, live, block, [&](int t, int n, float s) { y[(long)t * N + n] = h[(long)t * N + n] + s; });
}

// s = h + x · w and, in the block that ends last, n = rmsnorm(s) g: one row. s may be h.
template <class W, int K, int N, int Split, class Eps>
DEVICE void matmul_add_norm(const float *x, const u8 *w, const float *h, const float *g, int *ticket, float *s, float *n, int block) {
  matmul_add<W, K, N, 1, Split>(x, w, h, nullptr, s, block);
  if (last_block(ticket, Place<N, 1, Split>::tiles)) rmsnorm_row<N, Eps>(s, g, n);
}

// s = h + rmsnorm(x · w) p: one row, in the block that ends last. Till then the product lies in s, which is no operand.
template <class W, int K, int N, int Split, class Eps>
DEVICE void matmul_norm_add(const float *x, const u8 *w, const float *h, const float *p, int *ticket, float *s, int block) {
  matmul<W, K, N, 1, Split>(x, w, nullptr, s, block);
  if (last_block(ticket, Place<N, 1, Split>::tiles)) norm_add_row<N, Eps, false>(h, s, p, nullptr, s, nullptr);
}

// The same and n = rmsnorm(s) g.
template <class W, int K, int N, int Split, class Eps>
DEVICE void matmul_norm_add_norm(const float *x, const u8 *w, const float *h, const float *p, const float *g, int *ticket, float *s, float *n, int block) {
  matmul<W, K, N, 1, Split>(x, w, nullptr, s, block);
  if (last_block(ticket, Place<N, 1, Split>::tiles)) norm_add_row<N, Eps, true>(h, s, p, g, s, n);
}

// y = act(a · wa) (b · wb), both of N rows; each in its own format. What head makes of one row, the products read at a and b.
template <class Act, class WA, class WB, int K, int N, int T, int Split, class Head = Ready>
DEVICE void gated(const float *a, const u8 *wa, const float *b, const u8 *wb, const int *live, float *y, int block, Head head = {}) {
  Place<N, T, Split> p(block);
  int rows = live_rows<T>(live) - p.row;
  if (rows <= 0) return;
  constexpr int R = p.R == 8 && (K % 32 || __is_same(WA, F32) || __is_same(WB, F32)) ? 4 : p.R;  // else registers run out
  UNROLL for (int h = 0; h < p.R; h += R) {
    f4 acc[2 * R];
    UNROLL for (int r = 0; r < 2 * R; r++) acc[r] = f4(0.0f);
    if (p.live()) {
      dot<WA, K, R>(a + (long)(p.row + h) * K, wa + p.group * group_bytes<WA, K>, p.part, Split, acc, head);
      dot<WB, K, R>(b + (long)(p.row + h) * K, wb + p.group * group_bytes<WB, K>, p.part, Split, acc + R);
    } else {
      head();
    }
    // Gate and value of an output come to the same thread: they're 16 R sums apart.
    UNROLL for (int i = 0; i < 2 * R; i++) UNROLL for (int j = 0; j < 4; j++) acc[i][j] = warp_sum<4>(acc[i][j]);
    static SHARED float part[warps][2 * R][16];
    if (h) barrier();
    if (lane() < 4) UNROLL for (int i = 0; i < 2 * R; i++) UNROLL for (int j = 0; j < 4; j++) part[warp()][i][lane() * 4 + j] = acc[i][j];
    barrier();
    int set = warp() / Split * Split;
    for (int i = thread() % (Split * warp_size); i < R * 16; i += Split * warp_size) {
      float g = 0, u = 0;
      UNROLL for (int q = 0; q < Split; q++) g += part[set + q][i / 16][i % 16], u += part[set + q][R + i / 16][i % 16];
      int n = p.group * 16 + i % 16, t = h + i / 16;
      if (t < rows && n < N) y[(long)(p.row + t) * N + n] = Act::of(g) * u;
    }
  }
}

template <class WG, class WU, int K, int N, int T, int Split>
DEVICE void swiglu(const float *x, const u8 *wg, const u8 *wu, const int *live, float *y, int block) {
  gated<Silu, WG, WU, K, N, T, Split>(x, wg, x, wu, live, y, block);
}
template <class WG, class WU, int K, int N, int T, int Split>
DEVICE void geglu(const float *x, const u8 *wg, const u8 *wu, const int *live, float *y, int block) {
  gated<GeluTanh, WG, WU, K, N, T, Split>(x, wg, x, wu, live, y, block);
}
// The same of rmsnorm(x) g, one row: norm_matmul.
template <class WG, class WU, int K, int N, int Split, class Eps>
DEVICE void norm_swiglu(const float *x, const float *g, const u8 *wg, const u8 *wu, float *y, int block) {
  gated<Silu, WG, WU, K, N, 1, Split>(normed_row<K>(), wg, normed_row<K>(), wu, nullptr, y, block, [&] { norm_row<K, Eps>(x, g); });
}
template <class WG, class WU, int K, int N, int Split, class Eps>
DEVICE void norm_geglu(const float *x, const float *g, const u8 *wg, const u8 *wu, float *y, int block) {
  gated<GeluTanh, WG, WU, K, N, 1, Split>(normed_row<K>(), wg, normed_row<K>(), wu, nullptr, y, block, [&] { norm_row<K, Eps>(x, g); });
}
template <class WA, class WB, int K, int N, int T, int Split>
DEVICE void swiglu2(const float *a, const u8 *wa, const float *b, const u8 *wb, const int *live, float *y, int block) {
  gated<Silu, WA, WB, K, N, T, Split>(a, wa, b, wb, live, y, block);
}

}  // namespace hipc
