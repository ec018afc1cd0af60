package sim

import "math"

// VOP3P: two values of 16 bits in a register. op_sel says for each source which half the low result reads, op_sel_hi
// which one the high result reads; neg_lo and neg_hi negate them.

// pick takes, of a packed source, the half for the low or high result.
func (in *inst) pick(x uint32, k int, high, float bool) uint32 {
	sel, neg := in.mod.sel, in.mod.negLo
	if high {
		sel, neg = in.mod.selHi, in.mod.negHi
	}
	if sel>>k&1 != 0 {
		x >>= 16
	}
	x &= 0xffff
	if float && neg>>k&1 != 0 {
		x ^= 0x8000
	}
	return x
}

func (in *inst) pickPoison(x *value, k int, high bool) uint32 {
	sel := in.mod.sel
	if high {
		sel = in.mod.selHi
	}
	if sel>>k&1 != 0 {
		return x.hi
	}
	return x.lo
}

func defPacked(name string, n int, float bool, f, sat func(a, b, c uint32) uint32) {
	kind := byte('P')
	if float {
		kind = 'p'
	}
	sig := []byte{'i', kind, kind, kind}[:n+1]
	special(name, string(sig), func(w *wave, in *inst) {
		g := f
		if in.mod.clamp && sat != nil {
			g = sat
		}
		w.packed(in, n, float, g)
	}).accum = name == "v_pk_fmac_f16"
}

func (w *wave) packed(in *inst, n int, float bool, f func(a, b, c uint32) uint32) {
	x := [3]value{{v: &zeroes}, {v: &zeroes}, {v: &zeroes}}
	var lo, hi uint32
	for k := range n {
		x[k] = w.fetch(in, k, in.op.sig[k+1])
		lo |= in.pickPoison(&x[k], k, false)
		hi |= in.pickPoison(&x[k], k, true)
	}
	m := w.exec()
	d := &w.v[in.d.reg]
	for i := range d {
		if m>>i&1 == 0 {
			continue
		}
		var r [2]uint32
		for h := range 2 {
			high := h == 1
			a, b, c := in.pick(x[0].v[i], 0, high, float), in.pick(x[1].v[i], 1, high, float), in.pick(x[2].v[i], 2, high, float)
			if float && w.flushH {
				a, b, c = flush16(a), flush16(b), flush16(c)
			}
			v := f(a, b, c)
			if float && w.flushH {
				v = flush16(v)
			}
			if float && in.mod.clamp {
				v = uint32(halfOf(clamp01(float64(half(v)))))
			}
			r[h] = v & 0xffff
		}
		d[i] = r[0] | r[1]<<16
	}
	w.mark(in.d.reg, m, lo, hi)
}

func init() {
	float := func(name string, n int, f func(a, b, c float64) float64) {
		defPacked(name, n, true, func(a, b, c uint32) uint32 {
			return uint32(halfOf(f(float64(half(a)), float64(half(b)), float64(half(c)))))
		}, nil)
	}
	float("v_pk_add_f16", 2, func(a, b, _ float64) float64 { return a + b })
	float("v_pk_mul_f16", 2, func(a, b, _ float64) float64 { return a * b })
	float("v_pk_fma_f16", 3, fmaOdd)
	float("v_pk_fmac_f16", 3, fmaOdd)
	float("v_pk_min_f16", 2, func(a, b, _ float64) float64 { return minimum(a, b) })
	float("v_pk_max_f16", 2, func(a, b, _ float64) float64 { return maximum(a, b) })
	for short, name := range map[string]string{
		"v_pk_mad_u16": "v_mad_u16", "v_pk_mad_i16": "v_mad_i16", "v_pk_mul_lo_u16": "v_mul_lo_u16", "v_pk_add_u16": "v_add_nc_u16", "v_pk_add_i16": "v_add_nc_i16",
		"v_pk_sub_u16": "v_sub_nc_u16", "v_pk_sub_i16": "v_sub_nc_i16", "v_pk_lshlrev_b16": "v_lshlrev_b16", "v_pk_lshrrev_b16": "v_lshrrev_b16",
		"v_pk_ashrrev_i16": "v_ashrrev_i16", "v_pk_max_i16": "v_max_i16", "v_pk_min_i16": "v_min_i16", "v_pk_max_u16": "v_max_u16", "v_pk_min_u16": "v_min_u16",
	} {
		n := 2
		if len(short) == len("v_pk_mad_u16") && short[5:8] == "mad" {
			n = 3
		}
		v := shortOps()[name]
		defPacked(short, n, false, v.lane, v.sat)
	}
	special("v_fma_mix_f32", "fxxx", func(w *wave, in *inst) { w.mix(in) })
	special("v_fma_mixlo_f16", "hxxx", func(w *wave, in *inst) { w.mix(in) })
	special("v_fma_mixhi_f16", "hxxx", func(w *wave, in *inst) { w.mix(in) })
}

// shortOps gives vops once its 16-bit integers are there, in whatever order the files' inits run.
func shortOps() map[string]*valu {
	if vops["v_mad_u16"] == nil {
		shorts()
	}
	return vops
}

// mix is fma in float32 of sources that are float32, or where op_sel_hi says so, the half that op_sel names.
func (w *wave) mix(in *inst) {
	var x [3]value
	var bad uint32
	for k := range x {
		x[k] = w.bits(&in.src[k], k)
		if in.mod.selHi>>k&1 != 0 {
			bad |= in.pickPoison(&value{nil, x[k].lo, x[k].hi}, k, false)
		} else {
			bad |= x[k].any()
		}
	}
	get := func(k, i int) float32 {
		v := f32(x[k].v[i])
		if in.mod.selHi>>k&1 != 0 {
			b := x[k].v[i]
			if in.mod.sel>>k&1 != 0 {
				b >>= 16
			}
			v = half(b & 0xffff)
		}
		if in.src[k].abs {
			v = float32(math.Abs(float64(v)))
		}
		if in.src[k].neg {
			v = -v
		}
		return v
	}
	m := w.exec()
	out := &w.out
	short := in.op.sig[0] == 'h'
	for i := range out {
		if m>>i&1 == 0 {
			continue
		}
		v := fmaOdd(float64(get(0, i)), float64(get(1, i)), float64(get(2, i)))
		if in.mod.clamp {
			v = clamp01(v)
		}
		if short {
			out[i] = uint32(halfOf(float64(float32(v))))
		} else {
			out[i] = u32(float32(v))
		}
	}
	d := in.d
	if short {
		d.half = 1
		if in.name == "v_fma_mixhi_f16" {
			d.half = 2
		}
	}
	w.store(&d, in.op.sig[0], out, m, bad, bad)
}
