package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Format says how numbers are stored. Formats are comparable with ==.
//
// A row of a tensor is a sequence of blocks along its last dimension; a block
// holds Block values in Bytes bytes, little endian.
type Format struct {
	Name  string
	Block int // values a block
	Bytes int // bytes a block
	*codec
}

// A codec is the part of a format's table row that isn't a plain number.
type codec struct {
	// decode gives the float32 values of whole blocks; nil if the numbers are
	// integers that only mean something together with other tensors.
	decode func(dst []float32, src []byte)
	// parts say what a block is made of, in the order of its bytes.
	parts []part
}

// A part is a run of equal elements within a block.
type part struct {
	width int // bytes an element; 0 for nibbles
	count int // elements; for nibbles bytes, of which byte j holds value j (low) and value count+j (high)
}

func plain(width int) []part { return []part{{width, 1}} }

// formats is the table of all that can be stored. Those called q are GGUF's:
// w = d*q (+ m), with f16 d and m. A Q4_0 nibble stands for q-8. i4 and rot
// are the two halves of a packed W4 module (w4.go), a row for each width of
// group that is legal.
var formats = []Format{
	{"f32", 1, 4, &codec{decodeF32, plain(4)}},
	{"f16", 1, 2, &codec{decodeF16, plain(2)}},
	{"bf16", 1, 2, &codec{decodeBF16, plain(2)}},
	{"q4_0", 32, 18, &codec{decodeQ40, []part{{2, 1}, {0, 16}}}},
	{"q4_1", 32, 20, &codec{decodeQ41, []part{{2, 1}, {2, 1}, {0, 16}}}},
	{"q8_0", 32, 34, &codec{decodeQ80, []part{{2, 1}, {1, 32}}}},
	i4(64), i4(128),
	rot(64), rot(128),
	{"i8", 1, 1, &codec{nil, plain(1)}},
	{"u8", 1, 1, &codec{nil, plain(1)}},
	{"i16", 1, 2, &codec{nil, plain(2)}},
	{"i32", 1, 4, &codec{nil, plain(4)}},
	{"i64", 1, 8, &codec{nil, plain(8)}},
}

// FormatByName finds a format by its lower-case name, such as "q4_1".
func FormatByName(name string) (Format, bool) {
	for _, f := range formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// FormatNames lists the formats, in the table's order.
func FormatNames() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	return names
}

func (f Format) String() string { return f.Name }

// Float says whether the stored numbers have values of their own. The integer
// formats hold parts of a packed weight and can't be decoded alone.
func (f Format) Float() bool { return f.codec != nil && f.decode != nil }

// RowBytes is the stored size of a row of cols values, a multiple of Block.
func (f Format) RowBytes(cols int) int { return cols / f.Block * f.Bytes }

// Decode gives the exact float32 values of whole blocks: src holds
// RowBytes(len(dst)) bytes. It is an error if the format has no values of its
// own or if the lengths disagree.
func (f Format) Decode(dst []float32, src []byte) error {
	if !f.Float() {
		return fmt.Errorf("format %s holds integers, not values that can be decoded alone", f.Name)
	}
	if len(dst)%f.Block != 0 || len(src) != f.RowBytes(len(dst)) {
		return fmt.Errorf("format %s: %d bytes for %d values, want whole blocks of %d values in %d bytes", f.Name, len(src), len(dst), f.Block, f.Bytes)
	}
	f.decode(dst, src)
	return nil
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = half(src[2*i:])
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

func decodeQ40(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		d, q, w := half(src), src[2:18], dst[:32]
		for j, b := range q {
			w[j] = d * float32(int(b&15)-8)
			w[j+16] = d * float32(int(b>>4)-8)
		}
	}
}

// d*q is exact in float32 (11 bits times 4), so the sum is rounded once,
// whether or not the machine fuses the two.
func decodeQ41(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[20:] {
		d, m, q, w := half(src), half(src[2:]), src[4:20], dst[:32]
		for j, b := range q {
			w[j] = d*float32(b&15) + m
			w[j+16] = d*float32(b>>4) + m
		}
	}
}

func decodeQ80(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[34:] {
		d, q, w := half(src), src[2:34], dst[:32]
		for j, b := range q {
			w[j] = d * float32(int8(b))
		}
	}
}

// half is the value of an IEEE 754 binary16 number. A subnormal has no hidden
// bit and the exponent of the smallest normal; multiplying by 2^-24 is exact.
func half(b []byte) float32 {
	h := uint32(binary.LittleEndian.Uint16(b))
	sign, exp, frac := h>>15<<31, h>>10&31, h&1023
	switch exp {
	case 0:
		v := float32(frac) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(v))
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
