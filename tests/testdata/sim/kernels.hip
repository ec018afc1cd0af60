// Kernels with which tests of runtime/sim run whole programs: what a compiler makes of them on gfx11.
#define KERNEL extern "C" __attribute__((global))
#define LDS __attribute__((shared))
typedef _Float16 half2 __attribute__((ext_vector_type(2)));
typedef _Float16 half16 __attribute__((ext_vector_type(16)));
typedef float float8 __attribute__((ext_vector_type(8)));
__attribute__((device)) static inline int thread() { return __builtin_amdgcn_workitem_id_x(); }
__attribute__((device)) static inline int group() { return __builtin_amdgcn_workgroup_id_x(); }
__attribute__((device)) static inline void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
__attribute__((device)) static inline float lane(float v, int from) {
  return __builtin_bit_cast(float, __builtin_amdgcn_ds_bpermute(from << 2, __builtin_bit_cast(int, v)));
}

KERNEL void vector_add(const float *a, const float *b, float *c) {
  int i = group() * __builtin_amdgcn_workgroup_size_x() + thread();
  c[i] = a[i] + b[i];
}

// sums 256 floats per block: DPP within rows, permlanex16 across, LDS between waves, and a division.
KERNEL void mean(const float *a, float *out) {
  LDS float part[8];
  float v = a[group() * 256 + thread()];
#define ROW(c) v += __builtin_bit_cast(float, __builtin_amdgcn_update_dpp(0, __builtin_bit_cast(int, v), c, 0xf, 0xf, true))
  ROW(0x161); ROW(0x162); ROW(0x164); ROW(0x168);
  v += __builtin_bit_cast(float, __builtin_amdgcn_permlanex16(__builtin_bit_cast(int, v), __builtin_bit_cast(int, v), 0x76543210, 0xfedcba98, true, false));
  if ((thread() & 31) == 0) part[thread() >> 5] = v;
  barrier();
  if (thread() < 32) {
    v = part[thread() & 7];
    for (int m = 4; m; m >>= 1) v += lane(v, thread() ^ m);
    if (thread() == 0) out[group()] = v / 256.0f;
  }
}

// transposes tiles of 32×32 through LDS.
KERNEL void transpose(const float *a, float *out) {
  LDS float tile[32][33];
  int x = thread() & 31, y = thread() >> 5;
  for (int i = 0; i < 32; i += 8) tile[y + i][x] = a[group() * 1024 + (y + i) * 32 + x];
  barrier();
  for (int i = 0; i < 32; i += 8) out[group() * 1024 + (y + i) * 32 + x] = tile[x][y + i];
}

// the same with the barrier forgotten, and with a tile that is used again without waiting for its readers.
KERNEL void transpose_unordered(const float *a, float *out) {
  LDS float tile[32][33];
  int x = thread() & 31, y = thread() >> 5;
  for (int i = 0; i < 32; i += 8) tile[y + i][x] = out[x];
  barrier();
  for (int i = 0; i < 32; i += 8) tile[y + i][x] = a[group() * 1024 + (y + i) * 32 + x];
  for (int i = 0; i < 32; i += 8) out[group() * 1024 + (y + i) * 32 + x] = tile[x][y + i];
}
KERNEL void transpose_reused(const float *a, float *out) {
  LDS float tile[32][33];
  int x = thread() & 31, y = thread() >> 5;
  for (int n = 0; n < 2; n++) {
    for (int i = 0; i < 32; i += 8) tile[y + i][x] = a[n * 1024 + (y + i) * 32 + x];
    barrier();
    for (int i = 0; i < 32; i += 8) out[n * 1024 + (y + i) * 32 + x] = tile[x][y + i];
  }
}

// c[t] is the dot product of column t of 64 rows of pairs.
KERNEL void dot16(const half2 *a, const half2 *b, float *c) {
  float s = 0;
  for (int i = 0; i < 64; i++) s = __builtin_amdgcn_fdot2(a[thread() + 32 * i], b[thread() + 32 * i], s, false);
  c[thread()] = s;
}

