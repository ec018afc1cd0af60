package compiler

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir/syntax"
	"hipc/kernels"
	"hipc/kernels/checks"
)

func placed(t *testing.T, model, target string) *compilation {
	t.Helper()
	c, err := start(Options{Model: "../models/" + model + ".yaml", Target: target, Context: 512})
	if err == nil {
		err = c.run("")
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func recordOf(t *testing.T, c *compilation, table []checks.Check) []checks.Step {
	t.Helper()
	src, err := c.validation(table)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := c.validation(slices.Clone(table))
	if string(again) != string(src) {
		t.Error("the same compilation gives another record")
	}
	steps, err := checks.ReadRecord(src)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// TestValidation: each distinct fused instance has a line with its rule and, as its unfused twin, the ops that the rule says in fuse.rules,
// read here by another way than the compiler's. And a check is told of as long as it's of the very source: not of one that has changed.
func TestValidation(t *testing.T) {
	decls := fusion.Decls()
	for _, m := range []struct{ model, target string }{{"qwen3.6-35b-a3b", "gfx1100"}, {"gemma3", "cpu_v4"}} {
		c := placed(t, m.model, m.target)
		whole, err := c.plan.Unfold()
		if err != nil {
			t.Fatal(err)
		}
		fused := map[[2]string]bool{}
		for _, b := range whole.Buckets {
			for _, p := range b.Parts {
				for i, s := range p.Steps {
					cost, _ := c.costs.Of(b.Name, p.Name, i, s.Kernel)
					insts := strings.Split(s.Inst, " | ")
					for j, op := range strings.Split(cost.Op, " | ") {
						if decls[op] != nil {
							fused[[2]string{insts[j], op}] = true
						}
					}
				}
			}
		}
		var table []checks.Check
		for _, s := range recordOf(t, c, nil) {
			if !fused[[2]string{s.Inst, s.Rule}] {
				t.Errorf("%s: no step of the plan is %s by %s", m.model, s.Inst, s.Rule)
			}
			delete(fused, [2]string{s.Inst, s.Rule})
			if want := opsOf(decls[s.Rule], s.Twin); s.Twin != want {
				t.Errorf("%s: %s of %s is %s, the rule says %s", m.model, s.Inst, s.Rule, s.Twin, want)
			}
			if s.Check != nil || s.Why != "no run on "+m.target+" is recorded" {
				t.Errorf("%s: without a table, %s was checked: %v %q", m.model, s.Inst, s.Check, s.Why)
			}
			if _, ok := checks.Find(table, s.Source, s.Inst); !ok {
				table = append(table, checks.Check{Source: s.Source, Inst: "another<1>", Shape: "1/1@0", Seed: "1", NMSE: 1e-12, Bar: 1e-7, Run: checks.Run{Device: "d", Date: "2026-11-24", Commit: "c"}})
			}
		}
		for s := range fused {
			t.Errorf("%s: the record lacks %s by %s", m.model, s[0], s[1])
		}
		stale := table[0].Source
		table[0].Source = "000000000000"
		for _, s := range recordOf(t, c, table) {
			switch {
			case s.Source == stale && (s.Check != nil || s.Why != "no run of this kernel as it is now is recorded for "+m.target):
				t.Errorf("%s: %s has changed, and its check is used: %v %q", m.model, s.Inst, s.Check, s.Why)
			case s.Source != stale && (s.Check == nil || s.Check.NMSE != 1e-12 || s.Check.Inst != "another<1>"):
				t.Errorf("%s: %s has a check in the table and not in the record: %v %q", m.model, s.Inst, s.Check, s.Why)
			}
		}
	}
}

var opOf = map[string]string{"+": "add", "-": "sub", "*": "mul", "/": "div"}

// opsOf lists the ops of a declaration as they're computed: operands first, the call after them. f(x, r)... is there as often as in twin.
func opsOf(d *syntax.Decl, twin string) string {
	var ops []string
	var expr func(e *syntax.Expr)
	primary := func(p *syntax.Primary) {
		if p.Paren != nil {
			expr(p.Paren)
		}
		if p.Call == nil {
			return
		}
		for _, a := range p.Call.Args {
			expr(a.Expr)
		}
		times := 1
		if p.Many {
			times = 0
			for _, op := range strings.Fields(twin) {
				if op == p.Call.Name {
					times++
				}
			}
		}
		for range times {
			ops = append(ops, p.Call.Name)
		}
	}
	term := func(t *syntax.Term) {
		primary(t.Left.Primary)
		for _, r := range t.Rest {
			primary(r.Unary.Primary)
			ops = append(ops, opOf[r.Op])
		}
	}
	expr = func(e *syntax.Expr) {
		term(e.Left)
		for _, r := range e.Rest {
			term(r.Term)
			ops = append(ops, opOf[r.Op])
		}
	}
	stmts := d.Body
	if d.Expr != nil {
		expr(d.Expr)
	}
	for _, s := range stmts {
		if s.Assign != nil {
			expr(s.Assign.Expr)
		}
		if s.Return != nil {
			for _, e := range s.Return.Exprs {
				expr(e)
			}
		}
	}
	return strings.Join(ops, " ")
}

// TestKernelSource: what a kernel is built from is its row, its template and all that this includes; comments are not, nor other templates.
func TestKernelSource(t *testing.T) {
	target, err := codegen.TargetByName("gfx1100")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(kernels.Registry, func(k kernels.Kernel) bool { return k.Header == "norm.hip" && k.Op == "add_norm" })
	row := kernels.Registry[i]
	source := func(row kernels.Kernel, file, from, to string) string {
		t.Helper()
		fsys := fstest.MapFS{}
		if err := fs.WalkDir(kernels.Templates, "templates/gpu", func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				var b []byte
				b, err = fs.ReadFile(kernels.Templates, p)
				fsys[p] = &fstest.MapFile{Data: b}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if f := fsys["templates/gpu/"+file]; f != nil {
			text := strings.Replace(string(f.Data), from, to, -1)
			if text == string(f.Data) {
				t.Fatalf("%s has no %q", file, from)
			}
			f.Data = []byte(text)
		}
		s, err := KernelSource(target, &row, fsys)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := source(row, "", "", "")
	other := func(change func(k *kernels.Kernel)) kernels.Kernel {
		k := row
		change(&k)
		return k
	}
	for what, c := range map[string]struct {
		got  string
		same bool
	}{
		"a template":           {source(row, "norm.hip", "+", "-"), false},
		"an included one":      {source(row, "device.h", "barrier();", ""), false},
		"a comment":            {source(row, "norm.hip", ";\n", "; // as it ever was\n"), true},
		"spaces":               {source(row, "device.h", "\n", " \n\n  "), true},
		"another template":     {source(row, "tail.hip", "+", "-"), true},
		"the instance":         {source(other(func(k *kernels.Kernel) { k.Inst += " " }), "", "", ""), false},
		"the threads":          {source(other(func(k *kernels.Kernel) { k.Block = "128" }), "", "", ""), false},
		"where it's taken":     {source(other(func(k *kernels.Kernel) { k.Where = "D > 1" }), "", "", ""), true},
		"what it's to compute": {source(other(func(k *kernels.Kernel) { k.Op = "norm_add" }), "", "", ""), false},
	} {
		if (c.got == now) != c.same {
			t.Errorf("with %s changed the source is %s, was %s", what, c.got, now)
		}
	}
}

// TestBare: rules fall apart as the digests take them, and no text has a string with a comment's sign in it, which would be cut off.
func TestBare(t *testing.T) {
	all := ""
	for _, r := range fusion.Rules() {
		text := ruleText(r.Name)
		if !strings.HasPrefix(text, "fuse "+r.Name+"(") {
			t.Errorf("the text of %s is %q", r.Name, text)
		}
		all += text
	}
	if all != bare(fusion.Text(), "#") {
		t.Errorf("the rules' texts aren't fuse.rules:\n%s", all)
	}
	err := fs.WalkDir(kernels.Templates, "templates", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(kernels.Templates, p)
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			if code, _, ok := strings.Cut(line, "//"); ok && strings.Count(code, `"`)%2 != 0 || strings.Contains(line, "/*") {
				t.Errorf("%s:%d: %s", p, n, line)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
