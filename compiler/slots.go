package compiler

import (
	"fmt"
	"sort"

	"hipc/ir"
	"hipc/runtime/plan"
)

// A live is a buffer's life within a part: from the step that makes it to the last that reads it.
type live struct {
	name     string
	typ      string // with all rows
	from, to int
	bytes    int
}

// slots gives the part's buffers their places: carried ones have theirs, the others go largest first into the lowest
// gap that is free all their life.
func (p *placer) slots(g *ir.Graph, names map[*ir.Value]string, at map[*ir.Node]int, steps int) ([]plan.Slot, error) {
	lives := map[*ir.Value]*live{}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			if o.Type.Elem != ir.KV && names[o] != "token" {
				lives[o] = &live{name: names[o], typ: p.rowsOf(o.Type), from: at[n], to: at[n], bytes: p.bytes(o.Type)}
			}
		}
	}
	paramEnd := map[string]int{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			if l := lives[a]; l != nil {
				l.to = max(l.to, at[n])
			} else if a.IsParam() {
				paramEnd[names[a]] = at[n]
			}
		}
	}
	for _, r := range g.Results {
		if l := lives[r]; l != nil {
			l.to = steps
		}
	}
	var out []plan.Slot
	var local []*live
	for _, name := range sortedCarried(p.carried, g, names) {
		c := p.carried[name]
		out = append(out, plan.Slot{Name: name, Type: p.rowsOf(c.typ), Offset: c.at, Bytes: p.bytes(c.typ)})
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			l := lives[o]
			if l == nil {
				continue
			}
			if _, ok := p.carried[l.name]; ok {
				if end, read := paramEnd[l.name]; read && end > l.from { // in the same step, it's in place
					return nil, fmt.Errorf("place: %s is still read at step %d, after its successor is made", l.name, end)
				}
				continue
			}
			local = append(local, l)
		}
	}
	local = append(local, p.scratch...)
	sort.SliceStable(local, func(i, j int) bool { return local[i].bytes > local[j].bytes })
	offset := map[*live]int{}
	for i, l := range local {
		at := p.top
		for moved := true; moved; {
			moved = false
			for _, m := range local[:i] {
				if m.from <= l.to && l.from <= m.to && offset[m] < at+l.bytes && at < offset[m]+m.bytes {
					at, moved = offset[m]+m.bytes, true
				}
			}
		}
		offset[l] = at
	}
	sort.SliceStable(local, func(i, j int) bool { return local[i].from < local[j].from })
	for _, l := range local {
		out = append(out, plan.Slot{Name: l.name, Type: l.typ, Offset: offset[l], Bytes: l.bytes})
	}
	return out, nil
}

// rowsOf is a buffer's type: all of the bucket's rows, in the target's element.
func (p *placer) rowsOf(t ir.Type) string {
	rows := ir.Of(t.Elem, append([]int{p.bucket.rows()}, t.Dims...)...)
	if t.Elem == ir.Act {
		rows.Elem = ir.Elem(p.target.Act)
	}
	return rows.String()
}

// sortedCarried lists the carried buffers that g touches, by place.
func sortedCarried(carried map[string]carry, g *ir.Graph, names map[*ir.Value]string) []string {
	used := map[string]bool{}
	for _, name := range names {
		used[name] = true
	}
	var out []string
	for name := range carried {
		if used[name] {
			out = append(out, name)
		}
	}
	sort.Slice(out, func(i, j int) bool { return carried[out[i]].at < carried[out[j]].at })
	return out
}
