package tests

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
	"hipc/runtime/weights"
)

// A kernelCase is one instance of a row of the registry, and what it has to compute.
type kernelCase struct {
	row    *kernels.Kernel
	node   *ir.Node // operands and results, made of the row's signature
	choice *kernels.Choice
	graph  *ir.Graph  // what the row's op means on them; its parameters are the bound operands, in order
	pos    int        // position of row 0
	live   int        // rows of choice.Dims["T"] that are alive
	kernel string     // the entry in the object
	marks  []caseMark // what is telling about the shape
	spread bool       // its operands are of all magnitudes
}

func (c *kernelCase) rows() int { return c.choice.Dims["T"] }

func (c *kernelCase) String() string {
	return fmt.Sprintf("%s at %d, %d rows alive", c.choice.Inst, c.pos, c.live)
}

// The values that dims of these names are tried with: odd ones, one block of a format, several, more than a block of the
// grid. A row with another name gets otherDims; nothing here knows rows.
var (
	dimValues = map[string][]int{
		"D": {64, 128, 96, 40, 17, 256}, "K": {32, 64, 576, 2080, 5120, 40, 7, 128}, "N": {7, 16, 33, 48, 100, 4500, 16400, 128, 1040}, "V": {49, 512, 1003},
		"H": {1, 2, 3, 4, 6, 8, 9}, "KV": {1, 2, 3}, "R": {1, 3, 4, 9}, "A": {1, 5, 16}, "B": {2, 16, 48, 7},
		"G": {64, 128}, "E": {5, 16, 40}, "F": {16, 48, 64, 128}, "M": {48, 64, 128}, "HK": {1, 2, 3}, "HV": {1, 2, 4, 6},
		"DK": {16, 48, 64, 128, 24}, "DV": {16, 48, 64, 128, 20}, "C0": {16, 40, 600}, "taps": {2, 3, 4, 5},
		"width": {16, 32, 40, 64, 128}, "window": {0, 5, 70}, "factor": {1}, "low": {1}, "high": {1, 4}, "original": {0, 64}, "ramp": {0, 1}, "gain": {1},
	}
	otherDims  = []int{1, 2, 5, 16, 32, 48, 64}
	realValues = map[string][]float64{"eps": {1e-5, 1e-6}, "theta": {1e4, 1e5}, "scale": {0.125, 0.0883883476483184}, "c": {0.125, -3, 8},
		"factor": {8, 1.5, 3}, "low": {1, 2}, "high": {4, 2.5}, "original": {0, 64, 8192}, "gain": {1, 1.19}}
	listed     = 3.0 // a factor that stands for a list, one for each frequency
	otherReals = []float64{0.125, 2.5}
	// A dim beyond this is tried with few rows and with many: a product cuts a long K into tiles when it has many.
	longDim   = 2048
	rowCounts = []int{1, 8, 64, 300}   // a row, a few, a tile, and more than the 256 that a product takes at once
	positions = []int{0, 62, 130, 200} // of row 0: at the start, before a page's end, some pages on
)

// caseContext is the context of all cases: several pages, of which a case fills some.
const caseContext = 512

// How much is asked of a row's cases: each counts what is telling about them up to there.
const (
	eachFormat = iota // each row, and each format that its template reads
	eachHeight        // and each number of rows
	eachPair          // and each format with one row and with several, and beside each other
	eachDim           // and the values of dims, of real numbers and of positions
)

