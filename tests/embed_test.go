package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEmbed builds examples/embed as somebody else's module would: with SmolLM2's artifact as a package of its own. Its binary answers
// where there is nothing but it and the weights.
func TestEmbed(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	artifact := smollm2Artifact(t, true)
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/embed")); err != nil { // with the model of somebody who has tried it
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(dir, "model"))
	if err := os.CopyFS(filepath.Join(dir, "model"), os.DirFS(artifact)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mod", "edit", "-replace", "hipc=" + repo}, {"build", "-o", "answer", "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	away := t.TempDir()
	if err := os.Rename(filepath.Join(dir, "answer"), filepath.Join(away, "answer")); err != nil {
		t.Fatal(err)
	}
	run := func(weights string) (string, error) {
		cmd := exec.Command("./answer", "What is gravity? Answer in one sentence.")
		cmd.Dir, cmd.Env = away, append(os.Environ(), "HIPC_WEIGHTS="+weights)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run(filepath.Join(dir, "model"))
	if want := "smollm2-135m-instruct, 30 layers, 8192 tokens of context:\nGravity is a fundamental concept in physics"; err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v, %q, want %q and so on", err, out, want)
	}
	if out, err := run(away); err == nil || !strings.Contains(out, "missing weights: weights-x16.bin") {
		t.Errorf("without weights: %v, %q", err, out)
	}
}
