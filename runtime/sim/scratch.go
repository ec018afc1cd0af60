package sim

import (
	"fmt"
	"strings"
)

// Scratch: a lane's own memory, where a kernel keeps what its registers can't hold, and private arrays. On gfx11 its place
// needs no setting up: an address counts from 0 in each lane. Each byte starts poisoned; what was spilled unwritten comes
// back so. Nobody else can reach it, but for flat instructions, which aren't simulated there: they fault.

// maxScratch is the most bytes a lane that a card gives: 8 MiB a wave.
const maxScratch = 8 << 20 / lanes

// private gives a wave its scratch, poisoned.
func (w *wave) private(bytes int) {
	if w.scratch = w.scratch[:0]; bytes == 0 {
		return
	}
	if n := 2 * lanes * bytes; cap(w.scratch) < n {
		w.scratch = make([]byte, 0, n)
	}
	w.scratch = w.scratch[:lanes*bytes]
	for i := range w.scratch {
		w.scratch[i] = 0xcd
	}
	w.scratchBad = w.scratch[lanes*bytes : 2*lanes*bytes : 2*lanes*bytes]
	for i := range w.scratchBad {
		w.scratchBad[i] = 1
	}
}

// scratchLanes loads or stores: at a VGPR, an SGPR and a constant together, each of them optional.
func scratchLanes(w *wave, in *inst) {
	t, m := in.mem, w.exec()
	size := w.block.launch.kernel.Scratch
	base := uint32(in.mod.offset)
	var at reg
	if o := &in.src[0]; o.place == vgpr {
		if bad := w.bad(o.reg) & m; bad != 0 {
			w.faultLanes(bad, "the address depends on what was never written")
			return
		}
		at = w.v[o.reg]
	}
	if o := &in.src[1]; o.place == sgpr && o.reg != regNull {
		v, bad := w.getS(o, 1)
		if bad != 0 {
			w.fault("the address depends on what was never written")
			return
		}
		base += uint32(v)
	}
	for i := range lanes {
		if m>>i&1 == 0 {
			continue
		}
		p := uint64(at[i] + base)
		if p+uint64(t.bytes) > uint64(size) {
			w.faultAt(i, "%d bytes of scratch at byte %d are beyond the lane's %d", t.bytes, p, size)
			return
		}
		from := uint64(i*size) + p
		if !t.load {
			var buf [16]byte
			bad := w.gather(t, &buf, i, in.src[2].reg)
			copy(w.scratch[from:], buf[:t.bytes])
			for k := range t.bytes {
				w.scratchBad[from+uint64(k)] = uint8(bad >> k & 1)
			}
			continue
		}
		w.load(t, w.scratch[from:], i, in.d.reg)
		var bad uint32
		for k, c := range w.scratchBad[from : from+uint64(t.bytes)] {
			bad |= uint32(c) << k
		}
		for k := 0; k < t.bytes; k += 4 {
			w.spread(t, in.d.reg+k/4, i, bad>>k&15)
		}
	}
}

func decodeScratch(in *inst, ops, mods []string) (err error) {
	if in.mod, err = parseModifiers(mods, 0); err != nil {
		return err
	}
	in.class, in.run = ClassVMEM, scratchLanes
	rest, load := strings.CutPrefix(in.name, "scratch_load_")
	kinds, to := loadKinds, []*operand{&in.d, &in.src[0], &in.src[1]}
	if !load {
		rest, _ = strings.CutPrefix(in.name, "scratch_store_")
		kinds, to = storeKinds, []*operand{&in.src[0], &in.src[2], &in.src[1]}
	}
	t, ok := kinds[rest]
	if !ok || strings.Contains(rest, "_d16") {
		return errUnknown
	}
	t.load = load
	in.mem = &t
	if err := parseAll(ops, to...); err != nil {
		return err
	}
	data := &in.src[2]
	if load {
		data = &in.d
	}
	if v, s := &in.src[0], &in.src[1]; !data.runs(t.bytes) || v.place != none && !v.runs(4) ||
		s.place != none && (s.place != sgpr || s.count != 1 && s.reg != regNull) {
		return fmt.Errorf("operands that aren't known")
	}
	return nil
}
