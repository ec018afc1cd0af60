package sim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Numbers of scalar registers beyond s0–s105, as the instruction set encodes them.
const (
	regVCC   = 106
	regTTMP  = 108
	regNull  = 124
	regM0    = 125
	regExec  = 126
	regStage = 256 // the VGPR in which the first half of a dual instruction waits for the second to have read
)

// A place is where an operand lies.
type place uint8

const (
	none  place = iota // "off", or not given
	vgpr               // reg
	sgpr               // reg
	fixed              // val
	scc                // src_scc
)

// An operand is one register, run of registers, or constant of an instruction.
type operand struct {
	place place
	half  uint8 // of a VGPR: 0 all, 1 the low 16 bits (.l), 2 the high ones (.h)
	neg   bool
	abs   bool
	float bool // of a constant: written as a real number
	long  bool // of a constant: a literal, not an inline constant
	reg   int
	count int // registers
	val   uint64
	real  float64
	fill  *[32]uint32 // of a constant: its value in each lane, as the instruction reads it
}

func (o *operand) plain() bool { return o.half == 0 && !o.neg && !o.abs }

var named = map[string]operand{
	"vcc_lo": {place: sgpr, reg: regVCC, count: 1}, "vcc_hi": {place: sgpr, reg: regVCC + 1, count: 1}, "vcc": {place: sgpr, reg: regVCC, count: 2},
	"exec_lo": {place: sgpr, reg: regExec, count: 1}, "exec_hi": {place: sgpr, reg: regExec + 1, count: 1}, "exec": {place: sgpr, reg: regExec, count: 2},
	"m0": {place: sgpr, reg: regM0, count: 1}, "null": {place: sgpr, reg: regNull, count: 2}, "off": {place: none},
	"src_scc": {place: scc, count: 1}, "scc": {place: scc, count: 1},
	"src_shared_base": {place: fixed, val: sharedBase, count: 2}, "src_shared_limit": {place: fixed, val: sharedBase + 0xffffffff, count: 2},
	"src_private_base": {place: fixed, val: privateBase, count: 2}, "src_private_limit": {place: fixed, val: privateBase + 0xffffffff, count: 2},
}

// parseOperand reads what llvm-objdump prints: v3, v[2:5], v3.h, s4, vcc_lo, -v1, |v1|, neg(1.0), 0x3f800000, -16, 0.5.
func parseOperand(s string) (operand, error) {
	o, err := parseBare(s)
	if err != nil {
		return o, fmt.Errorf("operand %q: %w", s, err)
	}
	return o, nil
}

func parseBare(s string) (operand, error) {
	wrap := func(open, close string) (operand, bool, error) {
		if len(s) > len(open)+len(close) && strings.HasPrefix(s, open) && strings.HasSuffix(s, close) {
			o, err := parseBare(s[len(open) : len(s)-len(close)])
			return o, true, err
		}
		return operand{}, false, nil
	}
	if o, ok, err := wrap("|", "|"); ok {
		o.abs = true
		return o, err
	}
	if o, ok, err := wrap("neg(", ")"); ok {
		o.neg = true
		return o, err
	}
	if o, ok, err := wrap("lit(", ")"); ok {
		return o, err
	}
	if o, ok, err := wrap("lit64(", ")"); ok {
		return o, err
	}
	if len(s) > 1 && s[0] == '-' && (s[1] < '0' || s[1] > '9') {
		o, err := parseBare(s[1:])
		o.neg = true
		return o, err
	}
	if o, ok := named[s]; ok {
		return o, nil
	}
	return parseRegister(s)
}

func parseRegister(s string) (operand, error) {
	kind, first := sgpr, 0
	body := s
	switch {
	case strings.HasPrefix(s, "ttmp"):
		body, first = s[4:], regTTMP
	case strings.HasPrefix(s, "v"):
		body, kind = s[1:], vgpr
	case strings.HasPrefix(s, "s"):
		body = s[1:]
	default:
		return parseConstant(s)
	}
	o := operand{place: kind, count: 1}
	if b, ok := strings.CutSuffix(body, ".l"); ok && kind == vgpr {
		body, o.half = b, 1
	} else if b, ok := strings.CutSuffix(body, ".h"); ok && kind == vgpr {
		body, o.half = b, 2
	}
	last := ""
	if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]") {
		body, last, _ = strings.Cut(body[1:len(body)-1], ":")
	}
	n, err := strconv.Atoi(body)
	if err != nil {
		return o, fmt.Errorf("isn't known")
	}
	if last != "" {
		m, err := strconv.Atoi(last)
		if err != nil || m < n || m-n > 31 {
			return o, fmt.Errorf("isn't known")
		}
		o.count = m - n + 1
	}
	o.reg = first + n
	top := 256
	if kind == sgpr {
		top = regVCC
		if first > 0 {
			top = regNull
		}
	}
	if n < 0 || o.reg+o.count > top {
		return o, fmt.Errorf("there is no such register")
	}
	return o, nil
}

func parseConstant(s string) (operand, error) {
	o := operand{place: fixed, count: 1}
	if strings.HasPrefix(s, "0x") {
		v, err := strconv.ParseUint(s[2:], 16, 64)
		o.val, o.long = v, true
		return o, err
	}
	if v, err := strconv.ParseInt(s, 0, 64); err == nil {
		o.val = uint64(v)
		return o, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return o, fmt.Errorf("isn't known")
	}
	o.float, o.real = true, f
	return o, nil
}

// kinds of values, a letter each: how wide a register's value is and what a real constant means in its place.
//
//	i, f  32 bits    h, s  16 bits    b  bfloat16    d, q  64 bits    p  two 16-bit values in 32 bits    P  the same, integers
const inverse2pi = 0.15915494309189533576888376337251436203

// constant gives the bits that a constant has as a source of that kind.
func (o *operand) constant(kind byte) uint64 {
	if !o.float {
		if o.long && kind == 'd' {
			return o.val << 32
		}
		switch kind {
		case 'h', 's', 'b':
			return o.val & 0xffff
		case 'd', 'q':
			return o.val
		}
		return o.val & 0xffffffff
	}
	real := o.real
	if math.Abs(real-inverse2pi) < 1e-6 { // printed with as many digits as the operand's type has
		real = inverse2pi
	}
	switch kind {
	case 'h', 's', 'p':
		return uint64(halfOf(real))
	case 'b':
		return uint64(bfloatOf(float32(real)))
	case 'd', 'q':
		return math.Float64bits(real)
	}
	return uint64(math.Float32bits(float32(real)))
}
