package sim

import "math/bits"

// A scalar says how a scalar instruction computes: how many registers its result and sources have, what it does to SCC,
// and how poison passes through.
type scalar struct {
	name   string
	sig    string // of the result and of each source: 1 or 2 registers; - for a result that isn't written
	f      func(w *wave, a, b uint64) uint64
	scc    func(r uint64) bool // nil: SCC isn't set, or f sets it
	sets   bool                // f sets SCC itself
	reads  bool                // the result depends on SCC
	poison func(a, b, pa, pb uint64) uint64
	run    func(*wave, *inst)
	accum  bool // the result's old value is the second source
}

var sops = map[string]*scalar{}

func sop(name, sig string, f func(w *wave, a, b uint64) uint64) *scalar {
	s := &scalar{name: name, sig: sig, f: f}
	sops[name] = s
	return s
}

func notZero(r uint64) bool { return r != 0 }

// width is the registers of a letter of a scalar's signature.
func width(c byte) int {
	if c == '2' {
		return 2
	}
	return 1
}

func execScalar(w *wave, in *inst) {
	s := in.salu
	var v, p [2]uint64
	for k := range len(s.sig) - 1 {
		n := width(s.sig[k+1])
		v[k], p[k] = w.getS(&in.src[k], n)
		if n == 1 {
			v[k], p[k] = uint64(uint32(v[k])), uint64(uint32(p[k]))
		}
	}
	bad := p[0] | p[1]
	var poison uint64
	if bad != 0 {
		poison = ^uint64(0)
		if s.poison != nil {
			poison = s.poison(v[0], v[1], p[0], p[1])
		}
	}
	if s.reads && w.sccBad {
		poison, bad = ^uint64(0), ^uint64(0)
	}
	r := s.f(w, v[0], v[1])
	if s.sig[0] == '1' {
		r, poison = uint64(uint32(r)), uint64(uint32(poison))
	}
	switch {
	case s.scc != nil:
		w.scc = s.scc(r)
		w.sccBad = poison != 0 && !(s.poison != nil && r&^poison != 0)
	case s.sets:
		w.sccBad = bad != 0
	}
	if s.sig[0] != '-' {
		w.putS(&in.d, width(s.sig[0]), r, poison)
	}
}

func andPoison(a, b, pa, pb uint64) uint64 { return (pa | pb) & (a | pa) & (b | pb) }
func orPoison(a, b, pa, pb uint64) uint64  { return (pa | pb) & (^a | pa) & (^b | pb) }
func xorPoison(_, _, pa, pb uint64) uint64 { return pa | pb }

// carryPoison: of a sum, a difference or a product, a bit depends on those of its sources up to it.
func carryPoison(_, _, pa, pb uint64) uint64 { p := pa | pb; return -(p & -p) }

// logic are the bitwise operations, as they also appear in saveexec.
var logic = []struct {
	name   string
	f      func(a, b uint64) uint64
	poison func(a, b, pa, pb uint64) uint64
}{
	{"and", func(a, b uint64) uint64 { return a & b }, andPoison},
	{"or", func(a, b uint64) uint64 { return a | b }, orPoison},
	{"xor", func(a, b uint64) uint64 { return a ^ b }, xorPoison},
	{"nand", func(a, b uint64) uint64 { return ^(a & b) }, andPoison},
	{"nor", func(a, b uint64) uint64 { return ^(a | b) }, orPoison},
	{"xnor", func(a, b uint64) uint64 { return ^(a ^ b) }, xorPoison},
	{"and_not1", func(a, b uint64) uint64 { return a &^ b }, func(a, b, pa, pb uint64) uint64 { return andPoison(a, ^b, pa, pb) }},
	{"or_not1", func(a, b uint64) uint64 { return a | ^b }, func(a, b, pa, pb uint64) uint64 { return orPoison(a, ^b, pa, pb) }},
}

