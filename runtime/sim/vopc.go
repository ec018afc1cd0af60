package sim

import (
	"math"
	"strings"
)

// ordering is the six relations that floats and integers share, and for floats the rest: u is true of NaNs.
type relation func(less, equal, unordered bool) bool

var relations = map[string]relation{
	"f": func(l, e, u bool) bool { return false }, "t": func(l, e, u bool) bool { return true },
	"lt": func(l, e, u bool) bool { return l }, "eq": func(l, e, u bool) bool { return e },
	"le": func(l, e, u bool) bool { return l || e }, "gt": func(l, e, u bool) bool { return !l && !e && !u },
	"lg": func(l, e, u bool) bool { return !e && !u }, "ne": func(l, e, u bool) bool { return !e },
	"ge": func(l, e, u bool) bool { return !l && !u }, "o": func(l, e, u bool) bool { return !u },
	"u": func(l, e, u bool) bool { return u }, "nge": func(l, e, u bool) bool { return l || u },
	"nlg": func(l, e, u bool) bool { return e || u }, "ngt": func(l, e, u bool) bool { return l || e || u },
	"nle": func(l, e, u bool) bool { return !l && !e }, "neq": func(l, e, u bool) bool { return !e },
	"nlt": func(l, e, u bool) bool { return !l },
}

// A number says how a kind of operand is compared.
type number struct {
	kind   byte
	signed bool
	float  bool
}

var numbers = map[string]number{
	"f16": {'h', false, true}, "f32": {'f', false, true}, "f64": {'d', false, true},
	"i16": {'s', true, false}, "i32": {'i', true, false}, "i64": {'q', true, false},
	"u16": {'s', false, false}, "u32": {'i', false, false}, "u64": {'q', false, false},
}

// value gives a number's bits as a float64, or as a key that orders as the number does.
func (n number) real(x uint64) float64 {
	switch n.kind {
	case 'h':
		return float64(half(uint32(x)))
	case 'f':
		return float64(f32(uint32(x)))
	}
	return f64(x)
}

func (n number) key(x uint64) int64 {
	switch n.kind {
	case 's':
		if n.signed {
			return int64(int16(x))
		}
		return int64(uint16(x))
	case 'i':
		if n.signed {
			return int64(int32(x))
		}
		return int64(uint32(x))
	}
	if !n.signed {
		x ^= 1 << 63
	}
	return int64(x)
}

func (n number) compare(r relation) func(a, b uint64) bool {
	if n.float {
		return func(a, b uint64) bool {
			x, y := n.real(a), n.real(b)
			return r(x < y, x == y, x != x || y != y)
		}
	}
	return func(a, b uint64) bool {
		x, y := n.key(a), n.key(b)
		return r(x < y, x == y, false)
	}
}

