package fusion

import (
	"fmt"
	"strings"
	"testing"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
)

// A fake is a target with any kernels and any costs. Every primitive op has a kernel unless lacks names it; a rule has
// one unless lacks does. A step costs 10 µs, or what cost says; each further step in a launch saves share.
type fake struct {
	lacks map[string]bool
	block map[string]int
	cost  map[string]float64 // µs
	share float64            // µs
	units float64            // a step by itself leaves all but one of them idle; 0: it leaves none
}

func (f *fake) Find(n *ir.Node, rows int) (*kernels.Choice, error) {
	if f.lacks[n.Op.Name] {
		return nil, &kernels.Missing{Op: n.Op.Name, Target: "fake"}
	}
	c := &kernels.Choice{Kernel: &kernels.Kernel{Op: n.Op.Name}, Inst: n.Op.Name, Grid: 1, Block: max(1, f.block[n.Op.Name])}
	return c, nil
}

func (f *fake) Load(s kernels.Step) kernels.Load {
	c, ok := f.cost[s.Node.Op.Name]
	if !ok {
		c = 10
	}
	return kernels.Load{Step: s, Busy: (c - f.share) / max(1, f.units) * 1e-6, Alone: (c - f.share) * 1e-6}
}

func (f *fake) Launch(steps ...kernels.Load) float64 {
	var busy, alone float64
	for _, l := range steps {
		busy, alone = busy+l.Busy, max(alone, l.Alone)
	}
	return f.share*1e-6 + max(busy, alone)
}

func (f *fake) options(t *testing.T, rules string) Options {
	t.Helper()
	list, err := ParseRules("fuse", "test.rules", rules)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Kernels: f, Coster: f, Rows: 1, Picks: 1, Rules: list}
}

// graph reads "x act[8], y act[8]: STATEMENTS" as a graph.
func graph(t *testing.T, text string) *ir.Graph {
	t.Helper()
	g, err := readGraph(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return g
}

func readGraph(text string) (*ir.Graph, error) {
	head, body, _ := strings.Cut(text, "::")
	var params []*ir.Value
	var names []string
	for _, f := range strings.Split(head, ";") {
		name, typ, _ := strings.Cut(strings.TrimSpace(f), " ")
		elem, dims, _ := strings.Cut(strings.TrimSuffix(typ, "]"), "[")
		v := &ir.Value{Name: name, Type: ir.Of(ir.Elem(elem))}
		for _, d := range strings.Split(dims, ",") {
			n := 0
			if _, err := fmt.Sscan(d, &n); err == nil {
				v.Type.Dims = append(v.Type.Dims, n)
			}
		}
		params, names = append(params, v), append(names, name)
	}
	f, err := syntax.Parse("g", "block g("+strings.Join(names, ", ")+") {"+body+"}", syntax.Pos{File: "g", Line: 1, Col: 1})
	if err != nil {
		return nil, err
	}
	b := &ir.Builder{Fused: Decls()}
	g := b.Start("g", params...)
	g.Results = b.Inline(f.Items[0].Decl, params, "", nil, syntax.Pos{})
	if err := b.Err(); err != nil {
		return nil, err
	}
	return g, g.Verify()
}

// statements is a graph's text without its frame.
func statements(g *ir.Graph) string {
	lines := strings.Split(strings.TrimSpace(g.String()), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines[1:len(lines)-1], "\n")
}
