package compiler

import "testing"

// TestBodies: what a body is drawn of are the ops of the text, each once, though norms are computed by several steps.
func TestBodies(t *testing.T) {
	e, err := Explain(Options{Model: "../models/llama.yaml", Target: "sm_90", Context: 512})
	if err != nil {
		t.Fatal(err)
	}
	fused := map[string]int{}
	for _, f := range e.Buckets[0].Report.Graphs {
		fused[f.Graph] = f.Primitives
	}
	for _, b := range e.Bodies {
		norms, drawn := 0, map[int]bool{}
		for _, o := range b.Ops {
			if o.Op == "rmsnorm" {
				norms++
			}
		}
		for _, l := range b.Launches {
			for _, i := range l {
				drawn[i] = true
			}
		}
		if len(b.Ops) != fused[b.Name] || len(drawn) != len(b.Ops) || b.Name == "layer" && norms != 2 {
			t.Errorf("%s: %d ops, %d of them norms, %d in launches; the text comes to %d", b.Name, len(b.Ops), norms, len(drawn), fused[b.Name])
		}
	}
}
