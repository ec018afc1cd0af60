package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"hipc/codegen"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime"
)

// kernelBar is DESIGN §10's bar for activations in f32. It is held for each row of each result by itself: over all rows
// together, one wrong value of many would pass.
const kernelBar = 1e-7

// roundingBar is that of kernels that round operands to f16 for matrix units: a rounding is 4e-8 of NMSE, and there are some in a row. It
// is held far below DESIGN's 5e-4 of 16-bit activations, at which single wrong values could hide.
const roundingBar = 2e-6

// gatedBar is roundingBar where a gate multiplies: it makes more of its argument's error, in rows of few outputs up to 2e-5.
const gatedBar = 5e-5

func (c *kernelCase) bar() float64 {
	if c.row.Rounds && slices.Contains([]string{"swiglu", "geglu", "swiglu2", "swiglu_each"}, c.row.Op) {
		return gatedBar
	}
	if c.row.Rounds {
		return roundingBar
	}
	return kernelBar
}

// A kernelBench is a device with the compiled cases.
type kernelBench struct {
	target  *codegen.Target
	device  runtime.Device
	modules map[string]runtime.Module // by kernel
}

// A kernelMemory is what one launch works on, built before it is written to the device: everything in it is poison, a NaN for
// whoever reads it, but for what has been put there.
type kernelMemory struct {
	bytes   []byte
	regions []kernelRegion
}

type kernelRegion struct {
	name     string
	from, to int
}

const (
	poison = 0xff // of all bytes: a NaN, or -1
	fence  = 64   // bytes of poison at least between two regions

	deadRow = 0x7fc0dead // of all values in operands' rows past the live ones: another NaN
)

// room makes a region and gives its place.
func (m *kernelMemory) room(name string, bytes int) int {
	for len(m.bytes)%64 != 0 || len(m.regions) > 0 && len(m.bytes)-m.regions[len(m.regions)-1].to < fence {
		m.bytes = append(m.bytes, poison)
	}
	at := len(m.bytes)
	m.bytes = append(m.bytes, poisoned(bytes)...)
	m.regions = append(m.regions, kernelRegion{name, at, at + bytes})
	return at
}

func poisoned(n int) []byte { return bytes.Repeat([]byte{poison}, n) }

// where names the region of a byte.
func (m *kernelMemory) where(at int) string {
	for i, r := range m.regions {
		switch {
		case at < r.from:
			return fmt.Sprintf("between %s and %s, %d bytes past the end", m.regions[i-1].name, r.name, at-m.regions[i-1].to)
		case at < r.to:
			return fmt.Sprintf("%s at byte %d of %d", r.name, at-r.from, r.to-r.from)
		}
	}
	return "behind " + m.regions[len(m.regions)-1].name
}

func putFloats(b []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
}

func putInts(b []byte, x []int32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
	}
}

func getFloat(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func getFloats(b []byte, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = getFloat(b[4*i:])
	}
	return x
}

// An experiment is a case with its memory, its operands for the oracle, and its launch.
type experiment struct {
	*kernelCase
	kernelMemory
	r       *rand.Rand
	params  []*ir.Tensor // of the graph
	world   *ir.World
	cache   *pagedCache
	ins     []int // places, -1 for handles
	outs    []int
	cells   map[string]int
	scratch int
	state   int
	states  []int // places of what else is kept
	args    []int
}

