package review

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/runtime/plan"
)

// side is a plan of one bucket: "part layers: step step", a step being INST/OUT<IN,IN@WEIGHT.
func side(layers int, parts ...string) *Side {
	p := &plan.Plan{Version: 1, Model: "m", Target: "t", Device: "hip", Layers: layers, Context: 64}
	b := plan.Bucket{Name: "decode_1", Seqs: 1, Rows: 1}
	s := &Side{Target: "t", Plan: p, Costs: &plan.Prediction{Target: "t", Machine: "fast"}}
	for _, text := range parts {
		head, steps, _ := strings.Cut(text, ": ")
		name, in, _ := strings.Cut(head, " ")
		part := plan.Part{Name: name, Layers: in}
		for i, st := range strings.Fields(steps) {
			inst, rest, _ := strings.Cut(st, "/")
			out, reads, _ := strings.Cut(rest, "<")
			reads, weight, hasWeight := strings.Cut(reads, "@")
			inst, dim, _ := strings.Cut(strings.TrimSuffix(inst, ">"), "<") // INST<DIM>
			step := plan.Step{Kernel: inst, Inst: inst + "<" + cmp.Or(dim, "1") + ">", Out: []string{out}, Grid: 1, Block: 1}
			for _, n := range strings.Split(reads, ",") {
				if n != "" {
					step.In = append(step.In, n)
				}
			}
			if hasWeight {
				step.In = append(step.In, "layers.{l}."+weight)
				if !slices.ContainsFunc(p.Weights, func(w plan.Weight) bool { return w.Name == "layers.{l}."+weight }) {
					p.Weights = append(p.Weights, plan.Weight{Name: "layers.{l}." + weight, Type: "f16[8,8]", Layout: "x16", Bytes: 128, Layers: in})
				}
			}
			part.Steps = append(part.Steps, step)
			s.Costs.Steps = append(s.Costs.Steps, plan.StepCost{Bucket: "decode_1", Part: name, Step: i, Kernel: inst, Time: 1000, Full: 1000,
				From: "predicted", Bound: "memory", Op: inst, Row: inst + "<K>"})
		}
		b.Parts = append(b.Parts, part)
	}
	p.Buckets = []plan.Bucket{b}
	return s
}

// changes are told as "kind ×times a a -> b b".
func changes(t *testing.T, a, b *Side) (*Diff, []string) {
	t.Helper()
	d, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range d.Buckets[0].Changes {
		name := func(list []Step) string {
			var s []string
			for _, st := range list {
				s = append(s, st.Op)
			}
			return strings.Join(s, " ")
		}
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s ×%d %s -> %s", c.Kind, c.Times, name(c.A), name(c.B))), " "))
	}
	return d, out
}

