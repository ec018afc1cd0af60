package weights

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Random makes row i of a weight of which there is none: valid in its format and sane in scale, so that activations
// neither vanish nor overflow, and routers spread their tokens. Equal names, rows and seeds give equal bytes. Vectors,
// which are norms and biases, lie about 1; matrices have a standard deviation of 1/√cols.
func Random(f Format, rows, cols int, name string, i int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, hash(name)+uint64(i)*0x9E3779B97F4A7C15))
	out := make([]byte, f.RowBytes(cols))
	std := float32(1 / math.Sqrt(float64(cols)))
	switch {
	case f.Rotates():
		for b := out; len(b) > 0; b = b[f.Bytes:] {
			randomRotation(b[:f.Bytes], f.Block, r)
		}
	case f.Block == 1:
		for k := range cols {
			x := std * float32(r.NormFloat64())
			if rows == 1 {
				x = 0.5 + r.Float32()
			}
			encodeFloat(out[k*f.Bytes:], f.Bytes, f.Name == "bf16", x)
		}
	default:
		for b := out; len(b) > 0; b = b[f.Bytes:] {
			randomBlock(f, b[:f.Bytes], std, r)
		}
	}
	return out
}

func hash(s string) uint64 { // FNV-1a
	h := uint64(14695981039346656037)
	for _, c := range []byte(s) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// randomBlock fills a quantised block: random codes, whose spread the scale brings to std, and an offset that centres
// them. The offset is what the format's second part means: an f16 (m), or a byte (a zero point).
func randomBlock(f Format, b []byte, std float32, r *rand.Rand) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
	}
	spread := float32(4.6) // of 16 equally likely codes
	if f.parts[len(f.parts)-1].width == 1 {
		spread = 73.9 // of 256
	}
	binary.LittleEndian.PutUint16(b, toHalf(std/spread))
	switch {
	case len(f.parts) == 3:
		binary.LittleEndian.PutUint16(b[2:], toHalf(-7.5*std/spread))
	case len(f.parts) == 4:
		b[2], b[3] = byte(7+r.IntN(2)), 0
	}
}

// randomRotation fills a block of a rotation: pairs that are a permutation in each stage, small angles, scales about 1.
func randomRotation(b []byte, group int, r *rand.Rand) {
	for i := range group {
		put(b[4*i:], 0.8+0.4*r.Float32())
	}
	for s := range Stages {
		st := b[4*group+9*group*s:]
		order := r.Perm(group)
		for t := 0; t < group; t += 2 {
			i, j := order[t], order[t+1]
			sin, cos := math.Sincos(float64(r.Float32()) - 0.5)
			pair(st, group, i, j, float32(cos), float32(sin))
		}
	}
}

func encodeFloat(b []byte, size int, brain bool, x float32) {
	switch {
	case size == 4:
		put(b, x)
	case brain:
		binary.LittleEndian.PutUint16(b, uint16(math.Float32bits(x)>>16))
	default:
		binary.LittleEndian.PutUint16(b, toHalf(x))
	}
}

// toHalf rounds x, whose size is within binary16's normal range or counts as 0, towards zero.
func toHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, exp, frac := uint16(bits>>31<<15), int(bits>>23&255)-127+15, uint16(bits>>13&1023)
	if exp <= 0 {
		return sign
	}
	return sign | uint16(min(exp, 30))<<10 | frac
}
