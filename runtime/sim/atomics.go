package sim

import (
	"encoding/binary"
	"strings"
)

// An rmw computes what a read-modify-write leaves in memory, of what is there and what the lane gives; of cmpswap
// the lane gives two values, the new one first.
type rmw struct {
	bytes int
	two   bool
	f     func(old, a, b uint64) uint64
}

// atomics by the end of the name: of global_atomic_… and flat_atomic_…, and of ds_… and ds_…_rtn_….
var atomics = map[string]*rmw{}

func init() {
	def := func(name string, bytes int, f func(old, a uint64) uint64) {
		atomics[name] = &rmw{bytes, false, func(old, a, _ uint64) uint64 { return f(old, a) }}
	}
	for suffix, bytes := range map[string]int{"32": 4, "64": 8} {
		signed := func(x uint64) int64 {
			if bytes == 4 {
				return int64(int32(x))
			}
			return int64(x)
		}
		def("add_u"+suffix, bytes, func(o, a uint64) uint64 { return o + a })
		def("sub_u"+suffix, bytes, func(o, a uint64) uint64 { return o - a })
		def("min_u"+suffix, bytes, func(o, a uint64) uint64 { return min(o, a) })
		def("max_u"+suffix, bytes, func(o, a uint64) uint64 { return max(o, a) })
		def("min_i"+suffix, bytes, func(o, a uint64) uint64 {
			if signed(a) < signed(o) {
				return a
			}
			return o
		})
		def("max_i"+suffix, bytes, func(o, a uint64) uint64 {
			if signed(a) > signed(o) {
				return a
			}
			return o
		})
		def("and_b"+suffix, bytes, func(o, a uint64) uint64 { return o & a })
		def("or_b"+suffix, bytes, func(o, a uint64) uint64 { return o | a })
		def("xor_b"+suffix, bytes, func(o, a uint64) uint64 { return o ^ a })
		def("swap_b"+suffix, bytes, func(_, a uint64) uint64 { return a })
		def("inc_u"+suffix, bytes, func(o, a uint64) uint64 {
			if o >= a {
				return 0
			}
			return o + 1
		})
		def("dec_u"+suffix, bytes, func(o, a uint64) uint64 {
			if o == 0 || o > a {
				return a
			}
			return o - 1
		})
		atomics["cmpswap_b"+suffix] = &rmw{bytes, true, func(o, a, b uint64) uint64 {
			if o == b {
				return a
			}
			return o
		}}
	}
	float := func(name string, f func(o, a float32) float32) {
		def(name, 4, func(o, a uint64) uint64 { return uint64(u32(f(f32(uint32(o)), f32(uint32(a))))) })
	}
	float("add_f32", func(o, a float32) float32 { return o + a })
	float("min_f32", func(o, a float32) float32 { return float32(minimum(float64(o), float64(a))) })
	float("max_f32", func(o, a float32) float32 { return float32(maximum(float64(o), float64(a))) })
	// LDS has other names for some.
	atomics["storexchg_b32"], atomics["storexchg_b64"] = atomics["swap_b32"], atomics["swap_b64"]
	atomics["cmpstore_b32"], atomics["cmpstore_b64"] = atomics["cmpswap_b32"], atomics["cmpswap_b64"]
}

// atomicAccess finds an atomic instruction by its name.
func atomicAccess(name string) *access {
	for _, prefix := range []string{"global_atomic_", "flat_atomic_"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && atomics[rest] != nil && !strings.HasPrefix(rest, "store") && !strings.HasPrefix(rest, "cmpstore") {
			return &access{bytes: atomics[rest].bytes, atomic: atomics[rest], flat: prefix[0] == 'f'}
		}
	}
	if rest, ok := strings.CutPrefix(name, "ds_"); ok {
		op, rtn := strings.CutSuffix(strings.Replace(rest, "_rtn_", "_", 1), "")
		rtn = strings.Contains(rest, "_rtn_")
		if a := atomics[op]; a != nil && !strings.HasPrefix(op, "swap") && !strings.HasPrefix(op, "cmpswap") && (rtn || !strings.HasPrefix(op, "storexchg")) {
			return &access{bytes: a.bytes, atomic: a, rtn: rtn, lds: true}
		}
	}
	return nil
}

// pair reads a lane's value of 4 or 8 bytes.
func (w *wave) pair(r, bytes, lane int) (v uint64, bad bool) {
	v = uint64(w.v[r][lane])
	bad = w.bad(r)>>lane&1 != 0
	if bytes == 8 {
		v |= uint64(w.v[r+1][lane]) << 32
		bad = bad || w.bad(r+1)>>lane&1 != 0
	}
	return v, bad
}

func atomicLanes(w *wave, in *inst) {
	t := in.mem
	var addr *[lanes]uint64
	if t.lds {
		addr = &w.wide[0]
		for i, v := range w.ldsAddress(in) {
			addr[i] = uint64(v + uint32(in.mod.offset))
		}
	} else {
		addr = w.addresses(in)
	}
	m := w.exec()
	for i := range lanes {
		if m>>i&1 == 0 || w.err != nil {
			continue
		}
		w.atomicLane(in, addr[i], i)
	}
	if t.lds {
		w.count.LDSRead += int64(t.bytes * ones(m))
		w.count.LDSWritten += int64(t.bytes * ones(m))
		return
	}
	w.count.Read += int64(t.bytes * ones(m))
	w.count.Written += int64(t.bytes * ones(m))
	if !t.rtn {
		w.stored()
	}
}

func (w *wave) atomicLane(in *inst, p uint64, lane int) {
	t := in.mem
	r := in.src[2].reg
	a, bad := w.pair(r, t.bytes, lane)
	var b uint64
	if t.atomic.two {
		var p bool
		second := r + t.bytes/4
		if t.lds { // compared value last, in a register of its own
			second = in.src[3].reg
		}
		b, p = w.pair(second, t.bytes, lane)
		bad = bad || p
	}
	if bad {
		w.faultAt(lane, "the value given to the atomic depends on what was never written")
		return
	}
	l := w.block.launch
	var mem []byte
	if t.lds {
		if !w.shared(uint32(p), t.bytes, lane) {
			return
		}
		mem = w.block.lds[p:]
		if w.ldsBad(uint32(p), t.bytes) != 0 {
			w.faultAt(lane, "an atomic on LDS at byte %d, which was never written", p)
			return
		}
		if l.races {
			w.act(true, true)
			w.noteShared(p, uint64(t.bytes), lane, true)
		}
	} else {
		al, off := w.at(p, t.bytes, lane, true)
		if al == nil {
			return
		}
		mem = al.b[off:]
		if l.races {
			w.act(true, false)
			w.noteCells(al, off, uint64(t.bytes), lane, true)
			w.publish(p)
		} else {
			l.lock.Lock()
			defer l.lock.Unlock()
		}
	}
	if p%uint64(t.bytes) != 0 {
		w.faultAt(lane, "an atomic of %d bytes at %#x: not aligned", t.bytes, p)
		return
	}
	var old uint64
	if t.bytes == 4 {
		old = uint64(binary.LittleEndian.Uint32(mem))
		binary.LittleEndian.PutUint32(mem, uint32(t.atomic.f(old, a, b)))
	} else {
		old = binary.LittleEndian.Uint64(mem)
		binary.LittleEndian.PutUint64(mem, t.atomic.f(old, a, b))
	}
	if !t.rtn {
		return
	}
	one := uint32(1) << lane
	for k := range t.bytes / 4 {
		w.v[in.d.reg+k][lane] = uint32(old >> (32 * k))
		w.mark(in.d.reg+k, one, 0, 0)
	}
}
