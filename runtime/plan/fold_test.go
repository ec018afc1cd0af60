package plan

import (
	"reflect"
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
