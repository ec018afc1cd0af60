package kernels

// wide asks that heads are whole vectors and value heads share key heads evenly.
const wide = "DK % 16 == 0 and DV % 16 == 0 and HV % HK == 0"

// projected is what a Gated DeltaNet layer's recurrence takes: q, k and v as the convolution gives them, the gates' logits.
const projected = "act[2*HK*DK+HV*DV], [HK,DK], [HK,DK], [HV,DV], eps:real, scale:real, act[HV], f32[HV], act[HV], f32[HV]"

// deltas are the kernels of linear attention: short convolution, delta rule and what stands around them.
var deltas = []Kernel{
	{Op: "conv1d", Sig: "act[C0], f32[C0,taps], taps:int -> act[C0]", Cells: "pos live",
		Inst: "conv1d<C0, taps, T>", Header: "conv.h", Grid: "(C0+511)/512", Targets: "cpu_*"},
	{Op: "conv_silu", Sig: "act[C0], f32[C0,taps], taps:int -> act[C0]", Cells: "pos live",
		Inst: "conv_silu<C0, taps, T>", Header: "conv.h", Grid: "(C0+511)/512", Targets: "cpu_*"},
	{Op: "l2norm", Sig: "act[..R,D], eps:real -> act[..R,D]", Cells: "live",
		Inst: "l2norm<R, D, eps, T>", Header: "delta.h", Grid: "T", Targets: "cpu_*"},
	{Op: "delta_rule", Sig: "act[HK,DK], act[HK,DK], act[HV,DV], act[HV], act[HV] -> act[HV,DV]", Cells: "pos live",
		Inst: "delta_rule<HK, HV, DK, DV, T>", Header: "delta.h", Grid: "HV", Where: wide, Targets: "cpu_*"},
	{Op: "delta_rule", Sig: "act[HK,DK], act[HK,DK], act[HV,DV], act[HV], act[HV] -> act[HV,DV]", Cells: "pos live",
		Inst: "delta_rule_any<HK, HV, DK, DV, T>", Header: "delta_any.h", Grid: "HV", Where: "HV % HK == 0", Targets: "cpu_*"},
	{Op: "gdn", Sig: projected + " -> act[HV,DV]", Cells: "pos live",
		Inst: "gdn<HK, HV, DK, DV, eps, scale, T>", Header: "delta.h", Grid: "HV", Where: wide, Targets: "cpu_*"},
	{Op: "gdn_norm", Sig: projected + ", f32[DV], eps2:real, act[HV,DV] -> act[HV,DV]", Cells: "pos live",
		Inst: "gdn_norm<HK, HV, DK, DV, eps, scale, eps2>", Header: "delta.h", Grid: "HV", Where: wide + " and T == 1", Targets: "cpu_*"},
	{Op: "gdn_norm_rotate", Sig: projected + ", f32[DV], eps2:real, act[HV,DV], rot_G[HV*DV] -> act[HV,DV]", Cells: "pos live",
		Inst: "gdn_norm_rotate<HK, HV, DK, DV, G, eps, scale, eps2>", Header: "delta.h", Grid: "HV", Where: wide + " and T == 1 and DV % G == 0", Targets: "cpu_*"},
	{Op: "gdn_norm_rotate", Sig: projected + ", f32[DV], eps2:real, act[HV,DV], rot_G[HV*DV] -> act[HV,DV]", Cells: "pos live",
		Inst: "gdn_norm_rotate<HK, HV, DK, DV, G, eps, scale, eps2>", Header: "delta.h", Grid: "HV*DV/G", Where: wide + " and T == 1 and G % DV == 0 and HV*DV % G == 0", Targets: "cpu_*"},
	{Op: "split", Sig: "act[..R,A+B], [A], [B] -> act[..R,A], act[..R,B]", Cells: "live",
		Inst: "split<R, A, B, T>", Header: "split.h", Grid: "T", Targets: "cpu_*"},
	{Op: "split", Sig: "act[A*B+Y*Z], [A,B], [Y,Z] -> act[A,B], act[Y,Z]", Cells: "live",
		Inst: "split<1, A*B, Y*Z, T>", Header: "split.h", Grid: "T", Targets: "cpu_*"},
	{Op: "split", Sig: "act[..R,A+B+D], [A], [B], [D] -> act[..R,A], act[..R,B], act[..R,D]", Cells: "live",
		Inst: "split3<R, A, B, D, T>", Header: "split.h", Grid: "T", Targets: "cpu_*"},
	{Op: "split", Sig: "act[A*B+D*E+Y*Z], [A,B], [D,E], [Y,Z] -> act[A,B], act[D,E], act[Y,Z]", Cells: "live",
		Inst: "split3<1, A*B, D*E, Y*Z, T>", Header: "split.h", Grid: "T", Targets: "cpu_*"},
}
