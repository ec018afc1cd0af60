package sim

import (
	"encoding/binary"
	"math/bits"
)

// An access says what an instruction that accesses memory moves.
type access struct {
	bytes  int
	signed bool
	d16    uint8 // 1: to or from the low half of a register alone, 2: the high half
	load   bool
	lds    bool
	flat   bool
	two    int // of ds_*_2addr: the unit of both offsets in bytes
	atomic *rmw
	rtn    bool
}

// widths of loads and stores by the end of their names.
var loadKinds = map[string]access{
	"u8": {bytes: 1}, "i8": {bytes: 1, signed: true}, "u16": {bytes: 2}, "i16": {bytes: 2, signed: true},
	"b32": {bytes: 4}, "b64": {bytes: 8}, "b96": {bytes: 12}, "b128": {bytes: 16},
	"d16_u8": {bytes: 1, d16: 1}, "d16_hi_u8": {bytes: 1, d16: 2}, "d16_i8": {bytes: 1, d16: 1, signed: true}, "d16_hi_i8": {bytes: 1, d16: 2, signed: true},
	"d16_b16": {bytes: 2, d16: 1}, "d16_hi_b16": {bytes: 2, d16: 2},
	// of ds_load
	"u8_d16": {bytes: 1, d16: 1}, "u8_d16_hi": {bytes: 1, d16: 2}, "i8_d16": {bytes: 1, d16: 1, signed: true}, "i8_d16_hi": {bytes: 1, d16: 2, signed: true},
	"u16_d16": {bytes: 2, d16: 1}, "u16_d16_hi": {bytes: 2, d16: 2},
}

var storeKinds = map[string]access{
	"b8": {bytes: 1}, "b16": {bytes: 2}, "b32": {bytes: 4}, "b64": {bytes: 8}, "b96": {bytes: 12}, "b128": {bytes: 16},
	"d16_hi_b8": {bytes: 1, d16: 2}, "d16_hi_b16": {bytes: 2, d16: 2}, "b8_d16_hi": {bytes: 1, d16: 2}, "b16_d16_hi": {bytes: 2, d16: 2},
}

// addresses computes those of the active lanes: a 64-bit VGPR pair, or an SGPR pair plus a 32-bit VGPR, plus a constant.
func (w *wave) addresses(in *inst) *[lanes]uint64 {
	b := &w.wide[0]
	m := w.exec()
	o, s := &in.src[0], &in.src[1]
	off := uint64(int64(in.mod.offset))
	var bad uint32
	if s.place == sgpr && s.reg != regNull {
		base, p := w.getS(s, 2)
		if p != 0 {
			w.fault("the address in s[%d:%d] depends on what was never written", s.reg, s.reg+1)
			return b
		}
		if o.place == vgpr {
			bad = w.bad(o.reg)
			for i, v := range w.v[o.reg] {
				b[i] = base + uint64(v) + off
			}
		} else {
			for i := range b {
				b[i] = base + off
			}
		}
	} else {
		bad = w.bad(o.reg) | w.bad(o.reg+1)
		lo, hi := &w.v[o.reg], &w.v[o.reg+1]
		for i := range b {
			b[i] = uint64(hi[i])<<32 + uint64(lo[i]) + off
		}
	}
	if bad &= m; bad != 0 {
		w.faultLanes(bad, "the address depends on what was never written")
	}
	return b
}

// at gives n bytes of memory for a lane.
func (w *wave) at(p uint64, n int, lane int, write bool) (*allocation, uint64) {
	if a := w.last; a != nil {
		if off := p - a.at; off < a.size && uint64(n) <= a.size-off && !a.freed && !(write && a.readOnly) {
			return a, off
		}
	}
	a, err := w.block.launch.mem.check(p, uint64(n), write)
	if err != nil {
		w.faultAt(lane, "%v", err)
		return nil, 0
	}
	w.last = a
	return a, p - a.at
}

