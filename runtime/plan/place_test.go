package plan

import (
	"fmt"
	"testing"
)

func TestSegments(t *testing.T) {
	p := sample()
	show := func(list []Segment, total int64) string {
		s := ""
		for _, x := range list {
			s += fmt.Sprintf("%s %d @%d+%d\n", x.Name, x.Layer, x.Offset, x.Bytes)
		}
		return s + fmt.Sprintln(total)
	}
	for _, c := range []struct{ what, got, want string }{
		{"weights", show(p.Segments()), `embed_tokens -1 @0+2240
norm -1 @2240+128
layers.0.input_layernorm 0 @2368+128
layers.0.q_proj 0 @2496+640
layers.1.input_layernorm 1 @3136+128
layers.1.q_proj 1 @3264+640
4096
`},
		{"state", show(p.StateSegments()), "layers.0.kv 0 @0+32768\nlayers.1.kv 1 @32768+32768\n65536\n"},
		{"cells", show(p.CellSegments()), "tokens -1 @0+4\nposition -1 @64+4\n128\n"},
		{"totals", fmt.Sprint(p.WeightBytes(), p.StateBytes(), p.CellBytes(), p.ArenaBytes()), "4096 65536 128 704"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, c.got, c.want)
		}
	}
}

// Every segment is aligned, none overlaps another, and the order is that of the layers.
func TestSegmentsDisjoint(t *testing.T) {
	p := sample()
	for i := range p.Weights {
		p.Weights[i].Bytes = 1 + 37*i
	}
	end, layer := int64(0), -1
	list, total := p.Segments()
	for _, s := range list {
		if s.Offset%Align != 0 || s.Offset < end || s.Layer < layer {
			t.Errorf("%+v after %d", s, end)
		}
		end, layer = s.Offset+s.Bytes, s.Layer
	}
	if total%BlockAlign != 0 || total < end {
		t.Errorf("total %d, end %d", total, end)
	}
}

func TestRuns(t *testing.T) {
	p := sample()
	got := ""
	for _, r := range p.Runs(&p.Buckets[0]) {
		got += fmt.Sprint(r.Part.Name, " ", r.Layer, "; ")
	}
	if want := "begin -1; layer 0; layer.end 1; end -1; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFind(t *testing.T) {
	p := sample()
	n, err := p.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		part  string
		layer int
		name  string
		want  string
	}{
		{"begin", -1, "position", "cell 64+4"},
		{"begin", -1, "layers.1.q_proj", "weight 3264+640"},
		{"layer", 0, "layers.{l+1}.input_layernorm", "weight 3136+128"},
		{"layer.end", 1, "layers.{l}.kv", "state 32768+32768"},
		{"layer", 0, "a", "slot 256+128"},
		{"end", -1, "a", "none"},
	} {
		got := "none"
		if o, ok := n.Find("decode_1", c.part, c.layer, c.name); ok {
			got = fmt.Sprintf("%s %d+%d", o.Block, o.Offset, o.Bytes)
		}
		if got != c.want {
			t.Errorf("%s %d %s: %s, want %s", c.part, c.layer, c.name, got, c.want)
		}
	}
}

// TestRunsShort: a bucket without logits may end before the last layers, another one may not, and none may leave out one in between.
func TestRunsShort(t *testing.T) {
	p := sample()
	b := &p.Buckets[0]
	b.Picks, b.Tail, b.Parts, b.Cost.Steps, p.Arena = 0, "", b.Parts[:2], 4, p.Arena[:2]
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	if runs := p.Runs(b); len(runs) != 2 || runs[0].Part.Name != "begin" || runs[1].Layer != 0 {
		t.Errorf("runs %v, want begin and layer 0", runs)
	}
	b.Parts[1].Layers = "1"
	if err := p.Check(); err == nil || err.Error() != `plan: bucket "decode_1": layer 0 is in no part` {
		t.Errorf("layer 0 is left out: %v", err)
	}
	b.Parts[1].Layers, b.Picks = "0", 1
	if err := p.Check(); err == nil || err.Error() != `plan: bucket "decode_1": layer 1 is in no part` {
		t.Errorf("layer 1 is left out before logits: %v", err)
	}
}
