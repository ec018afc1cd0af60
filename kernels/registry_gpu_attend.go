package kernels

// gpuSplitAttention is a decode step's attention, each set of query heads by enough blocks that there are some 128 in all.
func gpuSplitAttention() []Kernel {
	var list []Kernel
	for _, q := range []struct{ count, where string }{
		{"4", "H / KV % 4 == 0"}, {"3", "H / KV % 3 == 0"}, {"2", "H / KV % 2 == 0"}, {"1", "H / KV > 0"},
	} {
		where := "T == 1 and D % 8 == 0 and D <= 256 and H % KV == 0 and " + q.where + " and H/" + q.count + " <= 64"
		splits := "((127+H/" + q.count + ")/(H/" + q.count + "))"
		row := func(op, sig, group, also string) {
			list = append(list, Kernel{Op: op, Sig: sig, Cells: "pos live table " + Ticket,
				Inst: op + "_split<H, KV, D, P, scale, window, " + q.count + group + ">", Grid: "H/" + q.count + " * " + splits,
				Scratch: "4 * H * (D+2) * " + splits, Where: where + also})
		}
		row("attend_kv", "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]", "", "")
		row("attend_gate", "act[H,D], kv[KV,D], act[H,D], scale:real, window:int -> act[H,D]", "", "")
		row("attend_gate_rotate", "act[H,D], kv[KV,D], act[H,D], scale:real, window:int, rot_G[H*D] -> act[H,D]", ", G", " and "+q.count+" * D % G == 0")
	}
	return onCards("attend_split.hip", list)
}
