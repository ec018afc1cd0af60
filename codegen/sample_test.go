package codegen

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"hipc/runtime/plan"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// golden compares got with a file of tests/testdata/codegen.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "tests", "testdata", "codegen", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (go test ./codegen -update rewrites it):\n%s", name, got)
	}
}

// sample is a plan with siblings, a rotated loop and every field in use.
func sample() *plan.Plan {
	norm := func(weight, out string) plan.Step {
		return plan.Step{Kernel: "add_norm_32", Inst: "add_norm<32, eps_1em05, 1>", In: []string{"h", "o", weight, "live"}, Out: []string{"h", out}, Grid: 1, Block: 1}
	}
	attention := []plan.Step{
		{Kernel: "qkv_32", Inst: "matmul<Q4_1, 32, 32, 1> | matmul<F16, 32, 16, 1>",
			In:  []string{"n", "layers.{l}.self_attn.q_proj", "live", "n", "layers.{l}.self_attn.kv_proj", "live"},
			Out: []string{"q", "kv"}, Grid: 2, Block: 1},
		{Kernel: "attend_32", Inst: "attend<2, 1, 16, 64, 1>", In: []string{"q", "kv", "position"}, Out: []string{"o"}, State: []string{"layers.{l}.self_attn.kv"}, Grid: 2, Block: 1, LDS: 64},
	}
	loop := []plan.Slot{{Name: "h", Type: "act[1,32]", Bytes: 128}, {Name: "n", Type: "act[1,32]", Offset: 128, Bytes: 128}, {Name: "q", Type: "act[1,32]", Offset: 256, Bytes: 128},
		{Name: "kv", Type: "act[1,16]", Offset: 384, Bytes: 64}, {Name: "o", Type: "act[1,32]", Offset: 448, Bytes: 128}}
	return &plan.Plan{
		Version: plan.Version, Model: "tiny-2", Target: "cpu_v4", Device: "cpu", Act: "f32", KV: "f32", Layers: 3, Vocab: 100, Context: 128, Page: 64,
		Weights: []plan.Weight{
			{Name: "embed_tokens", Type: "q4_1[100,32]", Layout: "x16", Bytes: 2240},
			{Name: "layers.{l}.input_layernorm", Type: "f32[32]", Layout: "rows", Bytes: 128, Layers: "0-2", Expr: "1 + input_layernorm"},
			{Name: "layers.{l}.self_attn.q_proj", Type: "q4_1[32,32]", Layout: "x16", Bytes: 640, Layers: "0-2"},
			{Name: "layers.{l}.self_attn.kv_proj", Type: "f16[16,32]", Layout: "x16", Bytes: 1024, Layers: "0-2"},
			{Name: "norm", Type: "f32[32]", Layout: "rows", Bytes: 128, Expr: `say "one" \ two`},
		},
		State: []plan.State{{Name: "layers.{l}.self_attn.kv", Type: "kv[1,16]", Bytes: 16384, Layers: "0-2"}},
		Cells: []plan.Cell{{Name: "tokens", Type: "i32[1]", Bytes: 4}, {Name: "live", Type: "i32[1]", Bytes: 4}, {Name: "position", Type: "i32[1]", Bytes: 4}},
		Buckets: []plan.Bucket{{
			Name: "decode_1", Seqs: 1, Rows: 1, Picks: 1, Tail: "argmax", Cost: plan.Cost{Steps: 12, Bytes: 9000, Ops: 18000},
			Parts: []plan.Part{
				{Name: "begin", Steps: []plan.Step{{Kernel: "embed_norm_32", Inst: "embed_norm<Q4_1, 100, 32, eps_1em05, 1>",
					In: []string{"tokens", "embed_tokens", "layers.0.input_layernorm", "live"}, Out: []string{"h", "n"}, Grid: 1, Block: 1}}},
				{Name: "layer", Layers: "0-1", Steps: append(attention[:2:2], norm("layers.{l+1}.input_layernorm", "n"))},
				{Name: "layer.end", Layers: "2", Steps: append(attention[:2:2], norm("norm", "n"))},
				{Name: "end", Steps: []plan.Step{
					{Kernel: "head", In: []string{"n", "embed_tokens", "live"}, Out: []string{"logits"}, Grid: 4, Block: 1},
					{Kernel: "argmax_100", In: []string{"logits"}, Out: []string{"tokens"}, Grid: 1, Block: 1},
				}},
			},
		}},
		Arena: []plan.Arena{
			{Bucket: "decode_1", Part: "begin", Slots: loop[:2]},
			{Bucket: "decode_1", Part: "layer", Slots: loop},
			{Bucket: "decode_1", Part: "layer.end", Slots: loop},
			{Bucket: "decode_1", Part: "end", Slots: []plan.Slot{loop[1], {Name: "logits", Type: "act[1,100]", Offset: 256, Bytes: 448}}},
		},
	}
}

// entries are kernels of a template that the tests bring along.
var entries = []Entry{
	{Name: "two", Parts: []EntryPart{
		{Inst: "scale<2, r05>", Header: "scale.h", Args: []int{0, 2}, Grid: 3},
		{Inst: "scale<3, r05>", Header: "scale.h", Args: []int{1, 3}, Grid: 4},
		{Inst: "scale<5, r05>", Header: "scale.h", Args: []int{0, 4}, Grid: 1},
	}},
	{Name: "one", Parts: []EntryPart{{Inst: "scale<7, r1em05>", Header: "scale.h", Args: []int{0, 1}, Grid: 3}}},
	{Name: "one", Parts: []EntryPart{{Inst: "scale<7, r1em05>", Header: "scale.h", Args: []int{0, 1}, Grid: 3}}},
}

var reals = []Real{{Name: "r05", Text: "0.5"}, {Name: "r1em05", Text: "1e-05"}, {Name: "r05", Text: "0.5"}}

// scale.h: y[block] = N x[block] + A, and a second instance stays a function of its own.
var scale = fstest.MapFS{
	"templates/cpu/scale.h": {Data: []byte(`#pragma once
#include "abi.h"
#include "noted.h"
namespace hipc {
template <int N, class A> inline __attribute__((noinline)) void scale(const float *x, float *y, int block) { y[block] = N * x[block] + (float)A::value; }
}
`)},
	"templates/gpu/scale.h": {Data: []byte(`#pragma once
#include "device.h"
namespace hipc {
template <int N, class A> DEVICE void scale(const float *x, float *y, int block) { y[block] = N * x[block] + (float)A::value; }
}
`)},
	"templates/cpu/noted.h": {Data: []byte("#pragma once\n  #  include \"scale.h\"\n// #include \"absent.h\"\n")},
}

// layers looks in the first that has a file.
type layers []fs.FS

func (l layers) Open(name string) (fs.File, error) {
	for _, fsys := range l[:len(l)-1] {
		if f, err := fsys.Open(name); err == nil {
			return f, nil
		}
	}
	return l[len(l)-1].Open(name)
}

// templates are the repository's own and scale.h.
var templates = layers{scale, os.DirFS("../kernels")}

// artifact writes source and templates of the entries into a new folder.
func artifact(t *testing.T, target *Target, entries []Entry) string {
	t.Helper()
	dir := t.TempDir()
	files, err := Templates(target, templates, entries)
	if err != nil {
		t.Fatal(err)
	}
	files[target.Source] = Source(target, "tiny-2", entries, reals)
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func named(t *testing.T, name string) *Target {
	t.Helper()
	target, err := TargetByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}
