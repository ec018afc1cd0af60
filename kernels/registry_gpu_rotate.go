package kernels

import (
	"strconv"
	"strings"
)

// onCards are rows for all GPUs, of blocks of 256 threads.
func onCards(header string, rows []Kernel) []Kernel {
	for i := range rows {
		rows[i].Header, rows[i].Block, rows[i].Targets = header, "256", gpus
	}
	return rows
}

// gpuRotations turn an activation for weights in W4, alone or behind what makes it. A block has a span of 128 channels: of up to eight rows, or
// of up to 64, for which it loads the rotation eight times.
func gpuRotations() []Kernel {
	var list []Kernel
	for _, rows := range []struct{ where, tiles, each string }{
		{"T <= 8", "", "T * R <= 8"},
		{"T > 8", " * ((T+63)/64)", "T * R > 8"},
	} {
		tilesOfEach := ""
		if rows.tiles != "" {
			tilesOfEach = " * ((T*R+63)/64)"
		}
		list = append(list,
			Kernel{Op: "rotate", Sig: "act[..K], rot_G[K] -> act[..K]", Cells: "live",
				Inst: "rotate<1, K, G, T>", Grid: "(K+127)/128" + rows.tiles, Where: "K % G == 0 and " + rows.where},
			Kernel{Op: "rotate", Sig: "act[..R,K], rot_G[K] -> act[..R,K]", Cells: "live",
				Inst: "rotate<R, K, G, T>", Grid: "(K+127)/128" + tilesOfEach, Where: "K % G == 0 and " + rows.each},
			Kernel{Op: "gated_norm_rotate", Sig: "act[R,D], f32[D], eps:real, act[R,D], rot_G[R*D] -> act[R,D]", Cells: "live",
				Inst: "gated_norm_rotate<R, D, G, eps, T>", Grid: "(R*D+127)/128" + rows.tiles, Where: heads + " and R*D % G == 0 and " + rows.where})
	}
	list = append(list, Kernel{Op: "gated_norm", Sig: "act[..R,D], f32[D], eps:real, act[..R,D] -> act[..R,D]", Cells: "live",
		Inst: "gated_norm<R, D, eps, T>", Grid: "(T*R+7)/8"})
	for n := 1; n <= 4; n++ {
		name, count := "norm_rotate", strconv.Itoa(n)
		if n > 1 {
			name += count
		}
		for _, grid := range [][2]string{{count + " * ((K+127)/128)", "T == 1"}, {"(T+7)/8", "T > 1"}} {
			list = append(list, Kernel{Op: "norm_rotate", Cells: "live",
				Sig:  "act[K], f32[K], eps:real" + strings.Repeat(", rot_G[K]", n) + " -> act[K]" + strings.Repeat(", act[K]", n),
				Inst: name + "<K, G, eps, T>", Grid: grid[0], Where: "K % G == 0 and " + grid[1]})
		}
	}
	return onCards("rotate.hip", list)
}