// C = A·B of 16×16: A's rows and B's columns are 16 halves each; lane is the operand's lane.
KERNEL void matrix(const half16 *a, const half16 *b, float *c) {
  int t = thread();
  float8 d = {};
  d = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a[t & 15], b[t & 15], d);
  for (int i = 0; i < 8; i++) c[(2 * i + (t >> 4)) * 16 + (t & 15)] = d[i];
}
KERNEL void matrix_unequal(const half16 *a, const half16 *b, float *c) {
  int t = thread();
  float8 d = {};
  d = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a[t & 15], b[(t & 15) ^ (t >> 4)], d);
  for (int i = 0; i < 8; i++) c[(2 * i + (t >> 4)) * 16 + (t & 15)] = d[i];
}

// split-K: each block leaves a sum, the last to take a ticket adds them up and puts the counter back.
template <bool Release, bool Acquire> __attribute__((device)) static inline void ticket(const float *a, float *part, unsigned *count, float *out) {
  LDS unsigned last;
  int t = thread();
  part[group() * 64 + t] = a[group() * 64 + t] * 2;
  barrier();
  if (t == 0) {
    if (Release) __builtin_amdgcn_fence(__ATOMIC_RELEASE, "agent");
    last = __hip_atomic_fetch_add(count, 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  }
  barrier();
  if (last != 7) return;
  if (Acquire) __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "agent");
  float s = 0;
  for (int i = 0; i < 8; i++) s += part[i * 64 + t];
  out[t] = s;
  if (t == 0) *count = 0;
}
KERNEL void split_sum(const float *a, float *part, unsigned *count, float *out) { ticket<true, true>(a, part, count, out); }
KERNEL void split_sum_unfenced(const float *a, float *part, unsigned *count, float *out) { ticket<false, false>(a, part, count, out); }
KERNEL void split_sum_unacquired(const float *a, float *part, unsigned *count, float *out) { ticket<true, false>(a, part, count, out); }

