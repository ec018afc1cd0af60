package kernels

import "slices"

// routerParts are the blocks that share a group of 16 of a router's rows, of which there are few.
const routerParts = "4"

// gpuExperts are a mixture of experts'. One row: a block is a slot and a tile of outputs, its K split among warps. More rows: each token and slot
// by itself, a warp for 16 outputs.
func gpuExperts() []Kernel {
	var each []Kernel
	row := func(op, sig, inst, grid, where, channels string) {
		each = append(each, Kernel{Op: op, Sig: sig, Formats: plain, Layout: "x16", Cells: "live", Inst: inst, Grid: grid, Where: where, Lean: lean(where, channels)})
	}
	for _, x := range []struct{ operand, perSlot string }{{"act[K]", "0"}, {"act[A,K]", "1"}} {
		sig := x.operand + ", i32[A], W[E,N,K] -> act[A,N]"
		inst := "matmul_each<W, E, A, K, N, " + x.perSlot + ", T, "
		row("matmul_each", sig, inst+"8>", "A * (N/16)", "T == 1 and N % 16 == 0 and K >= 1024", "K")
		row("matmul_each", sig, inst+"2>", "A * ((N/16+3)/4)", "T == 1 and N % 16 == 0", "K")
		row("matmul_each", sig, inst+"1>", "T * A * ((N/16+7)/8)", "N % 16 == 0", "K")
		row("matmul_each", sig, "matmul_each_any<W, E, A, K, N, "+x.perSlot+", T>", "T * A * ((N+7)/8)", "", "K")
	}
	const swiglu = "act[D], i32[A], W[E,2*F,D], [F]"
	row("swiglu_each", swiglu+" -> act[A,F]", "swiglu_each<W, E, A, D, F, T, 8>", "A * (F/16)", "T == 1 and F % 16 == 0", "D")
	row("swiglu_each", swiglu+" -> act[A,F]", "swiglu_each<W, E, A, D, F, T, 1>", "T * A * ((F/16+7)/8)", "F % 16 == 0", "D")
	each = append(each,
		Kernel{Op: "norm_swiglu_each", Sig: "act[D], f32[D], eps:real, i32[A], W[E,2*F,D], [F] -> act[A,F]", Formats: plain, Layout: "x16",
			Inst: "norm_swiglu_each<W, E, A, D, F, eps>", Grid: "A * (F/16)", Where: "T == 1 and F % 16 == 0 and " + normedRow("D")},
		Kernel{Op: "moe_down", Sig: "act[A], i32[A], act[A,F], W[E,N,F], act[1], act[..M], WS[N,M], act[N] -> act[N]", Formats: plain, Layout: "x16",
			Inst: "moe_down<W, WS, E, A, F, M, N>", Grid: "N/16", Where: "T == 1 and N % 16 == 0"},
		Kernel{Op: "experts_down", Sig: "act[A], i32[A], act[A,F], W[E,N,F], act[N] -> act[N]", Formats: plain, Layout: "x16",
			Inst: "experts_down<W, E, A, F, N>", Grid: "N/16", Where: "T == 1 and N % 16 == 0"},
		Kernel{Op: "swiglu_each_rotate", Sig: swiglu + ", rot_G[F] -> act[A,F]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "swiglu_each_rotate<W, E, A, D, F, G>", Grid: "A * (F/16)", Where: "T == 1 and F % G == 0 and A * (F/G) <= 64", Lean: "D <= 2048"},
		Kernel{Op: "swiglu_rotate", Sig: "act[..K], WG[F,K], act[..K], WU[F,K], rot_G[F] -> act[F]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "swiglu_rotate<WG, WU, K, F, G>", Grid: "F/16", Where: "T == 1 and F % G == 0 and F/G <= 64", Lean: "K <= 2048 and F <= 2048"},
		Kernel{Op: "moe_down_norm", Sig: "act[A], i32[A], act[A,F], W[E,N,F], act[1], act[..M], WS[N,M], act[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "moe_down_norm<W, WS, E, A, F, M, N, eps>", Grid: "N/16", Where: "T == 1 and N % 16 == 0"},
		Kernel{Op: "experts_down_norm", Sig: "act[A], i32[A], act[A,F], W[E,N,F], act[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "experts_down_norm<W, E, A, F, N, eps>", Grid: "N/16", Where: "T == 1 and N % 16 == 0"})
	return slices.Concat(onCards("experts.hip", each), onCards("moe.hip", []Kernel{
		{Op: "softmax", Sig: "act[..R,D] -> act[..R,D]", Cells: "live", Inst: "softmax<R, D, T>", Grid: "T * R"},
		{Op: "topk", Sig: "act[E], A:int -> act[A], i32[A]", Cells: "live",
			Inst: "topk<E, A, T>", Grid: "T", Where: "A <= E and E <= 65536"},
		{Op: "softmax_topk", Sig: "act[E], A:int -> act[A], i32[A]", Cells: "live",
			Inst: "softmax_topk<E, A, T>", Grid: "T", Where: "A <= E and E <= 65536"},
		{Op: "router", Sig: "act[..D], W[E,D], A:int -> act[E], act[A], i32[A]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "router<W, D, E, A, " + routerParts + ">", Grid: "(E+15)/16 * " + routerParts, Scratch: "4 * " + routerParts + " * ((E+15)/16*16)",
			Where: "T == 1 and A <= E and E <= 65536"},
		{Op: "norm_router", Sig: "act[D], f32[D], eps:real, W[E,D], A:int -> act[E], act[A], i32[A]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "norm_router<W, D, E, A, " + routerParts + ", eps>", Grid: "(E+15)/16 * " + routerParts, Scratch: "4 * " + routerParts + " * ((E+15)/16*16)",
			Where: "T == 1 and A <= E and E <= 65536 and " + normedRow("D")},
		{Op: "sum", Sig: "act[A] -> act[]", Cells: "live", Inst: "sum_first<A, 1, T>", Grid: "T"},
		{Op: "sum", Sig: "act[A,B] -> act[B]", Cells: "live", Inst: "sum_first<A, B, T>", Grid: "T * ((B+255)/256)"},
		{Op: "moe_sum", Sig: "act[A], act[A,D], act[1], act[D], act[D] -> act[D]", Cells: "live",
			Inst: "moe_sum<A, D, T>", Grid: "T * ((D+255)/256)"},
		{Op: "experts_sum", Sig: "act[A], act[A,D], act[D] -> act[D]", Cells: "live",
			Inst: "experts_sum<A, D, T>", Grid: "T * ((D+255)/256)"},
	}))
}
