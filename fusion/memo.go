package fusion

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"hipc/ir"
	"hipc/kernels"
)

// A Memo remembers plans of graphs, so that equal graphs are planned once: buckets that differ in their tail alone share
// their layers, and of two versions of a model most bodies are the same. The zero Memo is ready; several goroutines may
// use it.
type Memo struct {
	mu      sync.Mutex
	plans   map[string]*remembered
	choices sync.Map // string -> chosen
	texts   sync.Map // *ir.Graph -> string: targets have the same graphs
	turned  sync.Map // *ir.Model -> rotated
}

type rotated struct {
	model *ir.Model
	why   string
}

// rotate is Rotate, remembered.
func (m *Memo) rotate(model *ir.Model) (*ir.Model, string) {
	if m == nil {
		return Rotate(model)
	}
	r, ok := m.turned.Load(model)
	if !ok {
		turned, why := Rotate(model)
		r, _ = m.turned.LoadOrStore(model, rotated{turned, why})
	}
	return r.(rotated).model, r.(rotated).why
}

// Kernels are a target's and a bucket's, remembered.
func (m *Memo) Kernels(target string, d kernels.Dims) Kernels {
	return &recaller{found{target, d}, m, identity(target, d)}
}

type remembered struct {
	once   sync.Once
	graph  *ir.Graph
	report *Report
	err    error
}

// plan is Plan, remembered. Nobody changes a planned graph.
func (m *Memo) plan(g *ir.Graph, o Options) (*ir.Graph, *Report, error) {
	if m == nil || o.id == "" {
		return Plan(g, o)
	}
	key := o.key() + m.text(g)
	m.mu.Lock()
	if m.plans == nil {
		m.plans = map[string]*remembered{}
	}
	p := m.plans[key]
	if p == nil {
		p = &remembered{}
		m.plans[key] = p
	}
	m.mu.Unlock()
	p.once.Do(func() {
		o.Kernels = &recaller{o.Kernels, m, o.id}
		p.graph, p.report, p.err = Plan(g, o)
	})
	if p.err != nil { // its positions are those of the first such graph
		return Plan(g, o)
	}
	return p.graph, p.report, nil
}

// key is all that a plan depends on beside the graph.
func (o *Options) key() string {
	var b strings.Builder
	fmt.Fprintln(&b, o.id, o.Off, o.Rows, o.Picks)
	for _, r := range o.Rules {
		b.WriteString(r.Name + " ")
	}
	return b.String()
}

// text is a graph's text with the types of its parameters, from which all others follow.
func (m *Memo) text(g *ir.Graph) string {
	if t, ok := m.texts.Load(g); ok {
		return t.(string)
	}
	var b strings.Builder
	for _, p := range g.Params {
		b.WriteString(p.Type.String() + " ")
	}
	b.WriteString(g.String())
	m.texts.Store(g, b.String())
	return b.String()
}

// A recaller remembers kernels: what computes a node follows from its op, its operands' types and numbers, and its rows, and the same nodes
// come again in every body, written and rotated.
type recaller struct {
	Kernels
	memo *Memo
	id   string
}

type chosen struct {
	choice *kernels.Choice
	err    error
}

func (f *recaller) Find(n *ir.Node, rows int) (*kernels.Choice, error) {
	key := make([]byte, 0, 160)
	key = append(append(append(key, f.id...), ' '), n.Op.Name...)
	key = strconv.AppendInt(append(key, ' '), int64(rows), 10)
	for _, list := range [][]*ir.Value{n.Args, n.Outs} {
		key = append(key, ';')
		for _, v := range list {
			if l := v.Lit; l != nil && !l.IsList {
				key = strconv.AppendFloat(append(key, '='), l.Num, 'g', -1, 64)
				continue
			} else if l != nil {
				key = append(key, '[')
				for _, x := range l.List {
					key = strconv.AppendFloat(append(key, ' '), x, 'g', -1, 64)
				}
				continue
			}
			key = append(append(key, ','), v.Type.Elem...)
			for _, d := range v.Type.Dims {
				key = strconv.AppendInt(append(key, '.'), int64(d), 10)
			}
		}
	}
	if c, ok := f.memo.choices.Load(string(key)); ok {
		return c.(chosen).choice, c.(chosen).err
	}
	c, err := f.Kernels.Find(n, rows)
	f.memo.choices.Store(string(key), chosen{c, err})
	return c, err
}
