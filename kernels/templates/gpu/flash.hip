// flash.hip: causal attention of many rows over the paged cache by matrix units (Dao et al. 2022): a tile of keys at a time, softmax as it
// goes. Rounds q and the weights of a tile to f16; sums are fp32.
//
// A block takes 64 tokens of a query head. A warp has 16 of them, or with Split = 2 half of the width of 16: then q and sums fit in registers
// for heads of 256. Such two warps add up what each makes of its half of q · k in shared memory. Tiles of N keys lie in a page. While q · k is
// taken the values are on their way, while these are weighted the next keys.
//
// Shared memory: keys [N][D + 8], values [N][D + 8], or [D][N + 8] where matrix units want it so; then what the two warps exchange.
//
// 512 rows of 16 heads of 256 at contexts of 512, 4096 and 32768 on an H100: 35, 176 and 1267 µs (215 TFLOP/s); PyTorch's flash attention 45, 136 and
// 877; attend.hip 190 and 2147. What lost: tiles of 32 keys 37, 201, 1569; the next tile's keys and values on their way together, in memory of
// their own, 36, 184, 1316; one warp for the whole width and 32 keys 53, 284, 2021. Two warps that share a tile's keys instead of the width, so that softmax is taken
// once, are 40, 176, 1200 and half as long again to read. Eight heads of 8 tokens instead of a head of 64 are the same: 35, 180, 1252. With the
// rotation it's 42, 185, 1257.
#pragma once
#include "attend.hip"
#include "matrix.hip"
#include "rotate.hip"

