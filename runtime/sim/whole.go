package sim

// Whole registers: what most instructions of our kernels are, without a call for each lane. Each must do what its lane function does; a test
// compares them.

func init() {
	for name, f := range map[string]func(d, a, b, c *reg){
		"v_mov_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i]
			}
		},
		"v_add_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(f32(a[i]) + f32(b[i]))
			}
		},
		"v_sub_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(f32(a[i]) - f32(b[i]))
			}
		},
		"v_mul_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(f32(a[i]) * f32(b[i]))
			}
		},
		"v_fma_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
			}
		},
		"v_fmac_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
			}
		},
		"v_fmamk_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
			}
		},
		"v_fmaak_f32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
			}
		},
		"v_and_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] & b[i]
			}
		},
		"v_or_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] | b[i]
			}
		},
		"v_xor_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] ^ b[i]
			}
		},
		"v_lshlrev_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = b[i] << (a[i] & 31)
			}
		},
		"v_lshrrev_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = b[i] >> (a[i] & 31)
			}
		},
		"v_ashrrev_i32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = uint32(int32(b[i]) >> (a[i] & 31))
			}
		},
		"v_add_nc_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] + b[i]
			}
		},
		"v_sub_nc_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] - b[i]
			}
		},
		"v_mul_lo_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] * b[i]
			}
		},
		"v_lshl_add_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i]<<(b[i]&31) + c[i]
			}
		},
		"v_add_lshl_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = (a[i] + b[i]) << (c[i] & 31)
			}
		},
		"v_add3_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] + b[i] + c[i]
			}
		},
		"v_lshl_or_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i]<<(b[i]&31) | c[i]
			}
		},
		"v_and_or_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i]&b[i] | c[i]
			}
		},
		"v_or3_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] | b[i] | c[i]
			}
		},
		"v_bfe_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = a[i] >> (b[i] & 31) & (1<<(c[i]&31) - 1)
			}
		},
		"v_perm_b32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = perm(a[i], b[i], c[i])
			}
		},
		"v_cvt_f32_f16": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(half(a[i]))
			}
		},
		"v_cvt_f32_i32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(float32(int32(a[i])))
			}
		},
		"v_cvt_f32_u32": func(d, a, b, c *reg) {
			for i := range d {
				d[i] = u32(float32(a[i]))
			}
		},
	} {
		vops[name].whole = f
	}
}
