package codegen

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report reads the compiled object in dir and writes kernels.txt: what the compiler made of each kernel, counted in the
// code. It is made for diffs: columns of fixed width, names last, so that a spill is a change of one line. shared are the bytes of
// block-shared memory that launches give a kernel beside its own.
func Report(t *Target, dir string, shared map[string]int) ([]byte, error) {
	return t.report(t, dir, shared)
}

// reportX86 needs objdump; without it only sizes are given, and it says so.
func reportX86(t *Target, dir string, _ map[string]int) ([]byte, error) {
	path := filepath.Join(dir, t.Object)
	functions, made, err := symbols(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Object, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, %s: what the compiler made of each kernel, with the functions that it calls. Counted in the code, not in a run.\n", t.Name, made)
	tool, err := exec.LookPath("objdump")
	if err != nil {
		fmt.Fprintf(&b, "# No objdump was found (apt install binutils): only the size of each kernel's own code is known.\n#%7s  kernel\n", "bytes")
		for _, f := range functions {
			if f.kernel {
				fmt.Fprintf(&b, "%8d  %s\n", f.size, f.name)
			}
		}
		return b.Bytes(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := runTool(ctx, dir, tool, "-d", "--no-show-raw-insn", t.Object)
	if err != nil {
		return nil, fmt.Errorf("objdump of %s: %w: %s", t.Object, err, firstLines(text, 3))
	}
	disassemble(text, functions)
	b.WriteString(legend)
	fmt.Fprintf(&b, "#%7s%7s", "bytes", "stack")
	for c := range classes {
		fmt.Fprintf(&b, "%8s", className[c])
	}
	b.WriteString("  kernel\n")
	byName := map[string]*function{}
	for _, f := range functions {
		byName[f.name] = f
	}
	for _, f := range functions {
		if !f.kernel {
			continue
		}
		sum := f.total(byName)
		fmt.Fprintf(&b, "%8d%7d", sum.size, f.frames(byName, nil))
		for _, n := range sum.count {
			fmt.Fprintf(&b, "%8d", n)
		}
		fmt.Fprintf(&b, "  %s", f.name)
		if len(sum.extern) > 0 {
			fmt.Fprintf(&b, "  calls %s", strings.Join(sum.extern, ", "))
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

const legend = `# bytes of code; stack: bytes of frames; spill: vector loads and stores on the stack; zmm, ymm, xmm: instructions by their widest
# register; fma, arith: floating-point; convert: between formats; shuffle: between lanes; load, store: vectors in memory, operands too.
`

// A function is one of the object's.
type function struct {
	name   string
	kernel bool // an entry of the plan
	start  uint64
	size   uint64
	stack  int
	framed bool // %rbp is the frame's
	count  [classes]int
	calls  []string // functions of the object that it goes to
	extern []string // functions outside
}

// symbols lists the object's functions by name, and what made it.
func symbols(path string) ([]*function, string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return nil, "", fmt.Errorf("an object for %s, want x86-64", f.Machine)
	}
	list, err := f.Symbols()
	if err != nil {
		return nil, "", err
	}
	var functions []*function
	for _, s := range list {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Section == elf.SHN_UNDEF || s.Size == 0 {
			continue
		}
		kernel := elf.ST_BIND(s.Info) == elf.STB_GLOBAL && s.Other&3 == byte(elf.STV_DEFAULT) && !strings.HasPrefix(s.Name, "hipc_")
		functions = append(functions, &function{name: s.Name, kernel: kernel, start: s.Value, size: s.Size})
	}
	slices.SortFunc(functions, func(a, b *function) int { return strings.Compare(a.name, b.name) })
	return functions, comment(f), nil
}

// comment is what made an object, as the object says.
func comment(f *elf.File) string {
	var words []string
	if s := f.Section(".comment"); s != nil {
		data, _ := s.Data()
		for w := range strings.SplitSeq(string(data), "\x00") {
			if w != "" && !strings.HasPrefix(w, "Linker: ") && !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	if words == nil {
		return "unknown compiler"
	}
	return strings.Join(words, "; ")
}

// reach lists f and the functions that it goes to, each once.
func (f *function) reach(byName map[string]*function) []*function {
	list := []*function{f}
	for i := 0; i < len(list); i++ {
		for _, name := range list[i].calls {
			if g := byName[name]; g != nil && !slices.Contains(list, g) {
				list = append(list, g)
			}
		}
	}
	return list
}

// total adds up f and what it goes to.
func (f *function) total(byName map[string]*function) *function {
	sum := &function{}
	for _, g := range f.reach(byName) {
		sum.size += g.size
		for c, n := range g.count {
			sum.count[c] += n
		}
		sum.extern = append(sum.extern, g.extern...)
	}
	slices.Sort(sum.extern)
	sum.extern = slices.Compact(sum.extern)
	return sum
}

// frames is the deepest stack of f and what it goes to.
func (f *function) frames(byName map[string]*function, above []*function) int {
	if slices.Contains(above, f) {
		return 0 // it calls itself: once is counted
	}
	deepest := 0
	for _, name := range f.calls {
		if g := byName[name]; g != nil {
			deepest = max(deepest, g.frames(byName, append(above[:len(above):len(above)], f)))
		}
	}
	return f.stack + deepest
}
