package kernels

// unscaled are rope's operands for longer contexts where they change nothing, scaled where they do: frequencies are divided
// by factor, all or some, or each by its own, and sines and cosines multiplied by gain.
const (
	unscaled = ", factor:int, low:int, high:int, original:int, ramp:int, gain:int"
	scaled   = ", factor:real, low:real, high:real, original:real, ramp:int, gain:real"
	slowed   = "slowed<theta, factor, low, high, original, ramp, gain>"
	plainly  = "factor == 1 and gain == 1" // where the unscaled rows hold
)

// allHeads are the operands of norm_rope_append where one norm takes all heads together (OLMo 2).
const allHeads = "act[H,D], act[KV,D], act[KV,D], f32[H,D], f32[KV,D], eps:real, theta:real, width:int"

// families are the kernels that some families of dense models add to those of all: rope for longer contexts, gelu's
// gated MLP, heads of any width, norms over several axes, and norms of what a block gives before it's added.
var families = append(wideNorms(), []Kernel{
	{Op: "rope", Sig: "act[..H,D], theta:real, width:int" + scaled + " -> act[..H,D]", Cells: "pos live",
		Inst: "rope<H, D, width, " + slowed + ", T>", Header: "rope.h", Grid: "T", Targets: "cpu_*"},
	{Op: "rope_append", Sig: "act[H,D], act[KV,D], act[KV,D], theta:real, width:int" + scaled + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
		Inst: "rope_append<H, KV, D, width, " + slowed + ", P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared, Targets: "cpu_*"},
	{Op: "norm_rope_append", Sig: "act[H,D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int" + scaled + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
		Inst: "norm_rope_append<H, KV, D, width, eps, " + slowed + ", P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared, Targets: "cpu_*"},
	{Op: "attend_kv", Sig: "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]", Cells: "pos live table",
		Inst: "attend_any<H, KV, D, P, scale, window, T>", Header: "attend_any.h", Grid: "H * ((T+15)/16)", Where: "P % 16 == 0 and H % KV == 0", Targets: "cpu_*"},
	{Op: "rmsnorm", Sig: "act[..R,D], f32[..R,D], eps:real -> act[..R,D]", Cells: "live",
		Inst: "rmsnorm<1, R*D, eps, T>", Header: "norm.h", Grid: "T", Targets: "cpu_*"},
	{Op: "geglu", Sig: "act[..K], WG[..N,K], WU[..N,K] -> act[..N]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "geglu<WG, WU, K, N, T>", Header: "gated.h", Grid: "(N+15)/16 * ((T+255)/256)", Targets: "cpu_*"},
	{Op: "embed_scale_norm", Sig: "i32[], W[V,D], scale:real, f32[D], eps:real -> act[D], act[D]", Formats: plain, Layout: "x16", Cells: "live",
		Inst: "embed_scale_norm<W, V, D, scale, eps, T>", Header: "norm.h", Grid: "T", Targets: "cpu_*"},
	{Op: "matmul_norm_add", Sig: "act[..K], W[N,K], act[N], f32[N], eps:real -> act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
		Inst: "matmul_norm_add<W, K, N, eps>", Header: "gated.h", Grid: "(N+31)/32", Where: "T == 1", Targets: "cpu_*"},
	{Op: "matmul_norm_add_norm", Sig: "act[..K], W[N,K], act[N], f32[N], f32[N], eps:real -> act[N], act[N]", Formats: plain, Layout: "x16", Cells: Ticket,
		Inst: "matmul_norm_add_norm<W, K, N, eps>", Header: "gated.h", Grid: "(N+31)/32", Where: "T == 1", Targets: "cpu_*"},
	{Op: "norm_add", Sig: "act[D], act[D], f32[D], eps:real -> act[D]", Cells: "live",
		Inst: "norm_add<D, eps, T>", Header: "gated.h", Grid: "T", Targets: "cpu_*"},
	{Op: "norm_add_norm", Sig: "act[D], act[D], f32[D], f32[D], eps:real -> act[D], act[D]", Cells: "live",
		Inst: "norm_add_norm<D, eps, T>", Header: "gated.h", Grid: "T", Targets: "cpu_*"},
}...)

// wideNorms are rope's kernels behind a norm over all heads: of one row each key head has a block, which sums up the row's squares again;
// of many a block takes all heads, so that nothing is done twice.
func wideNorms() []Kernel {
	var list []Kernel
	for _, r := range []struct{ sig, theta, where string }{{unscaled, "theta", " and " + plainly}, {scaled, slowed, ""}} {
		for _, b := range []struct{ each, grid, where string }{{"1", "KV", " and T == 1"}, {"KV", "(T+15)/16", ""}} {
			list = append(list, Kernel{Op: "norm_rope_append", Sig: allHeads + r.sig + " -> act[H,D], kv[KV,D]", Cells: "pos live table",
				Inst: "norm_rope_append_wide<H, KV, D, width, eps, " + r.theta + ", P, T, " + b.each + ">", Header: "rope.h", Grid: b.grid,
				Where: shared + r.where + b.where, Targets: "cpu_*"})
		}
	}
	return list
}
