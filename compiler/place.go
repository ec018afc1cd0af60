package compiler

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// align is the least distance of two buffers: a cache line, and the widest load of any target.
const align = 64

// A placer turns the fused graphs of one bucket into steps, entries and buffers.
type placer struct {
	target  *codegen.Target
	bucket  Bucket
	context int
	kernels fusion.Kernels
	entries map[string]codegen.Entry
	reals   map[string]codegen.Real
	packed  *packList
	prices  *kernels.PriceList
	out     plan.Bucket
	costs   []plan.StepCost
	arenas  []plan.Arena
	carried map[string]carry // buffers that live across parts, by name
	top     int              // bytes that carried buffers take
	taken   map[string]bool  // names of cells and weights: no buffer may have one
	scratch []*live          // buffers of the part that only one step uses
}

type carry struct {
	typ ir.Type
	at  int
}

// place makes the plan of a bucket of the fused model m.
func (p *placer) place(m *ir.Model) error {
	p.out = plan.Bucket{Name: p.bucket.Name, Seqs: p.bucket.Seqs, Rows: p.bucket.Rows, Picks: p.bucket.Picks, Tail: p.bucket.Tail}
	p.carried = map[string]carry{}
	for _, g := range m.Graphs()[1:] {
		for _, v := range g.Params {
			if err := p.carry(v); err != nil {
				return err
			}
		}
	}
	// What a graph gives goes where its successor takes it: the names of all of a graph's successors agree, since
	// bodies are distinct by successor.
	after := map[*ir.Graph]*ir.Graph{m.Begin: m.BodyOf(0).Graph}
	for l := range m.Layers {
		next := m.End
		if l+1 < m.Layers {
			next = m.BodyOf(l + 1).Graph
		}
		g := m.BodyOf(l).Graph
		if old := after[g]; old != nil && !sameNames(old.Params, next.Params) {
			return fmt.Errorf("place: %s is followed by %s and by %s, which take other values", g.Name, old.Name, next.Name)
		}
		after[g] = next
	}
	if err := p.part(m.Begin, nil, after[m.Begin]); err != nil {
		return err
	}
	for _, b := range m.Bodies {
		if err := p.part(b.Graph, b.Layers, after[b.Graph]); err != nil {
			return err
		}
	}
	return p.part(m.End, nil, nil)
}

func sameNames(a, b []*ir.Value) bool {
	return slices.EqualFunc(a, b, func(x, y *ir.Value) bool { return x.Name == y.Name })
}

// carry gives a carried value its place, for all parts.
func (p *placer) carry(v *ir.Value) error {
	name := p.free(v.Name)
	if old, ok := p.carried[name]; ok {
		if !old.typ.Equal(v.Type) {
			return fmt.Errorf("place: %s is carried as %s and as %s", v.Name, old.typ, v.Type)
		}
		return nil
	}
	p.carried[name] = carry{v.Type, p.top}
	p.top += p.bytes(v.Type)
	return nil
}

// free is the name of a carried value's buffer: its own, unless a cell or a weight has it.
func (p *placer) free(name string) string {
	for p.taken[name] {
		name += "_in"
	}
	return name
}

func (p *placer) bytes(t ir.Type) int {
	size := 4
	if t.Elem == ir.Act {
		size = p.target.ActBytes()
	}
	return roundUp(t.Size() * p.bucket.rows() * size)
}

func roundUp(bytes int) int { return (bytes + align - 1) / align * align }

