package ir

import (
	"strconv"
	"strings"

	"hipc/ir/syntax"
)

// turns says which block each layer takes: as the config's list says, if the text names one and the checkpoint has it;
// else in turn, or as a printed graph says of each.
func (b *Builder) turns(m *Model, r *syntax.Repeat) ([]*syntax.Turn, bool) {
	from := len(b.errs)
	for _, t := range r.Blocks {
		b.known(t.Name, syntax.At(t.Pos))
	}
	for _, c := range r.Cases {
		b.known(c.Name, syntax.At(c.Pos))
	}
	if len(b.errs) > from {
		return nil, false
	}
	if r.By != "" && b.List != nil {
		if list := b.List(r.By); list != nil {
			return b.listed(m, r, list)
		}
	}
	var cycle []*syntax.Turn
	for _, t := range r.Blocks {
		n := 1
		if t.Count != nil {
			n = b.count(t.Count)
		}
		for range n {
			if t.Layers == "" && len(cycle) < m.Layers {
				cycle = append(cycle, t)
			}
		}
	}
	turns := make([]*syntax.Turn, m.Layers)
	for l := range turns {
		if len(cycle) > 0 {
			turns[l] = cycle[l%len(cycle)]
		}
	}
	for _, t := range r.Blocks {
		if t.Layers == "" {
			continue
		}
		ls, err := parseLayers(t.Layers, m.Layers)
		if err != nil {
			b.errorf(syntax.At(t.Pos), "%v", err)
			return nil, false
		}
		for _, l := range ls {
			turns[l] = t
		}
	}
	for l, t := range turns {
		if t == nil {
			b.errorf(syntax.At(r.Pos), "layer %d has no block", l)
			return nil, false
		}
	}
	return turns, len(b.errs) == from
}

func (b *Builder) known(block string, pos syntax.Pos) {
	if b.Blocks[block] != nil {
		return
	}
	var known []string
	for n := range b.Blocks {
		known = append(known, n)
	}
	b.errorf(pos, "no block is called %s%s", block, syntax.DidYouMean(block, known))
}

// count evaluates how often a block takes its turn; a pattern may leave one out.
func (b *Builder) count(e *syntax.Expr) int {
	if v := b.one(e, &scope{}); v != nil && v.Lit != nil && !v.Lit.IsList {
		if x := v.Lit.Num; x == float64(int(x)) && x >= 0 && x <= 4096 {
			return int(x)
		}
		b.errorf(syntax.At(e.Pos), "a block takes its turn a whole number of times, not %s", formatNumber(v.Lit.Num))
	}
	return 0
}

// listed takes the block of each layer from a list of the checkpoint's config.
func (b *Builder) listed(m *Model, r *syntax.Repeat, list []string) ([]*syntax.Turn, bool) {
	if len(list) < m.Layers {
		b.errorf(syntax.At(r.Pos), "the checkpoint's %s has %d entries, want one for each of the %d layers", r.By, len(list), m.Layers)
		return nil, false
	}
	cases := map[string]*syntax.Turn{}
	var want []string
	for _, c := range r.Cases {
		cases[c.Value] = &syntax.Turn{Pos: c.Pos, Name: c.Name}
		want = append(want, c.Value)
	}
	turns := make([]*syntax.Turn, m.Layers)
	for l := range turns {
		if turns[l] = cases[list[l]]; turns[l] == nil {
			b.errorf(syntax.At(r.Pos), "the checkpoint's %s says %s for layer %d, this model has %s", r.By, list[l], l, strings.Join(want, " and "))
			return nil, false
		}
	}
	return turns, true
}

// parseLayers reads "0-2,5".
func parseLayers(text string, n int) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		lo, hi, two := strings.Cut(strings.TrimSpace(part), "-")
		if !two {
			hi = lo
		}
		a, err1 := strconv.Atoi(lo)
		z, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || a < 0 || z < a || z >= n {
			return nil, syntax.Errorf(syntax.Pos{}, "layers %q: want numbers and ranges from 0 to %d, like \"0-2,5\"", text, n-1)
		}
		for l := a; l <= z; l++ {
			out = append(out, l)
		}
	}
	return out, nil
}

// formatLayers is parseLayers' inverse, for ascending layers.
func formatLayers(ls []int) string {
	var parts []string
	for i := 0; i < len(ls); {
		j := i
		for j+1 < len(ls) && ls[j+1] == ls[j]+1 {
			j++
		}
		if j > i {
			parts = append(parts, strconv.Itoa(ls[i])+"-"+strconv.Itoa(ls[j]))
		} else {
			parts = append(parts, strconv.Itoa(ls[i]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
