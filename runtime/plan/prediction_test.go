package plan

import (
	"reflect"
	"strings"
	"testing"
)

func prediction() *Prediction {
	return &Prediction{Target: "gfx1100", Machine: "960 GB/s",
		Steps: []StepCost{{"decode_1", "layer", 3, "swiglu_1", 17124, 18000, "predicted", "memory", 1000, 12599296, 12607488, "swiglu", "swiglu<WG> where T == 1", [2]int{}},
			{Bucket: "decode_1", Part: "end", Kernel: "matmul_1 | matmul_1", From: "measured 2026-11-23 on NVIDIA H100"},
			{Bucket: "decode_1", Part: "end", Kernel: "matmul_2", Time: 5, From: "measured 2026-11-23 on NVIDIA H100", Predicted: [2]int{7, 9}}},
		Rules: []RuleUse{{"decode_1", "layer", "swiglu", "fired", 1, 14065, ""}, {"decode_1", "layer", "rope_append", "lacking", 1, 0, "no kernel of x"}}}
}

func TestPrediction(t *testing.T) {
	p := prediction()
	out, err := p.Write()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ReadPrediction(out)
	if err != nil || !reflect.DeepEqual(p, q) {
		t.Fatalf("%v, %v of\n%s", q, err, out)
	}
	if s, ok := q.Of("decode_1", "layer", 3, "swiglu_1"); !ok || s.Time != 17124 {
		t.Errorf("a step that is there: %v %v", s, ok)
	}
	if _, ok := q.Of("decode_1", "layer", 3, "swiglu_2"); ok {
		t.Error("a step has the cost of another kernel")
	}
	p.Steps[0].Row = "a\tb"
	if _, err := p.Write(); err == nil {
		t.Error("a field with a tab was written")
	}
	text := string(out)
	for _, c := range []struct{ text, want string }{
		{"", "names no machine"},
		{"stp\n", `prediction.tsv:1: "stp", want machine, step or rule`},
		{strings.Replace(text, "\t17124\t", "\t-5\t", 1), "is no whole number"},
		{strings.Replace(text, "\t17124\t", "\t", 1), "is no whole number"},
		{strings.Replace(text, "960 GB/s", "960\x1b", 1), "no printable text"},
		{text + "machine\ta\tb\tc\n", "1 fields too many"},
		{text + "machine\ta\n", "too short"},
		{strings.Repeat("#\n", maxLines+1), "more than"},
		{strings.Repeat("#", maxPrediction+1), "at most"},
	} {
		if _, err := ReadPrediction([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzPrediction(f *testing.F) {
	out, _ := prediction().Write()
	f.Add(out)
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := ReadPrediction(src)
		if err != nil {
			return
		}
		out, err := p.Write()
		if err != nil {
			t.Fatal(err)
		}
		if q, err := ReadPrediction(out); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("read, written and read again it's another: %v", err)
		}
	})
}
