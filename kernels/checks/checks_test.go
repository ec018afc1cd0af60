package checks

import (
	"reflect"
	"strings"
	"testing"
)

var (
	run = Run{"simulated gfx1100", "2026-11-24", "0be00db"}
	one = Check{"0123456789ab", "norm_rotate<64, r1em05, 2, 8>", Shape(5, 8, 62), "9f3c00aa12345678", 1.2e-14, 1e-7, run}
)

func TestWriteRead(t *testing.T) {
	other, later := one, one
	other.Inst, other.NMSE = "norm_rotate<128, r1em05, 1, 1>", 3e-9
	later.Inst, later.Date = "add_norm<64>", "2026-11-25"
	out, err := Write([]Check{later, one, other})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(out)
	if err != nil || !reflect.DeepEqual(got, []Check{other, one, later}) {
		t.Fatalf("%v, %v, of\n%s", got, err, out)
	}
	if n := strings.Count(string(out), "run\ts"); n != 2 {
		t.Errorf("%d runs, want 2:\n%s", n, out)
	}
	newer := one
	newer.NMSE = 5e-8
	if got := Update(got, []Check{newer}); len(got) != 3 || got[0].NMSE != 5e-8 {
		t.Errorf("updated: %v", got)
	}
	if _, err := Write([]Check{one, one}); err == nil {
		t.Error("a check that is there twice was written")
	}
	if got, err := Read(nil); err != nil || got != nil {
		t.Errorf("a file that isn't there yet is %v, %v", got, err)
	}
}

// TestFind: a check is of its source alone, and the worst of others stands for an instance that wasn't run itself.
func TestFind(t *testing.T) {
	a, b := one, one
	a.Inst, a.NMSE = "norm_rotate<1>", 1e-12
	b.Source, b.NMSE = "ba9876543210", 1e-8
	list := []Check{one, a, b}
	for _, c := range []struct {
		source, inst string
		want         float64
	}{{one.Source, one.Inst, one.NMSE}, {one.Source, a.Inst, a.NMSE}, {one.Source, "norm_rotate<2>", a.NMSE}, {b.Source, one.Inst, b.NMSE}, {"00112233aabb", one.Inst, -1}} {
		got, ok := Find(list, c.source, c.inst)
		if ok != (c.want >= 0) || ok && got.NMSE != c.want {
			t.Errorf("%s, %s: %v %v, want %g", c.source, c.inst, got, ok, c.want)
		}
	}
}

func TestDrift(t *testing.T) {
	for _, c := range [][4]float64{{1e-7, 1e-8, Floor, 10}, {1e-11, 0, Floor, 1}, {0, 1e-8, Floor, 0.01}, {1e-8, 3e-16, Floor, 100}, {9e-8, 1e-13, StateFloor, 1}} {
		if got := Drift(c[0], c[1], c[2]); got < c[3]*0.999 || got > c[3]*1.001 {
			t.Errorf("from %g to %g is a drift of %g, want %g", c[1], c[0], got, c[3])
		}
	}
}

func TestBad(t *testing.T) {
	good, err := Write([]Check{one})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"1.2e-14", "1.20e-14", "line 5: not as it's written"},
		{"1.2e-14", "NaN", "line 5: an NMSE of NaN"},
		{"1.2e-14", "1.2e-05", "isn't one of a check that was passed"},
		{"0123456789ab", "0123456789AB", "want 12 hex digits"},
		{"5/8@62", "9/8@62", "want live rows/rows@position"},
		{"2026-11-24", "24.11.2026", "line 4: date"},
		{"gfx1100", "gfx\x1b[31m", "printable"},
		{"\t1e-07", "", "line 5: 5 fields, want"},
		{"1e-07\n", "1e-07", "line 5: not as it's written"},
		{"run\tsimulated gfx1100\t2026-11-24\t0be00db\n", "", `field ""`},
	} {
		src := strings.Replace(string(good), c[0], c[1], 1)
		if src == string(good) {
			t.Fatalf("%q isn't there", c[0])
		}
		if _, err := Read([]byte(src)); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("with %q: %v, want %q", c[1], err, c[2])
		}
	}
	if _, err := Read(make([]byte, MaxBytes+1)); err == nil {
		t.Error("a file beyond the bound was read")
	}
}

func TestRecord(t *testing.T) {
	steps := []Step{
		{Inst: "norm_rotate<2048, r1em05, 1, 1>", Rule: "norm_rotate", Twin: "rmsnorm rotate", Source: one.Source, Check: &one},
		{Inst: "add_norm<64>", Rule: "add_norm", Twin: "add rmsnorm", Source: "ba9876543210", Why: "no run on sm_90 is recorded"},
	}
	out, err := WriteRecord(steps)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRecord(out); err != nil || !reflect.DeepEqual(got, steps) {
		t.Fatalf("%v, %v, of\n%s", got, err, out)
	}
	if Recorded(steps, "add_norm<64>", "norm_rotate") != nil || Recorded(steps, "add_norm<64>", "add_norm") != &steps[1] {
		t.Error("a step is found by its instance and its rule")
	}
	text := string(out)
	for from, want := range map[string]string{
		"not checked: ": "want not checked", "e-14": "isn't one of a check", "\tadd rmsnorm": "4 fields",
	} {
		if _, err := ReadRecord([]byte(strings.Replace(text, from, "", 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %q: %v, want %q", from, err, want)
		}
	}
	if _, err := WriteRecord([]Step{steps[0], steps[0]}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a step that is there twice: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	out, _ := Write([]Check{one})
	f.Add(out)
	record, _ := WriteRecord([]Step{{Inst: one.Inst, Rule: "norm_rotate", Twin: "rmsnorm rotate", Source: one.Source, Check: &one}})
	f.Add(record)
	f.Fuzz(func(t *testing.T, src []byte) {
		if steps, err := ReadRecord(src); err == nil {
			if _, err := WriteRecord(steps); err != nil {
				t.Fatalf("a record was read and can't be written: %v", err)
			}
		}
		if list, err := Read(src); err == nil && len(src) > 0 {
			if out, err := Write(list); err != nil || string(out) != string(src) {
				t.Fatalf("a table was read and isn't written alike: %v", err)
			}
		}
	})
}
