package plan

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// artifact writes a small artifact and gives its manifest.
func artifact(t *testing.T) (string, *Manifest) {
	dir := t.TempDir()
	m := &Manifest{Format: FormatVersion, Model: "tiny", Target: "cpu_v4", ModelText: sum(nil),
		Checkpoint: []Member{Digest("modèle.gguf", []byte("x"))},
		Compilers:  []Compiler{{Name: "hipc", Version: "0.1"}, {Name: "c++", Version: "12 <x&y>", Command: "c++ -O3 kernels.hip"}}}
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kernels.so", "plan.go", "templates/abi.h"} {
		write(name, []byte(name))
		m.Members = append(m.Members, Digest(name, []byte(name)))
	}
	m.Plan = m.Members[1].SHA256
	weights := make([]byte, ChunkBytes+5)
	for i := range weights {
		weights[i] = byte(i * i >> 3)
	}
	write("weights-x16.bin", weights)
	var c ChunkHash
	for part := range slices.Chunk(weights, 1_000_003) {
		c.Write(part)
	}
	m.Weights = &WeightsFile{File: "weights-x16.bin", Bytes: int64(len(weights)), Kinds: sample().Kinds(), Chunks: c.Sums()}
	return dir, m
}

func TestManifest(t *testing.T) {
	dir, m := artifact(t)
	src, err := m.Write()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadManifest(src)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Write()
	if err != nil || !bytes.Equal(src, again) {
		t.Errorf("written again, it differs: %v\n%s", err, again)
	}
	if err := got.Verify(os.DirFS(dir), false); err != nil {
		t.Error(err)
	}
	if data, err := got.Open(os.DirFS(dir), "templates/abi.h"); err != nil || string(data) != "templates/abi.h" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := got.Open(os.DirFS(dir), "../x"); err == nil {
		t.Error("opened what is no member")
	}
	if len(m.Weights.Chunks) != 2 || len(m.Weights.Kinds) != 2 || m.Weights.Kinds[1] != (Kind{"q4_1", "x16", 3, 3520}) {
		t.Errorf("%+v", m.Weights)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(path func(string) string) error
		want  string
	}{
		{"changed", func(p func(string) string) error { return os.WriteFile(p("plan.go"), []byte("plan.gO"), 0o644) }, "changed member: plan.go"},
		{"longer", func(p func(string) string) error { return os.WriteFile(p("plan.go"), []byte("plan.go "), 0o644) }, "changed member: plan.go (8 bytes, was 7)"},
		{"missing", func(p func(string) string) error { return os.Remove(p("kernels.so")) }, "missing member: kernels.so"},
		{"two", func(p func(string) string) error {
			os.Remove(p("kernels.so"))
			return os.WriteFile(p("templates/abi.h"), []byte("templates/abi.c"), 0o644)
		}, "missing member: kernels.so; changed member: templates/abi.h"},
		{"folder", func(p func(string) string) error {
			os.Remove(p("plan.go"))
			return os.Mkdir(p("plan.go"), 0o755)
		}, "member plan.go is no regular file"},
		{"weights", func(p func(string) string) error {
			data, err := os.ReadFile(p("weights-x16.bin"))
			data[ChunkBytes+1] ^= 1
			os.WriteFile(p("weights-x16.bin"), data, 0o644)
			return err
		}, "changed weights: weights-x16.bin, chunk 1 (at byte 16777216)"},
		{"truncated weights", func(p func(string) string) error { return os.Truncate(p("weights-x16.bin"), ChunkBytes) }, "changed member: weights-x16.bin (16777216 bytes, was 16777221)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, m := artifact(t)
			if err := c.spoil(func(name string) string { return filepath.Join(dir, name) }); err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(os.DirFS(dir), false); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err := m.Verify(os.DirFS(dir), true); (err == nil) != strings.Contains(c.want, "weights") {
				t.Errorf("without weights: %v", err)
			}
		})
	}
}

func TestVerifyWeights(t *testing.T) {
	dir, m := artifact(t)
	data, err := os.ReadFile(filepath.Join(dir, m.Weights.File))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.VerifyWeights(data); err != nil {
		t.Error(err)
	}
	if err := m.VerifyWeights(data[1:]); err == nil {
		t.Error("accepted a shorter file")
	}
	data[0] ^= 0x80
	if err := m.VerifyWeights(data); err == nil || !strings.Contains(err.Error(), "chunk 0") {
		t.Error(err)
	}
	m.Weights.Chunks[1] = sum(nil)
	data[0] ^= 0x80
	if m.VerifyWeights(data) == nil || m.Verify(os.DirFS(dir), false) == nil {
		t.Error("accepted the digest of nothing")
	}
	m.Weights = nil
	if err := m.VerifyWeights(data); err == nil {
		t.Error("accepted weights that the artifact doesn't have")
	}
}

