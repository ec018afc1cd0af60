package times

import (
	"reflect"
	"strings"
	"testing"
)

var one = Time{Key{"matmul<BF16, 2048, 512, 1, 8>", Shape(1, 1, 0), 32}, 4.25, 0.125, "2026-11-23", "NVIDIA H100", "0be00db"}

func TestWriteRead(t *testing.T) {
	two, three := one, one
	two.Grid, three.Inst = 200, "attend_kv<1> | matmul<2>"
	out, err := Write([]Time{two, one, three})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(out)
	if err != nil || !reflect.DeepEqual(got, []Time{three, one, two}) {
		t.Fatalf("%v, %v, of\n%s", got, err, out)
	}
	if s := one.String(); s != "measured 2026-11-23 on NVIDIA H100" {
		t.Errorf("a time says that it's %s", s)
	}
	newer := one
	newer.Median = 3
	out, err = Write(Update(got, []Time{newer}))
	if err != nil || strings.Count(string(out), "\n") != 5 || !strings.Contains(string(out), "\t3.000\t") {
		t.Errorf("updated: %v\n%s", err, out)
	}
	if _, err := Write([]Time{one, one}); err == nil {
		t.Error("a key that is there twice was written")
	}
}

func TestBad(t *testing.T) {
	line := strings.TrimSuffix(one.line(), "\n")
	for text, want := range map[string]string{
		"a\tb\n": "line 1: 2 fields, want 8",
		"#\n" + strings.Replace(line, "4.250", "NaN", 1) + "\n":        "line 2: NaN µs",
		strings.Replace(line, "4.250", "4.25", 1) + "\n":               "not as it's written",
		strings.Replace(line, "4.250", "0.000", 1) + "\n":              "0 µs",
		strings.Replace(line, "\t32\t", "\t0\t", 1) + "\n":             "a grid of 0 blocks",
		strings.Replace(line, "2026-11-23", "23.11.2026", 1) + "\n":    "want it as 2026-11-23",
		strings.Replace(line, "NVIDIA H100", "a\x1b[31m", 1) + "\n":    "printable",
		line + "\n" + line + "\n":                                      "line 2: matmul<BF16, 2048, 512, 1, 8> isn't in order",
		line:                                                           "no end",
		strings.Replace(line, "\t32\t", "\t99999999999999999999\t", 1): "want a number of blocks",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(make([]byte, MaxBytes+1)); err == nil {
		t.Error("a file beyond the bound was read")
	}
}

func FuzzRead(f *testing.F) {
	out, _ := Write([]Time{one})
	f.Add(out)
	f.Fuzz(func(t *testing.T, src []byte) {
		list, err := Read(src)
		if err != nil {
			return
		}
		out, err := Write(list)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if again, err := Read(out); err != nil || len(again) != len(list) {
			t.Fatalf("%d times became %d: %v", len(list), len(again), err)
		}
	})
}
