// Package runtimetest writes a small artifact for tests: a plan with every kind of bucket, operand and cell, kernels in C++
// that the machine's compiler turns into an object with the true pool of threads, and a Go function that says what it
// has to compute.
//
// The model: h = embed[token]; two layers, each of which remembers h[0] of every position in a paged cache and gives
// h = w·h + the mean of what it remembers; logits = h · embedᵀ.
package runtimetest

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"hipc/runtime/plan"
)

// The model's shape. Context isn't a multiple of Rows, so a prompt's last chunk is partly live.
const (
	Vocab   = 48
	Width   = 16
	Layers  = 2
	Context = 64
	Page    = 16
	Rows    = 5
)

// Weight is value i of the embedding (layer -1) or of a layer's w.
func Weight(layer, i int) float32 {
	x := uint32(i+1)*2654435761 ^ uint32(layer+2)*40503
	x ^= x >> 13
	x *= 0x5bd1e995
	x ^= x >> 15
	return float32(x%2001)/1000 - 1
}

// Logits says what the model has to compute: a row per token.
func Logits(ids []int32) [][]float64 {
	seen := make([][]float64, Layers)
	var rows [][]float64
	for _, id := range ids {
		h := make([]float64, Width)
		for i := range h {
			h[i] = float64(Weight(-1, int(id)*Width+i))
		}
		for l := range Layers {
			seen[l] = append(seen[l], h[0])
			mean := 0.0
			for _, x := range seen[l] {
				mean += x / float64(len(seen[l]))
			}
			for i := range h {
				h[i] = float64(Weight(l, i))*h[i] + mean
			}
		}
		row := make([]float64, Vocab)
		for v := range row {
			for i := range h {
				row[v] += h[i] * float64(Weight(-1, v*Width+i))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Greedy says which tokens follow ids, n of them, and the least gap between the best two logits on the way.
func Greedy(ids []int32, n int) (out []int32, gap float64) {
	ids = append([]int32(nil), ids...)
	gap = math.Inf(1)
	for range n {
		rows := Logits(ids)
		row := rows[len(rows)-1]
		best, second := 0, math.Inf(-1)
		for v := range row {
			if row[v] > row[best] {
				best = v
			}
		}
		for v := range row {
			if v != best {
				second = max(second, row[v])
			}
		}
		gap = min(gap, row[best]-second)
		out, ids = append(out, int32(best)), append(ids, int32(best))
	}
	return out, gap
}

const source = `
#include "pool.h"
enum { V = 48, D = 16, P = 16 };
extern "C" void toy_embed(void *const *a, int t) {
  const int *token = (const int *)a[0], *live = (const int *)a[2];
  const float *w = (const float *)a[1];
  if (t >= *live) return;
  for (int i = 0; i < D; i++) ((float *)a[3])[t * D + i] = w[token[t] * D + i];
}
extern "C" void toy_remember(void *const *a, int) {
  const float *h = (const float *)a[0];
  const int *pos = (const int *)a[1], *live = (const int *)a[2], *table = (const int *)a[3];
  float *kv = (float *)a[4];
  for (int t = 0; t < *live; t++) kv[table[(*pos + t) / P] * P + (*pos + t) % P] = h[t * D];
}
extern "C" void toy_layer(void *const *a, int t) {
  const float *h = (const float *)a[0], *w = (const float *)a[1];
  const int *pos = (const int *)a[2], *live = (const int *)a[3], *table = (const int *)a[4];
  float *y = (float *)a[5], *kv = (float *)a[6], mean = 0;
  if (t >= *live) return;
  int n = *pos + t + 1;
  for (int i = 0; i < n; i++) mean += kv[table[i / P] * P + i % P] / n;
  for (int i = 0; i < D; i++) y[t * D + i] = w[i] * h[t * D + i] + mean;
}
extern "C" void toy_head(void *const *a, int b) {
  const float *h = (const float *)a[0], *w = (const float *)a[1];
  int t = b / V, v = b % V;
  float sum = 0;
  for (int i = 0; i < D; i++) sum += h[t * D + i] * w[v * D + i];
  ((float *)a[2])[b] = sum;
}
extern "C" void toy_argmax(void *const *a, int) {
  const float *x = (const float *)a[0];
  int best = 0;
  for (int v = 1; v < V; v++) best = x[v] > x[best] ? v : best;
  *(int *)a[2] = best, ++*(int *)a[1];
}
// Draws what the seed says, plus how often the drawn token was seen.
extern "C" void toy_sample(void *const *a, int) {
  unsigned long *rng = (unsigned long *)a[3];
  int *counts = (int *)a[4], next = *rng % V;
  *rng += 7;
  counts[next]++;
  *(int *)a[5] = next, ++*(int *)a[1];
}
`

var object = sync.OnceValues(func() ([]byte, error) {
	cc, err := exec.LookPath("c++")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "toy")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	_, here, _, _ := runtime.Caller(0)
	templates := filepath.Join(filepath.Dir(here), "../../kernels/templates/cpu")
	if err := os.WriteFile(filepath.Join(dir, "toy.cpp"), []byte(source), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(cc, "-std=c++20", "-O1", "-march=x86-64-v3", "-fPIC", "-shared", "-pthread", "-I", templates, "toy.cpp", "-o", "toy.so")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return os.ReadFile(filepath.Join(dir, "toy.so"))
})

// Object is the compiled kernels. Without a C++ compiler the test is skipped.
func Object(t testing.TB) []byte {
	t.Helper()
	if _, err := exec.LookPath("c++"); err != nil {
		t.Skip("no C++ compiler (c++) on this machine")
	}
	b, err := object()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Write makes the toy's artifact in a temporary folder. edit may change the plan before it is written (nil: as it is);
// the manifest then vouches for what was written.
func Write(t testing.TB, edit func(*plan.Plan)) string {
	t.Helper()
	members := Members(t)
	p := Plan()
	if edit != nil {
		edit(p)
	}
	return Artifact(t, p, Weights(), members)
}

// Members are the toy's files besides plan and weights. Token 3 ends an answer.
func Members(t testing.TB) map[string][]byte {
	t.Helper()
	return map[string][]byte{"generation.json": []byte(`{"eos_token_id": [3]}`), "kernels.so": Object(t)}
}

// Weights is the block of weights.
func Weights() []byte {
	segments, n := Plan().Segments()
	b := make([]byte, n)
	for _, s := range segments {
		for i := range s.Bytes / 4 {
			binary.LittleEndian.PutUint32(b[s.Offset+4*i:], math.Float32bits(Weight(s.Layer, int(i))))
		}
	}
	return b
}