func TestCompare(t *testing.T) {
	const layer = "mul/q<h@wq attend/a<q mul/o<a@wo norm/n<o"
	for _, c := range []struct {
		name      string
		a, b      []string
		layers    [2]int
		want      []string
		unchanged int
	}{
		{"nothing", []string{"layer 0-3: " + layer}, []string{"layer 0-3: " + layer}, [2]int{4, 4}, nil, 16},
		{"other names of blocks and buffers", []string{"layer 0-3: " + layer}, []string{"decoder 0-3: mul/x<h@wq attend/y<x mul/z<y@wo norm/w<z"}, [2]int{4, 4}, nil, 16},
		{"one body cut in two that are alike", []string{"layer 0-3: " + layer}, []string{"layer 0-2: " + layer, "last 3: " + layer}, [2]int{4, 4}, nil, 16},
		{"a move is no remove and add", []string{"layer 0-3: mul/q<h@wq mul/k<h@wk attend/a<q,k"}, []string{"layer 0-3: mul/k<h@wk mul/q<h@wq attend/a<q,k"}, [2]int{4, 4},
			[]string{"moved ×4 mul -> mul"}, 8},
		{"fused", []string{"layer 0-3: " + layer}, []string{"layer 0-3: mul/q<h@wq attend/a<q mul_norm/n<a@wo"}, [2]int{4, 4}, []string{"fused ×4 mul norm -> mul_norm"}, 8},
		{"split", []string{"layer 0-3: mul/q<h@wq attend/a<q mul_norm/n<a@wo"}, []string{"layer 0-3: " + layer}, [2]int{4, 4}, []string{"split ×4 mul_norm -> mul norm"}, 8},
		{"fused without a weight", []string{"layer 0-1: mul/g<h@wg silu/s<g mul/u<h@wu times/x<s,u"}, []string{"layer 0-1: swiglu/x<h@wg"}, [2]int{2, 2},
			[]string{"fused ×2 mul silu mul times -> swiglu"}, 0},
		{"four layers more", []string{"layer 0-3: " + layer}, []string{"layer 0-7: " + layer}, [2]int{4, 8}, []string{"layers ×4 -> mul attend mul norm"}, 16},
		{"one layer less, the last one being another", []string{"layer 0-2: " + layer, "last 3: mul/q<h@wq"}, []string{"layer 0-1: " + layer, "last 2: mul/q<h@wq"}, [2]int{4, 3},
			[]string{"layers ×1 mul attend mul norm ->"}, 9},
		{"rewired", []string{"layer 0-3: mul/q<h@wq mul/k<h@wk attend/a<q norm/n<a"}, []string{"layer 0-3: mul/q<h@wq mul/k<h@wk attend/a<k norm/n<a"}, [2]int{4, 4},
			[]string{"rewired ×4 attend -> attend"}, 12},
		{"added", []string{"layer 0-3: mul/q<h@wq norm/n<q"}, []string{"layer 0-3: mul/q<h@wq mul/k<h@wk norm/n<q"}, [2]int{4, 4}, []string{"added ×4 -> mul"}, 8},
		{"two steps of other dims that share a state", []string{"layer 0-3: rope/q<h attend/a<q"}, []string{"layer 0-3: rope<2>/q<h attend<2>/a<q"}, [2]int{4, 4},
			[]string{"resized ×4 rope -> rope", "resized ×4 attend -> attend"}, 0},
		{"removed", []string{"layer 0-3: mul/q<h@wq mul/k<h@wk norm/n<q"}, []string{"layer 0-3: mul/q<h@wq norm/n<q"}, [2]int{4, 4}, []string{"removed ×4 mul ->"}, 8},
	} {
		a, b := side(c.layers[0], c.a...), side(c.layers[1], c.b...)
		d, got := changes(t, a, b)
		if !slices.Equal(got, c.want) || d.Buckets[0].Unchanged != c.unchanged {
			t.Errorf("%s: %q, %d unchanged; want %q, %d", c.name, got, d.Buckets[0].Unchanged, c.want, c.unchanged)
		}
		if c.want == nil && !d.Same() {
			t.Errorf("%s: it isn't the same", c.name)
		}
	}
}

// TestKinds: what one step that became another is called.
func TestKinds(t *testing.T) {
	for kind, change := range map[Kind]func(s *Side){
		Reformatted: func(s *Side) { s.Plan.Weights[0].Type = "q4_0[8,8]" },
		Resized:     func(s *Side) { s.Plan.Weights[0].Type = "f16[16,8]" },
		Retiled: func(s *Side) {
			s.Plan.Buckets[0].Parts[0].Steps[0].Inst = "mul<2>"
			s.Costs.Steps[0].Row = "mul<K/2>"
		},
		Replaced: func(s *Side) { s.Costs.Steps[0].Op, s.Plan.Buckets[0].Parts[0].Steps[0].Inst = "other", "other<1>" },
		Repriced: func(s *Side) { s.Costs.Steps[0].Time = 900 },
		Rebuilt:  func(s *Side) { s.Facts = Facts{"mul": {"vgpr": 128, "vspill": 4}} },
	} {
		a, b := side(2, "layer 0-1: mul/q<h@wq norm/n<q"), side(2, "layer 0-1: mul/q<h@wq norm/n<q")
		a.Facts = Facts{"mul": {"vgpr": 90, "vspill": 0}}
		if b.Facts = a.Facts; kind == Rebuilt {
			b.Facts = nil
		}
		change(b)
		d, got := changes(t, a, b)
		if len(got) != 1 || !strings.HasPrefix(got[0], string(kind)+" ×2 ") {
			t.Errorf("%s: %q", kind, got)
			continue
		}
		if want := "vgpr 90 → 128 (waves a SIMD 16 → 10)"; kind == Rebuilt && !slices.Contains(d.Buckets[0].Changes[0].Reason, want) {
			t.Errorf("a rebuilt kernel: %q, want %q", d.Buckets[0].Changes[0].Reason, want)
		}
	}
}