// a histogram by LDS atomics, added to memory's by others.
KERNEL void histogram(const unsigned char *a, unsigned *out) {
  LDS unsigned bins[256];
  int t = thread();
  bins[t] = 0;
  barrier();
  for (int i = 0; i < 16; i++) __hip_atomic_fetch_add(&bins[a[group() * 4096 + i * 256 + t]], 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
  barrier();
  if (bins[t]) __hip_atomic_fetch_add(&out[t], bins[t], __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}

// functions, conversions, divergence.
KERNEL void mixed(const _Float16 *a, const short *b, _Float16 *c, __bf16 *d, unsigned char *e) {
  int i = thread();
  _Float16 x = a[i], y = a[i + 64];
  c[i] = x > y ? (_Float16)(x * y + x) : (_Float16)((float)b[i] * 0.125f);
  d[i] = (__bf16)((float)x * (float)y);
  int n = b[i] & 31, s = 0;
  while (n > 1) { n = n & 1 ? 3 * n + 1 : n >> 1; s++; }
  e[i] = (unsigned char)s;
}

// writes that go beyond the end, and values that were never written.
KERNEL void beyond(float *a) { a[thread() + 1] = 1; }
KERNEL void shared_beyond(float *a) {
  extern LDS float s[];
  s[thread() + 1] = 1;
  a[thread()] = s[thread() + 1];
}
KERNEL void unwritten(float *a) {
  LDS float s[64];
  if (thread() != 5) s[thread()] = 1;
  a[thread()] = s[thread()] * 2;
}
KERNEL void unwritten_branch(float *a) {
  LDS float s[64];
  if (thread() != 5) s[thread()] = 1;
  if (s[thread()] > 0) a[thread()] = 1;
}
KERNEL void blocks_race(float *a) {
  if (group() == 0) a[thread()] = 1;
  else a[32 + thread()] = a[thread()] + 1;
}

// arithmetic alone, for the rate.
KERNEL void busy(const float *a, const int *b, float *c) {
  float x = a[thread()], y = 1;
  int n = b[thread()];
  for (int i = 0; i < 500; i++) {
    y = __builtin_fmaf(x, y, 0.5f);
    n = (n << 3 ^ n) + i;
    x += (float)(n & 255);
    y = __builtin_fminf(y, 100.0f);
  }
  c[thread()] = x + y;
}

// each block writes, reads and writes again one half and one byte, which share their dword with other blocks'.
KERNEL void neighbours(_Float16 *h, unsigned char *b) {
  if (thread() == 0) {
    h[group()] = h[group()] * (_Float16)2 + (_Float16)1;
    b[group()] = b[group()] + group();
  }
}
// the same, but one block reads what its neighbour writes.
KERNEL void neighbours_race(_Float16 *h, unsigned char *b) {
  if (thread() == 0) {
    h[group()] = h[group()] * (_Float16)2;
    b[group()] = b[group() ^ 1] + group();
  }
}
// waves of a block exchange through memory, with a barrier.
KERNEL void through_memory(int *a) {
  a[thread()] = thread() * 3;
  barrier();
  int v = a[thread() ^ 32];
  barrier();
  a[thread()] = v + 1;
}
KERNEL void through_memory_unordered(int *a) {
  a[thread()] = thread() * 3;
  int v = ((volatile int *)a)[thread() ^ 32];
  a[64 + thread()] = v + 1;
}
// every size there is: where a thread stands in three dimensions.
KERNEL void places(int *a) {
  int x = __builtin_amdgcn_workgroup_id_x() * __builtin_amdgcn_workgroup_size_x() + __builtin_amdgcn_workitem_id_x();
  int y = __builtin_amdgcn_workgroup_id_y() * __builtin_amdgcn_workgroup_size_y() + __builtin_amdgcn_workitem_id_y();
  int z = __builtin_amdgcn_workgroup_id_z() * __builtin_amdgcn_workgroup_size_z() + __builtin_amdgcn_workitem_id_z();
  int w = __builtin_amdgcn_grid_size_x(), h = __builtin_amdgcn_grid_size_y();
  a[(z * h + y) * w + x] = x | y << 8 | z << 16;
}
// a table in the object itself.
__attribute__((device)) const int table[8] = {3, 1, 4, 1, 5, 9, 2, 6};
KERNEL void lookup(const int *i, int *a) { a[thread()] = table[i[thread()] & 7]; }

// matrix products alone, for the rate.
KERNEL void matrix_loop(const half16 *a, const half16 *b, float *c) {
  int t = thread();
  float8 d = {}, e = {};
  half16 x = a[t & 15], y = b[t & 15];
  for (int i = 0; i < 200; i++) {
    d = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(x, y, d);
    e = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(y, x, e);
  }
  for (int i = 0; i < 8; i++) c[t * 8 + i] = d[i] + e[i];
}

// one wave reads what another writes, in either order, with no barrier between.
KERNEL void shared_unordered(float *a) {
  LDS float s[32];
  int t = thread();
  if (t < 32) s[t] = a[t];
  barrier();
  if (t < 32) a[t] = s[t] + 1;
  else s[t - 32] = a[t];
  barrier();
  a[64 + t] = s[t & 31];
}
// a ticket taken before the stores are waited for.
KERNEL void ticket_unreleased(const float *a, float *part, unsigned *count, float *out) {
  int t = thread();
  part[group() * 32 + t] = a[group() * 32 + t];
  unsigned n = 0;
  if (t == 0) n = __hip_atomic_fetch_add(count, 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  if (__builtin_amdgcn_readfirstlane(n) != 7) return;
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "agent");
  float s = 0;
  for (int i = 0; i < 8; i++) s += part[i * 32 + t];
  out[t] = s;
}