func init() {
	for _, l := range logic {
		for suffix, sig := range map[string]string{"_b32": "111", "_b64": "222"} {
			s := sop("s_"+l.name+suffix, sig, func(_ *wave, a, b uint64) uint64 { return l.f(a, b) })
			s.scc, s.poison = notZero, l.poison
		}
		saveExec("s_"+l.name+"_saveexec_b32", l.f, l.poison, true)
	}
	not0 := func(f func(a, b uint64) uint64) func(a, b uint64) uint64 {
		return func(a, b uint64) uint64 { return f(b, a) }
	}
	swapped := func(p func(a, b, pa, pb uint64) uint64) func(a, b, pa, pb uint64) uint64 {
		return func(a, b, pa, pb uint64) uint64 { return p(b, a, pb, pa) }
	}
	saveExec("s_and_not0_saveexec_b32", not0(logic[6].f), swapped(logic[6].poison), true)
	saveExec("s_or_not0_saveexec_b32", not0(logic[7].f), swapped(logic[7].poison), true)
	saveExec("s_and_not1_wrexec_b32", logic[6].f, logic[6].poison, false)
	saveExec("s_and_not0_wrexec_b32", not0(logic[6].f), swapped(logic[6].poison), false)

	arithmetic()
	shifts()
	bitCounts()
	moves()
}

// saveExec: SDST = EXEC; EXEC = SRC op EXEC. wrexec gives SDST the new mask instead.
func saveExec(name string, f func(a, b uint64) uint64, poison func(a, b, pa, pb uint64) uint64, save bool) {
	sops[name] = &scalar{name: name, sig: "11", run: func(w *wave, in *inst) {
		a, pa := w.getS(&in.src[0], 1)
		a = uint64(uint32(a))
		old := w.exec()
		r := uint32(f(a, uint64(old)))
		p := uint32(poison(a, uint64(old), pa, 0))
		if save {
			w.putS(&in.d, 1, uint64(old), 0)
		} else {
			w.putS(&in.d, 1, uint64(r), uint64(p))
		}
		w.setS(regExec, r, p)
		w.scc, w.sccBad = r != 0, p != 0
	}}
}

func arithmetic() {
	set := func(name string, f func(w *wave, a, b uint32) (uint32, bool)) *scalar {
		s := sop(name, "111", func(w *wave, a, b uint64) uint64 {
			r, c := f(w, uint32(a), uint32(b))
			w.scc = c
			return uint64(r)
		})
		s.sets = true
		return s
	}
	over := func(s int64) bool { return s != int64(int32(s)) }
	set("s_add_u32", func(_ *wave, a, b uint32) (uint32, bool) { r, c := bits.Add32(a, b, 0); return r, c != 0 })
	set("s_sub_u32", func(_ *wave, a, b uint32) (uint32, bool) { r, c := bits.Sub32(a, b, 0); return r, c != 0 })
	set("s_addc_u32", func(w *wave, a, b uint32) (uint32, bool) { r, c := bits.Add32(a, b, bit(w.scc)); return r, c != 0 }).reads = true
	set("s_subb_u32", func(w *wave, a, b uint32) (uint32, bool) { r, c := bits.Sub32(a, b, bit(w.scc)); return r, c != 0 }).reads = true
	set("s_add_i32", func(_ *wave, a, b uint32) (uint32, bool) { return a + b, over(int64(int32(a)) + int64(int32(b))) })
	set("s_sub_i32", func(_ *wave, a, b uint32) (uint32, bool) { return a - b, over(int64(int32(a)) - int64(int32(b))) })
	set("s_absdiff_i32", func(_ *wave, a, b uint32) (uint32, bool) { r := greatest(a, b) - lowest(a, b); return r, r != 0 })
	set("s_min_i32", func(_ *wave, a, b uint32) (uint32, bool) { return lowest(a, b), int32(a) < int32(b) })
	set("s_max_i32", func(_ *wave, a, b uint32) (uint32, bool) { return greatest(a, b), int32(a) > int32(b) })
	set("s_min_u32", func(_ *wave, a, b uint32) (uint32, bool) { return min(a, b), a < b })
	set("s_max_u32", func(_ *wave, a, b uint32) (uint32, bool) { return max(a, b), a > b })
	for n, name := range []string{"s_lshl1_add_u32", "s_lshl2_add_u32", "s_lshl3_add_u32", "s_lshl4_add_u32"} {
		set(name, func(_ *wave, a, b uint32) (uint32, bool) {
			s := uint64(a)<<(n+1) + uint64(b)
			return uint32(s), s>>32 != 0
		})
	}
	sop("s_mul_i32", "111", func(_ *wave, a, b uint64) uint64 { return a * b })
	for _, name := range []string{"s_add_u32", "s_sub_u32", "s_add_i32", "s_sub_i32", "s_mul_i32"} {
		sops[name].poison = carryPoison
	}
	sop("s_mul_hi_u32", "111", func(_ *wave, a, b uint64) uint64 { return a * b >> 32 })
	sop("s_mul_hi_i32", "111", func(_ *wave, a, b uint64) uint64 { return uint64(int64(int32(a)) * int64(int32(b)) >> 32) })
	sop("s_abs_i32", "11", func(_ *wave, a, _ uint64) uint64 {
		if int32(a) < 0 {
			return -a
		}
		return a
	}).scc = notZero
	sops["s_addk_i32"] = &scalar{name: "s_addk_i32", sig: "111", accum: true, sets: true, f: func(w *wave, a, b uint64) uint64 {
		s := int64(int32(a)) + int64(int16(b))
		w.scc = over(s)
		return uint64(s)
	}}
	sops["s_mulk_i32"] = &scalar{name: "s_mulk_i32", sig: "111", accum: true, f: func(_ *wave, a, b uint64) uint64 { return uint64(int64(int32(a)) * int64(int16(b))) }}

	for _, how := range []string{"eq", "lg", "gt", "ge", "lt", "le"} {
		r := relations[how]
		for _, t := range []string{"i32", "u32", "u64"} {
			if t == "u64" && how != "eq" && how != "lg" {
				continue
			}
			cmp := numbers[t].compare(r)
			sig := "-11"
			if t == "u64" {
				sig = "-22"
			}
			sop("s_cmp_"+how+"_"+t, sig, func(w *wave, a, b uint64) uint64 { w.scc = cmp(a, b); return 0 }).sets = true
			if t == "u64" {
				continue
			}
			sop("s_cmpk_"+how+"_"+t, "-11", func(w *wave, a, b uint64) uint64 {
				if t == "i32" {
					b = uint64(int64(int16(b)))
				}
				w.scc = cmp(a, b)
				return 0
			}).sets = true
		}
	}
}

