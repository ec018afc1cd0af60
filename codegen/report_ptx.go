package codegen

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Classes of PTX instructions, by their names' beginning. The first that matches counts.
var ptxClasses = []struct {
	name  string
	match *regexp.Regexp
}{
	{"mma", regexp.MustCompile(`^(mma|wgmma|ldmatrix)`)},
	{"fma", regexp.MustCompile(`^fma`)},
	{"arith", regexp.MustCompile(`^(add|sub|mul|div|max|min|sqrt|rcp|ex2|lg2|neg|abs)\S*\.f(16|32|64)`)},
	{"convert", regexp.MustCompile(`^cvt`)},
	{"ld16", regexp.MustCompile(`^ld\.(global|param)?\S*v4\.(b32|u32|f32)|^ld\.global\S*v2\.(b64|u64)`)},
	{"load", regexp.MustCompile(`^ld\.global`)},
	{"store", regexp.MustCompile(`^st\.global`)},
	{"shared", regexp.MustCompile(`^(ld|st)\.shared`)},
	{"local", regexp.MustCompile(`^(ld|st)\.local`)},
	{"shuffle", regexp.MustCompile(`^shfl`)},
	{"atomic", regexp.MustCompile(`^(atom|red|membar|fence)`)},
	{"barrier", regexp.MustCompile(`^bar`)},
	{"branch", regexp.MustCompile(`^(@\S+ )?bra`)},
}

var ptxEntry = regexp.MustCompile(`^\.visible \.entry (\S+)\($`)

// mostStatic is how much shared memory NVIDIA lets a kernel declare, in bytes; what a launch asks for is beside it.
const mostStatic = 48 << 10

// A ptxKernel is what is known of one.
type ptxKernel struct {
	name    string
	threads int
	lines   int
	count   []int
	machine string // columns that ptxas filled
}

// reportPTX counts in the text of PTX, which is what the driver gets. Registers and spills come to be only when that is compiled for the
// card: NVIDIA's ptxas does so here where it's found, as the driver will there.
func reportPTX(t *Target, dir string, shared map[string]int) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, t.Object))
	if err != nil {
		return nil, err
	}
	kernels := ptxKernels(string(text))
	slices.SortFunc(kernels, func(a, b *ptxKernel) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	made, err := t.assemble(dir, kernels, shared)
	switch {
	case err != nil:
		return nil, err
	case made == "":
		fmt.Fprintf(&b, "# %s: what is in the PTX of each kernel. Without ptxas (pip download nvidia-cuda-nvcc) registers and spills aren't known.\n", t.Name)
	default:
		fmt.Fprintf(&b, "# %s, ptxas %s: registers a thread, bytes of shared memory with those of the launch, of stack, and of spills stored and loaded; occ%%: waves that a unit\n", t.Name, made)
		fmt.Fprintf(&b, "# keeps, of 100 that it could; then what is in the PTX of each kernel.\n")
	}
	fmt.Fprintf(&b, "# ld16: loads of 16 bytes a thread; local: loads and stores of memory on the stack, which should be none.\n#")
	indent := 7
	if made != "" {
		fmt.Fprintf(&b, "%7s%8s%8s%8s%8s%8s", "regs", "shared", "stack", "spillst", "spillld", "occ%")
		indent = 8
	}
	fmt.Fprintf(&b, "%*s", indent, "lines")
	for _, c := range ptxClasses {
		fmt.Fprintf(&b, "%8s", c.name)
	}
	fmt.Fprintf(&b, "  kernel\n")
	for _, k := range kernels {
		fmt.Fprintf(&b, "%s%8d", k.machine, k.lines)
		for _, n := range k.count {
			fmt.Fprintf(&b, "%8d", n)
		}
		fmt.Fprintf(&b, "  %s\n", k.name)
	}
	return b.Bytes(), nil
}

var maxntid = regexp.MustCompile(`^\.maxntid (\d+)`)

// ptxKernels counts each kernel's instructions.
func ptxKernels(text string) (list []*ptxKernel) {
	var k *ptxKernel
	body := false
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		switch m := ptxEntry.FindStringSubmatch(l); {
		case m != nil:
			k, body = &ptxKernel{name: m[1], count: make([]int, len(ptxClasses))}, false
			list = append(list, k)
		case k == nil:
		case l == "{" && !body:
			body = true
		case l == "}" && body: // the kernel's: blocks within it hold inline assembly, on lines of their own only with a tab
			k = nil
		case !body:
			if m := maxntid.FindStringSubmatch(l); m != nil {
				k.threads, _ = strconv.Atoi(m[1])
			}
		case strings.HasSuffix(l, ";") && !strings.HasPrefix(l, "."):
			k.lines++
			for i, c := range ptxClasses {
				if c.match.MatchString(l) {
					k.count[i]++
					break
				}
			}
		}
	}
	return list
}

var (
	ptxasEntry = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	ptxasStack = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	ptxasUsed  = regexp.MustCompile(`Used (\d+) registers`)
	ptxasShare = regexp.MustCompile(`(\d+) bytes smem`)
)

// assemble has ptxas compile the PTX for the target's card and fills the kernels' columns with what it says. It gives ptxas's version, ""
// where there is none.
func (t *Target) assemble(dir string, kernels []*ptxKernel, shared map[string]int) (string, error) {
	ptxas, err := lookUp("ptxas")
	if err != nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	made, err := versionOf(ctx, ptxas)
	if err != nil {
		return "", fmt.Errorf("%s is there, but doesn't run: %w", ptxas, err)
	}
	said, err := runTool(ctx, dir, ptxas, "-v", "-arch="+t.March, "-o", os.DevNull, t.Object)
	if err != nil {
		return "", fmt.Errorf("ptxas refused %s (%w):\n%s", t.Object, err, firstLines(said, 10))
	}
	var name string
	var frame, facts = map[string][]string{}, map[string][2]int{}
	for l := range strings.Lines(said) {
		if m := ptxasEntry.FindStringSubmatch(l); m != nil {
			name = m[1]
		}
		if m := ptxasStack.FindStringSubmatch(l); m != nil {
			frame[name] = m[1:]
		}
		if m := ptxasUsed.FindStringSubmatch(l); m != nil {
			registers, _ := strconv.Atoi(m[1])
			shared := 0
			if m := ptxasShare.FindStringSubmatch(l); m != nil {
				shared, _ = strconv.Atoi(m[1])
			}
			facts[name] = [2]int{registers, shared}
		}
	}
	for _, k := range kernels {
		f, s := facts[k.name], frame[k.name]
		if len(s) != 3 || f[0] == 0 {
			return "", fmt.Errorf("ptxas says nothing of %s", k.name)
		}
		if f[1] > mostStatic { // ptxas makes it all the same, and no driver loads it
			return "", fmt.Errorf("a bug in hipc: the steps of %s keep %d bytes of shared memory in all, of %d; compile with one of their rules off, -fuse=-RULE", k.name, f[1], mostStatic)
		}
		f[1] += shared[k.name]
		k.machine = fmt.Sprintf("%8d%8d%8s%8s%8s%8d", f[0], f[1], s[0], s[1], s[2], t.unit.occupancy(k.threads, f[0], f[1]))
	}
	_, made, _ = strings.Cut(made, "release ")
	return made, nil
}
