package kernels

import (
	"hipc/ir"
	"hipc/runtime/weights"
)

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

// Attention is what n moves and computes beside its Work because a context of pos positions stands before its first row:
// K and V of them, with a window the last of them, are read once for all rows and heads of a group; per row and query
// head each costs a product with K and one with V. kv is the size of an element of the cache.
func Attention(n *ir.Node, rows, kv, pos int) (bytes, flops int) {
	if n.Body != nil {
		for _, m := range n.Body.Nodes {
			b, f := Attention(m, rows, kv, pos)
			bytes, flops = bytes+b, flops+f
		}
		return bytes, flops
	}
	if n.Op.Name != "attend_kv" || len(n.Args) != 4 {
		return 0, 0
	}
	if w := n.Args[3].Lit; w != nil && w.Num > 0 {
		pos = min(pos, int(w.Num))
	}
	return 2 * n.Args[1].Type.Size() * kv * pos, 4 * n.Args[0].Type.Size() * rows * pos
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