func shifts() {
	type shift = func(a, b uint64) uint64
	def := func(name, sig string, f shift) {
		s := sop(name, sig, func(_ *wave, a, b uint64) uint64 { return f(a, b) })
		s.scc = notZero
		s.poison = func(_, b, pa, pb uint64) uint64 {
			if pb != 0 {
				return ^uint64(0)
			}
			return f(pa, b)
		}
	}
	def("s_lshl_b32", "111", func(a, b uint64) uint64 { return a << (b & 31) })
	def("s_lshr_b32", "111", func(a, b uint64) uint64 { return a >> (b & 31) })
	def("s_ashr_i32", "111", func(a, b uint64) uint64 { return uint64(int32(a) >> (b & 31)) })
	def("s_lshl_b64", "221", func(a, b uint64) uint64 { return a << (b & 63) })
	def("s_lshr_b64", "221", func(a, b uint64) uint64 { return a >> (b & 63) })
	def("s_ashr_i64", "221", func(a, b uint64) uint64 { return uint64(int64(a) >> (b & 63)) })
	field := func(b uint64, at uint64) (uint64, uint64) { return b & (at - 1), min(b>>16&127, at) }
	mask := func(n uint64) uint64 { return 1<<n - 1 } // of 64 it's all: the shift gives 0
	def("s_bfe_u32", "111", func(a, b uint64) uint64 { at, n := field(b, 32); return a >> at & mask(n) })
	def("s_bfe_u64", "221", func(a, b uint64) uint64 { at, n := field(b, 64); return a >> at & mask(n) })
	signed := func(v, n uint64) uint64 {
		if n == 0 {
			return 0
		}
		return uint64(int64(v<<(64-n)) >> (64 - n))
	}
	def("s_bfe_i32", "111", func(a, b uint64) uint64 { at, n := field(b, 32); return signed(a>>at, min(n, 32-at)) })
	def("s_bfe_i64", "221", func(a, b uint64) uint64 { at, n := field(b, 64); return signed(a>>at, min(n, 64-at)) })
	sop("s_bfm_b32", "111", func(_ *wave, a, b uint64) uint64 { return mask(a&31) << (b & 31) })
	sop("s_bfm_b64", "211", func(_ *wave, a, b uint64) uint64 { return mask(a&63) << (b & 63) })
}
