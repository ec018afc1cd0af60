package kernels

import (
	"embed"
	"slices"
)

// Templates holds the templates' sources: cpu/matmul.h and so on.
//
//go:embed templates
var Templates embed.FS

// plain are the formats whose rows stand by themselves.
const plain = "f32 f16 bf16 q4_0 q4_1 q8_0 i4_64 i4_128"

// pages is what the layout of a KV page asks for, and shared what grouped queries ask for besides.
const (
	pages  = "D % 16 == 0 and P % 16 == 0"
	shared = pages + " and H % KV == 0"
)

// Registry is every kernel there is. Among rows of one op the first that fits is taken.
var Registry = slices.Concat(named, families, rotations, deltas, experts, elementwise(), onGPU)

var named = []Kernel{
	{Op: "embed", Sig: "i32[], W[V,D] -> act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed<W, V, D, T>", Header: "embed.h", Grid: "T", Targets: "cpu_*"},
	{Op: "rmsnorm", Sig: "act[..R,D], f32[D], eps:real -> act[..R,D]", Cells: "live",
		Inst: "rmsnorm<R, D, eps, T>", Header: "norm.h", Grid: "T", Targets: "cpu_*"},
	{Op: "add_norm", Sig: "act[D], act[D], f32[D], eps:real -> act[D], act[D]", Cells: "live",
		Inst: "add_norm<D, eps, T>", Header: "norm.h", Grid: "T", Targets: "cpu_*"},
	{Op: "embed_norm", Sig: "i32[], W[V,D], f32[D], eps:real -> act[D], act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed_norm<W, V, D, eps, T>", Header: "norm.h", Grid: "T", Targets: "cpu_*"},
	{Op: "matmul", Sig: "act[..K], W[..N,K] -> act[..N]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "matmul<W, K, N, T>", Header: "matmul.h", Grid: "(N+31)/32 * ((T+255)/256)", Targets: "cpu_*"},
	{Op: "matmul_add", Sig: "act[..K], W[..N,K], act[..N] -> act[..N]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "matmul_add<W, K, N, T>", Header: "matmul.h", Grid: "(N+31)/32 * ((T+255)/256)", Targets: "cpu_*"},
	{Op: "matmul_add_norm", Sig: "act[..K], W[N,K], act[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
		Inst: "matmul_add_norm<W, K, N, eps>", Header: "matmul.h", Grid: "(N+31)/32", Where: "T == 1", Targets: "cpu_*"},
	{Op: "swiglu", Sig: "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "swiglu<WG, WU, K, N, T>", Header: "matmul.h", Grid: "(N+15)/16 * ((T+255)/256)", Targets: "cpu_*"},
	{Op: "rope", Sig: "act[..H,D], theta:real, width:int" + unscaled + " -> act[..H,D]", Cells: "pos live",
		Inst: "rope<H, D, width, theta, T>", Header: "rope.h", Grid: "T", Where: plainly, Targets: "cpu_*"},
	{Op: "append", Sig: "act[KV,D], act[KV,D] -> kv[KV,D]", Cells: "pos live table",
		Inst: "append<KV, D, P, T>", Header: "pages.h", Grid: "(T+15)/16 * KV", Where: "P % 16 == 0", Targets: "cpu_*"},
	{Op: "rope_append", Sig: "act[H,D], act[KV,D], act[KV,D], theta:real, width:int" + unscaled + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
		Inst: "rope_append<H, KV, D, width, theta, P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared + " and " + plainly, Targets: "cpu_*"},
	{Op: "norm_rope_append", Sig: "act[H,D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int" + unscaled + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
		Inst: "norm_rope_append<H, KV, D, width, eps, theta, P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared + " and " + plainly, Targets: "cpu_*"},
	{Op: "attend_kv", Sig: "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]", Cells: "pos live table",
		Inst: "attend_kv<H, KV, D, P, scale, window, T>", Header: "attend.h", Grid: "KV", Where: shared + " and T <= 8", Targets: "cpu_*"},
	{Op: "attend_kv", Sig: "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]", Cells: "pos live table",
		Inst: "attend_kv<H, KV, D, P, scale, window, T>", Header: "attend.h", Grid: "H * ((T+31)/32)", Where: shared, Targets: "cpu_*"},
	{Op: "argmax", Sig: "act[V] -> i32[]", Cells: "pos",
		Inst: "argmax<V>", Header: "tail.h", Grid: "1", Where: "T == 1", Targets: "cpu_*"},
	{Op: "sample", Sig: "act[V] -> i32[]", Cells: "pos params rng counts",
		Inst: "sample<V>", Header: "tail.h", Grid: "1", Where: "T == 1 and V <= 524288", Targets: "cpu_*"},
}

// elementwise lists the ops that work on values at the same place, all by two templates: one operand, two of them, or
// an operand and a number. The shorter of two operands is repeated along the axes that it lacks at the end; f32 is a
// weight, one row for all tokens.
func elementwise() []Kernel {
	var list []Kernel
	row := func(op, sig, inst, size string) {
		list = append(list, Kernel{Op: op, Sig: sig, Cells: "live", Inst: inst, Header: "elementwise.h",
			Grid: "T * ((" + size + "+4095)/4096)", Targets: "cpu_*"})
	}
	for _, op := range []string{"copy", "neg", "exp", "sqrt", "sigmoid", "silu", "softplus", "gelu", "gelu_tanh"} {
		row(op, "act[..N] -> act[..N]", "map1<"+op+", N, T>", "N")
	}
	for _, op := range []string{"add", "sub", "mul", "div"} {
		for _, e := range []struct{ a, b, rows string }{{"act", "act", ""}, {"act", "f32", ", 1, 0"}, {"f32", "act", ", 0, 1"}} {
			row(op, e.a+"[..N], "+e.b+"[..N] -> act[..N]", "map2<"+op+", N, N, N, T"+e.rows+">", "N")
			row(op, e.a+"[..A], "+e.b+"[..A,B] -> act[..A,B]", "map2<"+op+", A*B, A, A*B, T"+e.rows+">", "A*B")
			row(op, e.a+"[..A,B], "+e.b+"[..A] -> act[..A,B]", "map2<"+op+", A*B, A*B, A, T"+e.rows+">", "A*B")
		}
		row(op, "act[..N], c:real -> act[..N]", "map1<right<"+op+", c>, N, T>", "N")
		row(op, "c:real, act[..N] -> act[..N]", "map1<left<"+op+", c>, N, T>", "N")
	}
	return list
}
