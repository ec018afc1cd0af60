package tests

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/compiler"
	"hipc/fusion"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime/weights"
)

// rulesTarget is that on which rules have to pay; nothing is run on it here. What a rule means is tested on ruleTargets: some have kernels of a
// GPU alone.
const rulesTarget = "cpu_v4"

var ruleTargets = []string{rulesTarget, "gfx1100"}

// perLaunch costs a launch the same whatever it does: then a rule that may be applied is.
type perLaunch struct{}

func (perLaunch) Load(kernels.Step) kernels.Load { return kernels.Load{} }
func (perLaunch) Launch(...kernels.Load) float64 { return 1e-6 }

// TestRulesMatchTheirBodies takes each fuse rule's body, on the shapes of its kernels, as a graph of primitive ops: the
// matcher must find the rule in it, the whole of it, and the graph with the fused node must compute the very same bits.
func TestRulesMatchTheirBodies(t *testing.T) {
	for _, rule := range fusion.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			tried := 0
			for _, name := range ruleTargets {
				target, err := codegen.TargetByName(name)
				if err != nil {
					t.Fatal(err)
				}
				for i := range kernels.Registry {
					row := &kernels.Registry[i]
					if ok, _ := filepath.Match(row.Targets, name); row.Op != rule.Name || !ok {
						continue
					}
					cases, err := casesOf(row, target, map[string]bool{}, eachFormat)
					if err != nil {
						t.Errorf("%s on %s: %v", row.Sig, name, err)
					}
					for _, c := range cases {
						tried++
						if err := matchBody(rule, c, name); err != nil {
							t.Errorf("%s on %s: %v", c.choice.Inst, name, err)
						}
					}
				}
			}
			if tried == 0 {
				t.Errorf("%s: no row of the registry computes %s on any of %v", rule.Pos, rule.Name, ruleTargets)
			}
		})
	}
}

func matchBody(rule *fusion.Rule, c *kernelCase, target string) error {
	d := kernels.Dims{T: c.choice.Dims["T"], S: c.choice.Dims["S"], C: c.choice.Dims["C"], P: c.choice.Dims["P"]}
	o, err := fusion.For(target, d, d.T)
	if err != nil {
		return err
	}
	o.Rules, o.Coster = []*fusion.Rule{rule}, perLaunch{}
	g, _, err := fusion.Plan(c.graph, o)
	if err != nil {
		return err
	}
	if err := g.Verify(); err != nil {
		return err
	}
	if len(g.Nodes) != 1 || g.Nodes[0].Op.Name != rule.Name || g.Nodes[0].Body == nil {
		return fmt.Errorf("the rule isn't found in its own body, of which Plan makes\n%s", g)
	}
	want, err := evalOnRandom(c.graph, c)
	if err != nil {
		return err
	}
	got, err := evalOnRandom(g, c)
	if err != nil {
		return err
	}
	return sameTensors(got, want)
}

// evalOnRandom evaluates g, a form of c's graph, on operands and a cache that are the same for each form.
func evalOnRandom(g *ir.Graph, c *kernelCase) ([]*ir.Tensor, error) {
	r := rand.New(rand.NewPCG(7, uint64(c.rows())))
	w := &ir.World{States: map[string]any{}, Pos: 3, Rows: min(c.rows(), 5)}
	var params []*ir.Tensor
	ids := 32 // a token, or an expert: each weight has a row for it
	for _, p := range g.Params {
		if _, format := weights.FormatByName(string(p.Type.Elem)); format && len(p.Type.Dims) > 1 {
			ids = min(ids, p.Type.Dims[0])
		}
	}
	for _, p := range g.Params {
		switch f, format := weights.FormatByName(string(p.Type.Elem)); {
		case f.Rotates():
			packed := weights.Random(f, 1, p.Type.Last(), p.Name, 0, 7)
			params = append(params, &ir.Tensor{Type: p.Type, Rows: 1, Rotation: weights.ReadRotation(f, packed)})
		case p.Type.Elem == ir.KV: // what an append before this graph has left
			cache := newPagedCache(p.Type, 16, 16, "f32", r).randomCache(w.Pos+w.Rows, r)
			params = append(params, &ir.Tensor{Type: p.Type, Rows: w.Rows, Cache: cache})
		case p.Type.Elem == ir.I32:
			x := ir.NewTensor(p.Type, w.Rows)
			for i := range x.Ints {
				x.Ints[i] = int32(r.IntN(ids))
			}
			params = append(params, x)
		case format:
			x := randomRows(ir.Of(ir.Act, p.Type.Dims...), 1, r)
			x.Type = p.Type
			params = append(params, x)
		default:
			params = append(params, randomRows(p.Type, w.Rows, r))
		}
	}
	for _, n := range g.Nodes {
		for _, s := range n.States() {
			for _, v := range slices.Concat(n.Outs, n.Args) {
				if v.Type.Elem == ir.KV && w.States[s] == nil {
					w.States[s] = newPagedCache(v.Type, 16, 16, "f32", r).randomCache(w.Pos, r)
				}
			}
		}
	}
	return g.Eval(w, params)
}

