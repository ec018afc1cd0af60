package plan

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	if err := sample().Check(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckRefuses(t *testing.T) {
	layer := func(p *Plan) *Step { return &p.Buckets[0].Parts[1].Steps[0] }
	for _, c := range []struct {
		name  string
		spoil func(*Plan)
		want  string
	}{
		{"version", func(p *Plan) { p.Version = 2 }, "version 2, this program reads 1: compile"},
		{"empty", func(p *Plan) { *p = Plan{Version: 1} }, "model"},
		{"model", func(p *Plan) { p.Model = "a b" }, `model "a b"`},
		{"no act", func(p *Plan) { p.Act = "" }, "act"},
		{"layers", func(p *Plan) { p.Layers = MaxLayers + 1 }, "layers is 1025"},
		{"negative layers", func(p *Plan) { p.Layers = -1 }, "layers is -1"},
		{"vocab", func(p *Plan) { p.Vocab = 0 }, "vocab is 0"},
		{"context", func(p *Plan) { p.Context = MaxContext + 1 }, "context is"},
		{"page", func(p *Plan) { p.Page = 0 }, "page is 0"},
		{"weight without bytes", func(p *Plan) { p.Weights[3].Bytes = 0 }, `weight "norm": bytes is 0`},
		{"huge weight", func(p *Plan) { p.Weights[3].Bytes = MaxBlob + 1 }, "bytes is"},
		{"huge total", func(p *Plan) { p.Weights[1].Bytes = MaxBlob - 1 }, "weights of more than"},
		{"overflowing total", func(p *Plan) {
			for range 600_000 {
				p.Weights = append(p.Weights, Weight{Name: "w", Type: "f32", Layout: "rows", Bytes: MaxBlob})
			}
		}, "weights of more than"},
		{"too many names", func(p *Plan) {
			p.Layers = 1024
			for range 300 {
				p.Weights = append(p.Weights, Weight{Name: "w{l}", Type: "f32", Layout: "rows", Bytes: 4, Layers: "0-1023"})
			}
		}, "more than 262144 names"},
		{"state without bytes", func(p *Plan) { p.State[0].Bytes = -1 }, "bytes is -1"},
		{"cell without bytes", func(p *Plan) { p.Cells[0].Bytes = 0 }, "bytes is 0"},
		{"cell too small", func(p *Plan) { p.Cells[0].Type = "i32[2]" }, "4 bytes, but i32[2] needs 8"},
		{"cell of odd type", func(p *Plan) { p.Cells[0].Type = "i32[2" }, "want something like"},
		{"cell of huge type", func(p *Plan) { p.Cells[0].Type = "i32[4294967296,4294967296]" }, "is more than"},
		{"weight without layout", func(p *Plan) { p.Weights[0].Layout = "" }, "layout"},
		{"layers beyond", func(p *Plan) { p.Weights[1].Layers = "0-2" }, "layers 0-2 of a model that has 2"},
		{"layers unreadable", func(p *Plan) { p.Weights[1].Layers = "0-" }, "no layer"},
		{"layers without {l}", func(p *Plan) { p.Weights[3].Layers = "0-1" }, "no {l} in its name"},
		{"{l} without layers", func(p *Plan) { p.Weights[1].Layers = "" }, "isn't per layer"},
		{"{l+1} in a name", func(p *Plan) { p.Weights[1].Name = "layers.{l+1}.x" }, "{l} at most"},
		{"same weight twice", func(p *Plan) { p.Weights[0].Name = "norm" }, `"norm" is the name of a weight and of a weight`},
		{"same layer twice", func(p *Plan) { p.Weights[0].Name = "layers.1.q_proj" }, `"layers.1.q_proj" is the name of a weight`},
		{"cell and weight", func(p *Plan) { p.Cells[0].Name = "norm" }, "of a cell and of a weight"},
		{"slot and weight", func(p *Plan) { p.Arena[0].Slots[0].Name = "norm" }, "also the name of a weight"},
		{"slot twice", func(p *Plan) { p.Arena[0].Slots[0].Name = "n" }, `two slots "n"`},
		{"no buckets", func(p *Plan) { p.Buckets = nil }, "no buckets"},
		{"bucket twice", func(p *Plan) { p.Buckets = append(p.Buckets, p.Buckets[0]) }, "named twice"},
		{"no seqs", func(p *Plan) { p.Buckets[0].Seqs = 0 }, "seqs is 0"},
		{"too many rows", func(p *Plan) { p.Buckets[0].Seqs, p.Buckets[0].Rows = 1<<20, 2 }, "seqs times rows"},
		{"picks", func(p *Plan) { p.Buckets[0].Picks = 2 }, "picks is 2"},
		{"no parts", func(p *Plan) { p.Buckets[0].Parts = nil }, "no parts"},
		{"part twice", func(p *Plan) { p.Buckets[0].Parts[3].Name = "begin" }, "two parts begin"},
		{"no steps", func(p *Plan) { p.Buckets[0].Parts[3].Steps = nil }, "steps of part end is 0"},
		{"layer twice", func(p *Plan) { p.Buckets[0].Parts[2].Layers = "0-1" }, "layer 0 is in parts layer and layer.end"},
		{"layer missing", func(p *Plan) { p.Buckets[0].Parts[2].Layers = "" }, "layer 1 is in no part"},
		{"layer beyond", func(p *Plan) { p.Buckets[0].Parts[2].Layers = "2" }, "layers 2 of a model that has 2"},
		{"two loops", func(p *Plan) { b := p.Buckets[0].Parts; b[2], b[3] = b[3], b[2] }, "a second loop"},
		{"cost", func(p *Plan) { p.Buckets[0].Cost.Steps = 7 }, "cost says 7 steps, the parts have 8"},
		{"arena of no bucket", func(p *Plan) { p.Arena[0].Bucket = "x" }, "there is none"},
		{"arena twice", func(p *Plan) { p.Arena = append(p.Arena, p.Arena[0]) }, "two arenas"},
		{"slot without bytes", func(p *Plan) { p.Arena[0].Slots[0].Bytes = 0 }, "bytes is 0"},
		{"slot too small", func(p *Plan) { p.Arena[0].Slots[0].Bytes = 64 }, "64 bytes, but act[1,32] needs 128"},
		{"slot askew", func(p *Plan) { p.Arena[0].Slots[1].Offset = 132 }, "isn't a multiple of 64"},
		{"slot far out", func(p *Plan) { p.Arena[0].Slots[1].Offset = MaxBlob }, "ends after"},
		{"negative offset", func(p *Plan) { p.Arena[0].Slots[1].Offset = -64 }, "offset is -64"},
		{"slot per layer", func(p *Plan) { p.Arena[1].Slots[2].Name = "a{l}" }, "isn't per layer"},
		{"grid", func(p *Plan) { layer(p).Grid = 0 }, "grid is 0"},
		{"block", func(p *Plan) { layer(p).Block = 0 }, "block is 0"},
		{"lds", func(p *Plan) { layer(p).LDS = MaxLDS + 1 }, "lds is"},
		{"kernel", func(p *Plan) { layer(p).Kernel = "a-b" }, "no name in C"},
		{"unknown operand", func(p *Plan) { layer(p).In[0] = "x" }, `part layer (layer 0), step 1 "attend": "x" is no cell`},
		{"operand of a later layer", func(p *Plan) { p.Buckets[0].Parts[2].Steps[1].In[2] = "layers.{l+1}.input_layernorm" }, "(layer 1), step 2"},
		{"{l} outside the loop", func(p *Plan) { p.Buckets[0].Parts[0].Steps[1].In[1] = "layers.{l}.input_layernorm" }, "{l} in a part that runs once"},
		{"weight written", func(p *Plan) { layer(p).Out[0] = "layers.{l}.q_proj" }, "is a weight, which can't be in Out"},
		{"state as input", func(p *Plan) { layer(p).In[0] = "layers.{l}.kv" }, "is a state, which can't be in In"},
		{"slot as state", func(p *Plan) { layer(p).State[0] = "a" }, "is a slot, which can't be in State"},
		{"slot of a layer", func(p *Plan) {
			p.Arena[1].Slots[2].Name = "x.0"
			layer(p).Out[0] = "x.{l}"
		}, "which no layer has its own of"},
		{"read before written", func(p *Plan) { layer(p).In[0] = "a" }, `reads slot "a", which holds nothing`},
		{"not carried", func(p *Plan) { p.Arena[1].Slots[0].Offset = 512 }, `reads slot "h", which holds nothing`},
		{"overwritten", func(p *Plan) { p.Arena[1].Slots[2].Offset = 64 }, `reads slot "h", which holds nothing`},
		{"outputs overlap", func(p *Plan) {
			p.Arena[1].Slots = append(p.Arena[1].Slots, Slot{Name: "b", Type: "act[1,32]", Offset: 320, Bytes: 128})
			layer(p).Out = []string{"a", "b"}
		}, `outputs "a" and "b" overlap`},
		{"too many slots", func(p *Plan) { p.Arena[0].Slots = make([]Slot, MaxSlots+1) }, "slots is 1025"},
		{"too many operands", func(p *Plan) { layer(p).In = slices.Repeat([]string{"tokens"}, MaxBinds) }, "launches and operands"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sample()
			c.spoil(p)
			err := p.Check()
			if err == nil {
				t.Fatal("accepted")
			}
			if msg := err.Error(); !strings.Contains(msg, c.want) || strings.Contains(msg, "\n") || !strings.HasPrefix(msg, "plan: ") {
				t.Errorf("got %q, want %q", msg, c.want)
			}
		})
	}
}

