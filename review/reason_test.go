package review

import (
	"strings"
	"testing"

	"hipc/runtime/plan"
)

// TestShared: one step is no sibling, and what wasn't there shared nothing.
func TestShared(t *testing.T) {
	one, two := []Step{{Op: "mul"}}, []Step{{Op: "mul | mul"}}
	for _, c := range []struct {
		a, b []Step
		want string
	}{
		{nil, one, ""}, {one, nil, ""}, {one, one, ""}, {two, two, ""},
		{nil, two, "2 siblings share a launch"}, {one, two, "2 siblings share a launch"}, {two, one, "2 siblings shared a launch"}, {two, nil, "2 siblings shared a launch"},
	} {
		g := Change{A: c.a, B: c.b}
		if g.shared(); strings.Join(g.Reason, "; ") != c.want {
			t.Errorf("%v → %v: %q, want %q", c.a, c.b, g.Reason, c.want)
		}
	}
}

// TestSaves: nothing is saved where it would be written 0.0 µs.
func TestSaves(t *testing.T) {
	for ns, want := range map[int]string{-1: "", 0: "", 49: "", 50: ", saves 0.1 µs", 2345: ", saves 2.3 µs"} {
		if got := saves(plan.RuleUse{Time: ns, Count: 1}); got != want {
			t.Errorf("%d ns: %q, want %q", ns, got, want)
		}
	}
}

// TestPerTarget: what several targets say is told apart where a list is among it.
func TestPerTarget(t *testing.T) {
	r := &Report{Targets: []*Diff{{Target: "x"}, {Target: "y"}, {Target: "z"}}}
	for _, c := range []struct {
		said [3]string
		want string
	}{
		{[3]string{"a, b", "a, b", "a, b"}, "a, b"},
		{[3]string{"a", "b", ""}, "a x, b y"},
		{[3]string{"a, b", "a", "c, d"}, "a, b x; a y; c, d z"},
	} {
		got := r.perTarget(func(d *Diff) string { return c.said[d.Target[0]-'x'] })
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.said, got, c.want)
		}
	}
}