// sameTensors compares bit by bit: both come of the same operations in the same order.
func sameTensors(got, want []*ir.Tensor) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d results, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if w.Cache != nil {
			for j := range max(len(w.Cache.K), len(g.Cache.K)) {
				if !sameFloats(g.Cache.K[j], w.Cache.K[j]) || !sameFloats(g.Cache.V[j], w.Cache.V[j]) {
					return fmt.Errorf("result %d: the caches differ at position %d", i, j)
				}
			}
			continue
		}
		if !g.Type.Equal(w.Type) || !sameFloats(g.Data, w.Data) || !slices.Equal(g.Ints, w.Ints) {
			return fmt.Errorf("result %d of %s differs", i, w.Type)
		}
	}
	return nil
}

func sameFloats(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// A rulesText is the text of a model's graph after a pass, in one bucket.
type rulesText struct{ model, bucket, text string }

// rulesTexts compiles all of models/ up to a pass, for every bucket. A model for which the target lacks kernels has no
// fused graph; that's said, not hidden.
func rulesTexts(t *testing.T, pass string) []rulesText {
	t.Helper()
	var out []rulesText
	for _, f := range modelFiles(t) {
		for _, b := range compiler.Buckets {
			text, err := compiler.After(compiler.Options{Model: f, Target: rulesTarget}, pass, b.Name)
			if err != nil && strings.Contains(err.Error(), "no kernel of "+rulesTarget) {
				first, _, _ := strings.Cut(err.Error(), "\n")
				t.Logf("%s is left out: %s", filepath.Base(f), first)
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rulesText{filepath.Base(f), b.Name, text})
		}
	}
	return out
}

// callOf finds a use of an op or rule in a graph's text.
func callOf(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)(^|[ (-])` + regexp.QuoteMeta(name) + `\(.*$`)
}

// elems are the formats of weights in a graph's text.
var elems = regexp.MustCompile(`:(\w+)\[`)

// TestRulesFire fails for a rule that no model uses on any target: it is work for nothing, and nothing shows when it breaks.
func TestRulesFire(t *testing.T) {
	fused := rulesTexts(t, "fuse")
	for _, rule := range fusion.Rules() {
		var at []string
		for _, s := range fused {
			if callOf(rule.Name).MatchString(s.text) {
				at = append(at, s.model+" "+s.bucket)
			}
		}
		if at == nil && !firesOnCards(t, rule.Name) {
			t.Errorf("%s: fuse rule %s fires in no bucket of any of models/*.yaml on any target", rule.Pos, rule.Name)
		}
		t.Logf("%s fires in %d of %d graphs", rule.Name, len(at), len(fused))
	}
	elaborated, lowered := rulesTexts(t, "elaborate"), rulesTexts(t, "lower")
	for _, rule := range ruleFile(t, "lower") {
		used := false
		for i, s := range elaborated {
			for _, use := range callOf(rule.Name).FindAllString(s.text, -1) {
				fits := true
				for _, p := range rule.Decl.Params {
					fits = fits && (p.Format == "" || slices.ContainsFunc(elems.FindAllStringSubmatch(use, -1), func(m []string) bool {
						return ir.Elem(m[1]).Is(p.Format)
					}))
				}
				used = used || fits
			}
			if callOf(rule.Name).MatchString(lowered[i].text) {
				t.Errorf("%s: %s is still there after lowering %s", rule.Pos, rule.Name, s.model)
			}
		}
		if !used {
			t.Errorf("%s: lower rule %s spells nothing in any of models/*.yaml", rule.Pos, rule.Name)
		}
	}
	special := rulesTexts(t, "bucket")
	for _, rule := range ruleFile(t, "tail") {
		used := slices.ContainsFunc(compiler.Buckets, func(b compiler.Bucket) bool {
			return b.Tail == rule.Name && slices.ContainsFunc(special, func(s rulesText) bool {
				return s.bucket == b.Name && strings.Contains(s.text, "next = "+rule.Name+"(")
			})
		})
		if !used {
			t.Errorf("%s: tail %s ends no bucket", rule.Pos, rule.Name)
		}
	}
}

// firesOnCards says whether a rule that doesn't pay on rulesTarget does on a GPU, for some model.
func firesOnCards(t *testing.T, rule string) bool {
	t.Helper()
	for _, target := range codegen.Targets {
		if target.Object == "" || target.Device == "cpu" {
			continue
		}
		for _, f := range modelFiles(t) {
			e, err := compiler.Explain(compiler.Options{Model: f, Target: target.Name})
			if err != nil {
				t.Logf("%s on %s is left out: %v", filepath.Base(f), target.Name, err)
				continue
			}
			for _, b := range e.Buckets {
				for _, g := range b.Report.Graphs {
					if slices.ContainsFunc(g.Fired, func(e fusion.Event) bool { return e.Rule == rule }) {
						t.Logf("%s fires in %s, %s, on %s", rule, filepath.Base(f), b.Name, target.Name)
						return true
					}
				}
			}
		}
	}
	return false
}

func modelFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../models/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no models: %v", err)
	}
	return files
}

// ruleFile reads the rules of a kind that package fusion keeps to itself.
func ruleFile(t *testing.T, kind string) []*fusion.Rule {
	t.Helper()
	file := "fusion/" + kind + ".rules"
	text, err := os.ReadFile("../" + file)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := fusion.ParseRules(kind, file, string(text))
	if err != nil || len(rules) == 0 {
		t.Fatalf("%s: %d rules, %v", file, len(rules), err)
	}
	return rules
}
