package compiler

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// A sourceMap says which tensor of the checkpoint each weight is, and which tensors nothing has read.
type sourceMap struct {
	text   *Text
	ckpt   *weights.Checkpoint
	tensor map[string]*weights.Tensor // by weight name, the layer's number put in
	used   map[string]bool            // tensors by HF name
}

// elaborate makes the graph of a model text, with the formats of the checkpoint, or of the text without one.
func (t *Text) elaborate(ckpt *weights.Checkpoint, set map[string]string) (*ir.Model, *sourceMap, error) {
	src := &sourceMap{text: t, ckpt: ckpt, tensor: map[string]*weights.Tensor{}, used: map[string]bool{}}
	var config weights.Config
	if ckpt != nil {
		config = ckpt.Config()
		if len(config) == 0 {
			return nil, nil, fmt.Errorf("%s has no config.json beside it: put it there, for the model's dims stand in it", ckpt.Path)
		}
		if err := t.expect(config); err != nil {
			return nil, nil, err
		}
	}
	nums, err := t.numbers(config, set)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range t.Format {
		if _, ok := weights.FormatByName(f.Format); !ok {
			return nil, nil, syntax.Errorf(f.Pos, "%s is no format%s", f.Format, syntax.DidYouMean(f.Format, weights.FormatNames()))
		}
	}
	b := &ir.Builder{Nums: nums, Resolve: src.resolve}
	m, err := b.Build(t.Name, t.Graph)
	if err != nil {
		return nil, nil, err
	}
	return m, src, src.unread()
}

// resolve finds the tensor behind a weight: its format, and the path under which it's packed.
func (s *sourceMap) resolve(layer int, p string, dims []int, pos syntax.Pos) (ir.Elem, string, error) {
	if s.ckpt == nil {
		if a, ok := s.text.From[p]; ok {
			p = a.Path
		}
		return ir.Elem(s.text.guess(p)), p, nil
	}
	t := s.find(ir.Put(p, layer))
	if a, ok := s.text.From[p]; t == nil && ok {
		p = a.Path
		t = s.find(ir.Put(p, layer))
	}
	if t == nil {
		return "", p, s.lacks(ir.Put(p, layer), dims, pos)
	}
	if err := fits(t, dims); err != nil {
		return "", p, syntax.Errorf(pos, "%s: tensor %s is %s, the model wants %s", s.ckpt.Path, t.Name, typeOf(t), ir.Of("", dims...))
	}
	if !t.Format.Float() {
		return "", p, syntax.Errorf(pos, "%s: tensor %s holds %s, want numbers that have a value of their own", s.ckpt.Path, t.Name, t.Format.Name)
	}
	s.used[t.Name] = true
	s.tensor[ir.Put(p, layer)] = t
	return ir.Elem(t.Format.Name), p, nil
}

// find seeks a weight as PREFIX PATH.weight, PREFIX PATH.
func (s *sourceMap) find(name string) *weights.Tensor {
	prefixes := s.text.Prefix
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	for _, p := range prefixes {
		for _, suffix := range []string{".weight", ""} {
			if t, ok := s.ckpt.Tensor(p + name + suffix); ok {
				return t
			}
		}
	}
	return nil
}

// fits compares shapes: a matrix may be written with its rows split in axes, [9,64,576] for [576,576].
func fits(t *weights.Tensor, dims []int) error {
	size := 1
	for _, d := range dims {
		size *= d
	}
	if len(dims) == 0 || t.Rows()*t.Cols() != size || t.Cols() != dims[len(dims)-1] {
		return fmt.Errorf("shapes differ")
	}
	return nil
}

func typeOf(t *weights.Tensor) ir.Type { return ir.Of(ir.Elem(t.Format.Name), t.Dims...) }

func (s *sourceMap) lacks(name string, dims []int, pos syntax.Pos) error {
	have := s.ckpt.Tensors()
	var tails []string
	want := name[strings.LastIndexByte(name, '.')+1:]
	dir := name[:len(name)-len(want)]
	for _, h := range have {
		if strings.Contains(h, dir) {
			tails = append(tails, strings.TrimSuffix(h[strings.Index(h, dir)+len(dir):], ".weight"))
		}
	}
	return syntax.Errorf(pos, "%s has no tensor %s%s.weight, which this line wants as %s%s", s.ckpt.Path, firstOr(s.text.Prefix, ""), name,
		ir.Of("", dims...), syntax.DidYouMean(want, tails))
}

func firstOr(list []string, def string) string {
	if len(list) > 0 {
		return list[0]
	}
	return def
}

// guess is the format that the text assumes for a weight; the last glob that matches its path, or its last part, counts.
func (t *Text) guess(p string) string {
	format := "f16"
	for _, f := range t.Format {
		whole, _ := path.Match(f.Glob, p)
		last, _ := path.Match(f.Glob, p[strings.LastIndexByte(p, '.')+1:])
		if whole || last {
			format = f.Format
		}
	}
	return format
}

// unread refuses a checkpoint that holds what the model has no place for: it would run, and be wrong.
func (s *sourceMap) unread() error {
	if s.ckpt == nil {
		return nil
	}
	var left []string
	for _, n := range s.ckpt.Tensors() {
		if !s.used[n] && !s.skipped(n) {
			left = append(left, n)
		}
	}
	if len(left) == 0 {
		return nil
	}
	t, _ := s.ckpt.Tensor(left[0])
	more := ""
	if len(left) > 1 {
		more = fmt.Sprintf(" and %d more", len(left)-1)
	}
	return fmt.Errorf("%s: the model %s reads no tensor %s (%s)%s: it's another model's checkpoint, or name it under weights: skip",
		s.ckpt.Path, s.text.Name, left[0], typeOf(t), more)
}

func (s *sourceMap) skipped(name string) bool {
	for _, g := range s.text.Skip {
		if ok, _ := path.Match(g, name); ok {
			return true
		}
	}
	return false
}

// names lists the weights found, sorted: for tests and reports.
func (s *sourceMap) names() []string { return slices.Sorted(maps.Keys(s.tensor)) }
