package sim

import (
	"math"
)

// vops is the table of vector instructions that compute lane by lane, by name without encoding.
var vops = map[string]*valu{}

func def(name, sig string, f func(a, b, c uint32) uint32) *valu {
	v := &valu{name: name, sig: sig, lane: f, run: compute}
	vops[name] = v
	return v
}

func defWide(name, sig string, f func(a, b, c uint64) uint64) *valu {
	v := &valu{name: name, sig: sig, wide: f, run: computeWide}
	vops[name] = v
	return v
}

// Functions of float32, of float16 (through float64, rounded once) and of float64.
func def32(name string, n int, f func(a, b, c float32) float32) *valu {
	return def(name, "ffff"[:n+1], func(a, b, c uint32) uint32 { return u32(f(f32(a), f32(b), f32(c))) })
}

func def16(name string, n int, f func(a, b, c float64) float64) *valu {
	return def(name, "hhhh"[:n+1], func(a, b, c uint32) uint32 {
		return uint32(halfOf(f(float64(half(a)), float64(half(b)), float64(half(c)))))
	})
}

func def64(name string, n int, f func(a, b, c float64) float64) *valu {
	return defWide(name, "dddd"[:n+1], func(a, b, c uint64) uint64 { return u64(f(f64(a), f64(b), f64(c))) })
}

func defAll(name string, n int, f func(a, b, c float64) float64) {
	def32(name+"_f32", n, func(a, b, c float32) float32 { return float32(f(float64(a), float64(b), float64(c))) })
	def16(name+"_f16", n, f)
	def64(name+"_f64", n, f)
}

func init() {
	// float32: sums and products are rounded once.
	def32("v_add_f32", 2, func(a, b, _ float32) float32 { return a + b })
	def32("v_sub_f32", 2, func(a, b, _ float32) float32 { return a - b })
	def32("v_subrev_f32", 2, func(a, b, _ float32) float32 { return b - a })
	def32("v_mul_f32", 2, func(a, b, _ float32) float32 { return a * b })
	dx9 := func(a, b float32) float32 {
		if a == 0 || b == 0 {
			return 0
		}
		return a * b
	}
	def32("v_mul_dx9_zero_f32", 2, func(a, b, _ float32) float32 { return dx9(a, b) })
	for _, name := range []string{"v_fma_f32", "v_fmamk_f32", "v_fmaak_f32"} {
		def32(name, 3, fma32)
	}
	def32("v_fmac_f32", 3, fma32).accum = true
	fdx9 := func(a, b, c float32) float32 {
		if a == 0 || b == 0 {
			return c
		}
		return fma32(a, b, c)
	}
	def32("v_fma_dx9_zero_f32", 3, fdx9)
	def32("v_fmac_dx9_zero_f32", 3, fdx9).accum = true

	// float16: what float64 holds exactly, or rounded to odd, is rounded once.
	def16("v_add_f16", 2, func(a, b, _ float64) float64 { return a + b })
	def16("v_sub_f16", 2, func(a, b, _ float64) float64 { return a - b })
	def16("v_subrev_f16", 2, func(a, b, _ float64) float64 { return b - a })
	def16("v_mul_f16", 2, func(a, b, _ float64) float64 { return a * b })
	for _, name := range []string{"v_fma_f16", "v_fmamk_f16", "v_fmaak_f16"} {
		def16(name, 3, fmaOdd)
	}
	def16("v_fmac_f16", 3, fmaOdd).accum = true

	def64("v_add_f64", 2, func(a, b, _ float64) float64 { return a + b })
	def64("v_mul_f64", 2, func(a, b, _ float64) float64 { return a * b })
	def64("v_fma_f64", 3, math.FMA)

	defAll("v_min", 2, func(a, b, _ float64) float64 { return minimum(a, b) })
	defAll("v_max", 2, func(a, b, _ float64) float64 { return maximum(a, b) })
	both := func(name string, f func(a, b, c float64) float64) {
		def32(name+"_f32", 3, func(a, b, c float32) float32 { return float32(f(float64(a), float64(b), float64(c))) })
		def16(name+"_f16", 3, f)
	}
	both("v_min3", func(a, b, c float64) float64 { return minimum(minimum(a, b), c) })
	both("v_max3", func(a, b, c float64) float64 { return maximum(maximum(a, b), c) })
	both("v_minmax", func(a, b, c float64) float64 { return maximum(minimum(a, b), c) })
	both("v_maxmin", func(a, b, c float64) float64 { return minimum(maximum(a, b), c) })
	both("v_med3", func(a, b, c float64) float64 {
		if a != a || b != b || c != c {
			return minimum(minimum(a, b), c)
		}
		return maximum(minimum(a, b), minimum(maximum(a, b), c))
	})
	defAll("v_trunc", 1, func(a, _, _ float64) float64 { return math.Trunc(a) })
	defAll("v_ceil", 1, func(a, _, _ float64) float64 { return math.Ceil(a) })
	defAll("v_floor", 1, func(a, _, _ float64) float64 { return math.Floor(a) })
	defAll("v_rndne", 1, func(a, _, _ float64) float64 { return math.RoundToEven(a) })
	def32("v_fract_f32", 1, func(a, _, _ float32) float32 { return min(a-float32(math.Floor(float64(a))), f32(0x3f7fffff)) })
	def16("v_fract_f16", 1, func(a, _, _ float64) float64 { return min(a-math.Floor(a), 1-1.0/2048) })
	def64("v_fract_f64", 1, func(a, _, _ float64) float64 { return min(a-math.Floor(a), f64(0x3fefffffffffffff)) })

	ldexp := func(a float64, n int32) float64 { return math.Ldexp(a, int(max(min(n, 4096), -4096))) }
	def("v_ldexp_f32", "ffi", func(a, b, _ uint32) uint32 { return u32(float32(ldexp(float64(f32(a)), int32(b)))) })
	def("v_ldexp_f16", "hhs", func(a, b, _ uint32) uint32 { return uint32(halfOf(ldexp(float64(half(a)), int32(int16(b))))) })
	defWide("v_ldexp_f64", "ddi", func(a, b, _ uint64) uint64 { return u64(ldexp(f64(a), int32(b))) })
	frexp := func(a float64) (float64, uint32) {
		if a == 0 || math.IsInf(a, 0) || a != a {
			return a, 0
		}
		m, e := math.Frexp(a)
		return m, uint32(int32(e))
	}
	defAll("v_frexp_mant", 1, func(a, _, _ float64) float64 { m, _ := frexp(a); return m })
	def("v_frexp_exp_i32_f32", "if", func(a, _, _ uint32) uint32 { _, e := frexp(float64(f32(a))); return e })
	def("v_frexp_exp_i16_f16", "sh", func(a, _, _ uint32) uint32 { _, e := frexp(float64(half(a))); return e & 0xffff })
	defWide("v_frexp_exp_i32_f64", "id", func(a, _, _ uint64) uint64 { _, e := frexp(f64(a)); return uint64(e) })

	trans()
	conversions()
	integers()
	shorts()
	longs()
	division()
}

