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
	random *uint64           // --weights random:SEED
	tensor map[string]source // by weight name, the layer's number put in
	used   map[string]bool   // tensors by HF name
	taken  map[string]rows   // of tensors whose rows are several weights, those that are used
	nums   map[string]float64
	asked  map[string]bool // paths as the graph has them
}

// elaborate makes the graph of a model text, with the formats of the checkpoint, or of the text without one.
// context is for how many tokens.
func (t *Text) elaborate(ckpt *weights.Checkpoint, set map[string]string, context int) (*ir.Model, *sourceMap, error) {
	src := &sourceMap{text: t, ckpt: ckpt, tensor: map[string]source{}, used: map[string]bool{}, asked: map[string]bool{}}
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
	nums, lists, err := t.numbers(config, set, context)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range t.Format {
		if _, ok := weights.FormatByName(f.Format); !ok && !ir.Elem(f.Format).Is("w4_paro") {
			return nil, nil, syntax.Errorf(f.Pos, "%s is no format%s", f.Format, syntax.DidYouMean(f.Format, weights.FormatNames()))
		}
	}
	src.nums = nums
	b := &ir.Builder{Nums: nums, Lists: lists, Resolve: src.resolve, List: func(field string) []string { return names(config, field) }}
	m, err := b.Build(t.Name, t.Graph)
	if err != nil {
		return nil, nil, err
	}
	return m, src, src.unread()
}

// resolve finds the tensor behind a weight: its format, and the path under which it's packed.
func (s *sourceMap) resolve(layer int, p string, dims []int, pos syntax.Pos) (ir.Elem, string, error) {
	name := ir.Put(p, layer)
	if s.asked[p] = true; s.ckpt == nil {
		if a, base, ok := s.text.alias(p); ok && len(a.Parts) == 1 && !a.each() && !a.IfAbsent && a.First == nil {
			p = base + a.Parts[0]
		}
		return ir.Elem(s.text.guess(p)), p, nil
	}
	w, err := s.w4(name, name+".")
	if err != nil {
		return "", p, syntax.Errorf(pos, "%v", err)
	}
	if w != nil {
		return s.packed(name, w, quads{w}), p, s.fits(name, quads{w}, dims, pos)
	}
	t := s.find(name)
	if a, base, ok := s.text.alias(p); t == nil && ok {
		if a.First != nil {
			elem, err := s.slice(name, ir.Put(base, layer)+a.Parts[0], a, dims, pos)
			return elem, p, err
		}
		if len(a.Parts) > 1 || a.each() {
			elem, err := s.stack(name, ir.Put(base, layer), a, dims, pos)
			return elem, p, err
		}
		if err := s.tied(name, a.Parts[0], pos); err != nil {
			return "", p, err
		}
		p = base + a.Parts[0]
		return s.again(layer, p, dims, pos)
	}
	if t == nil {
		return "", p, s.lacks(name, dims, pos)
	}
	if !t.Format.Float() {
		return "", p, syntax.Errorf(pos, "%s: tensor %s holds %s, want numbers that have a value of their own", s.ckpt.Path, t.Name, t.Format.Name)
	}
	s.used[t.Name] = true
	s.tensor[name] = stored{t}
	return ir.Elem(t.Format.Name), p, s.fits(name, stored{t}, dims, pos)
}

// again resolves the weight that an alias names; it must be there itself.
func (s *sourceMap) again(layer int, p string, dims []int, pos syntax.Pos) (ir.Elem, string, error) {
	if s.find(ir.Put(p, layer)) == nil {
		return "", p, s.lacks(ir.Put(p, layer), dims, pos)
	}
	return s.resolve(layer, p, dims, pos)
}

// tied refuses to let another weight stand in for one that the checkpoint says is its own: then a file of it is missing. Where it says nothing
// they are tied: that is the default of transformers' PretrainedConfig, and a family whose own default is another (all of ours but Gemma)
// writes the field, whatever it says. A GGUF's config says what its tensors are.
func (s *sourceMap) tied(name, other string, pos syntax.Pos) error {
	text, _ := s.ckpt.Config()["text_config"].(map[string]any)
	top, inner := s.ckpt.Config()["tie_word_embeddings"], text["tie_word_embeddings"]
	if top == true || inner == true || top != false && inner != false {
		return nil
	}
	return syntax.Errorf(pos, "%s has no tensor %s.weight, and its config says tie_word_embeddings: false, so %s can't stand in for it: a file of the checkpoint is missing; fetch it, or write true there if the model was trained with one tensor for both",
		s.ckpt.Path, name, other)
}

// find seeks a weight as PREFIX PATH.weight, PREFIX PATH.
func (s *sourceMap) find(name string) *weights.Tensor {
	for _, p := range s.text.prefixes() {
		for _, suffix := range []string{".weight", ""} {
			if t, ok := s.ckpt.Tensor(p + name + suffix); ok {
				return t
			}
		}
	}
	return nil
}

func (t *Text) prefixes() []string {
	if len(t.Prefix) == 0 {
		return []string{""}
	}
	return t.Prefix
}

// fits compares shapes: a matrix may be written with its rows split in axes, [9,64,576] for [576,576], and a plain vector
// with its only one split, [9,64] for [576].
func (s *sourceMap) fits(name string, src source, dims []int, pos syntax.Pos) error {
	size := 1
	for _, d := range dims {
		size *= d
	}
	rows, cols := src.shape()
	t, plain := src.(stored)
	if len(dims) > 0 && rows*cols == size && (cols == dims[len(dims)-1] || plain && len(t.Dims) == 1) {
		return nil
	}
	have := fmt.Sprintf("%s[%d,%d]", src.format(), rows, cols)
	if plain {
		name, have = t.Name, typeOf(t.Tensor).String()
	}
	return syntax.Errorf(pos, "%s: tensor %s is %s, the model wants %s", s.ckpt.Path, name, have, ir.Of("", dims...))
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
// Packed modules have groups of 128 as published.
func (t *Text) guess(p string) string {
	format := "f16"
	for _, f := range t.Format {
		whole, _ := path.Match(f.Glob, p)
		last, _ := path.Match(f.Glob, p[strings.LastIndexByte(p, '.')+1:])
		if whole || last {
			format = f.Format
		}
	}
	if format == "w4_paro" {
		return "w4_paro_128"
	}
	return format
}

// unread refuses a checkpoint that holds what the model has no place for: it would run, and be wrong.
func (s *sourceMap) unread() error {
	if s.ckpt == nil {
		return nil
	}
	if err := s.partly(); err != nil {
		return err
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

// skips says, a line a glob, what the model's text leaves out of the checkpoint.
func (s *sourceMap) skips() []string {
	var out []string
	for _, g := range s.text.Skip {
		n := 0
		for _, name := range s.ckpt.Tensors() {
			if ok, _ := path.Match(g, name); ok && !s.used[name] {
				n++
			}
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d tensors %s, which this model leaves out", n, g))
		}
	}
	return out
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