// casesOf chooses shapes for a row: one at least, and all that its template hasn't been run with yet, as far as depth asks.
// covered remembers what has been run: rows that differ in a functor alone share their template's shapes.
func casesOf(row *kernels.Kernel, t *codegen.Target, covered map[string]bool, depth int) ([]*kernelCase, error) {
	h := fnv.New64a()
	fmt.Fprint(h, row.Op, row.Sig, row.Inst)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	names, elems, realNames := row.Vars()
	template, _, _ := strings.Cut(row.Inst, "<")
	var pool []*kernelCase
	var refused error
	mixes := mixtures(strings.Fields(row.Formats), elems)
	for _, mix := range mixes {
		for i := 0; i < 30+60/len(mixes) || len(pool) == 0 && i < 2000; i++ { // some rows want few of all shapes
			c, err := randomCase(row, t, names, realNames, mix, r)
			if err != nil {
				refused = err
				continue
			}
			c.mark(template, names, elems, mix)
			pool = append(pool, c)
		}
	}
	if len(pool) == 0 {
		return nil, fmt.Errorf("no shape was found that it computes: %w", refused)
	}
	var chosen []*kernelCase
	most := 24
	for len(pool) > 0 && len(chosen) < most {
		best, gain := 0, -1
		for i, c := range pool {
			g := 0
			for _, m := range c.marks {
				if !covered[m.text] && m.depth <= depth {
					g++
				}
			}
			if g > gain {
				best, gain = i, g
			}
		}
		if gain == 0 {
			break
		}
		c := pool[best]
		for _, m := range c.marks {
			covered[m.text] = true
		}
		pool = slices.Delete(pool, best, best+1)
		c.live = map[int]int{1: 1, 8: 5, 64: 64 - 27*(len(chosen)%2), 300: 290}[c.rows()]
		if t.Device == "hip" && strings.HasPrefix(row.Grid, "T") { // each row has blocks of its own: some do, where instructions are simulated
			c.live = min(c.live, 40)
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// mixtures gives each element of a signature a format: all alike, and each beside the next one.
func mixtures(formats, elems []string) []map[string]string {
	if len(elems) == 0 {
		return []map[string]string{nil}
	}
	var out []map[string]string
	for step := range min(len(elems), 2) {
		for i := range formats {
			m := map[string]string{}
			for j, e := range elems {
				m[e] = formats[(i+j*step)%len(formats)]
			}
			out = append(out, m)
		}
	}
	return out
}

// A caseMark is something telling about a case, and from which depth on it's asked for.
type caseMark struct {
	text  string
	depth int
}

// mark notes what is telling about a case: its row, and per template the formats, with one row and with several, each
// dim's value, the number of rows, and how many query heads share a key head.
func (c *kernelCase) mark(template string, names, elems []string, mix map[string]string) {
	note := func(depth int, what ...any) {
		c.marks = append(c.marks, caseMark{template + fmt.Sprint(what...), depth})
	}
	note(eachFormat, "row", c.row.Op, c.row.Sig, c.row.Where)
	var formats []string
	mixed := false
	for _, e := range elems {
		formats = append(formats, mix[e])
		mixed = mixed || mix[e] != formats[0]
	}
	if len(formats) > 0 && !mixed {
		note(eachFormat, "format", formats)
	}
	several := c.rows() > 1
	if mixed {
		note(eachPair, "mixture", formats)
	} else {
		note(eachPair, "format", formats, "several", several)
	}
	note(eachHeight, "rows", c.rows())
	for _, n := range names {
		note(eachDim, n, c.choice.Dims[n])
		if c.choice.Dims[n] > longDim {
			note(eachDim, n, "long", c.rows() > 8)
		}
	}
	for _, x := range c.choice.Reals {
		note(eachDim, x.Name)
	}
	if h, kv := c.choice.Dims["H"], c.choice.Dims["KV"]; kv > 0 && h%kv == 0 {
		note(eachDim, "group", h/kv, several)
	}
	if w, ok := c.choice.Dims["window"]; ok {
		note(eachDim, "window", w > 0, c.rows())
		note(eachDim, "window", w, "pos", c.pos)
	}
	if slices.Contains(c.choice.Cells, "pos") {
		note(eachDim, "pos", c.pos, several)
	}
}

// randomCase makes a case, or says why this shape is none.
func randomCase(row *kernels.Kernel, t *codegen.Target, names, realNames []string, mix map[string]string, r *rand.Rand) (*kernelCase, error) {
	dims, reals := map[string]int{}, map[string]float64{}
	for _, n := range names {
		list, ok := dimValues[n]
		if !ok {
			list = otherDims
		}
		dims[n] = list[r.IntN(len(list))]
	}
	if dims["N"] > 1<<14 { // a head's: few columns will do
		dims["K"] = min(dims["K"], 64)
	}
	for _, n := range realNames {
		list, ok := realValues[n]
		if !ok {
			list = otherReals
		}
		reals[n] = list[r.IntN(len(list))]
	}
	c := &kernelCase{row: row, pos: positions[r.IntN(len(positions))]}
	var err error
	if c.node, err = row.Example(dims, mix, reals); err != nil {
		return nil, err
	}
	for _, a := range c.node.Args {
		if a.Lit != nil && a.Lit.Num == listed && reals["factor"] == listed {
			a.Lit = &ir.Literal{IsList: true}
			for i := range dims["width"] / 2 {
				a.Lit.List = append(a.Lit.List, 1+float64(i)/8)
			}
		}
	}
	d := kernels.Dims{T: rowCounts[r.IntN(len(rowCounts))], S: 1, C: caseContext, P: t.Page}
	if c.choice, err = kernels.Find(t.Name, c.node, d); err != nil {
		return nil, err
	}
	if c.choice.Kernel != row {
		return nil, fmt.Errorf("%s is taken before it", c.choice.Kernel.Inst)
	}
	products, moved := 0, 0
	for _, a := range c.node.Bound() {
		if f, ok := weights.FormatByName(string(a.Type.Elem)); ok && a.Type.Elem != ir.I32 {
			if a.Type.Last()%f.Block != 0 {
				return nil, fmt.Errorf("%s isn't whole blocks", a.Type)
			}
			products += d.T * a.Type.Size()
		}
	}
	for _, v := range slices.Concat(c.node.Bound(), c.node.Outs) {
		if v.Type.Elem == ir.Act {
			moved += d.T * v.Type.Size()
		}
	}
	most := 20_000_000                 // what the oracle takes in good time
	if t.Device == "hip" && d.T < 64 { // and what the simulator does without matrix units
		most = 6_000_000
	}
	if products+moved > most || t.Device == "hip" && moved > 6_000_000 {
		return nil, fmt.Errorf("it would take too long")
	}
	c.graph, err = meaning(row.Op, c.node)
	return c, err
}

// meaning is what an op computes on n's operands: a rule's body, or the primitive op by itself. Its results must have the
// types that the row promises.
func meaning(name string, n *ir.Node) (*ir.Graph, error) {
	var g *ir.Graph
	if i := slices.IndexFunc(fusion.Rules(), func(r *fusion.Rule) bool { return r.Name == name }); i >= 0 {
		var err error
		if g, err = fusion.Rules()[i].Body(n.Args); err != nil {
			return nil, err
		}
	} else {
		op, ok := ir.OpByName(name)
		if !ok {
			return nil, fmt.Errorf("%s is neither an op nor a rule: nothing says what it computes", name)
		}
		b := &ir.Builder{}
		g = b.Start(name, n.Bound()...)
		g.Results = b.Apply(op, n.Args, op.State, syntax.Pos{})
		if err := b.Err(); err != nil {
			return nil, err
		}
	}
	if len(g.Results) != len(n.Outs) {
		return nil, fmt.Errorf("%s gives %d values, its row %d", name, len(g.Results), len(n.Outs))
	}
	for i, v := range g.Results {
		if !v.Type.Equal(n.Outs[i].Type) {
			return nil, fmt.Errorf("%s gives %s, its row %s", name, v.Type, n.Outs[i].Type)
		}
	}
	return g, g.Verify()
}
