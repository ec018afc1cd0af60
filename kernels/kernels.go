// Package kernels knows which code computes what: the registry of kernels, how a node finds its kernel, and what that
// will cost.
//
// A Kernel is a row of the table Registry: a fact about one instance of one C++ template. Its signature is unified with
// the types of a node's operands and results, which binds its dims; every other field is an expression over those. The
// first row that fits is taken. Op, format, target and variant are axes of the table: nothing else may branch on them,
// and where no row fits, that is an error that names what's missing, never a silent detour.
//
// The dims T, S, C and P are the bucket's: rows of this step, sequences, context, tokens a KV page. A type describes one
// token, so no signature mentions them; grids, conditions and instances may.
//
// The templates themselves are C++ files that compile by themselves, in Templates: a folder a backend.
package kernels

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"hipc/ir"
)

// A Kernel is one row of the registry.
type Kernel struct {
	// Op is the primitive op or the fuse rule that it computes.
	Op string
	// Sig is what it takes and gives: "act[..K], W[N,K] -> act[..N]". Numbers known at compile time stand among the
	// operands as eps:real (also a list of some, where the op takes one) and R:int. An element in capitals is a weight in any of Formats. "..N" binds the product of
	// all leading axes, 1 if there are none; rot_G[K]×N binds one or more operands and their count, and with G the width of
	// a rotation's groups, which is a part of the element's name; [HK,DK] is a list of dims. A kv[KV,D] is a
	// handle, no buffer: it becomes the step's State. All uses of a dim, and of an element, must agree.
	Sig string
	// Formats are the formats that an element in capitals may have, by name.
	Formats string
	// Layout is that in which it reads the weights in those formats; f32 vectors are always "rows".
	Layout string
	// Cells are what it reads and writes of the host's cells, by name; they're passed after the inputs.
	Cells string
	// Inst is the template's instance: "matmul<W, K, N, T>". An argument is an element, a real, an expression, or in small
	// letters the name of a C++ type.
	Inst   string
	Header string // the template's file in the backend's folder
	Grid   string // blocks
	Block  string // threads a block; empty on a CPU: 1
	LDS    string // bytes of block-shared memory; empty: 0
	// Scratch is the bytes of device memory that its blocks tell each other intermediate values by; empty: 0. It is an operand behind
	// the results: a buffer that lives for this step, and that nothing else reads.
	Scratch string
	Where   string // on which dims it works: "T == 1 and K % 32 == 0"; empty: on all
	// Targets is a glob over the targets' names.
	Targets string
	// Rounds says that operands are rounded to 16 bits for matrix units: results are that much less exact.
	Rounds bool
	// Lean says on which dims three blocks of it fit a processor of NVIDIA's, if its weights are in one of leanFormats: with 256 threads, 80
	// registers each, and no spills. Empty: on none.
	Lean string
}

// Dims are a bucket's dims for one step.
type Dims struct {
	T int // rows of the step: sequences times rows each, or after pick the picked rows
	S int // sequences
	C int // longest context in tokens
	P int // tokens a KV page
}

func (d Dims) bind() map[string]int { return map[string]int{"T": d.T, "S": d.S, "C": d.C, "P": d.P} }

// A Choice is a kernel with all its dims known.
type Choice struct {
	Kernel *Kernel
	Dims   map[string]int    // of the signature and of the bucket
	Elems  map[string]string // format of each element in capitals: W: q4_1
	Inst   string            // with all values put in: "rmsnorm<1, 576, r1em05, 1>"
	Reals  []Real            // the real template arguments in Inst, each once
	Layout string            // of its weights in a format; "" if it reads none
	Lean   bool              // three blocks of it fit a processor
	open   []bool            // per operand: whether it is such a weight
	Cells  []string
	Grid   int
	Block  int
	LDS    int

	Scratch int
}

// LayoutOf is the layout in which the kernel reads operand i, a weight: its own for those in a format, "rows" for
// vectors of f32 and for rotations.
func (c *Choice) LayoutOf(i int) string {
	if c.open[i] {
		return c.Layout
	}
	return "rows"
}

// A Real is a real template argument, or a list of some: a type named after its value, so that equal values have one
// definition.
type Real struct {
	Name string // "r1em05"
	Text string // "1e-05", or the list's values
	List bool
}

// Ticket is the cell of kernels that finish in their last block: it counts the blocks of one part of a launch, or, where several
// blocks are the last of something, such as a head, each of its Tickets numbers counts for one. All are 0 between launches. Each
// part has a cell of its own, so that such steps may share their launch with others, up to MostParts in all.
const (
	Ticket  = "ticket"
	Tickets = 64
)

// MostParts is how many steps may share a launch.
const MostParts = 8

// A line is a parsed Kernel.
type line struct {
	*Kernel
	sig              *signature
	inst             *instance
	where, lean      *condition
	grid, block, lds *sum
	scratch          *sum
	formats          []string
	cells            []string
}

// A row is a kernel and, once a node has asked for it, its line: most rows are for other targets and ops than those of one model, and to
// read all of them takes longer than to plan one.
type row struct {
	*Kernel
	line func() (*line, error)
}

