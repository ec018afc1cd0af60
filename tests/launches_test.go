package tests

import (
	"testing"
	"time"

	"hipc/codegen"
	"hipc/compiler"
)

// TestLaunches plans Qwen3.6-35B-A3B at its full size for every target: the launches of a token, and that no plan would be
// cheaper. The bound of 360 is 9 a layer.
func TestLaunches(t *testing.T) {
	for _, target := range codegen.Targets {
		if target.Object == "" {
			continue
		}
		begun := time.Now()
		e, err := compiler.Explain(compiler.Options{Model: qwen36Text, Target: target.Name})
		if err != nil {
			t.Errorf("%s: %v", target.Name, err)
			continue
		}
		if e.LaunchesPerToken > 360 {
			t.Errorf("%s: %d launches a token, want at most 360", target.Name, e.LaunchesPerToken)
		}
		for _, b := range e.Buckets {
			for _, g := range b.Report.Graphs {
				if !g.Exact {
					t.Errorf("%s, %s: the search for %s's launches left something out", target.Name, b.Name, g.Graph)
				}
			}
		}
		t.Logf("%s: %d launches a token, %.2f ms predicted, planned in %v", target.Name, e.LaunchesPerToken, e.Buckets[0].Seconds*1e3, time.Since(begun).Round(time.Millisecond))
	}
}
