package sim

import "math"

// Dot products. Those of floats are summed in float64 and rounded once: the card's order and intermediate roundings
// aren't published, so its last bit isn't modelled. Those of integers are exact.
func init() {
	f16x2 := func(a, b uint32) float64 {
		return float64(half(a&0xffff))*float64(half(b&0xffff)) + float64(half(a>>16))*float64(half(b>>16))
	}
	bf16x2 := func(a, b uint32) float64 {
		return float64(bfloat(a&0xffff))*float64(bfloat(b&0xffff)) + float64(bfloat(a>>16))*float64(bfloat(b>>16))
	}
	single := func(dot func(a, b uint32) float64) func(in *inst, a, b, c uint32) uint32 {
		return func(in *inst, a, b, c uint32) uint32 {
			v := float64(f32(c))
			if in.mod.negLo>>2&1 != 0 {
				v = -v
			}
			if in.mod.negHi>>2&1 != 0 {
				v = math.Abs(v)
			}
			v += dot(a, b)
			if in.mod.clamp {
				v = clamp01(v)
			}
			return u32(float32(v))
		}
	}
	defDot("v_dot2_f32_f16", "fppf", true, single(f16x2))
	defDot("v_dot2acc_f32_f16", "fppf", true, single(f16x2)).accum = true
	defDot("v_dot2_f32_bf16", "fppf", true, single(bf16x2))
	defDot("v_dot2acc_f32_bf16", "fppf", true, single(bf16x2)).accum = true
	defDot("v_dot2_f16_f16", "hpph", true, func(_ *inst, a, b, c uint32) uint32 { return uint32(halfOf(float64(half(c)) + f16x2(a, b))) })
	defDot("v_dot2_bf16_bf16", "bppb", true, func(_ *inst, a, b, c uint32) uint32 {
		return uint32(bfloatOf(float32(float64(bfloat(c)) + bf16x2(a, b))))
	})
	defDot("v_dot4_i32_iu8", "iPPi", false, func(in *inst, a, b, c uint32) uint32 { return in.mixedSum(a, b, c, 8) })
	defDot("v_dot8_i32_iu4", "iPPi", false, func(in *inst, a, b, c uint32) uint32 { return in.mixedSum(a, b, c, 4) })
	unsigned := func(n uint) func(in *inst, a, b, c uint32) uint32 {
		return func(in *inst, a, b, c uint32) uint32 {
			s := int64(c) + products(a, b, n, false, false)
			if in.mod.clamp {
				return satU32(s)
			}
			return uint32(s)
		}
	}
	defDot("v_dot4_u32_u8", "iPPi", false, unsigned(8))
	defDot("v_dot8_u32_u4", "iPPi", false, unsigned(4))
}

// products sums the products of the fields of n bits.
func products(a, b uint32, n uint, signedA, signedB bool) (s int64) {
	for i := uint(0); i < 32; i += n {
		x, y := int32(a<<(32-n-i)), int32(b<<(32-n-i))
		p, q := int64(uint32(x)>>(32-n)), int64(uint32(y)>>(32-n))
		if signedA {
			p = int64(x >> (32 - n))
		}
		if signedB {
			q = int64(y >> (32 - n))
		}
		s += p * q
	}
	return s
}

// mixedSum: neg_lo says which of the sources are signed.
func (in *inst) mixedSum(a, b, c uint32, n uint) uint32 {
	s := int64(int32(c)) + products(a, b, n, in.mod.negLo&1 != 0, in.mod.negLo&2 != 0)
	if in.mod.clamp {
		return satI32(s)
	}
	return uint32(s)
}

func defDot(name, sig string, float bool, f func(in *inst, a, b, c uint32) uint32) *valu {
	v := special(name, sig, func(w *wave, in *inst) {
		a, b, c := w.fetch(in, 0, sig[1]), w.fetch(in, 1, sig[2]), w.fetch(in, 2, sig[3])
		m := w.exec()
		if in.mod.dpp != nil {
			m = w.writes(in)
		}
		out := &w.out
		shaped := float && (in.mod.sel|in.mod.negLo|in.mod.negHi != 0 || in.mod.selHi&3 != 3)
		for i := range out {
			if m>>i&1 == 0 {
				continue
			}
			x, y := a.v[i], b.v[i]
			if shaped {
				x = in.pick(x, 0, false, true) | in.pick(x, 0, true, true)<<16
				y = in.pick(y, 1, false, true) | in.pick(y, 1, true, true)<<16
			}
			out[i] = f(in, x, y, c.v[i])
		}
		bad := a.any() | b.any() | c.any()
		w.store(&in.d, sig[0], out, m, bad, bad)
	})
	v.dot = true
	return v
}