// setUp fills the memory. Result alias[0] has the place of operand alias[1], if alias isn't nil.
func (c *kernelCase) setUp(b *kernelBench, alias *[2]int) (*experiment, error) {
	x := &experiment{kernelCase: c, r: rand.New(rand.NewPCG(c.seed(), 2)), cells: map[string]int{}, state: -1}
	x.world = &ir.World{States: map[string]any{}, Pos: c.pos, Rows: c.live}
	for _, v := range slices.Concat(c.node.Args, c.node.Outs) {
		if v.Type.Elem != ir.KV {
			continue
		}
		if x.cache != nil {
			return nil, fmt.Errorf("it has two states: the test knows one")
		}
		x.cache = newPagedCache(v.Type, caseContext, b.target.Page, b.target.KV, x.r)
	}
	tokens := 1 << 30 // that every table has
	for _, a := range c.node.Bound() {
		if e := a.Type.Elem; e != ir.Act && e != ir.I32 && e != ir.KV && len(a.Type.Dims) > 1 {
			tokens = min(tokens, a.Type.Dims[0])
		}
	}
	var history *ir.Cache
	for i, a := range c.node.Bound() {
		name := fmt.Sprintf("operand %d", i)
		bytes := 4 * c.rows() * a.Type.Size()
		at, t := -1, (*ir.Tensor)(nil)
		switch a.Type.Elem {
		case ir.Act:
			t, at = randomRows(a.Type, c.live, x.r), x.room(name, bytes)
			if c.recurs() {
				tame(t.Data)
			}
			if c.spread {
				for j := range t.Data {
					t.Data[j] = spread[x.r.IntN(len(spread))] * float32(1+x.r.Float64())
				}
			}
			if c.node.Outs[0].Type.Elem == ir.I32 { // a choice among logits: let some be equal
				for j := range t.Data {
					t.Data[j] = float32(math.Round(float64(t.Data[j]) * 2))
				}
			}
			putFloats(x.bytes[at:], t.Data)
			for j := len(t.Data) * 4; j < bytes; j += 4 { // else what is made of them would look like what nobody wrote
				binary.LittleEndian.PutUint32(x.bytes[at+j:], deadRow)
			}
		case ir.I32:
			t, at = ir.NewTensor(a.Type, c.live), x.room(name, bytes)
			for j := range t.Ints {
				t.Ints[j] = int32(x.r.IntN(tokens))
			}
			putInts(x.bytes[at:], t.Ints)
		case ir.KV:
			history = x.cache.randomCache(c.pos+c.live, x.r)
			t = &ir.Tensor{Type: a.Type, Cache: history}
		default:
			w, err := randomWeight(a.Type, c.choice.LayoutOf(slices.Index(c.node.Args, a)), x.r)
			if err != nil {
				return nil, err
			}
			if c.recurs() && a.Type.Elem == ir.F32 {
				negative(w.bytes)
			}
			t, at = w.tensor(a.Type), x.room(name, len(w.bytes))
			copy(x.bytes[at:], w.bytes)
		}
		x.params, x.ins = append(x.params, t), append(x.ins, at)
		if at >= 0 {
			x.args = append(x.args, at)
		}
	}
	for _, name := range c.choice.Cells {
		at, err := x.cell(name)
		if err != nil {
			return nil, err
		}
		x.cells[name] = at
		x.args = append(x.args, at)
	}
	for i, o := range c.node.Outs {
		at := -1
		switch {
		case o.Type.Elem == ir.KV:
		case alias != nil && alias[0] == i:
			at = x.ins[alias[1]]
		default:
			at = x.room(fmt.Sprintf("result %d", i), 4*c.rows()*o.Type.Size())
		}
		if x.outs = append(x.outs, at); at >= 0 {
			x.args = append(x.args, at)
		}
	}
	if c.choice.Scratch > 0 {
		x.scratch = x.room("scratch", c.choice.Scratch)
		x.args = append(x.args, x.scratch)
	}
	if x.cache != nil {
		if history == nil {
			history = x.cache.randomCache(c.pos, x.r)
			for _, n := range c.graph.Nodes {
				for _, s := range n.States() {
					x.world.States[s] = history
				}
			}
		}
		x.state = x.room("the cache", x.cache.bytes()*x.cache.values())
		x.cache.each(history, 0, func(at int, v float32) {
			x.cache.put(x.bytes[x.state:], at, v)
		})
		x.args = append(x.args, x.state)
	}
	x.keep()
	x.room("the end", 1)
	return x, nil
}

// cell makes what the host would keep under that name.
func (x *experiment) cell(name string) (int, error) {
	var v []int32
	switch name {
	case "pos":
		v = []int32{int32(x.pos)}
	case "live":
		v = []int32{int32(x.live)}
	case "table":
		v = x.cache.table
	case kernels.Ticket:
		v = make([]int32, kernels.Tickets)
	case "params":
		v = make([]int32, 8)
	case "rng":
		v = make([]int32, 2)
	case "counts":
		v = make([]int32, x.node.Args[0].Type.Size())
	default:
		return 0, fmt.Errorf("the test knows no cell called %s: teach cell", name)
	}
	at := x.room("cell "+name, 4*len(v))
	putInts(x.bytes[at:], v)
	return at, nil
}

// moveOn does to the position what a kernel has to do that chooses the next token: its results are numbers of tokens.
func (x *experiment) moveOn(expected []byte) {
	last := x.node.Outs[len(x.node.Outs)-1].Type
	if at, ok := x.cells["pos"]; ok && last.Elem == ir.I32 && len(last.Dims) == 0 {
		putInts(expected[at:], []int32{int32(x.pos) + 1})
	}
}

// check runs the case once and compares with the oracle: every result, and that nothing else in memory has changed: no
// operand, no row past the live ones, nothing between the regions, no position of the cache but the new ones, and the
// ticket is 0 again.
func (c *kernelCase) check(b *kernelBench, alias *[2]int) (worst float64, err error) {
	x, err := c.setUp(b, alias)
	if err != nil {
		return 0, err
	}
	l, err := x.launch(b)
	if err != nil {
		return 0, err
	}
	defer l.close()
	got, err := l.run()
	if err != nil {
		return 0, err
	}
	want, err := c.graph.Eval(x.world, x.params)
	if err != nil {
		return 0, err
	}
	expected := slices.Clone(x.bytes)
	x.moveOn(expected)
	for i, w := range want {
		var e float64
		switch w.Type.Elem {
		case ir.KV:
			e, err = x.checkCache(got, expected, w.Cache)
		case ir.I32:
			err = x.checkInts(got, expected, x.outs[i], w.Ints)
		case ir.Act:
			if e, err = x.checkRows(got, expected, x.outs[i], w); c.spread {
				err = x.checkEach(got, expected, x.outs[i], w)
			}
		default:
			err = fmt.Errorf("it makes %s: the test knows no such results", w.Type)
		}
		if err != nil {
			return 0, fmt.Errorf("result %d: %w", i, err)
		}
		worst = max(worst, e)
	}
	e, err := x.checkStates(got, expected)
	if err != nil {
		return 0, err
	}
	worst = max(worst, e)
	if n := c.choice.Scratch; n > 0 { // what is left there is nobody's affair
		copy(expected[x.scratch:x.scratch+n], got[x.scratch:])
	}
	if !bytes.Equal(got, expected) {
		for i := range got {
			if got[i] != expected[i] {
				return 0, fmt.Errorf("it wrote where nothing was to be written: %s", x.where(i))
			}
		}
	}
	return worst, nil
}
