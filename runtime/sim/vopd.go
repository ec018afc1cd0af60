package sim

// A dual instruction is two, of which each reads its sources before either writes. So where the second reads what the first writes, the first
// writes to a register aside, the second to its own, and then the first's result is moved to where it belongs.
func dualAside(w *wave, in *inst) {
	x, y := in.pair[0], in.pair[1]
	to := x.d.reg
	w.plo[regStage], w.phi[regStage] = w.plo[to], w.phi[to]
	x.run(w, x)
	y.run(w, y)
	m := w.exec()
	d, s := &w.v[to], &w.v[regStage]
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = s[i]
		}
	}
	w.mark(to, m, w.plo[regStage], w.phi[regStage])
}

// dual runs one after the other.
func dual(w *wave, in *inst) {
	in.pair[0].run(w, in.pair[0])
	in.pair[1].run(w, in.pair[1])
}

// stage makes the first half write aside: x.d keeps its name for dual, the copy that runs has the register aside.
func stage(x *inst) *inst {
	run := x.run
	aside := *x
	aside.d.reg = regStage
	outer := *x
	outer.run = func(w *wave, _ *inst) { run(w, &aside) }
	return &outer
}
