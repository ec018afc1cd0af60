package compiler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
)

// A slice is some rows of a source: what a checkpoint keeps as one tensor may be several weights of the model, whose
// products then fuse like those of any other model.
type slice struct {
	source
	from, n int
}

func (s slice) shape() (rows, cols int) {
	_, cols = s.source.shape()
	return s.n, cols
}
func (s slice) raw(i int) []byte { return s.source.raw(s.from + i) }

// rows are those of a tensor that weights have taken, and how many there are.
type rows struct {
	taken map[int]int // number of rows, by the first
	all   int
}

// parseRows reads what follows "rows(": NAME, FIRST).
func parseRows(a Alias, text, rest string) (Alias, error) {
	inner, ok := strings.CutSuffix(rest, ")")
	name, first, two := strings.Cut(inner, ",")
	a.Parts = []string{strings.TrimSpace(name)}
	if !ok || !two || a.Parts[0] == "" {
		return a, syntax.Errorf(a.Pos, "from: %q: want rows(NAME, FIRST), with the first row's number", text)
	}
	var err error
	pos := a.Pos
	pos.Col += strings.Index(text, rest) + len(name) + 1
	a.First, err = syntax.ParseExpr(first, pos)
	return a, err
}

// slice finds the tensor, or packed module, some of whose rows are a weight.
func (s *sourceMap) slice(name, part string, a Alias, dims []int, pos syntax.Pos) (ir.Elem, error) {
	x, err := arithmetic(a.First, func(n string) (float64, bool) { v, ok := s.nums[n]; return v, ok })
	if err != nil {
		return "", err
	}
	w, err := s.w4(part, part+".")
	if err != nil {
		return "", syntax.Errorf(pos, "%v", err)
	}
	var whole source
	if w != nil {
		whole = quads{w}
	} else {
		t := s.find(part)
		if t == nil {
			return "", s.lacks(part, nil, pos)
		}
		s.used[t.Name] = true
		whole = stored{t}
	}
	all, cols := whole.shape()
	cut := slice{whole, int(x), ir.Of("", dims...).Lead()}
	if x != float64(cut.from) || x < 0 || cut.from+cut.n > all || cols != dims[len(dims)-1] {
		return "", syntax.Errorf(pos, "%s: %s is %s[%d,%d], the model wants %s of it, from row %v on", s.ckpt.Path, part, whole.format().Name, all, cols, ir.Of("", dims...), x)
	}
	if s.taken == nil {
		s.taken = map[string]rows{}
	}
	if s.taken[part].taken == nil {
		s.taken[part] = rows{map[int]int{}, all}
	}
	s.taken[part].taken[cut.from] = cut.n
	if w != nil {
		return s.packed(name, w, cut), nil
	}
	s.tensor[name] = cut
	return ir.Elem(whole.format().Name), nil
}

// partly refuses a tensor some of whose rows no weight has taken, or two have.
func (s *sourceMap) partly() error {
	for _, name := range slices.Sorted(maps.Keys(s.taken)) {
		r, at := s.taken[name], 0
		for r.taken[at] > 0 {
			at += r.taken[at]
		}
		if at != r.all {
			return fmt.Errorf("%s: %s has %d rows, the model %s reads no weight from row %d on: it's another model's checkpoint", s.ckpt.Path, name, r.all, s.text.Name, at)
		}
	}
	return nil
}
