package codegen

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Classes of instructions that kernels.txt counts.
const (
	spill = iota
	zmm
	ymm
	xmm
	fma
	arith
	convert
	shuffle
	load
	store
	branch
	call
	classes
)

var className = [classes]string{"spill", "zmm", "ymm", "xmm", "fma", "arith", "convert", "shuffle", "load", "store", "branch", "call"}

// mnemonics are the classes that an instruction is in by its name.
var mnemonics = []struct {
	class int
	match *regexp.Regexp
}{
	{fma, regexp.MustCompile(`^vfn?m(add|sub)`)},
	{arith, regexp.MustCompile(`^v(add|sub|mul|div|max|min|sqrt|rsqrt14|rsqrt|rcp14|rcp|scalef|round|rndscale|reduce)[ps][sd]$`)},
	{convert, regexp.MustCompile(`^v(cvt|pmov[sz]x)`)},
	{shuffle, regexp.MustCompile(`^v(perm|pshuf|shuf|unpck|punpck|extract|pextr|insert|pinsr|broadcast|pbroadcast|align|palign|blend|pblend|mov(hl|lh|ddup|shdup|sldup)|gather|pgather)`)},
	{branch, regexp.MustCompile(`^j[a-z]+$`)},
	{call, regexp.MustCompile(`^call`)},
}

var (
	head      = regexp.MustCompile(`^[0-9a-f]+ <(.+)>:$`)
	line      = regexp.MustCompile(`^\s*([0-9a-f]+):\s+(?:(?:notrack|rep|repz|repnz|lock|cs|ds|bnd|data16|xacquire|xrelease) )*(\S+)\s*(.*)$`)
	target    = regexp.MustCompile(`<([^>+@]+)(?:@[^>+]*)?(\+0x[0-9a-f]+)?>`)
	immediate = regexp.MustCompile(`^\$0x([0-9a-f]+),%rsp$`)
)

// disassemble counts what objdump prints of x86-64 code, in AT&T's syntax: the last operand is the one written.
func disassemble(text string, functions []*function) {
	byName := map[string]*function{}
	for _, f := range functions {
		byName[f.name] = f
	}
	var f *function
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		if m := head.FindStringSubmatch(l); m != nil {
			f = byName[m[1]]
			continue
		}
		if f == nil {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		// Behind a function's end there is padding.
		if at, err := strconv.ParseUint(m[1], 16, 64); err != nil || at < f.start || at >= f.start+f.size {
			continue
		}
		f.instruction(m[2], m[3])
	}
}

// instruction counts one.
func (f *function) instruction(name, rest string) {
	operands, comment, _ := strings.Cut(rest, "#")
	operands = strings.TrimSpace(operands)
	for _, m := range mnemonics {
		if m.match.MatchString(name) {
			f.count[m.class]++
		}
	}
	switch {
	case strings.HasPrefix(name, "push"):
		f.stack += 8
	case name == "sub" || name == "subq":
		if m := immediate.FindStringSubmatch(operands); m != nil {
			n, _ := strconv.ParseUint(m[1], 16, 31)
			f.stack += int(n)
		}
	case name == "add" || name == "addq": // clang and gcc 12 write sub $128 as add $-128
		if m := immediate.FindStringSubmatch(operands); m != nil && strings.HasPrefix(m[1], "ffff") {
			n, _ := strconv.ParseUint(m[1], 16, 64)
			f.stack += int(-int64(n))
		}
	case name == "mov" && operands == "%rsp,%rbp":
		f.framed = true
	case name[0] == 'j' || strings.HasPrefix(name, "call"):
		f.goesTo(operands, comment)
	}
	f.vector(operands)
}

// goesTo notes where a jump or a call leads, if that isn't within f.
func (f *function) goesTo(operands, comment string) {
	if strings.HasPrefix(operands, "*") { // through the table of what the loader has found
		if m := target.FindStringSubmatch(comment); m != nil && m[2] == "" && !strings.HasPrefix(m[1], "_GLOBAL_OFFSET") {
			f.extern = append(f.extern, m[1])
		}
		return
	}
	m := target.FindStringSubmatch(operands)
	if m == nil || m[1] == f.name || slices.Contains(f.calls, m[1]) {
		return
	}
	if strings.Contains(m[0], "@") {
		f.extern = append(f.extern, m[1])
	} else {
		f.calls = append(f.calls, m[1])
	}
}

// vector counts an instruction by its widest register and by what it does with memory.
func (f *function) vector(operands string) {
	width := -1
	for c, register := range map[int]string{zmm: "%zmm", ymm: "%ymm", xmm: "%xmm"} {
		if strings.Contains(operands, register) && (width < 0 || c < width) {
			width = c
		}
	}
	if width < 0 {
		return
	}
	f.count[width]++
	open := strings.IndexByte(operands, '(')
	if open < 0 {
		return
	}
	shut := open + strings.IndexByte(operands[open:], ')')
	written := !strings.Contains(operands[shut:], ",")
	if written {
		f.count[store]++
	} else {
		f.count[load]++
	}
	base, _, _ := strings.Cut(strings.TrimSuffix(operands[open+1:shut+1], ")"), ",")
	if base == "%rsp" || base == "%rbp" && f.framed {
		f.count[spill]++
	}
}
