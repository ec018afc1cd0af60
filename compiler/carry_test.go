package compiler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hipc/fusion"
)

// TestSettleLeavesPlans: two buckets that run the same planned layers, and need steps that move what a layer gives, get them
// in copies of their own: the plan that both were made of stays as it is.
func TestSettleLeavesPlans(t *testing.T) {
	src, err := os.ReadFile("../models/llama.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(src)
	from, to := strings.Index(text, "block layer(h)"), strings.Index(text, "  h = embed(")
	text = text[:from] + "block layer(h, g) {\n    n = rmsnorm(h, @input_layernorm, eps)\n    return g + (attention(n) + mlp(n)), h\n  }\n" +
		strings.Replace(text[to:], "  repeat h through", "  g = silu(h)\n  repeat h, g through", 1)
	c, err := start(Options{Model: filepath.Join(t.TempDir(), "m.yaml"), Text: []byte(text), Target: "gfx1100"})
	if err == nil {
		err = c.run("bucket")
	}
	if err != nil {
		t.Fatal(err)
	}
	b := c.buckets[0]
	o, err := fusion.For(c.target.Name, b.dims(c.target, c.context), b.Picks)
	if err == nil {
		b.model, _, err = fusion.PlanModel(b.model, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	planned, before := b.model.Graphs(), b.model.String()
	if err := c.settle(b); err != nil {
		t.Fatal(err)
	}
	if b.model.String() == before {
		t.Fatal("no step was needed: the test tests nothing")
	}
	for i, g := range planned {
		if !strings.Contains(before, strings.TrimSpace(g.Nodes[len(g.Nodes)-1].String())+"\n") {
			t.Errorf("graph %d, %s, has a step more: %s", i, g.Name, g.Nodes[len(g.Nodes)-1])
		}
	}
}