namespace hipc {

// A tile of keys and one of values, from memory to shared memory.
template <int D, int N, int P, int Threads> struct KeyTile {
  static constexpr int ld = D + 8, ldv = across_is_free ? D + 8 : N + 8, units = N * D / 8, each = 2 * ceil_div(units, 2 * Threads);
  static constexpr int values = N * ld, halfs = values + (across_is_free ? N : D) * ldv;  // where they begin, and all
  static_assert(P % N == 0 && N % 16 == 0 && D % 16 == 0, "tiles lie in a page and are whole for matrix units");
  f16 *at;
  Carried<each> carried;

  // each(i, key, d): the thread's i-th 16 bytes of a tile are 8 dimensions from d on of a key. Of transposed values two in a row are two keys',
  // so that words may be written; a warp has 4 times 8 dimensions of 16 keys.
  static constexpr int strip = D % 32 == 0 ? 4 : 2;
  template <bool Pairs, class Each> DEVICE static void each_unit(Each each_one) {
    UNROLL for (int i = 0; i < each; i++) {
      int u = (Pairs ? i / 2 : i) * Threads + thread();
      if (units % (2 * Threads) != 0 && u >= (Pairs ? units / 2 : units)) continue;
      if constexpr (Pairs) each_one(i, u / strip % 8 * 2 + u / (strip * 8) / (D / 8 / strip) * 16 + i % 2, (u % strip + u / (strip * 8) % (D / 8 / strip) * strip) * 8);
      else each_one(i, u / (D / 8), u % (D / 8) * 8);
    }
  }
  // x: where the tile's first key, or its values, begin in memory. Keys from..to of it are there, the others become 0; where all are, nothing
  // is asked for each load.
  template <bool Pairs> DEVICE void start(f16 *to_at, int to_ld, const f16 *x, int from, int to) {
    if (from <= 0 && to >= N - 1) each_unit<Pairs>([&](int i, u32 key, u32 d) { carried.start(i, to_at + key * to_ld + d, x + (key * D + d), true); });
    else each_unit<Pairs>([&](int i, int key, int d) { carried.start(i, to_at + key * to_ld + d, x + (key * D + d), key >= from && key <= to); });
  }
  DEVICE void start_keys(const f16 *k, int from, int to) { start<false>(at, ld, k, from, to); }
  DEVICE void land_keys() {
    each_unit<false>([&](int i, int key, int d) { carried.land(i, at + key * ld + d); });
  }
  DEVICE void start_values(const f16 *v, int from, int to) { start<!across_is_free>(at + values, ldv, v, from, to); }
  DEVICE void land_values() {
    if constexpr (!across_is_free) {
      w4 two[2];
      each_unit<true>([&](int i, int key, int d) {
        carried.land(i, two + i % 2);
        if (i % 2 == 0) return;
        u32 *to = (u32 *)(at + values + d * ldv + key - 1);
        UNROLL for (int j = 0; j < 8; j++) {
          u32 a = two[0][j / 2], b = two[1][j / 2];
          to[j * (ldv / 2)] = j % 2 ? a >> 16 | (b & 0xffff0000u) : (a & 0xffffu) | b << 16;
        }
      });
    }
  }
  DEVICE Cols<f16> key_cols(int key, int d) const { return load_cols(at + key * ld + d, ld); }
  DEVICE Cols<f16> value_cols(int key, int d) const {
    if constexpr (across_is_free) return load_cols_across(at + values + key * ldv + d, ldv);
    else return load_cols(at + values + d * ldv + key, ldv);
  }
};

// Bytes of shared memory, as the registry's rows say them.
template <int D, int N, int P, int Split>
constexpr int flash_bytes = 2 * KeyTile<D, N, P, 128 * Split>::halfs + (Split > 1 ? 256 * Split * N : 0);

// The widest part of a head whose 64 rows fit there when they are handed out.
constexpr int flash_part(int D, int bytes) {
  int part = 64;
  while (D % part != 0 || 256 * (part + 4) > bytes) part -= 16;
  return part;
}

// end(place, d, out) for each Part dimensions from d on, by all threads: out[64][Part + 4] is attention; place(row) is where row's head begins
// in q, or -1 if it isn't live. Grid ceil(T / 64) · H; blocks with the most keys first.
template <int Part, int H, int KV, int D, int P, class Scale, int Window, int Split, int N, int T, class End>
DEVICE void flash_rows(const float *q, const int *pos, const int *live, const int *table, const f16 *kv, int block, End end) {
  static_assert(H % KV == 0, "query heads must be a multiple of key heads");
  static_assert(D / Split % 16 == 0 && Part > 0 && D % Part == 0 && Part % 16 == 0, "parts of a head are whole tiles");
  static_assert(256 * (Part + 4) <= flash_bytes<D, N, P, Split>, "a part of 64 rows fits into shared memory");
  constexpr int tokens = 64, tiles = ceil_div(T, tokens), width = D / Split, strips = 4;
  constexpr int Threads = strips * Split * warp_size;
  const int head = block % H, t0 = (tiles - 1 - block / H) * tokens, rows = live_rows<T>(live), begin = *pos;
  if (t0 >= rows) return;
  const int half = warp() / strips, strip = warp() % strips * 16;
  auto place = [&](int row) { int t = t0 + row; return t < rows ? ((long)t * H + head) * D : -1; };

  Rows<f16> query[width / 16];
  UNROLL for (int k = 0; k < width / 16; k++) query[k] = make_rows<f16>([&](int r, int i) {
    constexpr float f = (float)(Scale::value * 1.4426950408889634);  // powers of 2 are cheaper than those of e
    int t = t0 + strip + r < rows ? t0 + strip + r : rows - 1;         // of dead rows nothing is kept: no branch for each load
    const float *x = q + ((long)t * H + head) * D + half * width + k * 16 + i;
    return pair<f16>(x[0] * f, x[1] * f);
  });

  Pages<KV, D, P> pages{table, const_cast<f16 *>(kv)};
  KeyTile<D, N, P, Threads> tile{(f16 *)block_memory};
  float *const exchange = (float *)(tile.at + tile.halfs);
  const int lowest = begin + t0, last = begin + (t0 + tokens < rows ? t0 + tokens : rows) - 1;
  const int from = Window > 0 && lowest >= Window ? lowest - Window + 1 : 0;
  int position[Tile::slots];
  float most[Tile::slots], sum[Tile::slots];
  UNROLL for (int s = 0; s < Tile::slots; s++) position[s] = lowest + strip + Tile::row(s), most[s] = hidden, sum[s] = 0;
  Tile acc[width / 16];
  UNROLL for (int d = 0; d < width / 16; d++) acc[d].v = f8(0.0f);

  int a = from / N * N;
  const f16 *k = pages.k(head / (H / KV), a);
  tile.start_keys(k, from - a, last - a);
  tile.land_keys();
  for (;;) {
    const int at = a;
    const bool more = (a += N) <= last;
    copies_end();
    copies_wait<0>();
    barrier();
    tile.start_values(k + pages.keys, from - at, last - at);
    Tile s[N / 16];
    UNROLL for (int n = 0; n < N / 16; n++) s[n].v = f8(0.0f);
    UNROLL for (int d = 0; d < width; d += 16) UNROLL for (int n = 0; n < N; n += 16) multiply(s[n / 16], query[d / 16], tile.key_cols(n, half * width + d));
    if constexpr (Split > 1)
      UNROLL for (int n = 0; n < N / 16; n++) UNROLL for (int i = 0; i < 8; i += 4)
        store4(exchange + ((warp() * (N / 16) + n) * 8 + i) * warp_size + lane() * 4, f4{s[n].v[i], s[n].v[i + 1], s[n].v[i + 2], s[n].v[i + 3]});
    tile.land_values();
    copies_end();
    copies_wait<0>();
    barrier();
    if (more) tile.start_keys(k = pages.k(head / (H / KV), a), 0, last - a);
    if constexpr (Split > 1) {
      int other = warp() % strips + (1 - half) * strips;
      UNROLL for (int n = 0; n < N / 16; n++) UNROLL for (int i = 0; i < 8; i += 4) {
        f4 x = load4(exchange + ((other * (N / 16) + n) * 8 + i) * warp_size + lane() * 4);
        UNROLL for (int j = 0; j < 4; j++) s[n].v[i + j] += x[j];
      }
    }
    if (at + N - 1 > lowest || (Window > 0 && at + Window <= last))  // else all rows see all keys
      UNROLL for (int n = 0; n < N / 16; n++) UNROLL for (int i = 0; i < 8; i++) {
        int key = at + n * 16 + Tile::col(i), p = position[Tile::slot(i)];
        if (key > p || (Window > 0 && key + Window <= p)) s[n].v[i] = hidden;
      }
    float now[Tile::slots];
    bool grown = false;
    UNROLL for (int j = 0; j < Tile::slots; j++) now[j] = hidden;
    UNROLL for (int n = 0; n < N / 16; n++) UNROLL for (int i = 0; i < 8; i++) now[Tile::slot(i)] = greater(s[n].v[i], now[Tile::slot(i)]);
    UNROLL for (int j = 0; j < Tile::slots; j++) now[j] = greater(Tile::row_max(now[j]), most[j]), grown |= now[j] > most[j];
    if (any(grown)) {  // seldom after the first tiles
      float fade[Tile::slots];
      UNROLL for (int j = 0; j < Tile::slots; j++) fade[j] = power2(most[j] - now[j]), sum[j] *= fade[j], most[j] = now[j];
      UNROLL for (int d = 0; d < width / 16; d++) UNROLL for (int i = 0; i < 8; i++) acc[d].v[i] *= fade[Tile::slot(i)];
    }
    UNROLL for (int n = 0; n < N / 16; n++) {
      UNROLL for (int i = 0; i < 8; i++) {
        s[n].v[i] = power2(s[n].v[i] - most[Tile::slot(i)]);
        sum[Tile::slot(i)] += s[n].v[i];
      }
      Rows<f16> weights = as_rows<f16>(s[n]);
      UNROLL for (int d = 0; d < width; d += 16) multiply(acc[d / 16], weights, tile.value_cols(n * 16, half * width + d));
    }
    if (!more) break;
    tile.land_keys();
  }

  float *out = (float *)block_memory;
  UNROLL for (int j = 0; j < Tile::slots; j++) sum[j] = inverse(Tile::row_sum(sum[j]));
  UNROLL for (int part = 0; part < D; part += Part) {
    barrier();
    UNROLL for (int d = 0; d < width; d += 16)
      if ((half * width + d) / Part == part / Part) UNROLL for (int i = 0; i < 8; i++)
        out[(strip + Tile::row(Tile::slot(i))) * (Part + 4) + (half * width + d) % Part + Tile::col(i)] = acc[d / 16].v[i] * sum[Tile::slot(i)];
    barrier();
    end(place, part, out);
  }
}

// y = attention, each value through gate(its place in y, value).
template <int Threads, int Part, class Place, class Gate> DEVICE void put_out(Place place, int part, const float *out, float *y, Gate gate) {
  for (int u = thread(); u < 64 * Part / 4; u += Threads) {
    int row = u / (Part / 4), d = u % (Part / 4) * 4;
    long at = place(row) + part + d;
    if (place(row) < 0) continue;
    store4(y + at, gate(at, load4(out + row * (Part + 4) + d)));
  }
}

// q and y [T, H, D]; what attend_kv does. y may be q.
template <int H, int KV, int D, int P, class Scale, int Window, int Split, int N, int T>
DEVICE void flash(const float *q, const int *pos, const int *live, const int *table, float *y, const f16 *kv, int block) {
  constexpr int Part = flash_part(D, flash_bytes<D, N, P, Split>);
  flash_rows<Part, H, KV, D, P, Scale, Window, Split, N, T>(q, pos, live, table, kv, block, [&](auto place, int part, const float *out) {
    put_out<128 * Split, Part>(place, part, out, y, [](long, f4 v) { return v; });
  });
}

DEVICE f4 gated4(f4 v, f4 g) {
  UNROLL for (int i = 0; i < 4; i++) v[i] = over(v[i], 1 + exponential(-g[i]));
  return v;
}

// y = attention · sigmoid(g), g [T, H, D]. y may be q or g.
template <int H, int KV, int D, int P, class Scale, int Window, int Split, int N, int T>
DEVICE void flash_gate(const float *q, const float *g, const int *pos, const int *live, const int *table, float *y, const f16 *kv, int block) {
  constexpr int Part = flash_part(D, flash_bytes<D, N, P, Split>);
  flash_rows<Part, H, KV, D, P, Scale, Window, Split, N, T>(q, pos, live, table, kv, block, [&](auto place, int part, const float *out) {
    put_out<128 * Split, Part>(place, part, out, y, [&](long at, f4 v) { return gated4(v, load4(g + at)); });
  });
}

// y = rotate(attention · sigmoid(g), r), r over all H D: a warp turns every fourth or eighth row of a span. y may be q or g.
template <int H, int KV, int D, int P, class Scale, int Window, int G, int Split, int N, int T>
DEVICE void flash_gate_rotate(const float *q, const float *g, const u8 *r, const int *pos, const int *live, const int *table, float *y, const f16 *kv,
                              int block) {
  constexpr int Part = span_width;
  static SHARED Boxes boxes;
  flash_rows<Part, H, KV, D, P, Scale, Window, Split, N, T>(q, pos, live, table, kv, block, [&](auto place, int part, const float *out) {
    const int d = part + 4 * lane();
    Turns<G> turns;
    turns.load(r + (place(0) % (H * D) + d) / G * rotation_bytes<G>);
    for (int row = warp(); row < 64 && place(row) >= 0; row += 4 * Split) {
      long at = place(row) + d;
      store4(y + at, turns.apply(gated4(load4(out + row * (Part + 4) + 4 * lane()), load4(g + at)), boxes.box[warp()]));
      warp_barrier();
    }
  });
}

}  // namespace hipc
