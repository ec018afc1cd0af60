package ir

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"hipc/ir/syntax"
)

// TestFrequencies holds rope's frequencies against those of transformers (tests/testdata/families/make.py), of every kind
// that the op has. They are equal to the bit but for torch's power, which may be off by an ulp.
func TestFrequencies(t *testing.T) {
	data, err := os.ReadFile("../tests/testdata/families/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Kind                       string
		Theta, Low, High, Original float64
		Width, Ramp                int
		Factor                     any
		Inv                        []float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		factor := Number(1)
		switch f := c.Factor.(type) {
		case float64:
			factor = Number(f)
		case []any:
			factor = &Value{Lit: &Literal{IsList: true}}
			for _, x := range f {
				factor.Lit.List = append(factor.Lit.List, x.(float64))
			}
		}
		b := &Builder{}
		x := &Value{Name: "x", Type: Of(Act, 2, c.Width)}
		b.Start("g", x)
		args := []*Value{x, Number(c.Theta), Number(0), factor, Number(c.Low), Number(c.High), Number(c.Original), Number(float64(c.Ramp)), Number(1)}
		b.Apply(ops["rope"], args, "", syntax.Pos{})
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
		got, off := inverseFrequencies(args), 0
		for i, want := range c.Inv {
			d := int64(math.Float32bits(got[i])) - int64(math.Float32bits(float32(want)))
			if d != 0 {
				off++
			}
			if d < -2 || d > 2 || i >= len(got) {
				t.Errorf("%s, theta %g: frequency %d is %g, transformers has %g", c.Kind, c.Theta, i, got[i], want)
			}
		}
		if len(got) != len(c.Inv) || off > len(got)/8 {
			t.Errorf("%s, theta %g: %d of %d frequencies differ in the last bit", c.Kind, c.Theta, off, len(got))
		}
		t.Logf("%s, theta %g, factor %v: %d of %d differ", c.Kind, c.Theta, c.Factor, off, len(got))
	}
}