// A loop that settles is walked with names alone; a name that only the last layer lacks must still be found.
func TestCheckLaterLayers(t *testing.T) {
	p := sample()
	p.Layers = 6
	p.Weights[1].Layers, p.Weights[2].Layers, p.State[0].Layers = "0-5", "0-5", "0-5"
	b := &p.Buckets[0]
	b.Parts[1].Layers, b.Parts[2].Layers, b.Cost.Steps = "0-4", "5", 16
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	p.Weights[2].Layers = "0-3,5"
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), `(layer 4), step 1 "attend": "layers.{l}.q_proj" is no`) {
		t.Error(err)
	}
}

// What the first layer finds there may be gone for the second.
func TestCheckSecondLayer(t *testing.T) {
	p := sample()
	b := &p.Buckets[0]
	b.Parts[0].Steps[0].Out = []string{"h", "once"}
	b.Parts[1].Layers, b.Parts[1].Steps[1].In[2] = "0-1", "norm"
	b.Parts[1].Steps[0].In[0] = "once"
	b.Parts = append(b.Parts[:2], b.Parts[3])
	once := Slot{Name: "once", Type: "act[1,32]", Offset: 1024, Bytes: 128}
	p.Arena = append(p.Arena[:2], p.Arena[3])
	for i := range 2 {
		p.Arena[i].Slots = append(p.Arena[i].Slots, once)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	p.Arena[1].Slots[2].Offset = once.Offset // where the loop puts a
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), `(layer 1), step 1 "attend": reads slot "once", which holds nothing`) {
		t.Error(err)
	}
}

