package kernels

// Of many rows attention and the delta rule are taken by matrix units. A row of the table is for one family: tiles of keys are as large as
// registers and shared memory allow there.

// flashes are the tiles of attention: which heads, on which targets, into how many warps a head's width is cut, keys a tile, bytes of
// shared memory.
var flashes = []struct{ where, targets, split, keys, bytes string }{
	{"D <= 64", "gfx*", "1", "32", "2 * (32*(D+8) + D*40)"},
	{"D % 32 == 0", "gfx*", "2", "32", "2 * (32*(D+8) + D*40) + 16384"},
	{"D <= 128", "sm_*", "1", "64", "256 * (D+8)"},
	{"D % 32 == 0", "sm_*", "2", "64", "256 * (D+8) + 32768"},
}

// prefill says from how many rows on: a block takes 64.
const prefill = "T >= 32 and S == 1 and D % 16 == 0 and D >= 32 and D <= 256 and H % KV == 0 and P % 64 == 0 and "

func gpuPrefill() []Kernel {
	var list []Kernel
	for _, f := range flashes {
		row := func(op, sig, inst, where string) {
			list = append(list, Kernel{Op: op, Sig: sig, Cells: "pos live table", Inst: inst + ", " + f.split + ", " + f.keys + ", T>", Header: "flash.hip",
				Grid: "(T+63)/64 * H", Block: "128 * " + f.split, LDS: f.bytes, Where: prefill + f.where + where, Targets: f.targets, Rounds: true})
		}
		row("attend_kv", "act[H,D], kv[KV,D], scale:real, window:int -> act[H,D]", "flash<H, KV, D, P, scale, window", "")
		row("attend_gate", "act[H,D], kv[KV,D], act[H,D], scale:real, window:int -> act[H,D]", "flash_gate<H, KV, D, P, scale, window", "")
		if f.where != "D <= 64" {
			row("attend_gate_rotate", "act[H,D], kv[KV,D], act[H,D], scale:real, window:int, rot_G[H*D] -> act[H,D]", "flash_gate_rotate<H, KV, D, P, scale, window, G",
				" and D % 128 == 0")
		}
	}
	for _, f := range []struct{ targets, bytes string }{{"gfx*", "256*(DK+8) + 12800 + 80*DK"}, {"sm_*", "256*(DK+8) + 12816"}} {
		// 32 columns a block would be faster alone, but 256 threads share a launch with a product.
		row := func(op, sig, inst string) {
			list = append(list, Kernel{Op: op, Sig: sig, Cells: "pos live", Inst: inst + ", 64, T>", Header: "delta_chunk.hip", Grid: "HV * DV / 64", Block: "256",
				LDS: f.bytes, Targets: f.targets, Where: "T >= 32 and S == 1 and DK % 64 == 0 and DK <= 128 and DV % 64 == 0 and HV % HK == 0", Rounds: true})
		}
		row("delta_rule", "act[HK,DK], act[HK,DK], act[HV,DV], act[HV], act[HV] -> act[HV,DV]", "delta_rule_chunked<HK, HV, DK, DV")
		row("gdn", projected+" -> act[HV,DV]", "gdn_chunked<HK, HV, DK, DV, eps, scale")
	}
	return list
}