// part turns one graph into steps and places its buffers.
func (p *placer) part(g *ir.Graph, layers []int, next *ir.Graph) error {
	if len(g.Nodes) == 0 {
		return nil
	}
	names, err := p.names(g, next)
	if err != nil {
		return err
	}
	part := plan.Part{Name: g.Name, Layers: plan.FormatRanges(layers)}
	p.scratch = nil
	at := map[*ir.Node]int{} // node -> step
	for i := 0; i < len(g.Nodes); {
		group := launch(g.Nodes[i:])
		for _, n := range group {
			at[n] = len(part.Steps)
		}
		step, cost, err := p.step(group, len(part.Steps), names, layers)
		if err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
		cost.Bucket, cost.Part, cost.Step = p.bucket.Name, g.Name, len(part.Steps)
		p.costs = append(p.costs, cost)
		part.Steps = append(part.Steps, step)
		i += len(group)
	}
	p.out.Parts = append(p.out.Parts, part)
	slots, err := p.slots(g, names, at, len(part.Steps))
	if err != nil {
		return fmt.Errorf("%s: %w", g.Name, err)
	}
	if len(slots) > 0 {
		p.arenas = append(p.arenas, plan.Arena{Bucket: p.bucket.Name, Part: g.Name, Slots: slots})
	}
	return nil
}

// launch is the run of nodes that share the first one's launch.
func launch(nodes []*ir.Node) []*ir.Node {
	n := 1
	for nodes[0].Launch > 0 && n < len(nodes) && nodes[n].Launch == nodes[0].Launch {
		n++
	}
	return nodes[:n]
}

// names says what each value's buffer is called. A result that goes to the successor has the successor's name for it.
func (p *placer) names(g *ir.Graph, next *ir.Graph) (map[*ir.Value]string, error) {
	names := map[*ir.Value]string{}
	taken := maps.Clone(p.taken)
	for _, v := range g.Params {
		names[v] = v.Name
		if v.Type.Elem != ir.I32 { // the token is a cell
			names[v] = p.free(v.Name)
		}
		taken[names[v]] = true
	}
	if next != nil {
		for i, r := range g.Results {
			q := p.free(next.Params[i].Name)
			if old, ok := names[r]; ok && old != q {
				return nil, fmt.Errorf("place: %s of %s would be carried as %s and as %s", r.Name, g.Name, old, q)
			}
			names[r] = q
			taken[q] = true
		}
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			if names[o] != "" {
				continue
			}
			name := o.Name
			for i := 2; taken[name]; i++ {
				name = fmt.Sprintf("%s_%d", o.Name, i)
			}
			if o.Type.Elem == ir.I32 && len(o.Type.Dims) == 0 {
				name = "token" // the tail's token is what the next replay begins with
			}
			names[o], taken[name] = name, true
		}
	}
	return names, nil
}

// step turns the nodes of one launch, the part's step of that number, into a step, its kernel's entry, and what it costs.
func (p *placer) step(group []*ir.Node, number int, names map[*ir.Value]string, layers []int) (plan.Step, plan.StepCost, error) {
	var s plan.Step
	var insts []string
	var parts []kernels.Step
	type operandLists struct{ in, out, state []string }
	var lists []operandLists
	entry := codegen.Entry{Dense: true}
	for _, n := range group {
		c, err := p.kernels.Find(n, p.bucket.rows())
		if err != nil {
			return s, plan.StepCost{}, err
		}
		var l operandLists
		for i, a := range n.Args {
			switch {
			case a.Lit != nil || a.Type.Elem == ir.KV:
			case a.Weight != nil:
				name, err := p.packed.add(a, layers, c.LayoutOf(i))
				if err != nil {
					return s, plan.StepCost{}, err
				}
				l.in = append(l.in, name)
			default:
				l.in = append(l.in, names[a])
			}
		}
		l.in = append(l.in, cellsOf(c, len(lists))...)
		for _, o := range n.Outs {
			if o.Type.Elem != ir.KV {
				l.out = append(l.out, names[o])
			}
		}
		if c.Scratch > 0 {
			l.out = append(l.out, p.scratchFor(c, l.out, number, names))
		}
		refs := states(n)
		p.packed.states(refs, layers)
		for _, r := range refs {
			l.state = append(l.state, r.Name)
		}
		lists = append(lists, l)
		insts = append(insts, c.Inst)
		entry.Parts = append(entry.Parts, codegen.EntryPart{Inst: c.Inst, Header: c.Kernel.Header, Grid: c.Grid})
		s.Grid += c.Grid
		s.Block = max(s.Block, c.Block)
		s.LDS = max(s.LDS, c.LDS)
		entry.LDS = s.LDS
		entry.Dense = entry.Dense && c.Lean
		for _, r := range c.Reals {
			p.reals[r.Name] = codegen.Real(r)
		}
		parts = append(parts, kernels.Step{Node: n, Choice: c, Rows: p.bucket.rows()})
	}
	for _, l := range lists {
		s.In = append(s.In, l.in...)
		s.Out = append(s.Out, l.out...)
		s.State = append(s.State, l.state...)
	}
	in, out, state := 0, len(s.In), len(s.In)+len(s.Out)
	for i, l := range lists {
		entry.Parts[i].Args = slices.Concat(span(in, len(l.in)), span(out, len(l.out)), span(state, len(l.state)))
		in, out, state = in+len(l.in), out+len(l.out), state+len(l.state)
	}
	s.Inst = strings.Join(insts, " | ")
	s.Kernel = kernelName(insts)
	entry.Name, entry.Block = s.Kernel, s.Block
	// More blocks than run at once, two a processor, but not by half: three a processor, and the last ones don't wait for the first.
	units := p.prices.Units
	entry.Dense = entry.Dense && s.Grid > 2*units && s.Grid <= 3*units
	if old, ok := p.entries[s.Kernel]; ok && !reflect.DeepEqual(old, entry) {
		return s, plan.StepCost{}, fmt.Errorf("a bug in hipc: two kernels are called %s: %+v and %+v", s.Kernel, old, entry)
	}
	p.entries[s.Kernel] = entry
	cost := p.predict(parts)
	cost.Kernel = s.Kernel
	times := max(len(layers), 1)
	p.out.Cost.Steps += times
	p.out.Cost.Bytes += times * cost.Bytes
	p.out.Cost.Ops += times * cost.Ops
	return s, cost, nil
}

