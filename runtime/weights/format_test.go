package weights

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestHalf holds all 65,536 halves against the definition.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1-2*float64(h>>15), h>>10&31, float64(h&1023)
		want := sign * math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = sign * math.Ldexp(frac/1024, -14)
		case exp == 31 && frac == 0:
			want = math.Inf(int(sign))
		case exp == 31:
			want = math.NaN()
		}
		got := float64(half(binary.LittleEndian.AppendUint16(nil, uint16(h))))
		if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("half %#04x is %v, want %v", h, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, name := range FormatNames() {
		f, ok := FormatByName(name)
		if !ok || f.Name != name {
			t.Errorf("format %q isn't found", name)
		}
		if g, _ := FormatByName(name); g != f {
			t.Errorf("format %q isn't equal to itself", name)
		}
		n := 0
		for _, p := range f.parts {
			n += max(p.width, 1) * p.count
		}
		if n != f.Bytes {
			t.Errorf("format %q: parts of %d bytes, want %d", name, n, f.Bytes)
		}
		if want := strings.Contains("f32 f16 bf16 q4_0 q4_1 q8_0 i4_64 i4_128", name); f.Float() != want {
			t.Errorf("format %q: Float is %v", name, f.Float())
		}
	}
	if _, ok := FormatByName("q6_k"); ok {
		t.Error("q6_k is a format")
	}
	if (Format{}).Float() {
		t.Error("no format has values")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		format     string
		dst, src   int
		wantInside string
	}{
		{"i32", 1, 4, "integers"},
		{"q4_1", 31, 20, "whole blocks of 32"},
		{"q4_1", 32, 19, "whole blocks of 32"},
		{"f16", 2, 2, "2 bytes for 2 values"},
	} {
		f, _ := FormatByName(c.format)
		err := f.Decode(make([]float32, c.dst), make([]byte, c.src))
		if err == nil || !strings.Contains(err.Error(), c.wantInside) {
			t.Errorf("%s: error %v, want one with %q", c.format, err, c.wantInside)
		}
	}
}

func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"f16", "q4_1", "q8_0"} {
		f, _ := FormatByName(name)
		b.Run(name, func(b *testing.B) {
			dst, src := make([]float32, 4096), random(f.RowBytes(4096), 1)
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				f.Decode(dst, src)
			}
		})
	}
}
