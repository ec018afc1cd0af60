package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// decode turns the lines of a code object into instructions. What it doesn't know is an error with pc and text.
func decode(lines []line) ([]inst, map[uint64]int, error) {
	code := make([]inst, len(lines))
	index := make(map[uint64]int, len(lines))
	for i, l := range lines {
		index[l.pc] = i
	}
	for i, l := range lines {
		in, err := decodeOne(l.text)
		if err != nil {
			return nil, nil, fmt.Errorf("pc %#x, %q: %w", l.pc, l.text, err)
		}
		in.pc, in.text = l.pc, l.text
		if in.to != 0 { // a distance in dwords, from the next instruction
			to, ok := index[uint64(int64(l.pc)+4+4*int64(int16(in.to-1)))]
			if !ok {
				return nil, nil, fmt.Errorf("pc %#x, %q: a branch to where no instruction begins", l.pc, l.text)
			}
			in.to = to
		}
		code[i] = *in
	}
	return code, index, nil
}

// split takes an instruction's text apart: name, operands, modifiers.
func split(text string) (name string, ops, mods []string) {
	name, rest, _ := strings.Cut(text, " ")
	depth, from := 0, 0
	for i, c := range rest {
		switch c {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		case ',':
			if depth == 0 {
				ops = append(ops, strings.TrimSpace(rest[from:i]))
				from = i + 1
			}
		}
	}
	words := strings.Fields(rest[from:])
	if len(words) > 0 {
		ops = append(ops, words[0])
		mods = words[1:]
	}
	return name, ops, mods
}

var encodings = []string{"_dpp", "_e32", "_e64"}

func decodeOne(text string) (*inst, error) {
	if x, y, ok := strings.Cut(text, " :: "); ok {
		return decodeDual(x, y)
	}
	full, ops, mods := split(text)
	name := full
	for _, e := range encodings {
		name = strings.TrimSuffix(name, e)
	}
	in := &inst{name: name}
	if c, ok := controls[full]; ok {
		in.class, in.run = c.class, c.run
		return in, decodeControl(in, ops)
	}
	switch {
	case strings.HasPrefix(name, "scratch_"):
		return in, decodeScratch(in, ops, mods)
	case strings.HasPrefix(name, "v_"):
		return in, decodeVector(in, ops, mods)
	case strings.HasPrefix(name, "s_"):
		return in, decodeScalar(in, ops)
	case strings.HasPrefix(name, "ds_"):
		return in, decodeShared(in, ops, mods)
	case strings.HasPrefix(name, "global_"), strings.HasPrefix(name, "flat_"):
		return in, decodeMemory(in, ops, mods)
	}
	return nil, errUnknown
}

var errUnknown = fmt.Errorf("an instruction that the simulator doesn't know")

func wants(ops []string, n int) error {
	if len(ops) != n {
		return fmt.Errorf("%d operands, want %d", len(ops), n)
	}
	return nil
}

func decodeControl(in *inst, ops []string) (err error) {
	parse := func(o *operand, s string) {
		if err == nil {
			*o, err = parseOperand(s)
		}
	}
	need := map[string]int{"s_getpc_b64": 1, "s_setpc_b64": 1, "s_swappc_b64": 2, "s_call_b64": 2, "s_waitcnt_vscnt": 2, "s_denorm_mode": 1, "s_round_mode": 1,
		"s_branch": 1, "s_getreg_b32": 2, "s_setreg_b32": 2, "s_setreg_imm32_b32": 2}[in.name]
	if strings.HasPrefix(in.name, "s_cbranch_") {
		need = 1
	}
	if need == 0 {
		return nil
	}
	if err := wants(ops, need); err != nil {
		return err
	}
	target := func(s string) error {
		n, err := strconv.ParseInt(s, 0, 32)
		in.to = int(uint16(n)) + 1 // 0 is no branch
		return err
	}
	switch in.name {
	case "s_getpc_b64":
		parse(&in.d, ops[0])
	case "s_setpc_b64", "s_denorm_mode", "s_round_mode":
		parse(&in.src[0], ops[0])
	case "s_swappc_b64":
		parse(&in.d, ops[0])
		parse(&in.src[0], ops[1])
	case "s_waitcnt_vscnt":
		parse(&in.src[0], ops[0])
		parse(&in.src[1], ops[1])
	case "s_call_b64":
		parse(&in.d, ops[0])
		if err == nil {
			err = target(ops[1])
		}
	case "s_getreg_b32":
		parse(&in.d, ops[0])
		if err == nil {
			err = in.hardware(ops[1])
		}
	case "s_setreg_b32", "s_setreg_imm32_b32":
		parse(&in.src[0], ops[1])
		if err == nil {
			err = in.hardware(ops[0])
		}
	default:
		return target(ops[0])
	}
	return err
}

// hardware reads hwreg(HW_REG_MODE, offset, bits): the one hardware register that is simulated.
func (in *inst) hardware(s string) error {
	f := strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "hwreg("), ")"), ",")
	if f[0] != "HW_REG_MODE" {
		return fmt.Errorf("%s isn't simulated", s)
	}
	in.mod.offsets = [2]int{0, 32}
	for i := range f[1:] {
		n, err := strconv.Atoi(strings.TrimSpace(f[i+1]))
		if err != nil || i > 1 {
			return fmt.Errorf("%s isn't known", s)
		}
		in.mod.offsets[i] = n
	}
	return nil
}

