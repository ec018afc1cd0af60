package ir

import (
	"strings"
	"testing"

	"hipc/ir/syntax"
)

// TestTurns: which block each layer takes: in turn, some several times, or as the checkpoint's config lists them.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		turns string
		list  []string
		want  string // of the printed repeat, or the error
	}{
		{"a", nil, `a in "0-6"`},
		{"a, b", nil, `a in "0,2,4,6", b in "1,3,5"`},
		{"a[2], b", nil, `a in "0-1,3-4,6", b in "2,5"`},
		{"a[P-1], b", nil, `a in "0-1,3-4,6", b in "2,5"`},
		{"a[P-3], b", nil, `b in "0-6"`},
		{"a[4000], b", nil, `a in "0-6"`},
		{`a, b in "1-2"`, nil, `a in "0,3-6", b in "1-2"`},
		{"a by kinds {x: a, y: b}", nil, `a in "0-6"`},
		{"a by kinds {x: a, y: b}", []string{"x", "y", "y", "x", "x", "y", "x"}, `a in "0,3-4,6", b in "1-2,5"`},
		{"a by kinds.of {x: a, y: b}", []string{"y", "y", "y", "y", "y", "y", "y", "x"}, `b in "0-6"`},
		{"a by kinds {x: a}", []string{"x", "x", "z", "x", "x", "x", "x"}, "the checkpoint's kinds says z for layer 2, this model has x"},
		{"a by kinds {x: a}", []string{"x", "x"}, "the checkpoint's kinds has 2 entries, want one for each of the 7 layers"},
		{"a[1.5]", nil, "a block takes its turn a whole number of times, not 1.5"},
	} {
		f, err := syntax.Parse("m", "block a(h) = silu(h)\nblock b(h) = sigmoid(h)\nh = embed(token, @e[8, 16])\nrepeat h through layers[7]: "+c.turns+"\nlogits = linear(h, @head[8])\n", syntax.Pos{})
		if err != nil {
			t.Fatal(err)
		}
		b := &Builder{Nums: map[string]float64{"P": 3}, List: func(field string) []string {
			if strings.HasPrefix(field, "kinds") {
				return c.list
			}
			return nil
		}}
		m, err := b.Build("m", f)
		if err != nil {
			if !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.turns, err, c.want)
			}
			continue
		}
		printed := m.String()
		if !strings.Contains(printed, "layers[7]: "+c.want+"\n") {
			t.Errorf("%s: want %s, got\n%s", c.turns, c.want, printed)
		}
		if again := parse(t, printed, &Builder{}).String(); again != printed {
			t.Errorf("%s: printed again:\n%s", c.turns, again)
		}
	}
}

// TestDefaultsAreLeftOut: operands that have their default aren't printed at the end of a call, of a rule's neither.
func TestDefaultsAreLeftOut(t *testing.T) {
	rules, err := syntax.Parse("r", "fuse twist(x, theta, width, factor=1, low=1, high=1, original=0) = exp(rope(x, theta, width, factor, low, high, original))", syntax.Pos{})
	if err != nil {
		t.Fatal(err)
	}
	fused := map[string]*syntax.Decl{"twist": rules.Items[0].Decl}
	text := `block layer(h) {
  a = rope(h, 100, 16)
  b = rope(a, 100, 16, 8)
  c = rope(b, 100, 8, 8, 1, 4, 32)
  d = twist(c, 100, 16)
  e = twist(d, 100, 16, 2)
  f = attend(e, e, e, 0.25, &layers.{l}.kv)
  g = attend(f, f, f, 0.25, 7, &layers.{l}.more)
  return g
}
x = embed(token, @embed:f16[32,2,16])
h = silu(x)
repeat h through layers[1]: layer in "0"
logits = matmul(h, @head:f16[32,32])
`
	text = strings.Replace(text, "x = embed(token, @embed:f16[32,2,16])\nh = silu(x)", "x = embed(token, @embed:f16[32,32])\nh = split(x, [2, 16])", 1)
	if got := parse(t, text, &Builder{Fused: fused}).String(); got != text {
		t.Errorf("got:\n%s\nwant:\n%s", got, text)
	}
}

// TestNormOverAxes: where w has two axes, both are normed at once: as if x were flat.
func TestNormOverAxes(t *testing.T) {
	model := func(q string) *Model {
		return parse(t, "block layer(h) = h + linear("+q+", @o[64])\nh = embed(token, @embed[32, 64])\nrepeat h through layers[1]: layer\nlogits = linear(pick(h), @head[32])\n", &Builder{})
	}
	tokens := []int32{3, 1, 4}
	eval := func(m *Model) []float32 {
		out, err := m.Eval(&World{Weight: randomWeights(1)}, tokens)
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Data
	}
	flat, axes, each := eval(model("rmsnorm(linear(h, @q[64]), @w, 1e-6)")), eval(model("rmsnorm(linear(h, @q[4, 16]), @w[4, 16], 1e-6)")), eval(model("rmsnorm(linear(h, @q[4, 16]), @w, 1e-6)"))
	same := true
	for i := range flat {
		if flat[i] != axes[i] {
			t.Fatalf("value %d is %g, over a flat row %g", i, axes[i], flat[i])
		}
		same = same && flat[i] == each[i]
	}
	if same {
		t.Error("a norm of each head is no different")
	}
}
