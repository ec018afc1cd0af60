package kernels

import (
	"hipc/ir"
	"hipc/runtime/weights"
)

// A Step is a node with its kernel.
type Step struct {
	Node   *ir.Node
	Choice *Choice
	Rows   int
}

// A Coster says what a launch costs, in seconds. Several steps share the launch if there are several.
type Coster interface {
	Cost(launch []Step) float64
}

// A Machine predicts: max(bytes / Bandwidth, flops / Flops) / fill + Node, where fill is how much of the machine the
// launch's blocks keep busy.
type Machine struct {
	Bandwidth float64 // bytes a second
	Flops     float64 // a second; a multiply-add is two
	Node      float64 // seconds that a launch costs by itself
	Units     int     // blocks that run at once
	Act       int     // bytes of an activation
}

// Machines are what plans for a target are made for. They are no measurement of the machine that compiles: the same
// input gives the same plan everywhere.
//
// The CPUs stand for an 8-core desktop with two channels of DDR4: 40 GB/s, and per core 2 fused multiply-adds of 8 or 16
// lanes at 3 GHz, of which decoding the weights leaves about a third. A launch is one barrier of the pool.
var Machines = map[string]Machine{
	"cpu_v3": {Bandwidth: 40e9, Flops: 250e9, Node: 2e-6, Units: 8, Act: 4},
	"cpu_v4": {Bandwidth: 40e9, Flops: 500e9, Node: 2e-6, Units: 8, Act: 4},
}

// Cost implements Coster.
func (m Machine) Cost(launch []Step) float64 {
	var bytes, flops, grid int
	for _, s := range launch {
		b, f := Work(s.Node, s.Rows, m.Act)
		bytes, flops, grid = bytes+b, flops+f, grid+s.Choice.Grid
	}
	busy := max(float64(bytes)/m.Bandwidth, float64(flops)/m.Flops)
	return busy/m.fill(grid) + m.Node
}

// fill is the part of the machine that grid blocks keep busy: they run in rounds of Units, the last of which may be
// short.
func (m Machine) fill(grid int) float64 {
	rounds := (grid + m.Units - 1) / m.Units
	return float64(grid) / float64(rounds*m.Units)
}

// Work is what n moves from and to memory, and what it computes, on that many rows; act is the size of an activation.
// Values inside of a fused node's body move nothing, and a KV cache counts as empty.
func Work(n *ir.Node, rows, act int) (bytes, flops int) {
	seen := map[*ir.Value]bool{}
	for i, v := range n.Bound() {
		if !seen[v] {
			seen[v] = true
			bytes += size(v.Type, rows, act, rowsOnly(n, i))
		}
	}
	for _, v := range n.Outs {
		bytes += size(v.Type, rows, act, false)
	}
	return bytes, flopsOf(n) * rows
}

// rowsOnly says that n reads of its i-th bound operand one row per token only: a table of embeddings.
func rowsOnly(n *ir.Node, i int) bool {
	if n.Body == nil {
		return n.Op.Name == "embed" && i == 1
	}
	if i >= len(n.Body.Params) {
		return false
	}
	p, used := n.Body.Params[i], false
	for _, m := range n.Body.Nodes {
		for j, a := range m.Bound() {
			if a == p {
				if !rowsOnly(m, j) {
					return false
				}
				used = true
			}
		}
	}
	return used
}

func size(t ir.Type, rows, act int, rowsOnly bool) int {
	switch t.Elem {
	case ir.Act:
		return rows * t.Size() * act
	case ir.I32:
		return rows * t.Size() * 4
	case ir.KV:
		return 0 // a handle
	}
	f, ok := weights.FormatByName(string(t.Elem))
	if !ok {
		return t.Size()
	}
	lead := t.Lead()
	if rowsOnly {
		lead = min(lead, rows)
	}
	return lead * f.RowBytes(t.Last())
}

// flopsOf is what n computes for one row: 2NK for a product, and a few operations a value for anything else.
func flopsOf(n *ir.Node) int {
	total := 0
	if n.Body != nil {
		for _, m := range n.Body.Nodes {
			total += flopsOf(m)
		}
		return total
	}
	switch n.Op.Name {
	case "matmul", "linear":
		return 2 * n.Args[1].Type.Size()
	case "embed", "append", "pick":
		return 0
	}
	const perValue = 4 // an addition is one, a norm four, an exponential some ten: all are small beside a product
	for _, v := range n.Outs {
		total += perValue * v.Type.Size()
	}
	return total
}
