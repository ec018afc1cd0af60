package sim_test

import (
	"math"
	"math/big"
	"math/bits"
	"testing"
)

// Formulas here are written from the instruction set's reference, with other means than the simulator's where there are
// any: math/big for rounding, a search for float16.

func fl(x uint64) float32     { return math.Float32frombits(uint32(x)) }
func bitsOf(x float32) uint64 { return uint64(math.Float32bits(x)) }

// exact rounds a·b+c once, to prec bits of float32 or float64.
func exact(a, b, c float64) *big.Float {
	p := new(big.Float).SetPrec(2400).SetFloat64(a)
	p.Mul(p, new(big.Float).SetFloat64(b))
	return p.Add(p, new(big.Float).SetFloat64(c))
}

func finite(x ...float64) bool {
	for _, v := range x {
		if v != v || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

func fma32(a, b, c float32) float32 {
	if !finite(float64(a), float64(b), float64(c)) || a == 0 || b == 0 {
		return float32(float64(a)*float64(b) + float64(c))
	}
	s := exact(float64(a), float64(b), float64(c))
	if s.Sign() == 0 {
		return a*b + c
	}
	f, _ := s.Float32()
	return f
}

// lo16 and hi16 are a register's float16 halves.
func lo16(x uint64) float64 { return halfAny(uint16(x)) }
func hi16(x uint64) float64 { return halfAny(uint16(x >> 16)) }

func halfAny(h uint16) float64 {
	if h&0x7c00 == 0x7c00 {
		if h&0x3ff != 0 {
			return math.NaN()
		}
		return math.Inf(1 - int(h>>15)*2)
	}
	return half(h)
}

// round16 rounds an exact value to float16, through big only where float64 isn't exact.
func round16(x float64) uint64 {
	if x != x {
		return 0x7e00
	}
	if math.IsInf(x, 1) {
		return 0x7c00
	}
	if math.IsInf(x, -1) {
		return 0xfc00
	}
	return uint64(toHalf(x))
}

// fma16 rounds a·b+c once.
func fma16(a, b, c float64) uint64 {
	if !finite(a, b, c) {
		return round16(a*b + c)
	}
	s := exact(a, b, c)
	f, acc := s.Float64()
	if acc != big.Exact { // break a tie that float64 made
		h := toHalf(f)
		for _, k := range []uint16{h - 1, h, h + 1} {
			if k&0x7fff >= 0x7c00 {
				continue
			}
			d := new(big.Float).Sub(s, big.NewFloat(half(k)))
			e := new(big.Float).Sub(s, big.NewFloat(half(h)))
			if d.Abs(d).Cmp(e.Abs(e)) < 0 {
				h = k
			}
		}
		return uint64(h)
	}
	if f == 0 {
		f = a*b + c
	}
	return round16(f)
}

type two = func(a, b uint64) uint64

func v1(f func(a uint64) uint64) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, i int) (uint64, uint64) { return f(w[i].a), 0 }
}
func v2(f two) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, i int) (uint64, uint64) { return f(w[i].a, w[i].b), 0 }
}
func v3(f func(a, b, c uint64) uint64) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, i int) (uint64, uint64) { return f(w[i].a, w[i].b, w[i].c), 0 }
}
func v4(f func(a, b, c, d uint64) uint64) func([]tuple, int) (uint64, uint64) {
	return func(w []tuple, i int) (uint64, uint64) { return f(w[i].a, w[i].b, w[i].c, w[i].d), 0 }
}
func f1(f func(a float32) float32) func([]tuple, int) (uint64, uint64) {
	return v1(func(a uint64) uint64 { return bitsOf(f(fl(a))) })
}
func f2(f func(a, b float32) float32) func([]tuple, int) (uint64, uint64) {
	return v2(func(a, b uint64) uint64 { return bitsOf(f(fl(a), fl(b))) })
}
func f3(f func(a, b, c float32) float32) func([]tuple, int) (uint64, uint64) {
	return v3(func(a, b, c uint64) uint64 { return bitsOf(f(fl(a), fl(b), fl(c))) })
}
func h2(f func(a, b float64) uint64) func([]tuple, int) (uint64, uint64) {
	return v2(func(a, b uint64) uint64 { return f(lo16(a), lo16(b)) })
}
func d2(f func(a, b float64) float64) func([]tuple, int) (uint64, uint64) {
	return v2(func(a, b uint64) uint64 { return math.Float64bits(f(math.Float64frombits(a), math.Float64frombits(b))) })
}

