// Package ir is the graph that everything in hipc works on.
//
// A Model is a graph before the layers, one graph per distinct layer, and a graph after them. A Graph is a list of
// nodes in an order in which they can run; a node applies an op to values and makes values. Graphs describe one token:
// no type knows how many rows a launch works on. There are three kinds of values without a node: a graph's parameters,
// literals and weights.
//
// An op is primitive, with its rule of types and its meaning (Eval) written beside it in op_<name>.go, or it is fused:
// then its node carries a body, and the body is its meaning. Eval interprets any graph in fp32, node by node; that is
// the oracle by which everything else is checked, and the backend called reference.
//
// Print shows a graph in the model language, and Parse reads that text again: every dump is an input.
package ir

import (
	"strconv"

	"hipc/ir/syntax"
)

// A Model is a whole language model for one token.
type Model struct {
	Name   string
	Begin  *Graph // token -> what the first layer takes
	Bodies []*Body
	End    *Graph // what the last layer gives -> logits, and the tail's results
	Layers int
}

// A Body is one distinct layer. What it takes is what its predecessor gives.
type Body struct {
	Graph  *Graph
	Layers []int // ascending
}

// BodyOf is the body that layer l runs.
func (m *Model) BodyOf(l int) *Body {
	for _, b := range m.Bodies {
		for _, n := range b.Layers {
			if n == l {
				return b
			}
		}
	}
	return nil
}

// Graphs lists the model's graphs in the order in which they first run.
func (m *Model) Graphs() []*Graph {
	gs := []*Graph{m.Begin}
	for _, b := range m.Bodies {
		gs = append(gs, b.Graph)
	}
	return append(gs, m.End)
}

// A Graph takes Params and gives Results.
type Graph struct {
	Name    string
	Params  []*Value
	Nodes   []*Node
	Results []*Value
}

// A Node applies Op to Args. It is fused if it has a Body, whose Params stand for those of Args that aren't literals,
// in order, and whose Results for Outs.
type Node struct {
	Op     *Op
	Args   []*Value
	Outs   []*Value
	State  string // the state that a stateful op keeps: "layers.{l}.self_attn.kv"
	Body   *Graph
	Launch int // nodes with the same Launch > 0 stand beside each other and share one launch
	Pos    syntax.Pos
}

// A Value is made by Node, or is a parameter, a literal (Lit) or a weight (Weight).
type Value struct {
	Name   string
	Type   Type
	Node   *Node
	Lit    *Literal
	Weight *Weight
	Pos    syntax.Pos
}

// A Literal is a number or a list of some, such as dimensions: what an op takes at compile time.
type Literal struct {
	Num    float64
	List   []float64
	IsList bool
}

// Dims is a list of whole numbers.
func (l *Literal) Dims() []int {
	out := make([]int, len(l.List))
	for i, x := range l.List {
		out[i] = int(x)
	}
	return out
}

// A Weight is a tensor of the checkpoint, or a vector folded from some (1 + @norm) when they are packed.
type Weight struct {
	Path string // "layers.{l}.self_attn.q_proj"
	Fold *Node  // how it's made, if it isn't a tensor as it is; its Args are weights and literals
	open bool   // its dims are not all known yet: the op that reads it will say
}

// Bound says that v is what a launch reads from memory: neither a literal nor nothing.
func (v *Value) Bound() bool { return v.Lit == nil }

// IsParam says that v is a parameter of its graph.
func (v *Value) IsParam() bool { return v.Node == nil && v.Lit == nil && v.Weight == nil }

// Bound lists the operands of n that a launch reads from memory, in order: those its Body's parameters stand for.
func (n *Node) Bound() []*Value {
	var out []*Value
	for _, a := range n.Args {
		if a.Bound() {
			out = append(out, a)
		}
	}
	return out
}

// States lists the names of the states that n keeps, of its body too, each once.
func (n *Node) States() []string {
	var out []string
	for _, s := range n.StateRefs() {
		out = append(out, s.Name)
	}
	return out
}

// A StateRef is a state that a node keeps: its name, and the type of what one layer keeps (kv: of one position).
type StateRef struct {
	Name string
	Type Type
}

// StateRefs lists the states that n keeps with their types, of its body too, each once.
func (n *Node) StateRefs() []StateRef {
	if n.Body == nil {
		if n.State == "" {
			return nil
		}
		return []StateRef{{n.State, n.Op.StateType(n)}}
	}
	var out []StateRef
	seen := map[string]bool{}
	for _, m := range n.Body.Nodes {
		for _, s := range m.StateRefs() {
			if !seen[s.Name] {
				seen[s.Name] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// Uses counts, for each value, how many nodes and results of g read it.
func (g *Graph) Uses() map[*Value]int {
	uses := map[*Value]int{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			uses[a]++
		}
	}
	for _, r := range g.Results {
		uses[r]++
	}
	return uses
}

// Number is a literal number.
func Number(x float64) *Value { return &Value{Lit: &Literal{Num: x}, Type: Of(F32)} }

func formatNumber(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
