package sim

// A control is an instruction of the program's flow, or one that only waits.
type control struct {
	class Class
	run   func(*wave, *inst)
}

func nothing(*wave, *inst) {}

var controls = map[string]control{
	"s_endpgm":         {ClassBranch, func(w *wave, _ *inst) { w.done = true }},
	"s_barrier":        {ClassBranch, func(w *wave, _ *inst) { w.waiting = true }},
	"s_branch":         {ClassBranch, func(w *wave, in *inst) { w.pc = in.to }},
	"s_cbranch_scc0":   {ClassBranch, func(w *wave, in *inst) { w.branch(in, !w.scc, w.sccBad) }},
	"s_cbranch_scc1":   {ClassBranch, func(w *wave, in *inst) { w.branch(in, w.scc, w.sccBad) }},
	"s_cbranch_vccz":   {ClassBranch, func(w *wave, in *inst) { w.branch(in, w.s[regVCC] == 0, w.vccBad()) }},
	"s_cbranch_vccnz":  {ClassBranch, func(w *wave, in *inst) { w.branch(in, w.s[regVCC] != 0, w.vccBad()) }},
	"s_cbranch_execz":  {ClassBranch, func(w *wave, in *inst) { w.branch(in, w.exec() == 0, false) }},
	"s_cbranch_execnz": {ClassBranch, func(w *wave, in *inst) { w.branch(in, w.exec() != 0, false) }},
	"s_getpc_b64":      {ClassSALU, func(w *wave, in *inst) { w.putS(&in.d, 2, w.nextPC(in), 0) }},
	"s_setpc_b64":      {ClassBranch, func(w *wave, in *inst) { w.jump(in) }},
	"s_swappc_b64": {ClassBranch, func(w *wave, in *inst) {
		at := w.nextPC(in)
		w.jump(in)
		w.putS(&in.d, 2, at, 0)
	}},
	"s_call_b64": {ClassBranch, func(w *wave, in *inst) {
		w.putS(&in.d, 2, w.nextPC(in), 0)
		w.pc = in.to
	}},
	"s_trap": {ClassBranch, func(w *wave, _ *inst) { w.fault("a trap: the kernel gave up") }},
	"s_getreg_b32": {ClassSALU, func(w *wave, in *inst) {
		w.putS(&in.d, 1, uint64(w.mode>>in.mod.offsets[0]&(1<<in.mod.offsets[1]-1)), 0)
	}},
	"s_setreg_imm32_b32": {ClassSALU, setMode}, "s_setreg_b32": {ClassSALU, setMode},
	"s_waitcnt_vscnt": {ClassWait, func(w *wave, in *inst) { w.drained(in) }},
	"buffer_gl1_inv":  {ClassWait, func(w *wave, _ *inst) { w.acquire() }},
	"s_denorm_mode":   {ClassWait, func(w *wave, in *inst) { w.setMode(4, 4, uint32(in.src[0].val)) }},
	"s_round_mode":    {ClassWait, func(w *wave, in *inst) { w.setMode(0, 4, uint32(in.src[0].val)) }},
}

func init() {
	for _, name := range []string{"s_nop", "s_sleep", "s_setprio", "s_clause", "s_delay_alu", "s_waitcnt", "s_waitcnt_depctr", "s_waitcnt_vmcnt",
		"s_waitcnt_expcnt", "s_waitcnt_lgkmcnt", "s_wait_idle", "s_wait_event", "s_sendmsg", "s_set_inst_prefetch_distance", "s_inst_prefetch", "s_icache_inv",
		"s_dcache_inv", "s_gl1_inv", "buffer_gl0_inv", "s_code_end", "s_ttracedata", "s_ttracedata_imm", "s_version", "s_incperflevel",
		"s_decperflevel", "s_singleuse_vdst"} {
		controls[name] = control{ClassWait, nothing}
	}
}

func (w *wave) branch(in *inst, taken, bad bool) {
	if bad {
		w.fault("the branch depends on what was never written")
	}
	if taken {
		w.pc = in.to
	}
}

// vccBad: whether VCC is zero can't be known.
func (w *wave) vccBad() bool { return w.sp[regVCC] != 0 && w.s[regVCC]&^w.sp[regVCC] == 0 }

func (w *wave) nextPC(in *inst) uint64 { return w.block.launch.module.base + in.pc + 4 }

func (w *wave) jump(in *inst) {
	to, bad := w.getS(&in.src[0], 2)
	i, ok := w.block.launch.module.index[to-w.block.launch.module.base]
	if bad != 0 || !ok {
		w.fault("a jump to %#x, which is no instruction of the object or depends on what was never written", to)
		return
	}
	w.pc = i
}

// setMode changes n bits of the mode: rounding in bits 0 to 3, denormals in 4 to 7.
func (w *wave) setMode(at, n int, v uint32) {
	m := uint32(1<<n-1) << at
	w.mode = w.mode&^m | v<<at&m
	if w.mode&15 != 0 {
		w.fault("rounding other than to nearest isn't simulated")
	}
	w.flush, w.flushH = w.mode>>4&3 != 3, w.mode>>6&3 != 3
}

func setMode(w *wave, in *inst) {
	v, bad := w.getS(&in.src[0], 1)
	if bad != 0 {
		w.fault("the mode depends on what was never written")
	}
	w.setMode(in.mod.offsets[0], in.mod.offsets[1], uint32(v))
}
