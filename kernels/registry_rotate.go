package kernels

import (
	"slices"
	"strconv"
	"strings"
)

// heads asks that a rotation's group holds whole heads, or a head whole groups: one of the two remainders is 0.
const heads = "D % 16 == 0 and (D % G) * (G % D) == 0"

// rotations are the kernels that turn an activation for weights in W4, alone or behind what makes it.
var rotations = slices.Concat(
	[]Kernel{
		{Op: "rotate", Sig: "act[..K], rot_G[K] -> act[..K]", Cells: "live",
			Inst: "rotate<1, K, G, T>", Header: "rotate.h", Grid: "K/G * T", Where: "K % G == 0 and T <= 8", Targets: "cpu_*"},
		{Op: "rotate", Sig: "act[..K], rot_G[K] -> act[..K]", Cells: "live",
			Inst: "rotate<1, K, G, T>", Header: "rotate.h", Grid: "K/G * ((T+15)/16)", Where: "K % G == 0 and T > 8", Targets: "cpu_*"},
		{Op: "rotate", Sig: "act[..R,K], rot_G[K] -> act[..R,K]", Cells: "live",
			Inst: "rotate<R, K, G, T>", Header: "rotate.h", Grid: "K/G * T * R", Where: "K % G == 0 and T * R <= 8", Targets: "cpu_*"},
		{Op: "rotate", Sig: "act[..R,K], rot_G[K] -> act[..R,K]", Cells: "live",
			Inst: "rotate<R, K, G, T>", Header: "rotate.h", Grid: "K/G * ((T*R+15)/16)", Where: "K % G == 0 and T * R > 8", Targets: "cpu_*"},
		{Op: "gated_norm_rotate", Sig: "act[R,D], f32[D], eps:real, act[R,D], rot_G[R*D] -> act[R,D]", Cells: "live",
			Inst: "gated_norm_rotate<R, D, G, eps, T>", Header: "rotate.h", Grid: "R*D/G * T", Where: heads + " and R*D % G == 0 and T <= 8", Targets: "cpu_*"},
		{Op: "gated_norm_rotate", Sig: "act[R,D], f32[D], eps:real, act[R,D], rot_G[R*D] -> act[R,D]", Cells: "live",
			Inst: "gated_norm_rotate<R, D, G, eps, T>", Header: "rotate.h", Grid: "R*D/G * ((T+15)/16)", Where: heads + " and R*D % G == 0 and T > 8", Targets: "cpu_*"},
		{Op: "gated_norm", Sig: "act[..R,D], f32[D], eps:real, act[..R,D] -> act[..R,D]", Cells: "live",
			Inst: "gated_norm<R, D, eps, T>", Header: "rotate.h", Grid: "T", Targets: "cpu_*"},
		{Op: "attend_gate", Sig: "act[H,D], kv[KV,D], act[H,D], scale:real, window:int -> act[H,D]", Cells: "pos live table",
			Inst: "attend_gate<H, KV, D, P, scale, window, T>", Header: "attend_gate.h", Grid: "KV", Where: shared + " and T <= 8", Targets: "cpu_*"},
		{Op: "attend_gate", Sig: "act[H,D], kv[KV,D], act[H,D], scale:real, window:int -> act[H,D]", Cells: "pos live table",
			Inst: "attend_gate<H, KV, D, P, scale, window, T>", Header: "attend_gate.h", Grid: "H * ((T+31)/32)", Where: shared + " and T > 8", Targets: "cpu_*"},
		{Op: "attend_gate_rotate", Sig: "act[H,D], kv[KV,D], act[H,D], scale:real, window:int, rot_G[H*D] -> act[H,D]", Cells: "pos live table",
			Inst: "attend_gate_rotate<H, KV, D, P, scale, window, G, T>", Header: "attend_gate.h", Grid: "KV", Where: shared + " and T <= 8 and H / KV * D % G == 0", Targets: "cpu_*"},
		{Op: "attend_gate_rotate", Sig: "act[H,D], kv[KV,D], act[H,D], scale:real, window:int, rot_G[H*D] -> act[H,D]", Cells: "pos live table",
			Inst: "attend_gate_rotate<H, KV, D, P, scale, window, G, T>", Header: "attend_gate.h", Grid: "H * ((T+31)/32)", Where: shared + " and T > 8 and D % G == 0", Targets: "cpu_*"},
		{Op: "split_norm_rope_append", Sig: "act[H,2*D], [D], [D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int" + unscaled + " -> act[H,D], act[H,D], kv[KV,D]", Cells: "pos live table",
			Inst: "split_norm_rope_append<H, KV, D, width, eps, theta, P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared + " and " + plainly, Targets: "cpu_*"},
		{Op: "split_norm_rope_append", Sig: "act[H,2*D], [D], [D], act[KV,D], act[KV,D], f32[D], f32[D], eps:real, theta:real, width:int" + scaled + " -> act[H,D], act[H,D], kv[KV,D]", Cells: "pos live table",
			Inst: "split_norm_rope_append<H, KV, D, width, eps, " + slowed + ", P, T>", Header: "rope.h", Grid: "(T+15)/16 * KV", Where: shared, Targets: "cpu_*"},
	},
	normRotate(),
)

// normRotate are norms with one to four rotations, each number a template of its own.
func normRotate() []Kernel {
	var list []Kernel
	for n := 1; n <= 4; n++ {
		name, count := "norm_rotate", strconv.Itoa(n)
		if n > 1 {
			name += count
		}
		list = append(list, Kernel{Op: "norm_rotate", Cells: "live",
			Sig:  "act[K], f32[K], eps:real" + strings.Repeat(", rot_G[K]", n) + " -> act[K]" + strings.Repeat(", act[K]", n),
			Inst: name + "<K, G, eps, T>", Header: "rotate.h", Grid: "T", Where: "K % G == 0", Targets: "cpu_*"})
	}
	return list
}
