package review

import (
	"slices"
	"strings"
	"testing"
)

// TestAlike: a change that is measured on one side alone is told by what both are predicted to cost; where that isn't known, by no percentage.
func TestAlike(t *testing.T) {
	const before, after = "layer 0-1: mul/q<h@wq norm/n<q mul/o<n@wo", "layer 0-1: mul_norm/n<h@wq mul/o<n@wo"
	measure := func(s *Side, step, time, predicted int) {
		c := &s.Costs.Steps[step]
		c.Time, c.Full, c.From, c.Predicted = time, time, "measured 2026-11-23 on a card", [2]int{predicted, predicted}
	}
	for _, c := range []struct {
		name string
		edit func(a, b *Side)
		want string
		kind string
	}{
		{"predicted", func(a, b *Side) {}, "0.01 → 0.00 ms (−33.3 %, predicted)", ""},
		{"what was is measured", func(a, b *Side) { measure(a, 0, 9000, 3000); measure(a, 1, 9000, 1000) }, "0.01 → 0.00 ms (−60.0 %, predicted)", ""},
		{"what is unchanged is measured", func(a, b *Side) { measure(a, 2, 3000, 1000); measure(b, 1, 3000, 1000) },
			"0.01 ms (−20.0 %, predicted and measured 2026-11-23 on a card)", ""},
		{"all that changes is measured", func(a, b *Side) { measure(a, 0, 2000, 9); measure(a, 1, 2000, 9); measure(b, 0, 3000, 9) },
			"0.01 ms (−20.0 %, measured 2026-11-23 on a card and predicted)", ""},
		{"an older hipc measured it", func(a, b *Side) { measure(a, 0, 9000, 0) }, "0.02 → 0.00 ms (not comparable: measured 2026-11-23 on a card and predicted)", ""},
		{"what is unchanged is measured now", func(a, b *Side) { measure(b, 1, 5000, 1000) }, "0.01 → 0.00 ms (−33.3 %, predicted)", "predicted → measured 2026-11-23 on a card"},
	} {
		a, b := side(2, before), side(2, after)
		c.edit(a, b)
		d, _ := changes(t, a, b)
		k := &d.Buckets[0]
		if got := k.time(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		var text strings.Builder
		(&Report{Model: "m", Targets: []*Diff{d}}).Text(&text, "")
		if i := slices.IndexFunc(k.Changes, func(c Change) bool { return c.Kind == Repriced }); (i >= 0) != (c.kind != "") ||
			i >= 0 && (!slices.Contains(k.Changes[i].Reason, c.kind) || !strings.Contains(text.String(), "1.0 µs memory → 5.0 µs memory measured")) {
			t.Errorf("%s: %+v, want a step of another cost: %q\n%s", c.name, k.Changes, c.kind, text.String())
		}
	}
}

// TestRuler: a step that costs something else has a reason: the machine's row, what it is thought to do, or that the cost model is another.
func TestRuler(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(s *Side)
		want string
		kind Kind
	}{
		{"the machine's row", func(s *Side) { s.Costs.Machine, s.Costs.Steps[0].Time = "faster", 900 }, "t is reckoned with faster; before, with fast\n", Repriced},
		{"the machine's row, of no step", func(s *Side) { s.Costs.Machine = "faster" }, "t is reckoned with faster; before, with fast\n", ""},
		{"what it moves", func(s *Side) { s.Costs.Steps[0].Time, s.Costs.Steps[0].Bytes = 900, 64 }, "repriced: bytes moved 0 → 64\n", Repriced},
		{"what it computes", func(s *Side) { s.Costs.Steps[0].Time, s.Costs.Steps[0].Ops = 900, 64 }, "repriced: operations 0 → 64\n", Repriced},
		{"nothing that is said", func(s *Side) { s.Costs.Steps[0].Time = 900 }, "t is reckoned with fast, as before, but otherwise: ", Repriced},
		{"nothing that is said, at its context's end", func(s *Side) { s.Costs.Steps[0].Full = 900 }, "t is reckoned with fast, as before, but otherwise: ", Repriced},
		{"nothing that is said, of other code", func(s *Side) { s.Costs.Steps[0].Time, s.Facts = 900, Facts{"mul": {"vgpr": 128}} }, "t is reckoned with fast, as before, but otherwise: ", Rebuilt},
		{"a longer context", func(s *Side) { s.Costs.Steps[0].Full, s.Plan.Context = 1100, 128 }, "m: context 64 → 128; 1 step of another cost; ", Repriced},
	} {
		a, b := side(1, "layer 0: mul/q<h@wq"), side(1, "layer 0: mul/q<h@wq")
		a.Facts, b.Facts = Facts{"mul": {"vgpr": 90}}, Facts{"mul": {"vgpr": 90}}
		c.edit(b)
		d, got := changes(t, a, b)
		var text, comment strings.Builder
		r := &Report{Model: "m", Targets: []*Diff{d}}
		r.Text(&text, "")
		r.Markdown(&comment)
		if !strings.Contains(text.String(), c.want) || !strings.Contains(comment.String(), c.want) || c.kind != "" && (len(got) != 1 || !strings.HasPrefix(got[0], string(c.kind))) {
			t.Errorf("%s: %q, want %s and %q:\n%s\n%s", c.name, got, c.kind, c.want, text.String(), comment.String())
		}
		if said := strings.Count(text.String(), "but otherwise"); said != strings.Count(c.want, "but otherwise") {
			t.Errorf("%s: the cost model is said to be another, or isn't:\n%s", c.name, text.String())
		}
	}
}