// min32 and max32: of a number and a NaN the number; -0 is less than +0.
func min32(a, b float32) float32 {
	if a != a {
		return b
	}
	if b != b || a < b || a == b && math.Signbit(float64(a)) {
		return a
	}
	return b
}
func max32(a, b float32) float32 {
	if a != a {
		return b
	}
	if b != b || a > b || a == b && !math.Signbit(float64(a)) {
		return a
	}
	return b
}

func ftz(x float32) float32 {
	if math.Abs(float64(x)) < 0x1p-126 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

func approx(f func(x float64) float64) func([]tuple, int) (uint64, uint64) {
	return f1(func(a float32) float32 { return ftz(float32(f(float64(ftz(a))))) })
}

func clampInt(x float64, lo, hi float64) uint64 {
	if x != x {
		return 0
	}
	return uint64(int64(math.Max(lo, math.Min(hi, math.Trunc(x)))))
}

func floatTests() []opcode {
	sat := func(x float32) float32 {
		if !(x > 0) {
			return 0
		}
		return min(x, 1)
	}
	return []opcode{
		{"v_add_f32 v2, v8, v10", f2(func(a, b float32) float32 { return a + b }), single},
		{"v_add_f32 v2, 1.0, v10", f2(func(a, b float32) float32 { return 1 + b }), single},
		{"v_add_f32 v2, 0x40490fdb, v10", f2(func(a, b float32) float32 { return fl(0x40490fdb) + b }), single},
		{"v_add_f32 v2, -v8, |v10|", f2(func(a, b float32) float32 { return -a + float32(math.Abs(float64(b))) }), single},
		{"v_add_f32 v2, v8, v10 clamp", f2(func(a, b float32) float32 { return sat(a + b) }), single},
		{"v_mul_f32 v2, v8, v10 mul:2", f2(func(a, b float32) float32 { return a * b * 2 }), single},
		{"v_sub_f32 v2, v8, v10", f2(func(a, b float32) float32 { return a - b }), single},
		{"v_subrev_f32 v2, v8, v10", f2(func(a, b float32) float32 { return b - a }), single},
		{"v_mul_f32 v2, v8, v10", f2(func(a, b float32) float32 { return a * b }), single},
		{"v_mul_dx9_zero_f32 v2, v8, v10", f2(func(a, b float32) float32 {
			if a == 0 || b == 0 {
				return 0
			}
			return a * b
		}), single},
		{"v_fma_f32 v2, v8, v10, v12", f3(fma32), single},
		{"v_fma_f32 v2, -v8, v10, |v12|", f3(func(a, b, c float32) float32 { return fma32(-a, b, float32(math.Abs(float64(c)))) }), single},
		{"v_fmac_f32 v2, v8, v10", v4(func(a, b, _, d uint64) uint64 { return bitsOf(fma32(fl(a), fl(b), fl(d))) }), single},
		{"v_fmamk_f32 v2, v8, 0x40490fdb, v10", f2(func(a, b float32) float32 { return fma32(a, fl(0x40490fdb), b) }), single},
		{"v_fmaak_f32 v2, v8, v10, 0x40490fdb", f2(func(a, b float32) float32 { return fma32(a, b, fl(0x40490fdb)) }), single},
		{"v_min_f32 v2, v8, v10", f2(min32), single},
		{"v_max_f32 v2, v8, v10", f2(max32), single},
		{"v_min3_f32 v2, v8, v10, v12", f3(func(a, b, c float32) float32 { return min32(min32(a, b), c) }), single},
		{"v_max3_f32 v2, v8, v10, v12", f3(func(a, b, c float32) float32 { return max32(max32(a, b), c) }), single},
		{"v_minmax_f32 v2, v8, v10, v12", f3(func(a, b, c float32) float32 { return max32(min32(a, b), c) }), single},
		{"v_maxmin_f32 v2, v8, v10, v12", f3(func(a, b, c float32) float32 { return min32(max32(a, b), c) }), single},
		{"v_med3_f32 v2, v8, v10, v12", f3(func(a, b, c float32) float32 {
			if a != a || b != b || c != c {
				return min32(min32(a, b), c)
			}
			switch m := max32(max32(a, b), c); bitsOf(m) {
			case bitsOf(a):
				return max32(b, c)
			case bitsOf(b):
				return max32(a, c)
			}
			return max32(a, b)
		}), single},
		{"v_trunc_f32 v2, v8", f1(func(a float32) float32 { return float32(math.Trunc(float64(a))) }), single},
		{"v_ceil_f32 v2, v8", f1(func(a float32) float32 { return float32(math.Ceil(float64(a))) }), single},
		{"v_floor_f32 v2, v8", f1(func(a float32) float32 { return float32(math.Floor(float64(a))) }), single},
		{"v_rndne_f32 v2, v8", f1(func(a float32) float32 { return float32(math.RoundToEven(float64(a))) }), single},
		{"v_ldexp_f32 v2, v8, v10", v2(func(a, b uint64) uint64 {
			return bitsOf(float32(math.Ldexp(float64(fl(a)), int(min(max(int32(b), -2000), 2000)))))
		}), single},
		{"v_frexp_mant_f32 v2, v8", f1(func(a float32) float32 { m, _ := math.Frexp(float64(a)); return float32(m) }), single},
		{"v_frexp_exp_i32_f32 v2, v8", v1(func(a uint64) uint64 {
			if x := float64(fl(a)); finite(x) {
				_, e := math.Frexp(x)
				return uint64(e)
			}
			return 0
		}), word},
		{"v_exp_f32 v2, v8", approx(func(x float64) float64 { return math.Pow(2, x) }), close32},
		{"v_log_f32 v2, v8", approx(math.Log2), close32},
		{"v_rcp_f32 v2, v8", approx(func(x float64) float64 { return 1 / x }), close32},
		{"v_rsq_f32 v2, v8", approx(func(x float64) float64 { return 1 / math.Sqrt(x) }), close32},
		{"v_sqrt_f32 v2, v8", approx(math.Sqrt), close32},
		{"v_fract_f32 v12, v8 ; v_sin_f32 v2, v12 ; v_cos_f32 v3, v12 ; v_mul_f32 v2, v2, v2 ; v_fmac_f32 v2, v3, v3 ; v_rndne_f32 v2, v2", f1(func(a float32) float32 {
			if !finite(float64(a)) {
				return float32(math.NaN())
			}
			return 1
		}), single},
		{"v_cvt_f32_i32 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(int32(a))) }), single},
		{"v_cvt_f32_u32 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(uint32(a))) }), single},
		{"v_cvt_i32_f32 v2, v8", v1(func(a uint64) uint64 { return clampInt(float64(fl(a)), math.MinInt32, math.MaxInt32) }), word},
		{"v_cvt_u32_f32 v2, v8", v1(func(a uint64) uint64 { return clampInt(float64(fl(a)), 0, math.MaxUint32) }), word},
		{"v_cvt_floor_i32_f32 v2, v8", v1(func(a uint64) uint64 { return clampInt(math.Floor(float64(fl(a))), math.MinInt32, math.MaxInt32) }), word},
		{"v_cvt_nearest_i32_f32 v2, v8", v1(func(a uint64) uint64 {
			return clampInt(math.Floor(float64(fl(a))+0.5), math.MinInt32, math.MaxInt32)
		}), word},
		{"v_cvt_f32_ubyte0 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(uint8(a))) }), word},
		{"v_cvt_f32_ubyte1 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(uint8(a >> 8))) }), word},
		{"v_cvt_f32_ubyte2 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(uint8(a >> 16))) }), word},
		{"v_cvt_f32_ubyte3 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(uint8(a >> 24))) }), word},
		{"v_cvt_off_f32_i4 v2, v8", v1(func(a uint64) uint64 { return bitsOf(float32(int8(a<<4)>>4) / 16) }), word},
		{"v_cvt_f32_f16 v2, v8.h", v1(func(a uint64) uint64 { return bitsOf(float32(hi16(a))) }), single},
		{"v_cvt_f16_f32 v2.l, v8", v1(func(a uint64) uint64 { return round16(float64(fl(a))) }), low},
		{"v_cvt_pk_rtz_f16_f32 v2, v8, v10", v2(func(a, b uint64) uint64 { return towardZero(fl(a)) | towardZero(fl(b))<<16 }), word},
		{"v_cvt_pk_u8_f32 v2, v8, 2, v12", v3(func(a, _, c uint64) uint64 {
			return c&0xff00ffff | clampInt(math.RoundToEven(float64(fl(a))), 0, 255)<<16
		}), word},
		{"v_cvt_pk_i16_f32 v2, v8, v10", v2(func(a, b uint64) uint64 {
			return clampInt(float64(fl(a)), -32768, 32767)&0xffff | clampInt(float64(fl(b)), -32768, 32767)<<16
		}), word},
		{"v_div_scale_f32 v4, s20, v10, v10, v8 ; v_div_scale_f32 v5, vcc_lo, v8, v10, v8 ; v_rcp_f32 v6, v4 ; v_fma_f32 v7, -v4, v6, 1.0 ; v_fmac_f32 v6, v7, v6 ; v_mul_f32 v7, v5, v6 ; " +
			"v_fma_f32 v16, -v4, v7, v5 ; v_fmac_f32 v7, v16, v6 ; v_fma_f32 v4, -v4, v7, v5 ; v_div_fmas_f32 v4, v4, v6, v7 ; v_div_fixup_f32 v2, v4, v10, v8",
			f2(func(a, b float32) float32 { return a / b }), single},
		{"v_add_f64 v[2:3], v[8:9], v[10:11]", d2(func(a, b float64) float64 { return a + b }), double},
		{"v_add_f64 v[2:3], v[8:9], -v[10:11]", d2(func(a, b float64) float64 { return a - b }), double},
		{"v_mul_f64 v[2:3], v[8:9], 0.5", d2(func(a, _ float64) float64 { return a * 0.5 }), double},
		{"v_fma_f64 v[2:3], v[8:9], v[10:11], v[12:13]", v3(func(a, b, c uint64) uint64 {
			return math.Float64bits(math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)))
		}), double},
		{"v_cvt_f64_f32 v[2:3], v8", v1(func(a uint64) uint64 { return math.Float64bits(float64(fl(a))) }), double},
		{"v_cvt_f32_f64 v2, v[8:9]", v1(func(a uint64) uint64 { return bitsOf(float32(math.Float64frombits(a))) }), single},
		{"v_cvt_f64_i32 v[2:3], v8", v1(func(a uint64) uint64 { return math.Float64bits(float64(int32(a))) }), double},
		{"v_cvt_i32_f64 v2, v[8:9]", v1(func(a uint64) uint64 { return clampInt(math.Float64frombits(a), math.MinInt32, math.MaxInt32) }), word},
		{"v_floor_f64 v[2:3], v[8:9]", v1(func(a uint64) uint64 { return math.Float64bits(math.Floor(math.Float64frombits(a))) }), double},
	}
}

// towardZero takes the nearest float16 and goes back where it went beyond.
func towardZero(x float32) uint64 {
	h := round16(float64(x))
	if x != x {
		return h | uint64(math.Float32bits(x)>>16&0x8000)
	}
	if finite(float64(x)) && (h&0x7fff == 0x7c00 || math.Abs(half(uint16(h))) > math.Abs(float64(x))) {
		h--
	}
	return h
}

func TestFloatOpcodes(t *testing.T) { testOpcodes(t, "gfx1100", floatTests()) }

func ones(x uint64) uint64 { return uint64(bits.OnesCount64(x)) }