func vectorLoad(w *wave, in *inst) {
	addr := w.addresses(in)
	m, n := w.exec(), in.mem.bytes
	races := w.block.launch.races
	var m2 uint32 // lanes that read global memory
	w.act(in.mod.glc, false)
	for i := range lanes {
		if m>>i&1 == 0 || w.err != nil {
			continue
		}
		if in.mem.flat && addr[i]>>48 == sharedBase>>48 {
			w.act(false, true)
			w.ldsLane(in.mem, uint32(addr[i]), i, in.d.reg)
			w.act(in.mod.glc, false)
			continue
		}
		a, off := w.at(addr[i], n, i, false)
		if a == nil {
			return
		}
		if races && !a.readOnly {
			w.noteCells(a, off, uint64(n), i, false)
		}
		w.load(in.mem, a.b[off:off+uint64(n)], i, in.d.reg)
		m2 |= 1 << i
	}
	w.clean(in.mem, m2, in.d.reg)
	w.count.Read += int64(n * ones(m))
}

// load moves bytes to a lane's registers.
func (w *wave) load(t *access, b []byte, lane, r int) {
	if t.bytes >= 4 {
		v := w.v[r : r+t.bytes/4]
		b = b[:4*len(v)]
		for k := range v {
			v[k][lane] = binary.LittleEndian.Uint32(b[4*k:])
		}
		return
	}
	var v uint32
	if t.bytes == 1 {
		v = uint32(b[0])
		if t.signed {
			v = uint32(int32(int8(v)))
		}
	} else {
		v = uint32(binary.LittleEndian.Uint16(b))
		if t.signed {
			v = uint32(int32(int16(v)))
		}
	}
	d := &w.v[r][lane]
	switch t.d16 {
	case 0:
		*d = v
	case 1:
		*d = *d&^0xffff | v&0xffff
	case 2:
		*d = *d&0xffff | v<<16
	}
}

// clean takes the poison from what a load has written in the lanes of a mask.
func (w *wave) clean(t *access, m uint32, r int) {
	for k := 0; k < t.bytes; k += 4 {
		if t.d16 != 2 {
			w.plo[r+k/4] &^= m
		}
		if t.d16 != 1 {
			w.phi[r+k/4] &^= m
		}
	}
}

func vectorStore(w *wave, in *inst) {
	addr := w.addresses(in)
	m, n := w.exec(), in.mem.bytes
	data := &in.src[2]
	w.act(false, false)
	var buf [16]byte
	for i := range lanes {
		if m>>i&1 == 0 || w.err != nil {
			continue
		}
		if bad := w.gather(in.mem, &buf, i, data.reg); bad != 0 && !(in.mem.flat && addr[i]>>48 == sharedBase>>48) {
			w.faultAt(i, "what is stored depends on what was never written (bytes %#b of v%d)", bad, data.reg)
			return
		}
		if in.mem.flat && addr[i]>>48 == sharedBase>>48 {
			w.act(false, true)
			w.ldsStoreLane(in.mem, uint32(addr[i]), i, data.reg)
			w.act(false, false)
			continue
		}
		a, off := w.at(addr[i], n, i, true)
		if a == nil {
			return
		}
		if w.block.launch.races {
			w.noteCells(a, off, uint64(n), i, true)
		}
		copy(a.b[off:], buf[:n])
	}
	w.count.Written += int64(n * ones(m))
	w.stored()
}

// gather collects what a lane stores, and says which bytes are poisoned.
func (w *wave) gather(t *access, b *[16]byte, lane, r int) (bad uint32) {
	for k := 0; k < t.bytes; k += 4 {
		v := w.v[r+k/4][lane]
		lo, hi := w.plo[r+k/4]>>lane&1, w.phi[r+k/4]>>lane&1
		if t.d16 == 2 {
			v, lo = v>>16, hi
		}
		binary.LittleEndian.PutUint32(b[k:], v)
		bad |= (lo*3 | hi*12) << k
	}
	return bad & (1<<t.bytes - 1)
}

func ones(m uint32) int { return bits.OnesCount32(m) }
