// attend.h: causal attention of new rows over the paged cache, in which their own keys already are.
//
// Online softmax over chunks of up to 64 keys: scores of a panel of rows against a chunk, their exponentials, and a product with
// the chunk's values. In decode the rows of a panel are the query heads that share a key head, so K and V are read once for
// all of them; in prefill they are 32 consecutive tokens of one head. Both products are product.h's panel.
//
// Decode reads 32-bit keys and values at what a core can read: 1000 tokens of 3 key heads of 64 (1.5 MB) take 103 µs on one thread, 74 on
// two, where 3 blocks can't be halved. Prefetching V during the scores and the next K during the values lost: 123 and 80 µs.
#pragma once
#include "pages.h"
#include "product.h"

namespace hipc {

constexpr float hidden = -1e30f;  // the score of a key that a row may not see; finite, so that hidden - hidden is 0 and not NaN

// For the first `columns` (a multiple of 16) of b[n, N] in turn: acc = begin(row, column) + a[R, n] · b, handed to end(row, column, acc).
template <int R, int N, class Begin, class End>
HIPC_INLINE void panel_columns(const float *a, long lda, const float *b, long step, int n, int columns, Begin begin, End end) {
  constexpr int room = (wide ? 24 : 6) / R, most = room >= 4 ? 4 : room >= 2 ? 2 : 1, NV = N / 16 < most ? N / 16 : most;
  auto some = [&](int at, auto count) __attribute__((always_inline)) {
    constexpr int C = decltype(count)::value;
    V acc[R][C];
    HIPC_UNROLL(16) for (int r = 0; r < R; r++)
      HIPC_UNROLL(8) for (int v = 0; v < C; v++) acc[r][v] = begin(r, at + 16 * v);
    panel<R, C>(a, lda, b + at, step, 16, n, acc);
    HIPC_UNROLL(16) for (int r = 0; r < R; r++)
      HIPC_UNROLL(8) for (int v = 0; v < C; v++) end(r, at + 16 * v, acc[r][v]);
  };
  int at = 0;
  for (; at + 16 * NV <= columns; at += 16 * NV) some(at, std::integral_constant<int, NV>());
  if constexpr (NV > 1)
    for (; at < columns; at += 16) some(at, std::integral_constant<int, 1>());
}

// Up to R rows of scaled queries q[R, D], Same of which share each position, the first at `first`. Row r of the result goes to out(r).
template <int R, int Same, int D, int Window, int P, int KV, class Out>
HIPC_INLINE void attend_rows(const float *q, int rows, int first, const Pages<KV, D, P> &pages, int head, Out out) {
  constexpr int C = P % 64 == 0 ? 64 : P % 32 == 0 ? 32 : 16;  // keys of a chunk, all in one page
  constexpr int panel_rows = [] {
    int r = wide ? 8 : 6;
    while (R % r) r--;
    return r;
  }();
  alignas(64) float s[R * C], o[R * D];
  V total[R], fade[R];
  float most[R];
  for (int r = 0; r < R; r++) most[r] = hidden, total[r] = fade[r] = zero();
  for (int i = 0; i < R * D; i += 16) store(o + i, zero());

  int last = first + (rows - 1) / Same, from = Window > 0 && first >= Window ? (first - Window + 1) / C * C : 0;
  for (int key = from; key <= last; key += C) {
    const float *k = pages.k(head, key), *v = pages.v(head, key);
    int keys = last + 1 - key < C ? last + 1 - key : C;  // beyond them V may hold anything, NaN too
    for (int r = 0; r < rows; r += panel_rows)
      panel_columns<panel_rows, C>(
          q + r * D, D, k, P, D, (keys + 15) / 16 * 16, [](int, int) __attribute__((always_inline)) { return zero(); },
          [&](int i, int c, V a) __attribute__((always_inline)) { store(s + (r + i) * C + c, a); });
    bool edge = key + C - 1 > first || (Window > 0 && key <= last - Window);
    for (int r = 0; r < rows; r++) {
      float *row = s + r * C;
      if (edge) {  // row at position p sees p - Window < key <= p
        int p = first + r / Same - key;
        V below = all(p + 0.5f), above = all(Window > 0 ? p - Window + 0.5f : -1.0f);
        for (int c = 0; c < C; c += 16) {
          V i = ramp() + all((float)c);
          store(row + c, choose(less(i, below), choose(less(above, i), load(row + c), all(hidden)), all(hidden)));
        }
      }
      V m = load(row);
      for (int c = 16; c < C; c += 16) m = max(m, load(row + c));
      float before = most[r], now = peak(m);
      most[r] = now = now > before ? now : before;
      V sums = zero();
      for (int c = 0; c < C; c += 16) {
        V e = exponential(load(row + c) - all(now));
        store(row + c, e);
        sums = sums + e;
      }
      fade[r] = now > before ? exponential(all(before - now)) : all(1.0f);
      total[r] = fma(total[r], fade[r], sums);
    }
    for (int r = 0; r < rows; r += panel_rows)
      panel_columns<panel_rows, D>(
          s + r * C, C, v, D, keys, D, [&](int i, int c) __attribute__((always_inline)) { return load(o + (r + i) * D + c) * fade[r + i]; },
          [&](int i, int c, V a) __attribute__((always_inline)) { store(o + (r + i) * D + c, a); });
  }
  for (int r = 0; r < rows; r++) {
    V by = all(1.0f / sum(total[r]));
    float *y = out(r);
    for (int i = 0; i < D; i += 16) store(y + i, load(o + r * D + i) * by);
  }
}

constexpr int attend_tile = 32;  // consecutive tokens that a prefill block takes

// q and y [T, H, D]: row t at position p = *pos + t sees positions up to p, and with Window > 0 only the last Window of them. Query
// head h reads key head h / (H / KV). y may be q.
// Grid for T <= 8: KV. Grid for T > 8: H * ((T + 31) / 32), the longest rows first.
template <int H, int KV, int D, int P, class Scale, int Window, int T>
inline void attend_kv(const float *q, const int *pos, const int *live, const int *table, float *y, const float *kv, int block) {
  static_assert(H % KV == 0 && D % 16 == 0, "query heads must be a multiple of key heads, and their width one of 16");
  constexpr int G = H / KV;
  Pages<KV, D, P> pages{table, const_cast<float *>(kv)};
  int rows = live_rows<T>(live);
  V scale = all((float)Scale::value);
  if constexpr (T <= 8) {
    constexpr int R = T * G;  // row r is token r / G, head r % G of the group
    alignas(64) float scaled[R * D];
    auto at = [&](int r) { return ((long)(r / G) * H + block * G + r % G) * D; };
    for (int r = 0; r < R; r++)
      for (int i = 0; i < D; i += 16) store(scaled + r * D + i, r / G < rows ? load(q + at(r) + i) * scale : zero());
    if (rows > 0) attend_rows<R, G, D, Window>(scaled, rows * G, *pos, pages, block, [&](int r) { return y + at(r); });
  } else {
    constexpr int R = attend_tile, tiles = ceil_div(T, R);
    int h = block % H, t = (tiles - 1 - block / H) * R;
    if (t >= rows) return;
    rows = rows - t < R ? rows - t : R;
    alignas(64) float scaled[R * D];
    for (int r = 0; r < R; r++)
      for (int i = 0; i < D; i += 16) store(scaled + r * D + i, r < rows ? load(q + ((long)(t + r) * H + h) * D + i) * scale : zero());
    attend_rows<R, 1, D, Window>(scaled, rows, *pos + t, pages, h / G, [&](int r) { return y + ((long)(t + r) * H + h) * D; });
  }
}

}  // namespace hipc
