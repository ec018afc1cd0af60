package sim

// WMMA multiplies two matrices of 16 by 16 in one wave. Lane l%16 holds row l%16 of A, and column l%16 of B, 16 values
// each; lanes 16 to 31 must hold the same again. C and D have 8 registers: register i of lane l is row 2i + l/16, column
// l%16. Float sums are taken in float64 and rounded once: the card's order isn't published.
func init() {
	for _, t := range []struct {
		name string
		kind byte // of A and B
		out  byte
		regs int // of A and B each
	}{
		{"v_wmma_f32_16x16x16_f16", 'h', 'f', 8}, {"v_wmma_f32_16x16x16_bf16", 'b', 'f', 8}, {"v_wmma_f16_16x16x16_f16", 'h', 'h', 8},
		{"v_wmma_bf16_16x16x16_bf16", 'b', 'b', 8}, {"v_wmma_i32_16x16x16_iu8", '8', 'i', 4}, {"v_wmma_i32_16x16x16_iu4", '4', 'i', 2},
	} {
		special(t.name, "WWWW", func(w *wave, in *inst) { w.wmma(in, t.kind, t.out, t.regs) })
	}
}

// A tile is A's rows or B's columns, as integers or floats.
type tile struct {
	f   [16][16]float64
	i   [16][16]int64
	bad uint32 // rows or columns with anything poisoned
}

func (w *wave) tile(in *inst, k int, kind byte, regs int) *tile {
	o := &in.src[k]
	t := &tile{}
	for r := range regs {
		v := &w.v[o.reg+r]
		bad := w.bad(o.reg + r)
		t.bad |= bad | bad>>16
		for l := range 16 {
			if v[l] != v[l+16] && (bad>>l|bad>>(l+16))&1 == 0 {
				w.faultAt(l+16, "matrix %c: v%d is %#08x in lane %d and %#08x in lane %d: both halves of a wave must hold the same", 'A'+k, o.reg+r, v[l], l, v[l+16], l+16)
				return t
			}
			x := v[l]
			switch kind {
			case 'h', 'b':
				for h := range 2 {
					b := x >> (16 * h) & 0xffff
					neg := in.mod.negLo
					if h == 1 {
						neg = in.mod.negHi
					}
					if neg>>k&1 != 0 {
						b ^= 0x8000
					}
					if kind == 'h' {
						t.f[l][2*r+h] = float64(half(b))
					} else {
						t.f[l][2*r+h] = float64(bfloat(b))
					}
				}
			default:
				n := int(kind - '0')
				for j := range 32 / n {
					b := int32(x << (32 - n - n*j))
					if in.mod.negLo>>k&1 != 0 {
						t.i[l][32/n*r+j] = int64(b >> (32 - n))
					} else {
						t.i[l][32/n*r+j] = int64(uint32(b) >> (32 - n))
					}
				}
			}
		}
	}
	t.bad &= 0xffff
	return t
}

func (w *wave) wmma(in *inst, kind, out byte, regs int) {
	if w.exec() != all {
		w.fault("exec is %#08x: all lanes of a wave must take part in a matrix product", w.exec())
		return
	}
	a, b := w.tile(in, 0, kind, regs), w.tile(in, 1, kind, regs)
	if w.err != nil {
		return
	}
	var d [8]reg
	var lo, hi [8]uint32
	for i := range 8 {
		c, plo, phi := w.accumulator(in, i)
		for l := range lanes {
			m, n := 2*i+l/16, l%16
			var bad uint32
			if a.bad>>m&1 != 0 || b.bad>>n&1 != 0 {
				bad = 1
			}
			d[i][l] = c[l]
			switch out {
			case 'i':
				s := int64(int32(c[l]))
				for j := range 16 {
					s += a.i[m][j] * b.i[n][j]
				}
				d[i][l] = uint32(s)
				if in.mod.clamp {
					d[i][l] = satI32(s)
				}
			case 'f':
				s := in.third(float64(f32(c[l])))
				for j := range 16 {
					s += a.f[m][j] * b.f[n][j]
				}
				d[i][l] = u32(float32(s))
			default:
				high := in.mod.sel>>2&1 != 0
				d[i][l] = w.shortSum(in, c[l], a.f[m][:], b.f[n][:], out, high)
				if high {
					phi |= bad << l
				} else {
					plo |= bad << l
				}
				bad = 0
			}
			plo |= bad << l
			phi |= bad << l
		}
		lo[i], hi[i] = plo, phi
	}
	for i := range 8 {
		w.v[in.d.reg+i] = d[i]
		w.plo[in.d.reg+i], w.phi[in.d.reg+i] = lo[i], hi[i]
	}
}

func (in *inst) third(c float64) float64 {
	if in.mod.negHi>>2&1 != 0 && c < 0 { // abs
		c = -c
	}
	if in.mod.negLo>>2&1 != 0 {
		c = -c
	}
	return c
}

// shortSum is one element where C and D have 16 bits, in the half of the register that op_sel names; the other stays.
func (w *wave) shortSum(in *inst, c uint32, a, b []float64, out byte, high bool) uint32 {
	shift := 0
	if high {
		shift = 16
	}
	x := c >> shift & 0xffff
	var s float64
	if out == 'h' {
		s = in.third(float64(half(x)))
	} else {
		s = in.third(float64(bfloat(x)))
	}
	for j := range a {
		s += a[j] * b[j]
	}
	var r uint32
	if out == 'h' {
		r = uint32(halfOf(s))
	} else {
		r = uint32(bfloatOf(float32(s)))
	}
	return c&^(0xffff<<shift) | r<<shift
}

// accumulator is register i of C, or the constant that C is.
func (w *wave) accumulator(in *inst, i int) (*reg, uint32, uint32) {
	o := &in.src[2]
	if o.place == vgpr {
		return &w.v[o.reg+i], w.plo[o.reg+i], w.phi[o.reg+i]
	}
	return o.fill, 0, 0
}
