package sim

import (
	"fmt"
	"math/bits"
)

const lanes = 32

const all = ^uint32(0)

type reg = [lanes]uint32

// A wave is 32 lanes that execute one instruction at a time. Each register has beside its value what of it is
// poisoned: never written, or computed from such. For a VGPR a bit per lane and half of the register, for an SGPR a bit
// per bit, because SGPRs hold lane masks.
type wave struct {
	v   [regStage + 1]reg
	plo [regStage + 1]uint32
	phi [regStage + 1]uint32
	s   [128]uint32
	sp  [128]uint32

	scc     bool
	sccBad  bool
	flush   bool // float32 denormals are flushed
	flushH  bool // float16's and float64's
	mode    uint32
	done    bool
	waiting bool // at a barrier
	pc      int  // index of the next instruction

	block *block
	id    int // within the block
	in    *inst
	err   error
	count Counts
	last  *allocation // the one that was accessed last: mostly the next one too
	order

	scratch, scratchBad []byte // lane after lane

	x    [3]value
	who  actor
	buf  [4]reg
	out  reg
	wide [4][lanes]uint64

	tiles [2]tile
}

var zeroes reg

func (w *wave) exec() uint32 { return w.s[regExec] }

// run executes until the wave ends or waits at a barrier.
func (w *wave) run(code []inst) error {
	for !w.done && !w.waiting {
		if uint(w.pc) >= uint(len(code)) {
			return fmt.Errorf("the wave ran beyond the end of the code")
		}
		in := &code[w.pc]
		w.pc++
		w.in = in
		w.count.Class[in.class]++
		in.run(w, in)
		if w.err != nil {
			return w.err
		}
		if w.count.steps++; w.count.steps > w.block.launch.limit {
			w.fault("the wave has executed %d instructions: an endless loop?", w.count.steps-1)
			return w.err
		}
	}
	return nil
}

// A Fault is what a kernel did wrong, and where.
type Fault struct {
	Kernel string
	PC     uint64
	Text   string // the instruction
	Block  int
	Wave   int
	Lane   int // -1: all
	Reason string
}

func (f *Fault) Error() string {
	at := fmt.Sprintf("block %d, wave %d", f.Block, f.Wave)
	if f.Lane >= 0 {
		at += fmt.Sprintf(", lane %d", f.Lane)
	}
	return fmt.Sprintf("kernel %s, pc %#x, %q, %s: %s", f.Kernel, f.PC, f.Text, at, f.Reason)
}

// fault stops the wave. The first one counts.
func (w *wave) fault(format string, args ...any) { w.faultAt(-1, format, args...) }

func (w *wave) faultAt(lane int, format string, args ...any) {
	if w.err == nil {
		w.err = &Fault{w.block.launch.kernel.Name, w.in.pc, w.in.text, w.block.id, w.id, lane, fmt.Sprintf(format, args...)}
	}
}

// faultLanes is fault at the first lane of a mask.
func (w *wave) faultLanes(mask uint32, format string, args ...any) {
	w.faultAt(bits.TrailingZeros32(mask), format, args...)
}

// setS writes an SGPR and what of it is poisoned. null swallows what is written; EXEC must be known.
func (w *wave) setS(r int, v, poison uint32) {
	switch r {
	case regNull:
		return
	case regExec:
		if poison != 0 {
			w.fault("the exec mask depends on poisoned lanes %#x: on registers or LDS that were never written", poison)
		}
	}
	w.s[r], w.sp[r] = v, poison
}

// getS reads count SGPRs, 1 or 2, or a constant of that width.
func (w *wave) getS(o *operand, count int) (v, poison uint64) {
	switch o.place {
	case fixed:
		return o.val, 0
	case scc:
		if w.scc {
			v = 1
		}
		if w.sccBad {
			poison = 1
		}
		return v, poison
	}
	v, poison = uint64(w.s[o.reg]), uint64(w.sp[o.reg])
	if count == 2 && o.reg+1 < len(w.s) {
		v |= uint64(w.s[o.reg+1]) << 32
		poison |= uint64(w.sp[o.reg+1]) << 32
	}
	return v, poison
}

func (w *wave) putS(o *operand, count int, v, poison uint64) {
	if o.place != sgpr || o.reg == regNull {
		return
	}
	w.setS(o.reg, uint32(v), uint32(poison))
	if count == 2 {
		w.setS(o.reg+1, uint32(v>>32), uint32(poison>>32))
	}
}

// mark sets what of a VGPR is poisoned, in the lanes of the mask.
func (w *wave) mark(r int, mask, lo, hi uint32) {
	w.plo[r] = w.plo[r]&^mask | lo&mask
	w.phi[r] = w.phi[r]&^mask | hi&mask
}

// bad is the lanes in which a VGPR has anything poisoned.
func (w *wave) bad(r int) uint32 { return w.plo[r] | w.phi[r] }
