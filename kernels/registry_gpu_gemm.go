package kernels

// matrixFormats are those that matrix units multiply, unpacked to f16.
const matrixFormats = "f16 bf16 q4_0 q4_1 q8_0 i4_64 i4_128"

// tilings are the shapes of a block of a product with many rows: BM of x, BN of w. On an H100, 512 rows, µs (each shape by 128 × 128, 64 × 128,
// 64 × 64, 32 × 128, 32 × 64): K 2048, N 8192 89 95 121 155 166; 4096, 2048 85 67 63 79 87; 2048, 512 43 34 27 31 24; 1536, 576 33 25 20 23 19. Of 128 × 128
// the registers leave room for one block a processor; with two it spills.
var tilings = []struct{ where, bm, bn string }{
	{"T >= 64 and N >= 4096", "64", "128"},
	{"T >= 64 and N > 1024", "64", "64"},
	{"T >= 16", "32", "64"},
}

func gpuTiles() []Kernel {
	var list []Kernel
	row := func(op, sig, inst, where, n, bm, bn string) {
		list = append(list, Kernel{Op: op, Sig: sig, Formats: matrixFormats, Layout: "x16", Cells: "live", Inst: inst + ", N, T, " + bm + ", " + bn + ">", Header: "gemm.hip",
			Grid: "((" + n + "+" + bn + "-1)/" + bn + ") * ((T+" + bm + "-1)/" + bm + ")", Block: "2 * " + bn, LDS: "160 * (" + bm + "+" + bn + ")", Where: where + " and K % 32 == 0", Targets: gpus, Rounds: true})
	}
	for _, t := range tilings {
		row("matmul", "act[..K], W[..N,K] -> act[..N]", "matmul_tiles<W, K", t.where, "N", t.bm, t.bn)
		row("matmul_add", "act[..K], W[..N,K], act[..N] -> act[..N]", "matmul_add_tiles<W, K", t.where, "N", t.bm, t.bn)
	}
	// A few gated outputs can all be near 0, so that rounding shows: they stay in f32.
	for i, t := range tilings {
		t.where += " and N >= 32"
		row("swiglu", "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", "swiglu_tiles<WG, WU, K", t.where, "2*N", t.bm, t.bn)
		row("geglu", "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", "geglu_tiles<WG, WU, K", t.where, "2*N", t.bm, t.bn)
		if i > 0 { // its two sums an output take the registers of a larger block
			row("swiglu2", "act[..K], WG[..N,K], act[..K], WU[..N,K] -> act[..N]", "swiglu2_tiles<WG, WU, K", t.where, "N", t.bm, t.bn)
		}
	}
	// Shared memory has room for 64 rows even of 32: every thread rounds eight values, without a branch.
	for _, g := range groupings {
		each := func(op, sig, inst, n, outputs string) {
			list = append(list, Kernel{Op: op, Sig: sig, Formats: matrixFormats, Layout: "x16", Cells: "live", Inst: inst + ", T, " + g.bm + ", " + g.bn + ">", Header: "grouped.hip",
				Grid: "E * ((" + outputs + "+" + g.bn + "-1)/" + g.bn + ")", Block: "2 * " + g.bn, LDS: "160 * (64+" + g.bn + ")", Where: g.where + " and T * A <= 65536 and D % 32 == 0 and " + n + " % 16 == 0", Targets: gpus, Rounds: true})
		}
		each("matmul_each", "act[D], i32[A], W[E,N,D] -> act[A,N]", "matmul_each_tiles<W, E, A, D, N, 0", "N", "N")
		each("matmul_each", "act[A,D], i32[A], W[E,N,D] -> act[A,N]", "matmul_each_tiles<W, E, A, D, N, 1", "N", "N")
		each("swiglu_each", "act[D], i32[A], W[E,2*F,D], [F] -> act[A,F]", "swiglu_each_tiles<W, E, A, D, F, 0", "F", "2*F")
	}
	return list
}

// groupings are the shapes of a block where each expert has rows of its own, by how many an expert has on average. On an H100, 256 experts of 512 × 2048,
// 8 a row, µs of swiglu_each (matmul_each) by 32 × 128, 64 × 128, 32 × 64, 64 × 64: 512 rows 359 (212) 377 (226) 351 (217) 523 (333); 2048 rows
// 924 (525) 670 (418) 908 (655) 916 (724).
var groupings = []struct{ where, bm, bn string }{
	{"T >= 16 and T * A >= 48 * E", "64", "128"},
	{"T >= 16", "32", "128"},
}
