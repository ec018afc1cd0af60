package sim

import "math/bits"

func bitCounts() {
	one := func(name, sig string, f func(a uint64) uint64) *scalar {
		return sop(name, sig, func(_ *wave, a, _ uint64) uint64 { return f(a) })
	}
	none := ^uint64(0)
	one("s_bcnt1_i32_b32", "11", func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) }).scc = notZero
	one("s_bcnt1_i32_b64", "12", func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) }).scc = notZero
	one("s_bcnt0_i32_b32", "11", func(a uint64) uint64 { return uint64(32 - bits.OnesCount64(a)) }).scc = notZero
	one("s_bcnt0_i32_b64", "12", func(a uint64) uint64 { return uint64(64 - bits.OnesCount64(a)) }).scc = notZero
	ctz := func(a uint64) uint64 {
		if a == 0 {
			return none
		}
		return uint64(bits.TrailingZeros64(a))
	}
	one("s_ctz_i32_b32", "11", ctz)
	one("s_ctz_i32_b64", "12", ctz)
	clz := func(a uint64, n int) uint64 {
		if a == 0 {
			return none
		}
		return uint64(bits.LeadingZeros64(a) - 64 + n)
	}
	one("s_clz_i32_u32", "11", func(a uint64) uint64 { return clz(a, 32) })
	one("s_clz_i32_u64", "12", func(a uint64) uint64 { return clz(a, 64) })
	one("s_cls_i32", "11", func(a uint64) uint64 { return clz(uint64(uint32(a)^uint32(int32(a)>>31)), 32) })
	one("s_cls_i32_i64", "12", func(a uint64) uint64 { return clz(a^uint64(int64(a)>>63), 64) })
	one("s_brev_b32", "11", func(a uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) })
	one("s_brev_b64", "22", bits.Reverse64)
	one("s_sext_i32_i8", "11", func(a uint64) uint64 { return uint64(int64(int8(a))) })
	one("s_sext_i32_i16", "11", func(a uint64) uint64 { return uint64(int64(int16(a))) })
	not := func(_, _, pa, _ uint64) uint64 { return pa }
	for name, sig := range map[string]string{"s_not_b32": "11", "s_not_b64": "22"} {
		s := one(name, sig, func(a uint64) uint64 { return ^a })
		s.scc, s.poison = notZero, not
	}
	one("s_bitreplicate_b64_b32", "21", func(a uint64) (r uint64) {
		for i := range 32 {
			r |= a >> i & 1 * 3 << (2 * i)
		}
		return r
	})
	test := func(name, sig string, want uint64) {
		sop(name, sig, func(w *wave, a, b uint64) uint64 {
			n := uint64(32*width(sig[1]) - 1)
			w.scc = a>>(b&n)&1 == want
			return 0
		}).sets = true
	}
	test("s_bitcmp0_b32", "-11", 0)
	test("s_bitcmp1_b32", "-11", 1)
	test("s_bitcmp0_b64", "-21", 0)
	test("s_bitcmp1_b64", "-21", 1)
	set := func(name, sig string, on bool) {
		s := sop(name, sig, func(_ *wave, a, b uint64) uint64 {
			n := uint64(32*width(sig[0]) - 1)
			if on {
				return b | 1<<(a&n)
			}
			return b &^ (1 << (a & n))
		})
		s.accum = true
	}
	set("s_bitset0_b32", "111", false)
	set("s_bitset1_b32", "111", true)
	set("s_bitset0_b64", "212", false)
	set("s_bitset1_b64", "212", true)
}

func moves() {
	same := func(_, _, pa, _ uint64) uint64 { return pa }
	for name, sig := range map[string]string{"s_mov_b32": "11", "s_mov_b64": "22", "s_movk_i32": "11"} {
		sop(name, sig, func(_ *wave, a, _ uint64) uint64 {
			if name == "s_movk_i32" {
				return uint64(int64(int16(a)))
			}
			return a
		}).poison = same
	}
	for suffix, n := range map[string]int{"_b32": 1, "_b64": 2} {
		sops["s_cselect"+suffix] = &scalar{name: "s_cselect" + suffix, sig: map[int]string{1: "111", 2: "222"}[n], run: func(w *wave, in *inst) {
			k := 1
			if w.scc {
				k = 0
			}
			v, p := w.getS(&in.src[k], n)
			if w.sccBad {
				p = ^uint64(0)
			}
			w.putS(&in.d, n, v, p)
		}}
		sops["s_cmov"+suffix] = &scalar{name: "s_cmov" + suffix, sig: map[int]string{1: "11", 2: "22"}[n], run: func(w *wave, in *inst) {
			v, p := w.getS(&in.src[0], n)
			if w.sccBad {
				w.putS(&in.d, n, v, ^uint64(0))
			} else if w.scc {
				w.putS(&in.d, n, v, p)
			}
		}}
	}
	sops["s_cmovk_i32"] = &scalar{name: "s_cmovk_i32", sig: "11", run: func(w *wave, in *inst) {
		if w.sccBad {
			w.putS(&in.d, 1, 0, ^uint64(0))
		} else if w.scc {
			w.putS(&in.d, 1, uint64(int64(int16(in.src[0].val))), 0)
		}
	}}
	pack := func(name string, x, y uint) {
		s := sop(name, "111", func(_ *wave, a, b uint64) uint64 { return a>>x&0xffff | b>>y&0xffff<<16 })
		s.poison = func(_, _, pa, pb uint64) uint64 { return pa>>x&0xffff | pb>>y&0xffff<<16 }
	}
	pack("s_pack_ll_b32_b16", 0, 0)
	pack("s_pack_lh_b32_b16", 0, 16)
	pack("s_pack_hl_b32_b16", 16, 0)
	pack("s_pack_hh_b32_b16", 16, 16)
	move := func(name string, n int, src bool) {
		sops[name] = &scalar{name: name, sig: map[int]string{1: "11", 2: "22"}[n], run: func(w *wave, in *inst) {
			from, to := in.src[0], in.d
			o := &to
			if src {
				o = &from
			}
			if o.reg += int(w.s[regM0]); w.sp[regM0] != 0 || uint(o.reg+n) > regVCC {
				w.fault("m0 = %d leads to s%d, beyond the registers, or is poisoned", w.s[regM0], o.reg)
				return
			}
			v, p := w.getS(&from, n)
			w.putS(&to, n, v, p)
		}}
	}
	move("s_movrels_b32", 1, true)
	move("s_movrels_b64", 2, true)
	move("s_movreld_b32", 1, false)
	move("s_movreld_b64", 2, false)
}
