package sim

import "math"

// The scalar floats of gfx11.5.
func init() {
	single := func(name string, n int, f func(a, b float64) float64) {
		sop("s_"+name+"_f32", "111"[:n+1], func(_ *wave, a, b uint64) uint64 {
			return uint64(u32(float32(f(float64(f32(uint32(a))), float64(f32(uint32(b)))))))
		})
	}
	short := func(name string, n int, f func(a, b float64) float64) {
		sop("s_"+name+"_f16", "111"[:n+1], func(_ *wave, a, b uint64) uint64 {
			return uint64(halfOf(f(float64(half(uint32(a)&0xffff)), float64(half(uint32(b)&0xffff)))))
		})
	}
	for _, o := range []struct {
		name string
		n    int
		f    func(a, b float64) float64
	}{
		{"add", 2, func(a, b float64) float64 { return a + b }}, {"sub", 2, func(a, b float64) float64 { return a - b }},
		{"mul", 2, func(a, b float64) float64 { return a * b }}, {"min", 2, minimum}, {"max", 2, maximum},
		{"ceil", 1, func(a, _ float64) float64 { return math.Ceil(a) }}, {"floor", 1, func(a, _ float64) float64 { return math.Floor(a) }},
		{"trunc", 1, func(a, _ float64) float64 { return math.Trunc(a) }}, {"rndne", 1, func(a, _ float64) float64 { return math.RoundToEven(a) }},
	} {
		single(o.name, o.n, o.f)
		short(o.name, o.n, o.f)
	}
	one := func(name string, f func(a uint32) uint32) {
		sop(name, "11", func(_ *wave, a, _ uint64) uint64 { return uint64(f(uint32(a))) })
	}
	one("s_cvt_f32_i32", func(a uint32) uint32 { return u32(float32(int32(a))) })
	one("s_cvt_f32_u32", func(a uint32) uint32 { return u32(float32(a)) })
	one("s_cvt_i32_f32", func(a uint32) uint32 { return toI32(float64(f32(a))) })
	one("s_cvt_u32_f32", func(a uint32) uint32 { return toU32(float64(f32(a))) })
	one("s_cvt_f16_f32", func(a uint32) uint32 { return uint32(halfOf(float64(f32(a)))) })
	one("s_cvt_f32_f16", func(a uint32) uint32 { return u32(half(a & 0xffff)) })
	one("s_cvt_hi_f32_f16", func(a uint32) uint32 { return u32(half(a >> 16)) })
	sop("s_cvt_pk_rtz_f16_f32", "111", func(_ *wave, a, b uint64) uint64 {
		return uint64(halfToward(float64(f32(uint32(a))))) | uint64(halfToward(float64(f32(uint32(b)))))<<16
	})
	// fmac adds to its result; fmaak and fmamk have a constant as third or second source.
	fma := func(name string, accum bool) {
		sops[name] = &scalar{name: name, sig: "1111", accum: accum, run: func(w *wave, in *inst) {
			var v [3]float32
			var bad uint64
			for k := range v {
				a, p := w.getS(&in.src[k], 1)
				v[k], bad = f32(uint32(a)), bad|p
			}
			if bad != 0 {
				bad = ^uint64(0)
			}
			w.putS(&in.d, 1, uint64(u32(fma32(v[0], v[1], v[2]))), bad)
		}}
	}
	fma("s_fmac_f32", true)
	fma("s_fmaak_f32", false)
	fma("s_fmamk_f32", false)
	sops["s_fmac_f16"] = &scalar{name: "s_fmac_f16", sig: "1111", accum: true, run: func(w *wave, in *inst) {
		var v [3]float64
		var bad uint64
		for k := range v {
			a, p := w.getS(&in.src[k], 1)
			v[k], bad = float64(half(uint32(a)&0xffff)), bad|p
		}
		if bad != 0 {
			bad = ^uint64(0)
		}
		w.putS(&in.d, 1, uint64(halfOf(fmaOdd(v[0], v[1], v[2]))), bad)
	}}
}
