package kernels

import (
	"slices"
	"strings"
)

// gpus are the targets whose kernels come of templates/gpu: gfx1100, gfx1151, sm_90, sm_86.
const gpus = "[gs][fm]*"

// What a launch of a product is, by the bucket's rows and the weight's: a group of 16 rows a block, its K split among 8 warps;
// or where there are groups enough, a warp a group; and of many rows eight at a time, so that a weight is decoded once for them.
var products = []struct{ where, grid, split string }{
	{"T == 1 and N >= 16384", "((N+15)/16+7)/8", "1"},
	{"T == 1 and N > 4096", "((N+15)/16+1)/2", "4"},
	{"T == 1", "(N+15)/16", "8"},
	{"T % 8 == 0", "((N+15)/16+7)/8 * (T/8)", "1"},
	{"T > 1", "(N+15)/16 * T", "8"},
}

// The query heads of a block of attention, which all share a key head, and its warps. A single row has its own: registry_gpu_attend.go.
var queries = []struct{ where, count, warps string }{
	{"H / KV <= 4", "H/KV", "8"},
	{"H / KV % 4 == 0", "4", "8"},
	{"H / KV % 2 == 0", "2", "8"},
	{"", "1", "8"},
}

// onGPU are the kernels of templates/gpu.
var onGPU = slices.Concat(gpuPrefill(), gpuTiles(), gpuProducts(), gpuSplitAttention(), gpuAttention(), gpuElementwise(), gpuRotations(), gpuDeltas(), gpuExperts(), []Kernel{
	{Op: "embed", Sig: "i32[], W[V,D] -> act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed<W, V, D, T>", Header: "embed.hip", Grid: "T * ((D+255)/256)", Block: "256", Targets: gpus},
	{Op: "embed_norm", Sig: "i32[], W[V,D], f32[D], eps:real -> act[D], act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed_norm<W, V, D, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "embed_scale_norm", Sig: "i32[], W[V,D], scale:real, f32[D], eps:real -> act[D], act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed_scale_norm<W, V, D, scale, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "rmsnorm", Sig: "act[..R,D], f32[D], eps:real -> act[..R,D]", Cells: "live",
		Inst: "rmsnorm<R, D, eps, T>", Header: "norm.hip", Grid: "T * R", Block: "256", Targets: gpus},
	{Op: "rmsnorm", Sig: "act[..R,D], f32[..R,D], eps:real -> act[..R,D]", Cells: "live",
		Inst: "rmsnorm<1, R*D, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "add_norm", Sig: "act[D], act[D], f32[D], eps:real -> act[D], act[D]", Cells: "live",
		Inst: "add_norm<D, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "norm_add", Sig: "act[D], act[D], f32[D], eps:real -> act[D]", Cells: "live",
		Inst: "norm_add<D, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "norm_add_norm", Sig: "act[D], act[D], f32[D], f32[D], eps:real -> act[D], act[D]", Cells: "live",
		Inst: "norm_add_norm<D, eps, T>", Header: "norm.hip", Grid: "T", Block: "256", Targets: gpus},
	{Op: "append", Sig: "act[KV,D], act[KV,D] -> kv[KV,D]", Cells: "pos live table",
		Inst: "append<KV, D, P, T>", Header: "pages.hip", Grid: "T", Block: "256", Where: "D % 8 == 0", Targets: gpus},
	{Op: "argmax", Sig: "act[V] -> i32[]", Cells: "pos",
		Inst: "argmax<V>", Header: "tail.hip", Grid: "1", Block: "1024", Where: "T == 1", Targets: gpus},
	{Op: "matmul_argmax", Sig: "act[..K], W[N,K] -> act[N], i32[]", Formats: plain, Layout: "x16", Cells: "pos " + Ticket,
		Inst: "matmul_argmax<W, K, N, 1>", Header: "tail.hip", Grid: "((N+15)/16+7)/8", Block: "256", Where: "T == 1", Targets: gpus},
	{Op: "sample", Sig: "act[V] -> i32[]", Cells: "pos params rng counts",
		Inst: "sample<V>", Header: "tail.hip", Grid: "1", Block: "1024", Where: "T == 1 and V <= 524288", Targets: gpus},
})

// normedRow bounds the row that a block keeps in shared memory, normed. With 20 KiB a step beside it may keep as much, and both stay under the 48 that
// NVIDIA's compiler gives; of a row of 6,144 the norm's registers, beside the weights that are under way, begin to spill on sm_90.
func normedRow(dim string) string { return dim + " <= 5120" }

// leanFormats are those in which products of one row keep to 80 registers. Of 4,096 channels int4 spills 24 bytes and more, the others in blocks
// of 32 as it comes (TestLean).
var leanFormats = []string{"f32", "f16", "bf16", "i4_128"}

// lean is the condition for three blocks a processor, of a row's own: one row, of so many channels.
func lean(where, channels string) string {
	if !strings.HasPrefix(where, "T == 1") {
		return ""
	}
	return channels + " <= 2048"
}

