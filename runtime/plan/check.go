package plan

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Check says, in one line, what keeps the plan from being run: before anything is allocated, and whoever wrote it. After
// it every name resolves, every size and total is within its cap, each bucket runs each layer once (one without logits may
// stop before the last), and no step reads a slot that nothing wrote or that something else has overwritten since. It can't
// say whether a kernel stays within its operands: that is the compiler's word, and its tests'.
func (p *Plan) Check() error {
	if p.folded() {
		u, err := p.Unfold()
		if err != nil {
			return err
		}
		return u.Check()
	}
	for _, check := range []func() error{p.checkHead, p.checkMemory, p.checkBuckets, p.checkArena, p.checkSteps} {
		if err := check(); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
	}
	return nil
}

func (p *Plan) checkHead() error {
	if p.Version != Version {
		return fmt.Errorf("version %d, this program reads %d: compile the model again", p.Version, Version)
	}
	for _, s := range []struct{ what, text string }{
		{"model", p.Model}, {"target", p.Target}, {"device", p.Device}, {"act", p.Act}, {"kv", p.KV},
	} {
		if err := word(s.what, s.text); err != nil {
			return err
		}
	}
	return first(
		within("layers", p.Layers, 0, MaxLayers),
		within("vocab", p.Vocab, 1, MaxVocab),
		within("context", p.Context, 1, MaxContext),
		within("page", p.Page, 1, MaxPage),
		text("fuse", p.Fuse),
	)
}

// checkMemory checks what is allocated besides the arena.
func (p *Plan) checkMemory() error {
	var t total
	for _, w := range p.Weights {
		err := first(word("weight", w.Name), word("type", w.Type), word("layout", w.Layout), text("expr", w.Expr),
			p.checkLayers(w.Name, w.Layers), t.add(Weights, w.Bytes, w.Layers))
		if err != nil {
			return fmt.Errorf("weight %s: %w", strconv.Quote(cut(w.Name)), err)
		}
	}
	for _, s := range p.State {
		err := first(word("state", s.Name), word("type", s.Type), p.checkLayers(s.Name, s.Layers), t.add(States, s.Bytes, s.Layers))
		if err != nil {
			return fmt.Errorf("state %s: %w", strconv.Quote(cut(s.Name)), err)
		}
	}
	for _, c := range p.Cells {
		err := first(word("cell", c.Name), word("type", c.Type), p.checkLayers(c.Name, ""), t.add(Cells, c.Bytes, ""),
			holds(c.Type, p.Act, c.Bytes))
		if err != nil {
			return fmt.Errorf("cell %s: %w", strconv.Quote(cut(c.Name)), err)
		}
	}
	return nil
}

// A total sums up what is allocated, and refuses early.
type total struct {
	names int
	bytes [3]int64
}

func (t *total) add(b Block, bytes int, layers string) error {
	if err := within("bytes", bytes, 1, MaxBlob); err != nil {
		return err
	}
	times := 1
	if layers != "" {
		list, _ := Ranges(layers)
		times = len(list)
	}
	if t.names += times; t.names > MaxNames {
		return fmt.Errorf("more than %d names of cells, weights and states", MaxNames)
	}
	// Within a cap of 2^44 bytes each and 2^10 layers, the product and the sum can't overflow.
	if t.bytes[b] += roundUp(int64(bytes), StateAlign) * int64(times); t.bytes[b] > MaxBlob {
		return fmt.Errorf("%ss of more than %d bytes in all", b, int64(MaxBlob))
	}
	return nil
}

// checkLayers checks the layers of something named: a list, if it has {l} in its name, and otherwise none.
func (p *Plan) checkLayers(name, layers string) error {
	list, err := Ranges(layers)
	switch {
	case err != nil:
		return err
	case strings.Contains(name, "{l+1}") || strings.ContainsAny(strings.ReplaceAll(name, "{l}", ""), "{}"):
		return fmt.Errorf("a name has {l} at most in braces")
	case layers == "" && layered(name):
		return fmt.Errorf("{l} in the name of something that isn't per layer")
	case layers != "" && !layered(name):
		return fmt.Errorf("per layer, but no {l} in its name")
	case layers != "" && list[len(list)-1] >= p.Layers:
		return fmt.Errorf("layers %s of a model that has %d", layers, p.Layers)
	}
	return nil
}

func (p *Plan) checkBuckets() error {
	if len(p.Buckets) == 0 {
		return fmt.Errorf("no buckets")
	}
	seen := map[string]bool{}
	for i := range p.Buckets {
		b := &p.Buckets[i]
		err := first(word("bucket", b.Name), text("tail", b.Tail), within("seqs", b.Seqs, 1, MaxRows), within("rows", b.Rows, 1, MaxRows))
		if err == nil {
			err = within("seqs times rows", b.Seqs*b.Rows, 1, MaxRows)
		}
		if err == nil {
			err = first(within("picks", b.Picks, 0, b.Seqs*b.Rows), p.checkParts(b))
		}
		if err == nil && seen[b.Name] {
			err = fmt.Errorf("named twice")
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", strconv.Quote(cut(b.Name)), err)
		}
		seen[b.Name] = true
	}
	return nil
}

