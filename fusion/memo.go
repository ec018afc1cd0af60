package fusion

import (
	"fmt"
	"strings"
	"sync"

	"hipc/ir"
)

// A Memo remembers plans of graphs, so that equal graphs are planned once: buckets that differ in their tail alone share
// their layers, and of two versions of a model most bodies are the same. The zero Memo is ready; several goroutines may
// use it.
type Memo struct {
	mu    sync.Mutex
	plans map[string]*remembered
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
	key := o.key() + typed(g)
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
	p.once.Do(func() { p.graph, p.report, p.err = Plan(g, o) })
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

// typed is a graph's text with the types of its parameters, from which all others follow.
func typed(g *ir.Graph) string {
	var b strings.Builder
	for _, p := range g.Params {
		b.WriteString(p.Type.String() + " ")
	}
	b.WriteString(g.String())
	return b.String()
}