func gpuProducts() []Kernel {
	var list []Kernel
	for _, p := range products {
		row := func(op, sig, inst string) {
			list = append(list, Kernel{Op: op, Sig: sig, Formats: plain, Layout: "x16", Cells: "live", Inst: inst + ", N, T, " + p.split + ">",
				Header: "matmul.hip", Grid: p.grid, Block: "256", Where: p.where, Targets: gpus, Lean: lean(p.where, "K")})
		}
		row("matmul", "act[..K], W[..N,K] -> act[..N]", "matmul<W, K")
		row("matmul_add", "act[..K], W[..N,K], act[..N] -> act[..N]", "matmul_add<W, K")
		row("swiglu", "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", "swiglu<WG, WU, K")
		row("geglu", "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", "geglu<WG, WU, K")
		normed := func(op, weights, inst string) {
			if !strings.HasPrefix(p.where, "T == 1") {
				return
			}
			list = append(list, Kernel{Op: "norm_" + op, Sig: "act[K], f32[K], eps:real, " + weights + " -> act[..N]", Formats: plain, Layout: "x16",
				Inst: "norm_" + inst + ", K, N, " + p.split + ", eps>", Header: "matmul.hip", Grid: p.grid, Block: "256", Where: p.where + " and " + normedRow("K"), Targets: gpus})
		}
		normed("matmul", "W[..N,K]", "matmul<W")
		normed("swiglu", "WG[..N,K], WU[..N,K]", "swiglu<WG, WU")
		normed("geglu", "WG[..N,K], WU[..N,K]", "geglu<WG, WU")
		row("swiglu2", "act[..K], WG[..N,K], act[..K], WU[..N,K] -> act[..N]", "swiglu2<WG, WU, K")
	}
	return append(list, Kernel{Op: "matmul_norm_add", Sig: "act[..K], W[N,K], act[N], f32[N], eps:real -> act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
		Inst: "matmul_norm_add<W, K, N, 8, eps>", Header: "matmul.hip", Grid: "(N+15)/16", Block: "256", Where: "T == 1", Targets: gpus},
		Kernel{Op: "matmul_norm_add_norm", Sig: "act[..K], W[N,K], act[N], f32[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "matmul_norm_add_norm<W, K, N, 8, eps>", Header: "matmul.hip", Grid: "(N+15)/16", Block: "256", Where: "T == 1", Targets: gpus},
		Kernel{Op: "matmul_add_norm", Sig: "act[..K], W[N,K], act[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
			Inst: "matmul_add_norm<W, K, N, 8, eps>", Header: "matmul.hip", Grid: "(N+15)/16", Block: "256", Where: "T == 1", Targets: gpus})
}

func gpuAttention() []Kernel {
	var list []Kernel
	for _, r := range []struct{ sig, theta, where string }{{unscaled, "theta", " and " + plainly}, {scaled, slowed, ""}} {
		row := func(op, sig, inst string) {
			list = append(list, Kernel{Op: op, Sig: sig, Cells: "pos live table", Inst: inst + r.theta + ", P, T>", Header: "rope.hip",
				Grid: "T * KV", Block: "256", Where: "D % 8 == 0 and H % KV == 0" + r.where, Targets: gpus})
		}
		list = append(list, Kernel{Op: "rope", Sig: "act[..H,D], theta:real, width:int" + r.sig + " -> act[..H,D]", Cells: "pos live",
			Inst: "rope<H, D, width, " + r.theta + ", T>", Header: "rope.hip", Grid: "T", Block: "256", Where: strings.TrimPrefix(r.where, " and "), Targets: gpus})
		row("rope_append", "act[H,D], act[KV,D], act[KV,D], theta:real, width:int"+r.sig+" -> act[H,D], kv[KV,D]", "rope_append<H, KV, D, width, ")
		row("norm_rope_append", "act[H,D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int"+r.sig+" -> act[H,D], kv[KV,D]",
			"norm_rope_append<H, KV, D, width, eps, ")
		for _, b := range []struct{ grid, each, where string }{{"KV", "1", " and T == 1"}, {"T", "KV", ""}} {
			list = append(list, Kernel{Op: "norm_rope_append", Sig: allHeads + r.sig + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
				Inst: "norm_rope_append_wide<H, KV, D, width, eps, " + r.theta + ", P, T, " + b.each + ">", Header: "rope.hip", Grid: b.grid, Block: "256",
				Where: "D % 8 == 0 and H % KV == 0" + r.where + b.where, Targets: gpus})
		}
		row("split_norm_rope_append", "act[H,2*D], [D], [D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int"+r.sig+" -> act[H,D], act[H,D], kv[KV,D]",
			"split_norm_rope_append<H, KV, D, width, eps, ")
	}
	for _, q := range queries {
		where := "D % 8 == 0 and D <= 256 and H % KV == 0"
		if q.where != "" {
			where += " and " + q.where
		}
		row := func(op, sig string) {
			list = append(list, Kernel{Op: op, Sig: sig, Cells: "pos live table", Inst: op + "<H, KV, D, P, scale, window, " + q.count + ", " + q.warps + ", T>",
				Header: "attend.hip", Grid: "T * (H/(" + q.count + "))", Block: "32 * " + q.warps, Where: where, Targets: gpus})
		}
		row("attend_kv", "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]")
		row("attend_gate", "act[H,D], kv[KV,D], act[H,D], scale:real, window:int -> act[H,D]")
	}
	return list
}

func gpuElementwise() []Kernel {
	list := elementwise()
	for i := range list {
		list[i].Header, list[i].Block, list[i].Targets = "elementwise.hip", "256", gpus
		list[i].Grid = strings.ReplaceAll(strings.ReplaceAll(list[i].Grid, "4095", "1023"), "4096", "1024")
	}
	return list
}
