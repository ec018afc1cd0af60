package kernels

import "slices"

// gpuDeltas are linear attention's: short convolution, delta rule token by token, and what stands around them. In a decode step a block has 32
// columns of a head's state, or all of them where 32 don't divide them; of several rows a warp has four.
func gpuDeltas() []Kernel {
	const fours = "DK % 16 == 0 and DV % 16 == 0 and HV % HK == 0"
	list := onCards("conv.hip", []Kernel{
		{Op: "conv1d", Sig: "act[C0], f32[C0,taps], taps:int -> act[C0]", Cells: "pos live",
			Inst: "conv1d<C0, taps, T>", Grid: "(C0+255)/256 * ((T+31)/32)", Where: "taps > 1 and taps <= 32"},
		{Op: "conv_silu", Sig: "act[C0], f32[C0,taps], taps:int -> act[C0]", Cells: "pos live",
			Inst: "conv_silu<C0, taps, T>", Grid: "(C0+255)/256 * ((T+31)/32)", Where: "taps > 1 and taps <= 32"},
	})
	delta := []Kernel{{Op: "l2norm", Sig: "act[..R,D], eps:real -> act[..R,D]", Cells: "live", Inst: "l2norm<R, D, eps, T>", Grid: "(T*R+7)/8"}}
	for _, g := range []struct{ grid, where string }{
		{"HV*DV/32", " and T == 1 and DV % 32 == 0"},
		{"HV", " and T == 1 and DV % 32 > 0 and DV <= 128"},
		{"(HV*DV/4+7)/8", " and T > 1"},
	} {
		delta = append(delta,
			Kernel{Op: "delta_rule", Sig: "act[HK,DK], act[HK,DK], act[HV,DV], act[HV], act[HV] -> act[HV,DV]", Cells: "pos live",
				Inst: "delta_rule<HK, HV, DK, DV, T>", Grid: g.grid, Where: fours + g.where},
			Kernel{Op: "gdn", Sig: projected + " -> act[HV,DV]", Cells: "pos live",
				Inst: "gdn<HK, HV, DK, DV, eps, scale, T>", Grid: g.grid, Where: fours + g.where})
	}
	for _, g := range []struct{ grid, where string }{{"HV*DV/32", " and DV % 32 == 0"}, {"HV", " and DV % 32 > 0 and DV <= 128"}} {
		delta = append(delta,
			Kernel{Op: "gdn_norm", Sig: projected + ", f32[DV], eps2:real, act[HV,DV] -> act[HV,DV]", Cells: "pos live " + Ticket,
				Inst: "gdn_norm<HK, HV, DK, DV, eps, scale, eps2>", Grid: g.grid, Where: fours + " and T == 1 and HV <= 64" + g.where},
			Kernel{Op: "gdn_norm_rotate", Sig: projected + ", f32[DV], eps2:real, act[HV,DV], rot_G[HV*DV] -> act[HV,DV]", Cells: "pos live " + Ticket,
				Inst: "gdn_norm_rotate<HK, HV, DK, DV, G, eps, scale, eps2>", Grid: g.grid,
				Where: fours + " and T == 1 and HV <= 64 and 128 % DV == 0 and (DV % G) * (G % DV) == 0 and HV*DV % G == 0" + g.where})
	}
	return slices.Concat(list, onCards("delta.hip", delta), onCards("elementwise.hip", []Kernel{
		{Op: "split", Sig: "act[..R,A+B], [A], [B] -> act[..R,A], act[..R,B]", Cells: "live",
			Inst: "split<R, A, B, T>", Grid: "T"},
		{Op: "split", Sig: "act[A*B+Y*Z], [A,B], [Y,Z] -> act[A,B], act[Y,Z]", Cells: "live",
			Inst: "split<1, A*B, Y*Z, T>", Grid: "T"},
		{Op: "split", Sig: "act[..R,A+B+D], [A], [B], [D] -> act[..R,A], act[..R,B], act[..R,D]", Cells: "live",
			Inst: "split3<R, A, B, D, T>", Grid: "T"},
		{Op: "split", Sig: "act[A*B+D*E+Y*Z], [A,B], [D,E], [Y,Z] -> act[A,B], act[D,E], act[Y,Z]", Cells: "live",
			Inst: "split3<1, A*B, D*E, Y*Z, T>", Grid: "T"},
	}))
}
