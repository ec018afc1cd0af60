package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hipc/runtime/plan"
)

// TestSameBytes: the same model in another folder, on another number of cores, is the same artifact to the byte.
func TestSameBytes(t *testing.T) {
	gguf, err := filepath.Abs(smollm2(t))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	if testing.Short() {
		env = []string{"PATH=", "CXX="} // all but the objects
	}
	place := t.TempDir()
	dirs := []string{filepath.Join(place, "a"), filepath.Join(place, "a folder", "deeper", "down", "than-the-other.one")}
	for i, dir := range dirs {
		// The place of the model text and of the checkpoint mustn't matter either.
		text, from := smollm2Text, gguf
		if i == 1 {
			text, from = filepath.Join(place, "copy.yaml"), filepath.Join(place, filepath.Base(gguf))
			if err := os.WriteFile(text, readFile(t, smollm2Text), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(gguf, from); err != nil {
				t.Fatal(err)
			}
		}
		got := runProgram(t, append(env, fmt.Sprint("GOMAXPROCS=", i+1)), "hipc", "compile", text, "--weights", from, "-o", dir)
		if got.code != 0 {
			t.Fatal(got.err)
		}
		if strings.Contains(got.out, "no compiler") && env == nil {
			t.Log("no compiler: the objects aren't compared")
		}
	}
	sameTree(t, dirs[0], dirs[1])
	for i := range rounds(0, 0, 98) {
		dir := filepath.Join(place, "again")
		if got := runProgram(t, append(env, fmt.Sprint("GOMAXPROCS=", 1+i%4)), "hipc", "compile", smollm2Text, "--weights", gguf, "-o", dir); got.code != 0 {
			t.Fatal(got.err)
		}
		sameTree(t, dirs[0], dir)
	}
	for _, dir := range dirs {
		for name, data := range tree(t, dir) {
			if strings.Contains(data, place) {
				t.Errorf("%s tells in which folder it was compiled", name)
			}
		}
	}
}

// TestWithoutCompiler: plan, source, graph and weights are written; the person learns what to install; the artifact
// doesn't run, and says so.
func TestWithoutCompiler(t *testing.T) {
	place := t.TempDir()
	c := newCheckpoint("llama", "F32")
	out := filepath.Join(place, "out")
	none := []string{"PATH=", "CXX="}
	got := runProgram(t, none, "hipc", "compile", c.model(), "--weights", c.write(t, filepath.Join(place, "checkpoint")), "-o", out)
	if got.code != 0 || got.err != "" || !strings.Contains(got.out, "without a compiled object: no compiler for cpu_v") || !strings.Contains(got.out, "apt install g++") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
	man, err := plan.ReadManifest(readFile(t, filepath.Join(out, plan.ManifestName)))
	if err != nil {
		t.Fatal(err)
	}
	if err := man.Verify(os.DirFS(out), false); err != nil {
		t.Error(err)
	}
	have := map[string]bool{}
	for _, m := range man.Members {
		have[m.Name] = true
	}
	for _, name := range []string{"plan.go", "kernels.hip", "graph.txt", "templates/matmul.h"} {
		if !have[name] {
			t.Errorf("no %s", name)
		}
	}
	if have["kernels.so"] || man.Weights == nil {
		t.Errorf("members %v, weights %v", have, man.Weights)
	}
	refused(t, out, 1, "has no compiled kernels", "compile the model where there is a compiler")
	got = runProgram(t, []string{"PATH=/nowhere", "CXX=no-such-compiler"}, "hipc", "compile", c.model(), "-o", filepath.Join(place, "other"))
	if got.code != 1 || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, `CXX is "no-such-compiler", which isn't there`) {
		t.Errorf("a CXX that isn't there: exit %d, %s", got.code, got.err)
	}
	if names := entries(t, place); len(names) != 2 {
		t.Errorf("something was left: %v", names)
	}
}

