package compiler

import (
	"fmt"
	"slices"

	"hipc/ir"
	"hipc/runtime/plan"
)

// A Body is what a layer does, or what stands before or behind the layers: as the ops that the model's text comes to, and as the launches
// that they were made into.
type Body struct {
	Name     string   `json:"name"`
	Layers   string   `json:"layers,omitempty"`
	Ops      []BodyOp `json:"ops"`
	Launches [][]int  `json:"launches"` // the ops of each
	Labels   []string `json:"labels"`   // of each launch: its steps
	Reads    [][]int  `json:"reads"`    // of each launch: the launches whose values it reads
}

// A BodyOp is a primitive op.
type BodyOp struct {
	Op    string `json:"op"`
	Out   string `json:"out"`
	Type  string `json:"type"`
	Reads []int  `json:"reads"` // the ops whose values it reads
}

func bodies(m *ir.Model) []Body {
	out := []Body{body(m.Begin, nil)}
	for _, b := range m.Bodies {
		out = append(out, body(b.Graph, b.Layers))
	}
	out = append(out, body(m.End, nil))
	return slices.DeleteFunc(out, func(b Body) bool { return len(b.Ops) == 0 })
}

// body takes a fused graph apart: a fused node's body is the very ops that it stands for. A norm that several steps compute for themselves is one op,
// of the launch that does it first.
func body(g *ir.Graph, layers []int) Body {
	b := Body{Name: g.Name, Layers: plan.FormatRanges(layers)}
	made := map[*ir.Value]int{}   // the op behind a value
	madeBy := map[*ir.Value]int{} // the launch
	again := map[string]int{}     // the op that may be computed again, by its name and operands
	add := func(n *ir.Node, at map[*ir.Value]int, outside map[*ir.Value]*ir.Value) {
		if n.Op.Again {
			key := n.Op.Name
			for _, a := range n.Args {
				if v := outside[a]; v != nil {
					a = v
				}
				if a.Lit != nil {
					key += fmt.Sprint(" ", a.Lit.Num)
				} else {
					key += fmt.Sprintf(" %p", a)
				}
			}
			if k, ok := again[key]; ok {
				at[n.Outs[0]] = k
				return
			}
			again[key] = len(b.Ops)
		}
		o := BodyOp{Op: n.Op.Name}
		if len(n.Outs) > 0 {
			o.Out, o.Type = n.Outs[0].Name, n.Outs[0].Type.String()
		}
		for _, a := range n.Args {
			if i, ok := at[a]; ok && !slices.Contains(o.Reads, i) {
				o.Reads = append(o.Reads, i)
			}
		}
		for _, v := range n.Outs {
			at[v] = len(b.Ops)
		}
		b.Ops = append(b.Ops, o)
	}
	for i := 0; i < len(g.Nodes); {
		group := launch(g.Nodes[i:])
		first := len(b.Ops)
		var reads []int
		label := ""
		for _, n := range group {
			if label != "" {
				label += " | "
			}
			label += n.Op.Name
			for _, a := range n.Args {
				if l, ok := madeBy[a]; ok && !slices.Contains(reads, l) {
					reads = append(reads, l)
				}
			}
			if n.Body == nil {
				add(n, made, nil)
				continue
			}
			inner, outside := map[*ir.Value]int{}, map[*ir.Value]*ir.Value{}
			for k, a := range n.Bound() {
				if k == len(n.Body.Params) {
					break
				}
				outside[n.Body.Params[k]] = a
				if j, ok := made[a]; ok {
					inner[n.Body.Params[k]] = j
				}
			}
			for _, m := range n.Body.Nodes {
				add(m, inner, outside)
			}
			for k, r := range n.Body.Results {
				if j, ok := inner[r]; ok {
					made[n.Outs[k]] = j
				}
			}
		}
		for _, n := range group {
			for _, v := range n.Outs {
				madeBy[v] = len(b.Launches)
			}
		}
		var ops []int
		for k := first; k < len(b.Ops); k++ {
			ops = append(ops, k)
		}
		b.Launches, b.Labels, b.Reads = append(b.Launches, ops), append(b.Labels, label), append(b.Reads, reads)
		i += len(group)
	}
	return b
}
