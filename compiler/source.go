package compiler

import (
	"fmt"
	"strings"

	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// A source gives the stored rows of a weight, in one format.
type source interface {
	format() weights.Format
	shape() (rows, cols int)
	raw(i int) []byte
}

// A stored source is a tensor as it is.
type stored struct{ *weights.Tensor }

func (s stored) format() weights.Format { return s.Format }
func (s stored) shape() (int, int)      { return s.Rows(), s.Cols() }
func (s stored) raw(i int) []byte       { return s.Raw(i) }

// quads are the four-bit weights of a packed module.
type quads struct{ *weights.W4 }

func (s quads) format() weights.Format {
	f, _ := weights.FormatByName(fmt.Sprintf("i4_%d", s.Group))
	return f
}
func (s quads) shape() (int, int) { return s.Rows, s.Cols }
func (s quads) raw(i int) []byte  { return s.Raw(i) }

// turns is the rotation of a packed module.
type turns struct{ *weights.W4 }

func (s turns) format() weights.Format {
	f, _ := weights.FormatByName(fmt.Sprintf("rot_%d", s.Group))
	return f
}
func (s turns) shape() (int, int) { return 1, s.Cols }
func (s turns) raw(int) []byte    { return s.Rotation() }

// A stack is several sources of one format and width, the rows of one after those of the other.
type stack []source

func (s stack) format() weights.Format { return s[0].format() }
func (s stack) shape() (rows, cols int) {
	for _, p := range s {
		r, c := p.shape()
		rows, cols = rows+r, c
	}
	return rows, cols
}

// raw relies on all parts having as many rows as the first: experts do.
func (s stack) raw(i int) []byte {
	rows, _ := s[0].shape()
	return s[i/rows].raw(i % rows)
}

// noise is a weight of --weights random:SEED.
type noise struct {
	f          weights.Format
	rows, cols int
	name       string
	seed       uint64
}

func (s noise) format() weights.Format { return s.f }
func (s noise) shape() (int, int)      { return s.rows, s.cols }
func (s noise) raw(i int) []byte       { return weights.Random(s.f, s.rows, s.cols, s.name, i, s.seed) }

// An Alias says what stands in for a weight that the checkpoint lacks under its own name:
//
//	lm_head: embed_tokens                       another weight, in the published model too
//	lm_head: embed_tokens if absent             another weight, but the published model has one of its own
//	experts.down_proj: experts.{e}.down_proj    one for each index of the weight's first axis
//	a: cat(b, c)                                rows after each other, for each index where {e} stands
//	k_proj: rows(qkv_proj, H*D)                 as many of its rows as the weight has, from this one on
//	…, rot experts.down_weight_                 and, of packed modules, the one rotation that they share
//
// Names are relative to the path that the weight's own name ends.
type Alias struct {
	Parts    []string
	Rot      string
	IfAbsent bool         // without a checkpoint it doesn't hold
	First    *syntax.Expr // of rows(): the first row, an expression over dims
	Pos      syntax.Pos
}

func parseAlias(text string, pos syntax.Pos) (Alias, error) {
	a := Alias{Pos: pos}
	rest := strings.TrimSpace(text)
	rest, a.IfAbsent = strings.CutSuffix(rest, " if absent")
	if inner, ok := strings.CutPrefix(rest, "rows("); ok {
		return parseRows(a, text, inner)
	}
	if inner, ok := strings.CutPrefix(rest, "cat("); ok {
		list, after, ok := strings.Cut(inner, ")")
		if !ok {
			return a, syntax.Errorf(pos, "from: %q lacks its closing )", text)
		}
		a.Parts, rest = strings.Split(list, ","), after
	} else {
		first, after, _ := strings.Cut(rest, ",")
		a.Parts = []string{first}
		if rest = ""; after != "" {
			rest = "," + after
		}
	}
	for i, p := range a.Parts {
		if a.Parts[i] = strings.TrimSpace(p); a.Parts[i] == "" || strings.ContainsAny(a.Parts[i], " ()") {
			return a, syntax.Errorf(pos, "from: %q: want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX", text)
		}
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return a, nil
	}
	rot, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(rest, ",")), "rot ")
	if a.Rot = strings.TrimSpace(rot); !ok || a.Rot == "" {
		return a, syntax.Errorf(pos, "from: %q: want NAME, or cat(NAME, NAME), and perhaps , rot PREFIX", text)
	}
	return a, nil
}

// each says that the alias has a part for every index of the first axis.
func (a Alias) each() bool { return strings.Contains(a.Parts[0], "{e}") }