// refused wants hiprun to refuse an artifact in one line that holds all of words.
func refused(t *testing.T, dir string, code int, words ...string) {
	t.Helper()
	ids := filepath.Join(t.TempDir(), "ids.json")
	if err := os.WriteFile(ids, []byte("[1, 2, 3]"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "logits.safetensors")
	got := runProgram(t, nil, "hiprun", "logits", dir, "--ids", ids, "-o", out)
	ok := got.code == code && got.out == "" && strings.HasPrefix(got.err, "hiprun: "+dir+": ") && strings.Count(got.err, "\n") == 1
	for _, w := range words {
		ok = ok && strings.Contains(got.err, w)
	}
	if !ok {
		t.Errorf("exit %d, %q %q; want exit %d and one line with %q", got.code, got.out, got.err, code, words)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("logits were written all the same")
	}
}

// TestChangedMember: one bit of any member, one byte more or less, or a member that is gone.
func TestChangedMember(t *testing.T) {
	dir, _ := fakeArtifact(t, "llama", true)
	work := filepath.Join(t.TempDir(), "work")
	if err := os.CopyFS(work, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	packed := weightsFile(t, dir)
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"plan.go", flip, "changed member: plan.go"},
		{"graph.txt", flip, "changed member: graph.txt"},
		{"kernels.so", flip, "changed member: kernels.so"},
		{"kernels.hip", flip, "changed member: kernels.hip"},
		{"templates/matmul.h", flip, "changed member: templates/matmul.h"},
		{packed, flip, "changed weights: " + packed + ", chunk 0"},
		{packed, func(b []byte) []byte { return b[:len(b)-1] }, "changed weights: " + packed + " has"},
		{"kernels.so", func(b []byte) []byte { return append(b, 0) }, "changed member: kernels.so ("},
		{"kernels.so", nil, "missing member: kernels.so"},
		{packed, nil, "missing weights: " + packed},
		{"manifest.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 2`), 1) }, "manifest.json: format 2"},
		{"manifest.json", func(b []byte) []byte { return append(b, ' ') }, "manifest.json"},
		{"manifest.json", nil, "has no manifest.json"},
		// A whole artifact whose plan is hostile: all digests fit, and it's still not read.
		{"plan.go", func(b []byte) []byte { return bytes.Replace(b, []byte("Version: 1"), []byte("Version: panic()"), 1) }, "plan.go:"},
		{"plan.go", func(b []byte) []byte { return bytes.Replace(b, []byte("Page:    64"), []byte("Page:    0"), 1) }, "plan"},
	} {
		path := filepath.Join(work, c.name)
		good := readFile(t, path)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		manifest := filepath.Join(work, plan.ManifestName)
		goodManifest := readFile(t, manifest)
		if c.change == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			bad := c.change(bytes.Clone(good))
			if bytes.Equal(bad, good) {
				t.Fatalf("%s wasn't changed", c.name)
			}
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(c.want, "changed") && c.name == "plan.go" {
				sign(t, work, bad)
			}
		}
		refused(t, work, 1, c.want)
		for p, b := range map[string][]byte{path: good, manifest: goodManifest} {
			if err := os.WriteFile(p, b, info.Mode()); err != nil {
				t.Fatal(err)
			}
		}
	}
	sameTree(t, dir, work) // so every refusal above was the change's
	if got := runProgram(t, nil, "hipc", "inspect", work); got.code != 0 {
		t.Error(got.err)
	}
}

// weightsFile is the name of an artifact's packed weights.
func weightsFile(t *testing.T, dir string) string {
	t.Helper()
	man, err := plan.ReadManifest(readFile(t, filepath.Join(dir, plan.ManifestName)))
	if err != nil || man.Weights == nil {
		t.Fatalf("no weights: %v", err)
	}
	return man.Weights.File
}

// sign makes another plan the artifact's own.
func sign(t *testing.T, dir string, src []byte) {
	t.Helper()
	path := filepath.Join(dir, plan.ManifestName)
	man, err := plan.ReadManifest(readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range man.Members {
		if m.Name == "plan.go" {
			man.Members[i] = plan.Digest(m.Name, src)
			man.Plan = man.Members[i].SHA256
		}
	}
	b, err := man.Write()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