func newRow(k *Kernel) *row {
	return &row{k, sync.OnceValues(func() (*line, error) { return parseLine(k) })}
}

// A table is a list of rows by op.
type table map[string][]*row

var registry = sync.OnceValue(func() table {
	t := table{}
	for i := range Registry {
		k := &Registry[i]
		t[k.Op] = append(t[k.Op], newRow(k))
	}
	return t
})

// parseLine reads a row's fields and checks that they speak of nothing that the signature doesn't bind.
func parseLine(k *Kernel) (*line, error) {
	l := &line{Kernel: k, formats: strings.Fields(k.Formats), cells: strings.Fields(k.Cells)}
	var err error
	if l.sig, err = signatures.read(k.Sig); err != nil {
		return nil, fmt.Errorf("signature %q: %w", k.Sig, err)
	}
	if l.inst, err = instances.read(k.Inst); err != nil {
		return nil, fmt.Errorf("instance %q: %w", k.Inst, err)
	}
	if l.where, err = conditions.read(k.Where); err != nil {
		return nil, fmt.Errorf("condition %q: %w", k.Where, err)
	}
	if l.lean, err = conditions.read(k.Lean); err != nil {
		return nil, fmt.Errorf("condition %q: %w", k.Lean, err)
	}
	for _, f := range []struct {
		text string
		to   **sum
	}{{k.Grid, &l.grid}, {k.Block, &l.block}, {k.LDS, &l.lds}, {k.Scratch, &l.scratch}} {
		if *f.to, err = sums.read(f.text); err != nil {
			return nil, fmt.Errorf("expression %q: %w", f.text, err)
		}
	}
	if _, err := path.Match(k.Targets, ""); err != nil {
		return nil, fmt.Errorf("targets %q: %w", k.Targets, err)
	}
	return l, l.check()
}

// check refuses a row with a name that nothing binds, or an unknown format.
func (l *line) check() error {
	known, reals := Dims{}.bind(), map[string]bool{}
	weights := false
	var axes []*sum // that are expressions
	for _, list := range [][]*operand{l.sig.In, l.sig.Out} {
		for _, o := range list {
			if o.Lit == "real" {
				reals[o.Elem] = true
			} else if o.Lit == "int" {
				known[o.Elem] = 1
			}
			if o.isVariable() {
				reals[o.Elem], weights = true, true
			}
			if _, dim, ok := o.group(); ok {
				known[dim] = 1
			}
			for i, a := range slices.Concat(o.Dims, o.List) {
				name := a.Size.name()
				if a.Lead && (i > 0 || name == "") {
					return fmt.Errorf("%s: .. stands before the first dim", o)
				}
				if _, ok := (Dims{}).bind()[name]; ok {
					return fmt.Errorf("%s: %s is the bucket's dim", o, name)
				}
				if known[name] = 1; name == "" {
					axes = append(axes, a.Size)
				}
			}
			if m := o.many(); m != "" {
				known[m] = 1
			}
		}
	}
	if weights != (l.Layout != "") || weights != (len(l.formats) > 0) {
		return fmt.Errorf("formats and layout are there if, and only if, a weight's element is open")
	}
	for _, f := range l.formats {
		if trait[f] == "" {
			return fmt.Errorf("format %s has no C++ trait", f)
		}
	}
	sums := slices.Concat([]*sum{l.grid, l.block, l.lds, l.scratch}, axes, l.inst.sums(reals))
	for _, w := range []*condition{l.where, l.lean} {
		if w == nil {
			continue
		}
		for _, c := range w.All {
			sums = append(sums, c.Left, c.Right)
		}
	}
	for _, e := range sums {
		if e == nil {
			continue
		}
		for _, n := range e.names() {
			if _, ok := known[n]; !ok {
				return unboundName(n)
			}
		}
	}
	if l.grid == nil || l.Header == "" || l.Targets == "" {
		return fmt.Errorf("grid, header and targets are wanted")
	}
	return nil
}

// sums lists the expressions among i's arguments; not reals and elements, and not C++ types.
func (i *instance) sums(reals map[string]bool) []*sum {
	var out []*sum
	for _, a := range i.Args {
		switch {
		case a.Inst != nil:
			out = append(out, a.Inst.sums(reals)...)
		case !reals[a.Sum.name()] && !isType(a.Sum.name()):
			out = append(out, a.Sum)
		}
	}
	return out
}

// isType says that a name could be a C++ type: dims are written in capitals, but for literals such as width.
func isType(name string) bool { return name != "" && name[0] >= 'a' && name[0] <= 'z' }

// trait names the C++ type of a format.
var trait = map[string]string{
	"f32": "F32", "f16": "F16", "bf16": "BF16", "q4_0": "Q4_0", "q4_1": "Q4_1", "q8_0": "Q8_0",
	"i4_64": "I4_64", "i4_128": "I4_128",
}

// Find chooses the kernel that computes n on target: the first row that fits. n needs only an op with a name, operands
// and results.
func Find(target string, n *ir.Node, d Dims) (*Choice, error) { return registry().find(target, n, d) }