// checkParts wants one loop, in which each layer has one part, or no loop. Where no logits are wanted, the last layers may have none.
func (p *Plan) checkParts(b *Bucket) error {
	if len(b.Parts) == 0 {
		return fmt.Errorf("no parts")
	}
	seen := map[string]bool{}
	of := make([]string, p.Layers)
	loop, steps := -1, 0
	for i, part := range b.Parts {
		if err := word("part", part.Name); err != nil {
			return err
		}
		if seen[part.Name] {
			return fmt.Errorf("two parts %s", part.Name)
		}
		seen[part.Name] = true
		if err := within("steps of part "+part.Name, len(part.Steps), 1, MaxSteps); err != nil {
			return err
		}
		layers, err := Ranges(part.Layers)
		if err != nil {
			return fmt.Errorf("part %s: %w", part.Name, err)
		}
		if part.Layers == "" {
			steps += len(part.Steps)
			continue
		}
		if loop >= 0 && loop != i-1 {
			return fmt.Errorf("part %s: a second loop over the layers", part.Name)
		}
		loop = i
		for _, l := range layers {
			if l >= p.Layers {
				return fmt.Errorf("part %s: layers %s of a model that has %d", part.Name, part.Layers, p.Layers)
			}
			if of[l] != "" {
				return fmt.Errorf("layer %d is in parts %s and %s", l, of[l], part.Name)
			}
			of[l] = part.Name
			steps += len(part.Steps)
		}
	}
	if b.Picks == 0 {
		for len(of) > 0 && of[len(of)-1] == "" {
			of = of[:len(of)-1]
		}
	}
	if l := slices.Index(of, ""); loop >= 0 && l >= 0 {
		return fmt.Errorf("layer %d is in no part", l)
	}
	if c := b.Cost; c.Steps != steps || c.Bytes < 0 || c.Ops < 0 {
		return fmt.Errorf("cost says %d steps, the parts have %d", c.Steps, steps)
	}
	return nil
}

func (p *Plan) checkArena() error {
	parts := map[place]bool{}
	for _, b := range p.Buckets {
		for _, part := range b.Parts {
			parts[place{b.Name, part.Name}] = true
		}
	}
	for _, a := range p.Arena {
		if !parts[place{a.Bucket, a.Part}] {
			return fmt.Errorf("arena of bucket %s, part %s: there is none", strconv.Quote(cut(a.Bucket)), strconv.Quote(cut(a.Part)))
		}
		err := within("slots", len(a.Slots), 0, MaxSlots)
		for _, s := range a.Slots {
			if err == nil {
				err = first(word("slot", s.Name), word("type", s.Type), within("offset", s.Offset, 0, MaxBlob),
					within("bytes", s.Bytes, 1, MaxBlob), holds(s.Type, p.Act, s.Bytes), p.checkLayers(s.Name, ""))
			}
			if err == nil && s.Offset%Align != 0 {
				err = fmt.Errorf("offset %d isn't a multiple of %d", s.Offset, Align)
			}
			if err == nil && s.Offset+s.Bytes > MaxBlob {
				err = fmt.Errorf("ends after %d bytes", int64(MaxBlob))
			}
			if err != nil {
				return fmt.Errorf("bucket %s, part %s, slot %s: %w", a.Bucket, a.Part, strconv.Quote(cut(s.Name)), err)
			}
		}
		if err != nil {
			return fmt.Errorf("bucket %s, part %s: %w", a.Bucket, a.Part, err)
		}
	}
	return nil
}

// sizes are the bytes of the elements that need no table of formats.
var sizes = map[string]uint64{"f32": 4, "i32": 4, "u32": 4, "f16": 2, "bf16": 2, "i64": 8, "u64": 8, "i8": 1, "u8": 1}

// holds says whether so many bytes are enough for a type of plain elements. Other types are the kernels' affair.
func holds(typ, act string, bytes int) error {
	elem, dims, _ := strings.Cut(typ, "[")
	if elem == "act" {
		elem = act
	}
	need, ok := sizes[elem]
	if !ok {
		return nil
	}
	if dims == "" {
		dims = "]"
	}
	dims, ok = strings.CutSuffix(dims, "]")
	if !ok {
		return fmt.Errorf("type %s, want something like f32[2,3]", strconv.Quote(cut(typ)))
	}
	for _, d := range strings.Split(dims, ",") {
		if dims == "" {
			break
		}
		n, err := strconv.ParseUint(d, 10, 63)
		if err != nil || n == 0 {
			return fmt.Errorf("type %s, want something like f32[2,3]", strconv.Quote(cut(typ)))
		}
		hi, lo := bits.Mul64(need, n)
		if need = lo; hi != 0 || need > MaxBlob {
			return fmt.Errorf("type %s is more than %d bytes", cut(typ), int64(MaxBlob))
		}
	}
	if uint64(bytes) < need {
		return fmt.Errorf("%d bytes, but %s needs %d", bytes, cut(typ), need)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func within(what string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s is %d, want %d to %d", what, n, low, high)
	}
	return nil
}

// word checks a name or a type: printable, no spaces, not empty.
func word(what, s string) error {
	if s == "" || len(s) > MaxName || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("%s %s, want 1 to %d printable characters without spaces", what, strconv.Quote(cut(s)), MaxName)
	}
	return nil
}

func text(what, s string) error {
	if len(s) > MaxText || strings.ContainsFunc(s, unprintable) {
		return fmt.Errorf("%s %s, want at most %d printable characters", what, strconv.Quote(cut(s)), MaxText)
	}
	return nil
}