func TestManifestRefuses(t *testing.T) {
	_, m := artifact(t)
	src, err := m.Write()
	if err != nil {
		t.Fatal(err)
	}
	good := string(src)
	for _, c := range []struct{ name, old, new, want string }{
		{"empty", good, "", "EOF"},
		{"no object", good, "[]", "cannot unmarshal"},
		{"deep", good, strings.Repeat("[", 1_000_000), "exceeded max depth"},
		{"deep value", `"tiny"`, strings.Repeat(`{"a":`, 1_000_000), "exceeded max depth"},
		{"more after it", good, good + "{}", "not as hipc writes it"},
		{"unknown field", `"model"`, `"modal"`, `unknown field "modal"`},
		{"field of another case", `"model":`, `"Model":`, "manifest.json:3: not as hipc writes it"},
		{"twice", `"model":`, `"model": "x", "model":`, "manifest.json:3: not as"},
		{"format", `"format": 1`, `"format": 2`, "format 2, this program reads 1"},
		{"type", `"format": 1`, `"format": "1"`, "cannot unmarshal"},
		{"model", `"tiny"`, `""`, "model"},
		{"control character", `"c++"`, `"c\n"`, "one line"},
		{"digest", m.Plan, "0", "is no SHA-256"},
		{"capital digest", m.Plan, strings.ToUpper(m.Plan), "is no SHA-256"},
		{"plan's digest", m.Plan, m.ModelText, "the plan's digest isn't that of plan.go"},
		{"no plan", `"name": "plan.go"`, `"name": "plan.txt"`, "no member plan.go"},
		{"negative size", `"bytes": 7`, `"bytes": -7`, "-7 bytes"},
		{"huge size", `"bytes": 7`, `"bytes": 7000000000`, "7000000000 bytes, want at most"},
		{"order", `"kernels.so"`, `"z.so"`, "sorted by name"},
		{"same name", `"kernels.so"`, `"plan.go"`, "plan"},
		{"parent", `"kernels.so"`, `"../kernels.so"`, "want a file's name"},
		{"absolute", `"kernels.so"`, `"/kernels.so"`, "want a file's name"},
		{"folder", `"kernels.so"`, `"a/kernels.so"`, "want a file's name"},
		{"two folders", `"templates/abi.h"`, `"templates/a/abi.h"`, "want a file's name"},
		{"parent in folder", `"templates/abi.h"`, `"templates/../abi.h"`, "want a file's name"},
		{"folder alone", `"templates/abi.h"`, `"templates/"`, "want a file's name"},
		{"hidden", `"kernels.so"`, `".kernels.so"`, "want a file's name"},
		{"backslash", `"kernels.so"`, `"..\\kernels.so"`, "want a file's name"},
		{"nul", `"kernels.so"`, `"k\u0000"`, "want a file's name"},
		{"itself", `"kernels.so"`, `"manifest.json"`, "want a file's name"},
		{"weights elsewhere", `"weights-x16.bin"`, `"../w.bin"`, "want a file's name"},
		{"weights a member", `"weights-x16.bin"`, `"plan.go"`, "is a member and the weights"},
		{"chunks", `"bytes": 16777221`, `"bytes": 33554433`, "2 digests for 33554433 bytes, want 3"},
		{"chunk", m.Weights.Chunks[1], "", "weights-x16.bin, chunk 1"},
		{"kind", `"segments": 3`, `"segments": 0`, "segments is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(good, c.old, c.new, 1)
			if src == good {
				t.Fatalf("%q isn't in the manifest", c.old)
			}
			_, err := ReadManifest([]byte(src))
			if err == nil {
				t.Fatal("accepted")
			}
			if msg := err.Error(); !strings.Contains(msg, c.want) || strings.Contains(msg, "\n") || !strings.HasPrefix(msg, "manifest.json") {
				t.Errorf("got %q, want %q", msg, c.want)
			}
		})
	}
	if _, err := ReadManifest(make([]byte, maxManifest+1)); err == nil {
		t.Error("accepted 16 MiB of zeros")
	}
}

func FuzzManifest(f *testing.F) {
	m := &Manifest{Format: FormatVersion, Model: "m", Target: "t", Plan: sum(nil), ModelText: sum(nil), Members: []Member{Digest("plan.go", nil)}}
	src, err := m.Write()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := ReadManifest(src)
		if err != nil {
			return
		}
		again, err := m.Write()
		if err != nil || !bytes.Equal(src, again) {
			t.Errorf("%v\n%s\n%s", err, src, again)
		}
	})
}