// TestArguments: what differs in an instance is told by the names of the registry's row, unless a weight's type says it.
func TestArguments(t *testing.T) {
	const row = "attend<H, map<D>, eps, 4> where D < 256"
	for _, c := range []struct {
		a, b string
		kind Kind
		want string
	}{
		{"attend<8, map<128>, r1em06, 4>", "attend<8, map<128>, r1em05, 4>", Adjusted, "eps 1e-06 → 1e-05"},
		{"attend<8, map<128>, r0p125, 4>", "attend<16, map<64>, r0p25, 4>", Resized, "H 8 → 16; D 128 → 64; eps 0.125 → 0.25"},
		{"attend<8, map<128>, list2_00ff, 4>", "attend<8, map<128>, list2_01ff, 4>", Adjusted, "eps other numbers"},
		{"attend<8, 128, r1, 4, 5>", "attend<8, 64, r1, 4, 5>", Resized, ""},
	} {
		a, b := side(1, "layer 0: mul/q<h@wq"), side(1, "layer 0: mul/q<h@wq")
		for s, inst := range map[*Side]string{a: c.a, b: c.b} {
			s.Plan.Buckets[0].Parts[0].Steps[0].Inst, s.Costs.Steps[0].Row = inst, row
		}
		d, _ := changes(t, a, b)
		if got := d.Buckets[0].Changes[0]; got.Kind != c.kind || strings.Join(got.Reason, "; ") != c.want {
			t.Errorf("%s → %s: %s: %q, want %s: %q", c.a, c.b, got.Kind, got.Reason, c.kind, c.want)
		}
	}
}

