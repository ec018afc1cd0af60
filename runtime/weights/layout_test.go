package weights

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// TestPackedRows is the property of layouts: for every format, layout and
// shape, a packed row has the very bytes and bits of the original.
func TestPackedRows(t *testing.T) {
	for _, layout := range LayoutNames() {
		l, _ := LayoutByName(layout)
		for _, f := range formats {
			for _, shape := range [][2]int{{1, 32}, {15, 64}, {16, 32}, {17, 96}, {48, 256}, {3, 0}, {0, 32}} {
				rows, cols := shape[0], shape[1]
				if f.Block > 32 {
					cols = cols / 32 * f.Block
				}
				if f.Block == 1 && cols > 0 {
					cols -= 5 // nothing asks for a whole number of lanes along K
				}
				n := f.RowBytes(cols)
				src := random(rows*n, uint64(rows*1000+cols))
				raw := func(i int) []byte { return src[i*n:][:n] }
				packed := random(l.Bytes(f, rows, cols), 99) // padding must be written too
				if err := l.Pack(packed, f, rows, cols, raw); err != nil {
					t.Fatalf("%s %s %v: %v", layout, f, shape, err)
				}
				row, got, want := make([]byte, n), make([]float32, cols), make([]float32, cols)
				for i := range rows {
					l.Unpack(row, packed, f, rows, cols, i)
					if !bytes.Equal(row, raw(i)) {
						t.Fatalf("%s %s %v: row %d has other bytes", layout, f, shape, i)
					}
					if !f.Float() {
						continue
					}
					f.Decode(want, raw(i))
					l.Row(packed, f, rows, cols, i, got)
					for k := range want {
						if math.Float32bits(got[k]) != math.Float32bits(want[k]) {
							t.Fatalf("%s %s %v: value %d,%d is %v, want %v", layout, f, shape, i, k, got[k], want[k])
						}
					}
				}
				// Groups packed apart are the groups packed together.
				if k := l.Groups(rows); k > 1 {
					tail := make([]byte, (k-1)*l.GroupBytes(f, cols))
					if err := l.PackGroups(tail, f, rows, cols, raw, 1, k); err != nil || !bytes.Equal(tail, packed[l.GroupBytes(f, cols):]) {
						t.Fatalf("%s %s %v: groups 1 to %d differ (%v)", layout, f, shape, k, err)
					}
				}
				// What fills the last group up is zero: as rows of a full weight.
				full := l.Groups(rows) * l.Group
				for i := rows; i < full; i++ {
					l.Unpack(row, packed, f, full, cols, i)
					if !bytes.Equal(row, make([]byte, n)) {
						t.Fatalf("%s %s %v: padding row %d isn't zero", layout, f, shape, i)
					}
				}
			}
		}
	}
}

// TestX16 spells the layout out, byte by byte, apart from the code: kernels are
// written against this.
func TestX16(t *testing.T) {
	l, _ := LayoutByName("x16")
	const rows, cols = 16, 64
	pack := func(name string) (src, packed []byte, n int) {
		f, _ := FormatByName(name)
		n = f.RowBytes(cols)
		src = random(rows*n, 5)
		packed = make([]byte, l.Bytes(f, rows, cols))
		if err := l.Pack(packed, f, rows, cols, func(i int) []byte { return src[i*n:][:n] }); err != nil {
			t.Fatal(err)
		}
		return src, packed, n
	}
	// value k (0 to 31) of a GGUF block's nibbles
	nib := func(q []byte, k int) uint32 {
		if k < 16 {
			return uint32(q[k] & 15)
		}
		return uint32(q[k-16] >> 4)
	}
	for name, head := range map[string]int{"q4_1": 2, "q4_0": 1} { // head: halves before the nibbles
		src, packed, n := pack(name)
		in, out := 2*head+16, 32*head+256
		if len(packed) != 2*out {
			t.Fatalf("%s takes %d bytes, want %d", name, len(packed), 2*out)
		}
		for b := range 2 {
			for r := range rows {
				s, d := src[r*n+b*in:], packed[b*out:]
				for h := range head {
					if [2]byte(s[2*h:]) != [2]byte(d[32*h+2*r:]) {
						t.Fatalf("%s: half %d of row %d, block %d", name, h, r, b)
					}
				}
				for k := 0; k < 32; k += 8 {
					w := binary.LittleEndian.Uint32(d[32*head+64*(k/8)+4*r:])
					for i := range 8 {
						if w>>(4*i)&15 != nib(s[2*head:], k+i) {
							t.Fatalf("%s: value %d of row %d, block %d", name, k+i, r, b)
						}
					}
				}
			}
		}
	}
	src, packed, n := pack("q8_0")
	for b := range 2 {
		for r := range rows {
			s, d := src[r*n+34*b:], packed[544*b:]
			if [2]byte(s) != [2]byte(d[2*r:]) {
				t.Fatalf("q8_0: scale of row %d, block %d", r, b)
			}
			for k := range 32 {
				if s[2+k] != d[32+16*k+r] {
					t.Fatalf("q8_0: value %d of row %d, block %d", k, r, b)
				}
			}
		}
	}
	for name, w := range map[string]int{"f16": 2, "bf16": 2, "f32": 4} {
		src, packed, n := pack(name)
		for r := range rows {
			for k := range cols {
				if !bytes.Equal(src[r*n+w*k:][:w], packed[(16*k+r)*w:][:w]) {
					t.Fatalf("%s: value %d of row %d", name, k, r)
				}
			}
		}
	}
}

func TestPackRefuses(t *testing.T) {
	l, _ := LayoutByName("x16")
	f, _ := FormatByName("q4_1")
	row := func(int) []byte { return make([]byte, 20) }
	for _, c := range []struct {
		dst, rows, cols, from, to int
		raw                       func(int) []byte
		want                      string
	}{
		{320, 16, 31, 0, 1, row, "whole blocks of 32"},
		{319, 16, 32, 0, 1, row, "want 320"},
		{320, 16, 32, 0, 2, row, "within the weight's 1"},
		{320, 16, 32, -1, 1, row, "within the weight's 1"},
		{320, 16, 32, 0, 1, func(int) []byte { return nil }, "row 0 has 0 bytes, want 20"},
	} {
		err := l.PackGroups(make([]byte, c.dst), f, c.rows, c.cols, c.raw, c.from, c.to)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if _, ok := LayoutByName("x17"); ok {
		t.Error("x17 is a layout")
	}
}

func BenchmarkPack(b *testing.B) {
	const rows, cols = 1536, 576
	l, _ := LayoutByName("x16")
	for _, name := range []string{"f32", "f16", "q4_0", "q4_1", "q8_0"} {
		f, _ := FormatByName(name)
		b.Run(name, func(b *testing.B) {
			n := f.RowBytes(cols)
			src, dst := random(rows*n, 1), make([]byte, l.Bytes(f, rows, cols))
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				l.Pack(dst, f, rows, cols, func(i int) []byte { return src[i*n:][:n] })
			}
		})
	}
}
