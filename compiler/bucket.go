package compiler

import (
	"fmt"
	"slices"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/kernels"
)

// A Bucket is a shape of work that gets a plan of its own: Rows consecutive tokens of each of Seqs sequences.
type Bucket struct {
	Name  string
	Seqs  int
	Rows  int
	Picks int    // rows of which logits are wanted: none, or all
	Tail  string // what follows the logits: a rule of tail.rules, or nothing
}

// Buckets are what hipc compiles for. A prompt of n tokens is n-1 through prefill, which needs no logits and so runs
// neither the head nor the last layer's MLP, and its last token through decode, which makes the first answer token.
// score gives the logits of all its rows: 64 of them are 12 MiB at SmolLM2's vocabulary, and more rows a launch no
// longer save anything, the weights being dequantised once per 64 rows already.
var Buckets = []Bucket{
	{Name: "decode_1", Seqs: 1, Rows: 1, Picks: 1, Tail: "argmax"},
	{Name: "decode_1_sample", Seqs: 1, Rows: 1, Picks: 1, Tail: "sample"},
	{Name: "prefill_512", Seqs: 1, Rows: 512},
	{Name: "score_64", Seqs: 1, Rows: 64, Picks: 64},
}

// rows is how many rows a launch works on.
func (b Bucket) rows() int { return b.Seqs * b.Rows }

// dims are what registry lines may use of the bucket.
func (b Bucket) dims(t *codegen.Target, context int) kernels.Dims {
	return kernels.Dims{T: b.rows(), S: b.Seqs, C: context, P: t.Page}
}

// specialise makes the model's graphs the bucket's own: pick is all or nothing, and the tail follows the logits.
func (b Bucket) specialise(m *ir.Model) (*ir.Model, error) {
	c := m.Clone(func(n *ir.Node, args []*ir.Value) ([]*ir.Value, bool) {
		return args, n.Op.Name == "pick" && b.Picks == b.rows()
	})
	switch b.Picks {
	case b.rows():
		return c, b.tail(c)
	case 0:
		b.drop(c)
		return c, nil
	}
	return nil, fmt.Errorf("bucket %s picks %d of %d rows: all or none are built", b.Name, b.Picks, b.rows())
}

// tail appends what follows the logits.
func (b Bucket) tail(m *ir.Model) error {
	if b.Tail == "" {
		return nil
	}
	var err error
	m.End, err = fusion.AddTail(m.End, b.Tail)
	return err
}

// drop leaves out what only the logits need: the end, the layers behind the last one that keeps a state, and of that one all that
// doesn't write it. There is such a layer.
func (b Bucket) drop(m *ir.Model) {
	m.End = &ir.Graph{Name: m.End.Name}
	for {
		m.Layers--
		body := m.BodyOf(m.Layers)
		body.Layers = body.Layers[:len(body.Layers)-1] // ascending: this one is its last
		g := body.Graph.Clone(nil)
		if len(body.Layers) == 0 {
			m.Bodies = slices.DeleteFunc(m.Bodies, func(x *ir.Body) bool { return x == body })
		} else {
			g.Name += "_last"
		}
		g.Results = nil
		if g.Prune(); len(g.Nodes) > 0 {
			m.Bodies = append(m.Bodies, &ir.Body{Graph: g, Layers: []int{m.Layers}})
			m.Layers++
			return
		}
	}
}