// TestFacts reads what codegen writes, for each kind of target.
func TestFacts(t *testing.T) {
	f, err := readFacts([]byte("# gfx1100: words.\n#  bytes    vgpr    sgpr     lds scratch  vspill  sspill  kernel\n     516      14      18       0       0       0       2  append_8\n"))
	if err != nil || f["append_8"]["vgpr"] != 14 || f["append_8"].Spills() != 2 || f["append_8"]["bytes"] != 0 {
		t.Errorf("%v, %v", f, err)
	}
	f, err = readFacts([]byte("# words\n#  bytes  stack   spill  kernel\n    80      8      3  mul  calls memcpy\n"))
	if err != nil || f["mul"]["spill"] != 3 {
		t.Errorf("%v, %v", f, err)
	}
	for _, bad := range []string{"1 2 mul\n", "# bytes kernel\nx mul\n", "# bytes kernel\n\n"} {
		if _, err := readFacts([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if waves(90) != 16 || waves(105) != 12 || waves(256) != 5 {
		t.Errorf("waves: %d %d %d", waves(90), waves(105), waves(256))
	}
}

func TestBudget(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, BudgetName)
	read := func(text string) (*Budget, error) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadBudget(file)
	}
	none, two := 0, 2
	r := &Report{Model: "qwen3", Targets: []*Diff{{Target: "gfx1100", Memory: [2]Memory{{Weights: 100 << 20}, {Weights: 103 << 20}},
		Buckets: []BucketDiff{{Name: "decode_1", A: Total{Launches: 98, Time: 1e6, Spills: &none}, B: Total{Launches: 99, Time: 1.03e6, Spills: &two}}}}}}
	for row, want := range map[string]string{
		"{bucket: decode_1, time: +2%}":                "gfx1100: decode_1 1 → 1.03 ms, the budget allows +2%",
		"{bucket: decode_1, time: +3%}":                "",
		"{bucket: decode_*, time: 1.02ms}":             "decode_1 1 → 1.03 ms",
		"{bucket: prefill_512, time: 1ns}":             "",
		"{launches: +0}":                               "98 → 99 launches",
		"{launches: 100}":                              "",
		"{memory: +2MiB}":                              "memory 100 → 103 MiB",
		"{memory: 103MiB}":                             "",
		"{spills: +0}":                                 "0 → 2 spills",
		"{model: qwen*, target: gfx11*, spills: +1}":   "0 → 2 spills",
		"{model: llama, spills: +0}":                   "",
		"{target: gfx1151, launches: +0, memory: 1 B}": "",
	} {
		b, err := read("budgets:\n  - " + row + "\n")
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		r.Over = nil
		b.Hold(r)
		if want == "" && len(r.Over) > 0 || want != "" && (len(r.Over) != 1 || !strings.Contains(r.Over[0], want)) {
			t.Errorf("%s: %q, want %q", row, r.Over, want)
		}
	}
	for text, want := range map[string]string{
		"budgets:\n  - {time: 2}\n":                     "no limit",
		"budgets:\n  - {time: 2%}\n":                    "no limit",
		"budgets:\n  - {memory: +2ms}\n":                "no limit",
		"budgets:\n  - {bucket: a}\n":                   "limits nothing",
		"budgets:\n  - {bucket: '[', time: +1%}\n":      "syntax error in pattern",
		"budgets:\n  - {tme: +1%}\n":                    "line 2: field tme not found among model, ",
		"budgets:\n  - {bucket: decode_2, time: +1%}\n": "no bucket is called decode_2: there are decode_1, ",
		"budgets: [\n":                                  "hipc.budget.yaml: line 1: did not find",
		"":                                              "is empty: want budgets: and a list of rows (hipc diff --help shows one)",
		"# later\n":                                     "is empty: want budgets: ",
		"budgets:\n":                                    "has no rows: want budgets: ",
		"budgets:\n  bucket: decode_1\n":                "line 2: here is a mapping, want a list of rows: - {bucket: decode_1, time: +2%}",
		"budgets:\n  - decode_1\n":                      "line 2: here is a value, want a row: {bucket: ",
		"budgets:\n  - {time: [1ms], spills: {a: 1}}\n": "line 2: here is a list, want a value; line 2: here is a mapping, want a value",
		"- {bucket: decode_1}\n":                        "line 1: here is a list, want budgets: and a list of rows",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestBudgetExamples: the examples that are shown are budgets.
func TestBudgetExamples(t *testing.T) {
	file := filepath.Join(t.TempDir(), BudgetName)
	if err := os.WriteFile(file, []byte(BudgetHelp), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{file, filepath.Join("../examples/review", BudgetName)} {
		if b, err := ReadBudget(f); err != nil || len(b.Budgets) < 3 {
			t.Errorf("%s: %v, %v", f, b, err)
		}
	}
}

// TestUnchecked: a limit on what nobody knows is named, neither kept nor broken.
func TestUnchecked(t *testing.T) {
	for _, c := range []struct {
		name       string
		row        Allowance
		edit       func(a, b *Side)
		want, over string
	}{
		{"both compiled", Allowance{Spills: "+0"}, func(a, b *Side) { a.Facts, b.Facts = Facts{}, Facts{"mul": {"vspill": 3}} }, "", "t: decode_1 0 → 3 spills, the budget allows +0"},
		{"texts", Allowance{Spills: "+0"}, func(a, b *Side) {}, "t: spills +0 isn't checked: what isn't compiled has no kernels.txt", ""},
		{"a text and an artifact", Allowance{Spills: "+0"}, func(a, b *Side) { b.Facts = Facts{} }, "t: spills +0 isn't checked", ""},
		{"all that is wanted", Allowance{Spills: "2"}, func(a, b *Side) { b.Facts = Facts{"mul": {"vspill": 3}} }, "", "spills, the budget allows 2"},
		{"no prediction", Allowance{Time: "+2%"}, func(a, b *Side) { a.Costs = nil }, "t: decode_1: time +2% isn't checked: what some launches cost isn't known", ""},
		{"no prediction of what was", Allowance{Time: "1ns"}, func(a, b *Side) { a.Costs = nil }, "", "the budget allows 1ns"},
		{"measured on one side", Allowance{Time: "+2%"}, func(a, b *Side) { a.Costs.Steps[0].From = "measured" }, "t: decode_1: time +2% isn't checked: some launches are measured on one side alone", ""},
	} {
		a, b := side(1, "layer 0: mul/q<h@wq"), side(1, "layer 0: mul<2>/q<h@wq")
		c.edit(a, b)
		d, _ := changes(t, a, b)
		r := &Report{Model: "m", Targets: []*Diff{d}}
		(&Budget{[]Allowance{c.row}}).Hold(r)
		var text, comment strings.Builder
		r.Text(&text, "")
		r.Markdown(&comment)
		said, over := strings.Join(r.Unchecked, "; "), strings.Join(r.Over, "; ")
		if (said == "") != (c.want == "") || !strings.Contains(said, c.want) || (over == "") != (c.over == "") || !strings.Contains(over, c.over) {
			t.Errorf("%s: not checked %q, over %q; want %q, %q", c.name, said, over, c.want, c.over)
		}
		if said != "" && (!strings.Contains(text.String(), "the budget: "+said+"\n") || !strings.Contains(comment.String(), "> - The budget: ")) {
			t.Errorf("%s: nobody is told:\n%s\n%s", c.name, text.String(), comment.String())
		}
	}
}

func TestUnified(t *testing.T) {
	a := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n"
	b := strings.Replace(strings.Replace(a, "2\n", "two\n", 1), "13\n", "", 1)
	var out strings.Builder
	unified(&out, "k.hip", a, b)
	want := "--- a/k.hip\n+++ b/k.hip\n@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n@@ -10,5 +10,4 @@\n 10\n 11\n 12\n-13\n 14\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	unified(&out, "new.h", "", "x\n")
	if want := "--- a/new.h\n+++ b/new.h\n@@ -1,0 +1,1 @@\n+x\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestSourceAlone: a template that changes makes a difference where sources are compared, though the plan is the same.
func TestSourceAlone(t *testing.T) {
	d, _ := changes(t, side(2, "layer 0-1: mul/q<h@wq"), side(2, "layer 0-1: mul/q<h@wq"))
	r := &Report{Model: "m", Targets: []*Diff{d}}
	if !r.Same() {
		t.Fatal("it isn't the same to begin with")
	}
	r.Source = Unified("k.hip", "a\n", "b\n")
	var text, comment strings.Builder
	r.Text(&text, "")
	r.Markdown(&comment)
	if want := "m: no step changes; launches 2; decode 0.00 ms (±0 %, predicted) t; memory ±0; kernels' sources differ\n"; r.Same() || !strings.HasPrefix(text.String(), want) ||
		!strings.Contains(text.String(), "-a\n+b\n") || !strings.Contains(comment.String(), "kernel source") {
		t.Errorf("%s%s", text.String(), comment.String())
	}
}

// TestAlignLayers: a layer that is inserted in the middle shifts the others, and makes them no others.
func TestAlignLayers(t *testing.T) {
	cost := func(a, b int) int {
		if a == b {
			return 0
		}
		return 10
	}
	got := alignLayers([]int{0, 0, 1, 2}, []int{0, 0, 0, 1, 2}, cost, func(int, int) int { return 6 })
	matched := 0
	for _, p := range got {
		if p[0] >= 0 && p[1] >= 0 {
			matched++
		}
	}
	if len(got) != 5 || matched != 4 {
		t.Errorf("%v", got)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte("#  bytes    vgpr  kernel\n     516      14  append_8\n"))
	f.Fuzz(func(t *testing.T, src []byte) { readFacts(src) })
}

func FuzzLimit(f *testing.F) {
	f.Add("+2%")
	f.Add("6.5 ms")
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := parseLimit(text, times); err == nil && !(l.value >= 0) {
			t.Fatalf("%q allows %v", text, l.value)
		}
	})
}
