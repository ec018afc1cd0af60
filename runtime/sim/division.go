package sim

import "math"

func exponent32(x float32) int { return int(u32(x) >> 23 & 0xff) }

func denormal32(x float32) bool { return u32(x)&0x7f800000 == 0 && u32(x)&0x7fffffff != 0 }

// scale32 scales s, which is the denominator d or the numerator n, so that no step of the division leaves the range; post
// says that the quotient has to be scaled back.
func scale32(s, d, n float32) (r float32, post bool) {
	up := func(x float32) float32 { return float32(math.Ldexp(float64(x), 64)) }
	inverse := denormal32(float32(1 / float64(d)))
	quotient := denormal32(float32(float64(n) / float64(d)))
	switch {
	case n == 0 || d == 0:
		return float32(math.NaN()), false
	case exponent32(n)-exponent32(d) >= 96:
		if s == d {
			return up(s), true
		}
		return s, true
	case denormal32(d):
		return up(s), false
	case inverse && quotient:
		if s == d {
			return float32(math.Ldexp(float64(s), -64)), true
		}
		return s, true
	case inverse:
		return float32(math.Ldexp(float64(s), -64)), false
	case quotient:
		if s == n {
			return up(s), true
		}
		return s, true
	case exponent32(n) <= 23:
		return up(s), false
	}
	return s, false
}

func exponent64(x float64) int { return int(u64(x) >> 52 & 0x7ff) }

func denormal64(x float64) bool { return exponent64(x) == 0 && x != 0 }

func scale64(s, d, n float64) (r float64, post bool) {
	up := func(x float64) float64 { return math.Ldexp(x, 128) }
	inverse, quotient := denormal64(1/d), denormal64(n/d)
	switch {
	case n == 0 || d == 0:
		return math.NaN(), false
	case exponent64(n)-exponent64(d) >= 768:
		if s == d {
			return up(s), true
		}
		return s, true
	case denormal64(d):
		return up(s), false
	case inverse && quotient:
		if s == d {
			return math.Ldexp(s, -128), true
		}
		return s, true
	case inverse:
		return math.Ldexp(s, -128), false
	case quotient:
		if s == n {
			return up(s), true
		}
		return s, true
	case exponent64(n) <= 53:
		return up(s), false
	}
	return s, false
}

func divScale(w *wave, in *inst) {
	a, b, c := w.fetch(in, 0, 'f'), w.fetch(in, 1, 'f'), w.fetch(in, 2, 'f')
	m := w.exec()
	var flags uint32
	for i := range w.out {
		if m>>i&1 == 0 {
			continue
		}
		r, post := scale32(f32(a.v[i]), f32(b.v[i]), f32(c.v[i]))
		w.out[i] = u32(r)
		if post {
			flags |= 1 << i
		}
	}
	bad := a.any() | b.any() | c.any()
	w.put(in, &w.out, m, bad, bad)
	w.putS(&in.sd, 1, uint64(flags), uint64(bad&m))
}

func divScale64(w *wave, in *inst) {
	a, pa := w.fetch64(in, 0, 'd')
	b, pb := w.fetch64(in, 1, 'd')
	c, pc := w.fetch64(in, 2, 'd')
	m, bad := w.exec(), pa|pb|pc
	var flags uint32
	for i := range lanes {
		if m>>i&1 == 0 {
			continue
		}
		r, post := scale64(f64(a[i]), f64(b[i]), f64(c[i]))
		w.v[in.d.reg][i], w.v[in.d.reg+1][i] = uint32(u64(r)), uint32(u64(r)>>32)
		if post {
			flags |= 1 << i
		}
	}
	w.mark(in.d.reg, m, bad, bad)
	w.mark(in.d.reg+1, m, bad, bad)
	w.putS(&in.sd, 1, uint64(flags), uint64(bad&m))
}

// divFmas is fma, scaled back in the lanes that VCC names.
func divFmas(w *wave, in *inst) {
	m, post := w.exec(), w.s[regVCC]
	if in.op.sig == "dddd" {
		a, pa := w.fetch64(in, 0, 'd')
		b, pb := w.fetch64(in, 1, 'd')
		c, pc := w.fetch64(in, 2, 'd')
		bad := pa | pb | pc | w.sp[regVCC]
		for i := range lanes {
			if m>>i&1 == 0 {
				continue
			}
			r := math.FMA(f64(a[i]), f64(b[i]), f64(c[i]))
			if post>>i&1 != 0 {
				r = math.Ldexp(r, back(exponent64(f64(c[i])) > 1023, 128))
			}
			w.v[in.d.reg][i], w.v[in.d.reg+1][i] = uint32(u64(r)), uint32(u64(r)>>32)
		}
		w.mark(in.d.reg, m, bad, bad)
		w.mark(in.d.reg+1, m, bad, bad)
		return
	}
	a, b, c := w.fetch(in, 0, 'f'), w.fetch(in, 1, 'f'), w.fetch(in, 2, 'f')
	bad := a.any() | b.any() | c.any() | w.sp[regVCC]
	for i := range w.out {
		if m>>i&1 == 0 {
			continue
		}
		r := fmaOdd(float64(f32(a.v[i])), float64(f32(b.v[i])), float64(f32(c.v[i])))
		if post>>i&1 != 0 {
			r = math.Ldexp(r, back(exponent32(f32(c.v[i])) > 127, 64))
		}
		w.out[i] = u32(float32(r))
	}
	w.put(in, &w.out, m, bad, bad)
}

func back(large bool, n int) int {
	if large {
		return n
	}
	return -n
}
