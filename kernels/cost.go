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

// A Machine predicts for a step max(bytes / Bandwidth, flops / Flops) / fill + Node, where fill is how much of the machine
// its blocks keep busy. Steps that share a launch fill each other's gaps: together they take as long as all their work on
// the whole machine, or as the longest of them by itself.
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
//
// The GPUs are an H100 (SXM), an RX 7900 XTX and a Ryzen AI Max 395 by their data sheets: bandwidth of the memory, dense f16 with matrix
// units, compute units. What a graph's node costs was measured by others: 3.6 to 5.6 µs on a W7900, 1 to 2.75 µs on an H100.
var Machines = map[string]Machine{
	"cpu_v3": {Bandwidth: 40e9, Flops: 250e9, Node: 2e-6, Units: 8, Act: 4},
	"cpu_v4": {Bandwidth: 40e9, Flops: 500e9, Node: 2e-6, Units: 8, Act: 4},

	"sm_90":   {Bandwidth: 3.35e12, Flops: 989e12, Node: 1.5e-6, Units: 132, Act: 4},
	"gfx1100": {Bandwidth: 960e9, Flops: 123e12, Node: 4e-6, Units: 96, Act: 4},
	"gfx1151": {Bandwidth: 256e9, Flops: 59e12, Node: 4e-6, Units: 40, Act: 4},
}

// Cost implements Coster.
func (m Machine) Cost(launch []Step) float64 {
	var sum, longest float64
	for _, s := range launch {
		bytes, flops := Work(s.Node, s.Rows, m.Act)
		busy := max(float64(bytes)/m.Bandwidth, float64(flops)/m.Flops)
		sum, longest = sum+busy, max(longest, busy/m.fill(s.Choice.Grid))
	}
	return max(sum, longest) + m.Node
}

// fill is the part of the machine that grid blocks keep busy: they run in rounds of Units, the last of which may be
// short.
func (m Machine) fill(grid int) float64 {
	rounds := (grid + m.Units - 1) / m.Units
	return float64(grid) / float64(rounds*m.Units)
}

// Work is what n moves from and to memory, and what it computes, on that many rows; act is the size of an activation.
// Values inside of a fused node's body move nothing, a KV cache counts as empty, and any other state is read and written
// once.
func Work(n *ir.Node, rows, act int) (bytes, flops int) {
	seen := map[*ir.Value]bool{}
	for i, v := range n.Bound() {
		if !seen[v] {
			seen[v] = true
			bytes += size(v.Type, rows, act, rowsRead(n, i, rows))
		}
	}
	for _, v := range n.Outs {
		bytes += size(v.Type, rows, act, v.Type.Lead())
	}
	for _, s := range n.StateRefs() {
		if s.Type.Elem != ir.KV {
			bytes += 2 * 4 * s.Type.Size()
		}
	}
	return bytes, flopsOf(n) * rows
}

// rowsRead is how many rows of its i-th bound operand, a weight, n reads: of a table of embeddings one per token, of
// experts at most those that the tokens choose, of anything else all.
func rowsRead(n *ir.Node, i, rows int) int {
	t := n.Bound()[i].Type
	if n.Body == nil {
		switch {
		case n.Op.Name == "embed" && i == 1:
			return min(t.Lead(), rows)
		case (n.Op.Name == "matmul_each" || n.Op.Name == "linear_each") && i == 2:
			return min(t.Dims[0], rows*n.Args[1].Type.Size()) * t.Dims[1]
		}
		return t.Lead()
	}
	if i >= len(n.Body.Params) {
		return t.Lead()
	}
	p, most := n.Body.Params[i], 0
	for _, m := range n.Body.Nodes {
		for j, a := range m.Bound() {
			if a == p {
				most = max(most, rowsRead(m, j, rows))
			}
		}
	}
	return most
}

func size(t ir.Type, rows, act, lead int) int {
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
	case "matmul_each", "linear_each":
		return 2 * n.Outs[0].Type.Size() * n.Args[2].Type.Last()
	case "delta_rule":
		return 7 * n.Outs[0].Type.Size() * n.Args[0].Type.Last() // decay, two products with S, one update
	case "rotate":
		return (1 + 3*weights.Stages) * n.Outs[0].Type.Size()
	case "embed", "append", "pick":
		return 0
	}
	const perValue = 4 // an addition is one, a norm four, an exponential some ten: all are small beside a product
	for _, v := range n.Outs {
		total += perValue * v.Type.Size()
	}
	return total
}
