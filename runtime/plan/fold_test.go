package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// twins has two buckets that differ in their last part alone.
func twins() *Plan {
	part := func(name, kernel string) Part {
		return Part{Name: name, Steps: []Step{{Kernel: kernel, Out: []string{"x"}, Grid: 1, Block: 1}}}
	}
	p := &Plan{Buckets: []Bucket{
		{Name: "a", Seqs: 1, Rows: 1, Tail: "argmax", Parts: []Part{part("begin", "k"), part("end", "argmax")}},
		{Name: "b", Seqs: 1, Rows: 1, Tail: "sample", Parts: []Part{part("begin", "k"), part("end", "sample")}},
		{Name: "c", Seqs: 1, Rows: 8, Parts: []Part{part("begin", "k"), part("end", "argmax")}},
	}}
	for _, b := range p.Buckets {
		for _, q := range b.Parts {
			p.Arena = append(p.Arena, Arena{Bucket: b.Name, Part: q.Name, Slots: []Slot{{Name: "x", Type: "f32[1]", Bytes: 64}}})
		}
	}
	return p
}

func TestFold(t *testing.T) {
	p := twins()
	f := p.Fold()
	if b := f.Buckets[1]; b.Base != "a" || len(b.Parts) != 1 || b.Parts[0].Name != "end" {
		t.Errorf("b is %+v, want base a and its own end", b)
	}
	if f.Buckets[2].Base != "" {
		t.Error("c works on other rows, and has a base")
	}
	if len(f.Arena) != 5 {
		t.Errorf("%d arenas, want 5", len(f.Arena))
	}
	u, err := f.Unfold()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(u, p) {
		t.Errorf("unfolded:\n%+v\nwas:\n%+v", u, p)
	}
}

func TestUnfoldRefuses(t *testing.T) {
	for want, breakIt := range map[string]func(p *Plan){
		"want an earlier bucket":      func(p *Plan) { p.Buckets[1].Base = "c" },
		"has the base \"b\"":          func(p *Plan) { p.Buckets[2].Base = "b" },
		"its base \"a\" doesn't have": func(p *Plan) { p.Buckets[1].Parts[0].Name = "tail" },
		"belongs to no part":          func(p *Plan) { p.Arena = append(p.Arena, Arena{Bucket: "b", Part: "nowhere"}) },
	} {
		p := twins().Fold()
		breakIt(p)
		if _, err := p.Unfold(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// alike has parts that begin alike: b and d as a does, c by one step less than it takes, e as b ends.
func alike() *Plan {
	b := Bucket{Name: "x", Seqs: 1, Rows: 1}
	for name, kernels := range map[string]string{"a": "123", "b": "1245", "c": "19", "d": "123", "e": "1246"} {
		part := Part{Name: name}
		for _, k := range kernels {
			part.Steps = append(part.Steps, Step{Kernel: "k" + string(k), Out: []string{"x"}, Grid: 1, Block: 1})
		}
		b.Parts = append(b.Parts, part)
	}
	slices.SortFunc(b.Parts, func(p, q Part) int { return strings.Compare(p.Name, q.Name) })
	return &Plan{Buckets: []Bucket{b}}
}

func TestFoldParts(t *testing.T) {
	p := alike()
	f := p.Fold()
	said := ""
	for _, x := range f.Buckets[0].Parts {
		said += fmt.Sprintf("%s: %d of %q and %d; ", x.Name, x.Shared, x.Base, len(x.Steps))
	}
	if want := `a: 0 of "" and 3; b: 2 of "a" and 2; c: 0 of "" and 2; d: 3 of "a" and 0; e: 2 of "a" and 2; `; said != want {
		t.Errorf("folded: %s\nwant: %s", said, want)
	}
	u, err := f.Unfold()
	if err != nil || !reflect.DeepEqual(u, p) || !reflect.DeepEqual(p, alike()) {
		t.Errorf("unfolded, %v:\n%+v\nwas:\n%+v", err, u, alike())
	}
	for want, breakIt := range map[string]func(b *Bucket){
		`part "b" begins with 4 steps of "a"`:  func(b *Bucket) { b.Parts[1].Shared = 4 },
		`part "b" begins with -1 steps of "a"`: func(b *Bucket) { b.Parts[1].Shared = -1 },
		`part "b" begins with 0 steps of "a"`:  func(b *Bucket) { b.Parts[1].Shared = 0 },
		`part "b" begins with 2 steps of "b"`:  func(b *Bucket) { b.Parts[1].Base = "b" },
		`part "b" begins with 2 steps of "e"`:  func(b *Bucket) { b.Parts[1].Base = "e" },
		`part "b" begins with 2 steps of ""`:   func(b *Bucket) { b.Parts[1].Base = "" },
		"parts have more than 65536 steps in common": func(b *Bucket) {
			b.Parts = []Part{{Name: "a", Steps: make([]Step, MaxSteps)}}
			for i := range 65 {
				b.Parts = append(b.Parts, Part{Name: fmt.Sprint("a", i), Base: "a", Shared: MaxSteps})
			}
		},
	} {
		f := alike().Fold()
		breakIt(&f.Buckets[0])
		for _, err := range []error{f.Check(), second(f.Unfold())} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want %q, got %v", want, err)
			}
		}
	}
}

func second(_ *Plan, err error) error { return err }