// trans are the functions that the card approximates. Here they are computed in float64 and rounded: the card's last bit
// isn't modelled. Denormals are flushed by those of float32, whatever the mode says.
func trans() {
	fs := []struct {
		name string
		f    func(float64) float64
	}{
		{"v_exp", math.Exp2}, {"v_log", math.Log2}, {"v_rcp", func(x float64) float64 { return 1 / x }},
		{"v_rsq", func(x float64) float64 { return 1 / math.Sqrt(x) }}, {"v_sqrt", math.Sqrt},
		{"v_sin", func(x float64) float64 { return turn(x, math.Sin) }}, {"v_cos", func(x float64) float64 { return turn(x, math.Cos) }},
	}
	for _, t := range fs {
		single := func(a, _, _ uint32) uint32 { return flush32(u32(float32(t.f(float64(f32(flush32(a))))))) }
		def(t.name+"_f32", "ff", single).trans = true
		if t.name == "v_rcp" {
			def("v_rcp_iflag_f32", "ff", single).trans = true
		}
		def16(t.name+"_f16", 1, func(a, _, _ float64) float64 { return t.f(a) }).trans = true
		if t.name == "v_rcp" || t.name == "v_rsq" || t.name == "v_sqrt" {
			def64(t.name+"_f64", 1, func(a, _, _ float64) float64 { return t.f(a) }).trans = true
		}
	}
}

// turn computes f of an angle in turns.
func turn(x float64, f func(float64) float64) float64 {
	if math.IsInf(x, 0) {
		return math.NaN()
	}
	_, x = math.Modf(x)
	return f(2 * math.Pi * x)
}

// division are the three steps with which a compiler divides exactly.
func division() {
	def("v_div_fixup_f32", "ffff", func(q, d, n uint32) uint32 {
		x, y := f32(d), f32(n)
		return u32(float32(fixup(float64(f32(q)), float64(x), float64(y), exponent32(y)-exponent32(x) < -150)))
	})
	def16("v_div_fixup_f16", 3, func(q, d, n float64) float64 { return fixup(q, d, n, false) })
	def64("v_div_fixup_f64", 3, func(q, d, n float64) float64 { return fixup(q, d, n, exponent64(n)-exponent64(d) < -1075) })
	vops["v_div_scale_f32"] = &valu{name: "v_div_scale_f32", sig: "fcfff", run: divScale}
	vops["v_div_scale_f64"] = &valu{name: "v_div_scale_f64", sig: "dcddd", run: divScale64}
	vops["v_div_fmas_f32"] = &valu{name: "v_div_fmas_f32", sig: "ffff", run: divFmas}
	vops["v_div_fmas_f64"] = &valu{name: "v_div_fmas_f64", sig: "dddd", run: divFmas}
}

// fixup mends a quotient q of n by d where the steps before it couldn't get it right; tiny says that it is less than any
// number but 0.
func fixup(q, d, n float64, tiny bool) float64 {
	sign := math.Copysign(1, d) * math.Copysign(1, n)
	switch {
	case n != n:
		return n
	case d != d:
		return d
	case d == 0 && n == 0, math.IsInf(d, 0) && math.IsInf(n, 0):
		return math.NaN()
	case d == 0 || math.IsInf(n, 0):
		return math.Copysign(math.Inf(1), sign)
	case n == 0 || math.IsInf(d, 0) || tiny:
		return math.Copysign(0, sign)
	case q != q: // an overflow on the way
		return math.Copysign(math.Inf(1), sign)
	}
	return math.Copysign(q, sign)
}