// comparison finds v_cmp_R_T and v_cmpx_R_T. A comparison writes a lane mask, cmpx to EXEC.
func comparison(name string) *valu {
	rest, ok := strings.CutPrefix(name, "v_cmp_")
	toExec := false
	if !ok {
		if rest, toExec = strings.CutPrefix(name, "v_cmpx_"); !toExec {
			return nil
		}
	}
	how, typ, _ := strings.Cut(rest, "_")
	n, ok := numbers[typ]
	if !ok {
		return nil
	}
	v := &valu{name: name, sig: string([]byte{'m', n.kind, n.kind})}
	var test func(a, b uint64) bool
	if how == "class" && n.float {
		v.raw = true
		v.sig = string([]byte{'m', n.kind, 'i'})
		if n.kind == 'h' {
			v.sig = "mhs"
		}
		test = func(a, b uint64) bool { return class(n, a)&uint32(b) != 0 }
	} else {
		if how == "tru" {
			how = "t"
		}
		r := relations[how]
		if r == nil || n.float && how == "ne" || !n.float && (how == "o" || how == "u" || how == "lg" || how[0] == 'n' && how != "ne") {
			return nil
		}
		test = n.compare(r)
	}
	v.run = func(w *wave, in *inst) { w.compare(in, test, toExec) }
	if r := relations[how]; r != nil && (n.kind == 'i' || n.kind == 'f') {
		less, equal, greater, unordered := mask(r(true, false, false)), mask(r(false, true, false)), mask(r(false, false, false)), mask(r(false, false, true))
		v.run = func(w *wave, in *inst) {
			a, b := w.fetch(in, 0, n.kind), w.fetch(in, 1, n.kind)
			var l, e, u uint32
			switch {
			case n.float:
				for i := range lanes {
					x, y := f32(a.v[i]), f32(b.v[i])
					l |= bit(x < y) << i
					e |= bit(x == y) << i
					u |= bit(x != x || y != y) << i
				}
			case n.signed:
				for i := range lanes {
					x, y := int32(a.v[i]), int32(b.v[i])
					l |= bit(x < y) << i
					e |= bit(x == y) << i
				}
			default:
				for i := range lanes {
					x, y := a.v[i], b.v[i]
					l |= bit(x < y) << i
					e |= bit(x == y) << i
				}
			}
			w.compared(in, l&less|e&equal|u&unordered|^(l|e|u)&greater, a.any()|b.any(), toExec)
		}
	}
	return v
}

// mask is all lanes or none.
func mask(b bool) uint32 { return -bit(b) }

// compare compares in all active lanes; the others' bits become 0.
func (w *wave) compare(in *inst, test func(a, b uint64) bool, toExec bool) {
	a, pa := w.fetch64(in, 0, in.op.sig[1])
	b, pb := w.fetch64(in, 1, in.op.sig[2])
	var r uint32
	for i := range lanes {
		if test(a[i], b[i]) {
			r |= 1 << i
		}
	}
	w.compared(in, r, pa|pb, toExec)
}

// compared writes the lanes in which a comparison holds.
func (w *wave) compared(in *inst, r, bad uint32, toExec bool) {
	m := w.exec()
	if in.mod.dpp != nil {
		m = w.writes(in)
	}
	if toExec {
		w.setS(regExec, r&m, bad&m)
		return
	}
	w.putS(&in.sd, 1, uint64(r&m), uint64(bad&m))
}

// class gives the one bit of v_cmp_class's mask that fits: signaling and quiet NaN, -inf, -normal, -denormal, -0, +0, …
func class(n number, x uint64) uint32 {
	var sign, exp, man, top uint64
	switch n.kind {
	case 'h':
		sign, exp, man, top = x>>15&1, x>>10&31, x&0x3ff, 31
	case 'f':
		sign, exp, man, top = x>>31&1, x>>23&255, x&(1<<23-1), 255
	default:
		sign, exp, man, top = x>>63, x>>52&2047, x&(1<<52-1), 2047
	}
	at := 0
	switch {
	case exp == top && man != 0:
		quietBit := map[byte]uint{'h': 9, 'f': 22, 'd': 51}[n.kind]
		return 1 << (man >> quietBit & 1)
	case exp == top:
		at = 2
	case exp != 0:
		at = 3
	case man != 0:
		at = 4
	default:
		at = 5
	}
	if sign == 0 {
		at = 11 - at
	}
	return 1 << at
}

// scalarFloat are the comparisons of gfx11.5's scalar floats: s_cmp_R_f32 and _f16.
func scalarFloat(name string) func(a, b uint64) bool {
	rest, ok := strings.CutPrefix(name, "s_cmp_")
	if !ok {
		return nil
	}
	how, typ, _ := strings.Cut(rest, "_")
	n, ok := numbers[typ]
	r := relations[how]
	if !ok || !n.float || n.kind == 'd' || r == nil || how == "ne" || how == "f" || how == "t" {
		return nil
	}
	return n.compare(r)
}

// clamp01 limits a float to [0, 1]; a NaN becomes 0.
func clamp01(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return math.Min(x, 1)
}
