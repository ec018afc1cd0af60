package tests

import (
	"path/filepath"
	"strings"
	"testing"

	"hipc/compiler"
)

// TestExplainArtifact: what is explained of an artifact is its own plan, with the rules that it was compiled without; another is said to be another.
func TestExplainArtifact(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "artifact")
	o := compiler.Options{Model: "../models/smollm2-135m-instruct.yaml", Target: "gfx1100", Out: dir, Without: []string{"swiglu"}}
	if _, err := compiler.Compile(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want, err := compiler.Explain(o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := compiler.Explain(compiler.Options{Model: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got.Fuse != "-swiglu" || got.LaunchesPerToken != want.LaunchesPerToken || got.Note != "" {
		t.Errorf("--fuse=%s, %d launches, %q; the text has --fuse=%s, %d", got.Fuse, got.LaunchesPerToken, got.Note, want.Fuse, want.LaunchesPerToken)
	}
	for _, other := range []compiler.Options{{Model: dir, NoFuse: true}, {Model: dir, Target: "gfx1151"}, {Model: dir, Target: "cpu"}} {
		got, err := compiler.Explain(other)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got.Note, dir+" has another plan, for gfx1100 with ") {
			t.Errorf("--fuse=%s, %s: %q", got.Fuse, got.Target, got.Note)
		}
	}
}