// scratchFor is the buffer by which the blocks of step number tell each other intermediate values, named after what they make. It stands
// behind the step's results: it's written, and nothing of it is left for others.
func (p *placer) scratchFor(c *kernels.Choice, out []string, number int, names map[*ir.Value]string) string {
	base := "scratch"
	if len(out) > 0 {
		base = out[0] + "_scratch"
	}
	name := base
	isTaken := func() bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return p.taken[name] || slices.ContainsFunc(p.scratch, func(l *live) bool { return l.name == name })
	}
	for i := 2; isTaken(); i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	p.scratch = append(p.scratch, &live{name: name, typ: ir.Of(ir.F32, (c.Scratch+3)/4).String(), from: number, to: number, bytes: roundUp(c.Scratch)})
	return name
}

// cellsOf names the cells of a launch's part. Each part that finishes in its last block counts on a ticket of its own.
func cellsOf(c *kernels.Choice, part int) []string {
	out := slices.Clone(c.Cells)
	for i, name := range out {
		if name == kernels.Ticket && part > 0 {
			out[i] = fmt.Sprintf("%s_%d", name, part)
		}
	}
	return out
}

func span(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}

// states are the states that n reads or writes, through its handles too.
func states(n *ir.Node) []ir.StateRef {
	out := n.StateRefs()
	for _, a := range n.Args {
		if a.Type.Elem != ir.KV || a.Node == nil {
			continue
		}
		for _, s := range a.Node.StateRefs() {
			if s.Type.Elem == ir.KV && !slices.ContainsFunc(out, func(r ir.StateRef) bool { return r.Name == s.Name }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// kernelName names a kernel after its instances: matmul<Q4_1, 576, 576, 1> is matmul_q4_1_576_576_1, siblings follow
// each other, equal ones counted.
func kernelName(insts []string) string {
	var parts []string
	for i := 0; i < len(insts); {
		j := i
		for j < len(insts) && insts[j] == insts[i] {
			j++
		}
		name := strings.ToLower(strings.Join(strings.FieldsFunc(insts[i], func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_')
		}), "_"))
		if j-i > 1 {
			name += fmt.Sprintf("_x%d", j-i)
		}
		parts = append(parts, name)
		i = j
	}
	return strings.Join(parts, "__")
}