func TestRanges(t *testing.T) {
	for s, want := range map[string][]int{"": nil, "0": {0}, "0-2": {0, 1, 2}, "0,4-6": {0, 4, 5, 6}, "0-1,3": {0, 1, 3}, "1023": {1023}} {
		got, err := Ranges(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Ranges(%q) = %v, %v", s, got, err)
		}
		if FormatRanges(want) != s {
			t.Errorf("FormatRanges(%v) = %q", want, FormatRanges(want))
		}
	}
	for _, s := range []string{"-", "a", "1-", "-1", "2-1", "1,1", "2,1", "0,1", "0-0", "0-1,2", "01", "+1", " 1", "1,", ",1", "1--2", "1-2-3", "1024", "0-99999999999", strings.Repeat("0,", 5000)} {
		if got, err := Ranges(s); err == nil {
			t.Errorf("Ranges(%q) = %v", s, got)
		}
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"norm", "norm"}, {"layers.{l}.q", "layers.9.q"}, {"layers.{l+1}.q", "layers.10.q"}, {"{l}{l+1}{l}", "9109"}, {"{x}", "{x}"},
	} {
		if got := Name(c.name, 9); got != c.want {
			t.Errorf("Name(%q, 9) = %q, want %q", c.name, got, c.want)
		}
	}
}
