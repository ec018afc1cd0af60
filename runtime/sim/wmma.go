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

// A tile is A's rows or B's columns, as floats or integers.
type tile struct {
	f   [16][16]float64
	i   [16][16]int32
	bad uint32 // rows or columns with anything poisoned
}

// read fills a tile from the registers of source k.
func (t *tile) read(w *wave, in *inst, k int, kind byte, regs int) {
	o := &in.src[k]
	t.bad = 0
	for r := range regs {
		v := &w.v[o.reg+r]
		bad := w.bad(o.reg + r)
		t.bad |= (bad | bad>>16) & 0xffff
		for l := range 16 {
			if v[l] != v[l+16] && (bad>>l|bad>>(l+16))&1 == 0 {
				w.faultAt(l+16, "matrix %c: v%d is %#08x in lane %d and %#08x in lane %d: both halves of a wave must hold the same", 'A'+k, o.reg+r, v[l], l, v[l+16], l+16)
				return
			}
			x := v[l]
			switch kind {
			case 'h', 'b':
				x ^= uint32(in.mod.negLo>>k&1)<<15 | uint32(in.mod.negHi>>k&1)<<31
				if kind == 'h' {
					t.f[l][2*r], t.f[l][2*r+1] = float64(half(x&0xffff)), float64(half(x>>16))
				} else {
					t.f[l][2*r], t.f[l][2*r+1] = float64(bfloat(x&0xffff)), float64(f32(x&0xffff0000))
				}
			default:
				n := int(kind - '0')
				for j := range 32 / n {
					b := x << (32 - n - n*j)
					if in.mod.negLo>>k&1 != 0 {
						t.i[l][32/n*r+j] = int32(b) >> (32 - n)
					} else {
						t.i[l][32/n*r+j] = int32(b >> (32 - n))
					}
				}
			}
		}
	}
}

// sum is a row times a column, in four partial sums: all are exact or rounded far below the result's last bit.
func sum(a, b *[16]float64) float64 {
	var s [4]float64
	for j := 0; j < 16; j += 4 {
		s[0] += a[j] * b[j]
		s[1] += a[j+1] * b[j+1]
		s[2] += a[j+2] * b[j+2]
		s[3] += a[j+3] * b[j+3]
	}
	return s[0] + s[1] + (s[2] + s[3])
}

func (w *wave) wmma(in *inst, kind, out byte, regs int) {
	if w.exec() != all {
		w.fault("exec is %#08x: all lanes of a wave must take part in a matrix product", w.exec())
		return
	}
	a, b := &w.tiles[0], &w.tiles[1]
	a.read(w, in, 0, kind, regs)
	b.read(w, in, 1, kind, regs)
	if w.err != nil {
		return
	}
	var d [8]reg
	var lo, hi [8]uint32
	high := in.mod.sel>>2&1 != 0
	for i := range 8 {
		c, plo, phi := w.accumulator(in, i)
		var bad uint32
		for l := range lanes {
			m, n := 2*i+l/16, l%16
			bad |= (a.bad>>m | b.bad>>n) & 1 << l
			switch out {
			case 'i':
				s := int64(int32(c[l]))
				for j, x := range a.i[m] {
					s += int64(x) * int64(b.i[n][j])
				}
				d[i][l] = uint32(s)
				if in.mod.clamp {
					d[i][l] = satI32(s)
				}
			case 'f':
				d[i][l] = u32(float32(in.third(float64(f32(c[l]))) + sum(&a.f[m], &b.f[n])))
			default:
				d[i][l] = in.shortSum(c[l], sum(&a.f[m], &b.f[n]), out, high)
			}
		}
		if out == 'i' || out == 'f' || !high {
			plo |= bad
		}
		if out == 'i' || out == 'f' || high {
			phi |= bad
		}
		if in.src[2].place == fixed && out != 'i' && out != 'f' { // the other half stays what it was
			plo, phi = w.keep(in, i, high, &d[i], plo, phi)
		}
		lo[i], hi[i] = plo, phi
	}
	for i := range 8 {
		w.v[in.d.reg+i] = d[i]
		w.plo[in.d.reg+i], w.phi[in.d.reg+i] = lo[i], hi[i]
	}
}

// keep gives a result of 16 bits the other half of the register that it goes to.
func (w *wave) keep(in *inst, i int, high bool, d *reg, lo, hi uint32) (uint32, uint32) {
	old := &w.v[in.d.reg+i]
	for l := range d {
		if high {
			d[l] = d[l]&0xffff0000 | old[l]&0xffff
		} else {
			d[l] = d[l]&0xffff | old[l]&0xffff0000
		}
	}
	if high {
		return w.plo[in.d.reg+i], hi
	}
	return lo, w.phi[in.d.reg+i]
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
func (in *inst) shortSum(c uint32, s float64, out byte, high bool) uint32 {
	shift := 0
	if high && in.src[2].place == vgpr {
		shift = 16
	}
	x := c >> shift & 0xffff
	var r uint32
	if out == 'h' {
		r = uint32(halfOf(in.third(float64(half(x))) + s))
	} else {
		r = uint32(bfloatOf(float32(in.third(float64(bfloat(x))) + s)))
	}
	if high {
		return c&0xffff | r<<16
	}
	return c&0xffff0000 | r
}

// accumulator is register i of C, or the constant that C is.
func (w *wave) accumulator(in *inst, i int) (*reg, uint32, uint32) {
	o := &in.src[2]
	if o.place == vgpr {
		return &w.v[o.reg+i], w.plo[o.reg+i], w.phi[o.reg+i]
	}
	return o.fill, 0, 0
}
