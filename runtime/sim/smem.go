package sim

import "encoding/binary"

// scalarLoads: name to the number of registers.
var scalarLoads = map[string]int{"s_load_b32": 1, "s_load_b64": 2, "s_load_b128": 4, "s_load_b256": 8, "s_load_b512": 16}

// scalarLoad reads from base + an SGPR + a constant. A load may run over an allocation's end within 16 aligned bytes, as
// compilers widen loads there; what lies behind is poisoned.
func scalarLoad(w *wave, in *inst) {
	base, bad := w.getS(&in.src[0], 2)
	off := int64(in.mod.offset)
	if o := &in.src[1]; o.place == sgpr && o.reg != regNull {
		v, p := w.getS(o, 1)
		off += int64(uint32(v))
		bad |= p & 0xffffffff
	} else if o.place == fixed {
		off += int64(o.val)
	}
	if bad != 0 {
		w.fault("the address depends on what was never written")
		return
	}
	n := in.mem.bytes
	at := (base + uint64(off)) &^ 3
	have := n
	a, err := w.block.launch.mem.check(at, uint64(n), false)
	if err != nil {
		b, err2 := w.block.launch.mem.check(at, 4, false)
		if err2 == nil {
			have = int(b.size - (at - b.at))
		}
		if err2 != nil || (at+uint64(n)-1)&^15 != (at+uint64(have)-1)&^15 {
			w.fault("%v", err)
			return
		}
		a = b
	}
	w.count.Read += int64(have)
	b := a.b[at-a.at:]
	if w.block.launch.races && !a.readOnly {
		w.act(false, false)
		w.noteCells(a, at-a.at, uint64(have), -1, false)
	}
	for i := range n / 4 {
		if 4*i+4 > have {
			w.setS(in.d.reg+i, 0, all)
			continue
		}
		w.setS(in.d.reg+i, binary.LittleEndian.Uint32(b[4*i:]), 0)
	}
}
