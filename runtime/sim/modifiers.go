package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// Modifiers are what follows an instruction's operands.
type modifiers struct {
	clamp   bool
	scale   float64 // of the result: mul:2, mul:4, div:2; 0: none
	post    func(uint32) uint32
	post64  func(uint64) uint64
	dpp     *dpp
	sel     uint8
	selHi   uint8
	negLo   uint8
	negHi   uint8
	hasSel  bool
	offset  int
	offsets [2]int
	glc     bool
}

// parseModifiers reads them; hi is what op_sel_hi is where it isn't given.
func parseModifiers(words []string, hi uint8) (modifiers, error) {
	m := modifiers{selHi: hi}
	move := func() *dpp {
		if m.dpp == nil {
			m.dpp = &dpp{write: all}
		}
		return m.dpp
	}
	rows, banks := uint32(15), uint32(15)
	for _, word := range words {
		name, val, _ := strings.Cut(word, ":")
		n, err := strconv.ParseInt(val, 0, 64)
		list := func() (bits uint8) {
			for i, s := range strings.Split(strings.Trim(val, "[]"), ",") {
				if s == "1" && i < 8 {
					bits |= 1 << i
				}
			}
			return bits
		}
		switch name {
		case "clamp":
			m.clamp = true
			continue
		case "glc":
			m.glc = true
			continue
		case "slc", "dlc":
			continue
		case "op_sel":
			m.sel, m.hasSel = list(), true
			continue
		case "op_sel_hi":
			m.selHi = list()
			continue
		case "neg_lo":
			m.negLo = list()
			continue
		case "neg_hi":
			m.negHi = list()
			continue
		case "quad_perm", "dpp8":
			if err := move().list(name, val); err != nil {
				return m, err
			}
			continue
		case "row_mirror", "row_half_mirror":
			move().shuffle(name, 0)
			continue
		case "offset":
			if strings.HasPrefix(val, "swizzle(") {
				m.offset, err = parseSwizzle(val)
				if err != nil {
					return m, err
				}
				continue
			}
		}
		if err != nil {
			return m, fmt.Errorf("modifier %q isn't known", word)
		}
		switch name {
		case "offset":
			m.offset = int(n)
		case "offset0":
			m.offsets[0] = int(n)
		case "offset1":
			m.offsets[1] = int(n)
		case "mul":
			m.scale = float64(n)
		case "div":
			m.scale = 1 / float64(n)
		case "row_mask":
			rows = uint32(n)
		case "bank_mask":
			banks = uint32(n)
		case "bound_ctrl":
			move().zero = true
		case "fi":
			move().idle = n == 1
		default:
			if !move().shuffle(name, int(n)) {
				return m, fmt.Errorf("modifier %q isn't known", word)
			}
		}
	}
	if m.dpp != nil {
		m.dpp.write = masks(rows, banks)
	}
	return m, nil
}

// list reads quad_perm:[1,0,3,2] and dpp8:[7,6,5,4,3,2,1,0].
func (p *dpp) list(name, val string) error {
	f := strings.Split(strings.Trim(val, "[]"), ",")
	if n := map[string]int{"quad_perm": 4, "dpp8": 8}[name]; len(f) != n {
		return fmt.Errorf("%s of %d lanes, want %d", name, len(f), n)
	}
	for i := range lanes {
		n, err := strconv.Atoi(f[i%len(f)])
		if err != nil || n < 0 || n >= len(f) {
			return fmt.Errorf("%s:%s isn't known", name, val)
		}
		p.from[i] = int8(i - i%len(f) + n)
	}
	if name == "dpp8" {
		p.zero = true // a lane that is off gives 0
	}
	return nil
}

// parseSwizzle gives ds_swizzle's offset for the names that llvm-objdump gives to patterns.
func parseSwizzle(s string) (int, error) {
	bad := fmt.Errorf("offset:%s isn't known", s)
	f := strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "swizzle("), ")"), ",")
	for i := range f {
		f[i] = strings.Trim(strings.TrimSpace(f[i]), `"`)
	}
	nums := make([]int, len(f))
	for i := range f[1:] {
		nums[i], _ = strconv.Atoi(f[i+1])
	}
	mask := func(and, or, xor int) int { return and | or<<5 | xor<<10 }
	switch {
	case f[0] == "QUAD_PERM" && len(f) == 5:
		return 0x8000 | nums[0] | nums[1]<<2 | nums[2]<<4 | nums[3]<<6, nil
	case f[0] == "BROADCAST" && len(f) == 3:
		return mask(32-nums[0], nums[1], 0), nil
	case f[0] == "SWAP" && len(f) == 2:
		return mask(31, 0, nums[0]), nil
	case f[0] == "REVERSE" && len(f) == 2:
		return mask(31, 0, nums[0]-1), nil
	case f[0] == "BITMASK_PERM" && len(f) == 2 && len(f[1]) == 5:
		var and, or, xor int
		for i, c := range f[1] {
			b := 1 << (4 - i)
			switch c {
			case '1':
				or |= b
			case 'p':
				and |= b
			case 'i':
				and, xor = and|b, xor|b
			case '0':
			default:
				return 0, bad
			}
		}
		return mask(and, or, xor), nil
	}
	return 0, bad
}

// shape settles clamp and scale for a result of that kind.
func (m *modifiers) shape(op *valu) error {
	if m.clamp && op.sat == nil || m.scale != 0 {
		scale, clamp := m.scale, m.clamp
		fix := func(x float64) float64 {
			if scale != 0 {
				x *= scale
			}
			if clamp {
				x = clamp01(x)
			}
			return x
		}
		switch op.sig[0] {
		case 'f':
			m.post = func(x uint32) uint32 { return u32(float32(fix(float64(f32(x))))) }
		case 'h':
			m.post = func(x uint32) uint32 { return uint32(halfOf(fix(float64(half(x))))) }
		case 'd':
			m.post64 = func(x uint64) uint64 { return u64(fix(f64(x))) }
		default:
			return fmt.Errorf("clamp isn't known of this instruction")
		}
	}
	return nil
}