// alias finds the alias of a weight's path, and what its names are relative to.
func (t *Text) alias(p string) (a Alias, base string, ok bool) {
	for i := 0; i >= 0 && i < len(p); { // the longest key first
		if a, ok := t.From[p[i:]]; ok {
			return a, p[:i], true
		}
		next := strings.IndexByte(p[i:], '.')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return Alias{}, "", false
}

// w4 seeks a packed module under the model's prefixes. rotation is relative like name; empty leaves it out.
func (s *sourceMap) w4(name, rotation string) (*weights.W4, error) {
	for _, p := range s.text.prefixes() {
		if _, ok := s.ckpt.Tensor(p + name + ".qweight"); !ok {
			continue
		}
		group, err := s.group()
		if err != nil {
			return nil, err
		}
		if rotation != "" {
			rotation = p + rotation
		}
		w, _, err := s.ckpt.W4(p+name, rotation, group)
		if err != nil {
			return nil, err
		}
		for _, n := range w.Tensors {
			s.used[n] = true
		}
		if _, ok := s.ckpt.Tensor(p + name + ".weight"); ok {
			s.used[p+name+".weight"] = true // an export that wasn't stripped: the packed form counts
		}
		return w, nil
	}
	return nil, nil
}

// group is the width of a packed checkpoint's groups.
func (s *sourceMap) group() (int, error) {
	v, _ := s.ckpt.Config().Lookup("quantization_config")
	q, _ := v.(map[string]any)
	c := weights.Config(q)
	if m := fmt.Sprint(q["quant_method"]); q == nil || m != "paroquant" {
		return 0, fmt.Errorf("%s holds packed modules (.qweight), but its config has no quantization_config with quant_method paroquant", s.ckpt.Path)
	}
	for _, want := range []struct {
		field string
		value float64
	}{{"bits", 4}, {"krot", weights.Stages}} {
		if x, ok := number(c, want.field); ok && x != want.value {
			return 0, fmt.Errorf("%s: quantization_config.%s is %v, want %v", s.ckpt.Path, want.field, x, want.value)
		}
	}
	x, ok := number(c, "group_size")
	if _, known := weights.FormatByName(fmt.Sprintf("i4_%d", int(x))); !ok || !known || x != float64(int(x)) {
		return 0, fmt.Errorf("%s: quantization_config.group_size is %v, want 64 or 128", s.ckpt.Path, q["group_size"])
	}
	return int(x), nil
}

// packed makes the sources of a packed module's members.
func (s *sourceMap) packed(name string, w *weights.W4, rows source) ir.Elem {
	s.tensor[name+".q4"] = rows
	s.tensor[name+".rot"] = turns{w}
	return ir.Elem(fmt.Sprintf("w4_paro_%d", w.Group))
}

// stack finds the parts of an alias with several, or with {e}: all packed alike, or all in one plain format.
func (s *sourceMap) stack(name, base string, a Alias, dims []int, pos syntax.Pos) (ir.Elem, error) {
	n := 1
	if a.each() {
		n = dims[0]
	}
	var all stack
	var first *weights.W4
	for e := range n {
		for _, part := range a.Parts {
			p := base + strings.ReplaceAll(part, "{e}", fmt.Sprint(e))
			rotation := ""
			if len(all) == 0 && a.Rot != "" {
				rotation = base + a.Rot
			}
			w, err := s.w4(p, rotation)
			switch {
			case err != nil:
				return "", syntax.Errorf(pos, "%v", err)
			case w != nil:
				if first == nil {
					first = w
				}
				all = append(all, quads{w})
				continue
			}
			t := s.find(p)
			if t == nil {
				return "", s.lacks(p, nil, pos)
			}
			s.used[t.Name] = true
			all = append(all, stored{t})
		}
	}
	rows, cols := all[0].shape()
	for _, p := range all {
		if r, c := p.shape(); r != rows || c != cols || p.format() != all[0].format() {
			return "", syntax.Errorf(pos, "%s: the parts of %s differ: %s[%d,%d] and %s[%d,%d]", s.ckpt.Path, name, all[0].format(), rows, cols, p.format(), r, c)
		}
	}
	if err := s.fits(name, all, dims, pos); err != nil {
		return "", err
	}
	if first != nil {
		if first.Rotation() == nil {
			return "", syntax.Errorf(pos, "%s: the packed parts of %s have no rotation: want \"rot PREFIX\" in from", s.ckpt.Path, name)
		}
		return s.packed(name, first, all), nil
	}
	s.tensor[name] = all
	return ir.Elem(all[0].format().Name), nil
}
