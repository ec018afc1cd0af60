package ir

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// A Tensor is a value's contents for some rows: Rows times Type, outermost first.
type Tensor struct {
	Type     Type
	Rows     int
	Data     []float32
	Ints     []int32  // instead of Data, for i32
	Weight   Matrix   // instead of Data, for a matrix of weights in a format of its own
	Rotation Rotation // instead of Data, for a rotation
	Cache    *Cache   // instead of Data, for the handle of a KV cache
}

// A Matrix gives the rows of a weight in fp32, dequantised as they're read.
type Matrix interface {
	Row(i int, dst []float32)
}

// A Cache is the KV cache of one layer: a row of K and of V per position.
type Cache struct{ K, V [][]float32 }

// A World is what a graph is evaluated in: the weights, the states, and where its rows stand.
type World struct {
	Weight func(w *Weight, t Type, layer int) (*Tensor, error)
	States map[string]any // by name, the layer's number put in; made as ops ask for them
	Layer  int
	Pos    int // position of row 0; the rows follow each other
	Rows   int
	Sample *Sampling // what the tail's sample draws with
	// Trace, if it isn't nil, sees each result of each primitive node.
	Trace func(layer int, v *Value, t *Tensor)
}

// A Frame is one node's evaluation: its operands in, its results out.
type Frame struct {
	World *World
	Node  *Node
	Args  []*Tensor // nil where the operand is a literal
	Outs  []*Tensor // allocated; an op may put a Cache into one
	Rows  int
}

// Num is the literal operand i.
func (f *Frame) Num(i int) float64 { return f.Node.Args[i].Lit.Num }

// Int is the literal operand i, a whole number.
func (f *Frame) Int(i int) int { return int(f.Node.Args[i].Lit.Num) }

// Row is row r of operand i. A vector of weights has one row, whatever r.
func (f *Frame) Row(i, r int) []float32 { return f.Args[i].row(r) }

// Out is row r of result i.
func (f *Frame) Out(i, r int) []float32 { return f.Outs[i].row(r) }

func (t *Tensor) row(r int) []float32 {
	if t.Rows == 1 {
		r = 0
	}
	n := t.Type.Size()
	return t.Data[r*n : (r+1)*n]
}

// NewTensor makes a tensor of zeros.
func NewTensor(t Type, rows int) *Tensor {
	x := &Tensor{Type: t, Rows: rows}
	switch t.Elem {
	case I32:
		x.Ints = make([]int32, rows*t.Size())
	case KV:
	default:
		x.Data = make([]float32, rows*t.Size())
	}
	return x
}

// Eval interprets g in fp32, node by node, bodies of fused nodes too: the oracle. It allocates freely and is slow.
func (g *Graph) Eval(w *World, params []*Tensor) ([]*Tensor, error) {
	at := map[*Value]*Tensor{}
	for i, p := range g.Params {
		at[p] = params[i]
	}
	last := g.lastUse()
	for i, n := range g.Nodes {
		outs, err := n.eval(w, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		for j, o := range n.Outs {
			at[o] = outs[j]
			if w.Trace != nil && n.Body == nil {
				w.Trace(w.Layer, o, outs[j])
			}
		}
		for _, a := range n.Args {
			if last[a] == i {
				delete(at, a) // a prefill of many rows would hold every activation of the layer otherwise
			}
		}
	}
	var out []*Tensor
	for _, r := range g.Results {
		t, err := w.tensor(r, at)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (g *Graph) lastUse() map[*Value]int {
	last := map[*Value]int{}
	for i, n := range g.Nodes {
		for _, a := range n.Args {
			last[a] = i
		}
	}
	for _, r := range g.Results {
		last[r] = len(g.Nodes)
	}
	return last
}

// tensor finds the contents of an operand.
func (w *World) tensor(v *Value, at map[*Value]*Tensor) (*Tensor, error) {
	switch {
	case v.Lit != nil:
		return nil, nil
	case v.Weight != nil && v.Weight.Fold != nil:
		return v.Weight.Eval(w, v.Type)
	case v.Weight != nil:
		return w.Weight(v.Weight, v.Type, w.Layer)
	}
	t := at[v]
	if t == nil {
		return nil, fmt.Errorf("%s has no value", v.Name)
	}
	return t, nil
}

// Eval computes a folded weight from the tensors that it's made of.
func (wt *Weight) Eval(w *World, t Type) (*Tensor, error) {
	out, err := wt.Fold.run(w, nil, 1, []Type{t})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func (n *Node) eval(w *World, at map[*Value]*Tensor) ([]*Tensor, error) {
	if n.Body == nil {
		types := make([]Type, len(n.Outs))
		for i, o := range n.Outs {
			types[i] = o.Type
		}
		return n.run(w, at, w.Rows, types)
	}
	var params []*Tensor
	for _, a := range n.Bound() {
		t, err := w.tensor(a, at)
		if err != nil {
			return nil, err
		}
		params = append(params, t)
	}
	return n.Body.Eval(w, params)
}

func (n *Node) run(w *World, at map[*Value]*Tensor, rows int, types []Type) ([]*Tensor, error) {
	f := &Frame{World: w, Node: n, Rows: rows}
	for _, a := range n.Args {
		t, err := w.tensor(a, at)
		if err != nil {
			return nil, err
		}
		f.Args = append(f.Args, t)
	}
	for _, t := range types {
		f.Outs = append(f.Outs, NewTensor(t, rows))
	}
	n.Op.Eval(f)
	return f.Outs, nil
}

// Put puts the layer's number into a name: layers.{l}.x of layer 3 becomes layers.3.x, layers.{l+1}.x layers.4.x.
func Put(name string, layer int) string {
	if !strings.Contains(name, "{") {
		return name
	}
	name = strings.ReplaceAll(name, "{l}", strconv.Itoa(layer))
	return strings.ReplaceAll(name, "{l+1}", strconv.Itoa(layer+1))
}

// State finds the node's state, or makes it.
func (f *Frame) State(make func() any) any {
	name := Put(f.Node.State, f.World.Layer)
	if f.World.States == nil {
		f.World.States = map[string]any{}
	}
	s, ok := f.World.States[name]
	if !ok {
		s = make()
		f.World.States[name] = s
	}
	return s
}

// parallel runs f(0..n-1) on all cores.
func parallel(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// Eval runs the whole model for rows that follow each other from w.Pos: the tokens in, the results of End out. States
// stay in w, so the next call goes on from there.
func (m *Model) Eval(w *World, tokens []int32) ([]*Tensor, error) {
	w.Rows, w.Layer = len(tokens), -1
	vals, err := m.Begin.Eval(w, []*Tensor{{Type: Of(I32), Rows: len(tokens), Ints: tokens}})
	for l := 0; l < m.Layers && err == nil; l++ {
		w.Layer = l
		vals, err = m.BodyOf(l).Graph.Eval(w, vals)
	}
	if err != nil {
		return nil, err
	}
	w.Layer = -1
	out, err := m.End.Eval(w, vals)
	w.Pos += len(tokens)
	return out, err
}