func decodeDual(x, y string) (*inst, error) {
	in := &inst{class: ClassVALU, run: dual, name: "v_dual"}
	for i, text := range []string{x, y} {
		rest, ok := strings.CutPrefix(text, "v_dual_")
		if !ok {
			return nil, errUnknown
		}
		name, ops, mods := split("v_" + rest)
		half := &inst{name: name, text: text}
		if err := decodeVector(half, ops, mods); err != nil {
			return nil, err
		}
		if half.class == ClassDot {
			in.class = ClassDot
		}
		in.pair[i] = half
	}
	in.name += in.pair[0].name[1:] + in.pair[1].name[1:]
	for _, o := range in.pair[1].src {
		if o.place == vgpr && o.reg == in.pair[0].d.reg {
			in.pair[0], in.run = stage(in.pair[0]), dualAside
			break
		}
	}
	return in, nil
}

// wide is the registers that an operand of a kind takes.
func registers(kind byte) int {
	if kind == 'd' || kind == 'q' {
		return 2
	}
	return 1
}

func decodeVector(in *inst, ops, mods []string) error {
	op := vops[in.name]
	if op == nil {
		if op = comparison(in.name); op == nil {
			return errUnknown
		}
	}
	hi := uint8(7)
	if strings.HasPrefix(in.name, "v_fma_mix") {
		hi = 0
	}
	m, err := parseModifiers(mods, hi)
	if err != nil {
		return err
	}
	in.op, in.run, in.mod, in.class = op, op.run, m, ClassVALU
	switch {
	case strings.HasPrefix(in.name, "v_wmma"):
		in.class = ClassWMMA
	case op.trans:
		in.class = ClassTrans
	case op.dot:
		in.class = ClassDot
	}
	if op.sig == "WWWW" {
		return decodeMatrix(in, ops)
	}
	next := 0
	take := func() (o operand, err error) {
		if next == len(ops) {
			return o, fmt.Errorf("%d operands, want more", len(ops))
		}
		next++
		return parseOperand(ops[next-1])
	}
	k := 0
	for pos := range len(op.sig) {
		kind := op.sig[pos]
		var o operand
		switch {
		case pos == 0 && kind == 'm':
			if !strings.HasPrefix(in.name, "v_cmpx") {
				in.sd, err = take()
			}
		case kind == 'c':
			in.sd, err = take()
		case pos == 0:
			if in.d, err = take(); err != nil {
				break
			}
			want := vgpr
			if kind == 'r' {
				want = sgpr
			}
			if in.d.place != want || want == vgpr && in.d.count != registers(kind) {
				err = fmt.Errorf("a result in %s isn't known", ops[0])
			}
		case op.accum && pos == len(op.sig)-1:
			in.src[k] = in.d
			k++
		default:
			if kind == 'm' && next == len(ops) { // of a dual v_cndmask: VCC
				o = named["vcc_lo"]
			} else if o, err = take(); err != nil {
				break
			}
			err = in.source(&o, kind, k)
			in.src[k] = o
			k++
		}
		if err != nil {
			return err
		}
	}
	if next != len(ops) {
		return fmt.Errorf("%d operands, want %d", len(ops), next)
	}
	if in.name == "v_dot2_f16_f16" || in.name == "v_dot2_bf16_bf16" {
		in.mod.sel, in.mod.selHi = 0, 7 // of src2 and the result, which name their halves
	}
	if op.lane != nil || op.wide != nil {
		return in.mod.shape(op)
	}
	return nil
}

// source settles a source's constant, and the half of it that op_sel names.
func (in *inst) source(o *operand, kind byte, k int) error {
	switch o.place {
	case fixed:
		o.val = o.constant(kind)
		o.fill = new([32]uint32)
		for i := range o.fill {
			o.fill[i] = uint32(o.val)
		}
	case vgpr:
		if o.count != registers(kind) {
			return fmt.Errorf("a source of %d registers, want %d", o.count, registers(kind))
		}
	case none:
		return fmt.Errorf("a source is missing")
	}
	short := kind == 'h' || kind == 's' || kind == 'b'
	if short && o.half == 0 && in.mod.hasSel && in.mod.sel>>k&1 != 0 {
		o.half = 2
	}
	if !short && kind != 'p' && kind != 'P' && o.half != 0 {
		return fmt.Errorf("half a register as source %d isn't known", k)
	}
	return nil
}

func decodeMatrix(in *inst, ops []string) error {
	if err := wants(ops, 4); err != nil {
		return err
	}
	regs := 8
	switch {
	case strings.HasSuffix(in.name, "iu8"):
		regs = 4
	case strings.HasSuffix(in.name, "iu4"):
		regs = 2
	}
	for i, want := range []int{8, regs, regs, 8} {
		o, err := parseOperand(ops[i])
		if err != nil {
			return err
		}
		if o.place == fixed && i == 3 {
			kind := byte('i')
			if strings.HasPrefix(in.name, "v_wmma_f16") {
				kind = 'h'
			}
			if err := in.source(&o, kind, 2); err != nil {
				return err
			}
		} else if o.place != vgpr || o.count != want {
			return fmt.Errorf("matrix operand %s: want %d VGPRs", ops[i], want)
		}
		if i == 0 {
			in.d = o
		} else {
			in.src[i-1] = o
		}
	}
	return nil
}
