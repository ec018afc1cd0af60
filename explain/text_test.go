package explain

import (
	"fmt"
	"strings"
	"testing"

	"hipc/kernels/times"
)

// TestText: the table has each step of the bucket with its figures, the other buckets are a line, and a time that was measured says so.
func TestText(t *testing.T) {
	e, _ := explained(t)
	measured := times.Time{Date: "2026-11-23", Device: "a card"}.String()
	b := &e.Buckets[0]
	b.Steps[0].From, b.From = measured, []string{"predicted", measured}
	var out strings.Builder
	Text(&out, e, "decode_1")
	text := out.String()
	for _, s := range b.Steps {
		found := false
		for l := range strings.Lines(text) {
			f := strings.Fields(l)
			found = found || len(f) > 6 && f[0] == s.Part && f[1] == fmt.Sprint(s.Times) && strings.Contains(l, Label(s.Op)) && strings.Contains(l, fmt.Sprintf("%.1f", float64(s.Time)/1e3)) &&
				strings.Contains(l, s.Bound)
		}
		if !found {
			t.Errorf("%s of %s isn't in the table", s.Op, s.Part)
		}
	}
	for _, want := range []string{
		"decode_1: " + fmt.Sprint(b.Cost.Steps) + " launches, ", "ms predicted and " + measured, "launch, " + measured, "prefill_512: ", " tokens a second\n",
		"tokens a second  after 0  after 1023  after 4095  after 8191", "swiglu makes ", "gfx1151", "sm_90", "KV a token",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if strings.Count(text, "bound by") != 1 {
		t.Error("another bucket's table is there, too")
	}
	out.Reset()
	if err := Text(&out, e, "decode"); err == nil || !strings.Contains(err.Error(), "there are decode_1, ") || out.Len() > 0 {
		t.Errorf("a bucket that isn't there: %v", err)
	}
	if Text(&out, e, "all"); strings.Count(out.String(), "bound by") != len(e.Buckets) {
		t.Error("all buckets aren't there")
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a | a": "a×2", "a | b | b | a": "a | b×2 | a"} {
		if got := Label(in); got != want {
			t.Errorf("%s is called %s, want %s", in, got, want)
		}
	}
}
