package tests

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hipc/codegen"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime"
	"hipc/runtime/sim"
)

// A tileRun is a product of a plan at its full dims, of whose launch some blocks are run.
type tileRun struct {
	*wholeCase
	planPart
	code   []byte
	blocks []int // of the instance; nil: all
}

// TestProductTiles runs each product of SmolLM2's and Qwen3.6-35B-A3B's plans for gfx1100 and gfx1151 at its full dims, in the very object that the
// model is compiled to, and for gfx1100 in hipcc's too: those that end in their last block whole, of the others the first and the last block, against
// Eval of the outputs that these write.
func TestProductTiles(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs: it compiles two models at their published sizes for two GPU targets")
	}
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	large := &largeWeights{}
	for _, name := range []string{"gfx1100", "gfx1151"} {
		row, err := codegen.TargetByName(name)
		if err != nil {
			t.Fatal(err)
		}
		compilers, names := compiledBy(t, row)
		for i, target := range compilers {
			t.Run(names[i], func(t *testing.T) {
				if i == 0 {
					withClang(t)
				}
				runTiles(t, target, tilesOf(t, target, i > 0), large)
			})
		}
	}
}

// tilesOf lists what is to be run of both plans. own: with target's own compiler, the launches of products alone.
func tilesOf(t *testing.T, target *codegen.Target, own bool) (runs []tileRun) {
	type object struct {
		dir   string
		parts []planPart
		code  []byte
		err   error
	}
	var objects []*object
	cases := map[string]*wholeCase{}
	for _, model := range reported {
		if own { // the source is the same whichever compiler made the object
			withClang(t)
		}
		r := reportedArtifact(t, model, target.Name)
		o := &object{dir: r.Dir}
		for _, p := range partsOf(t, r.Dir, r.Plan) {
			c, err := wholeCaseOf(target, p.inst, r.Plan.Context)
			if err != nil {
				t.Fatal(err)
			}
			if c != nil && cases[p.inst] == nil {
				c.kernel, cases[p.inst] = p.step.Kernel, c
				o.parts = append(o.parts, p)
			}
		}
		objects = append(objects, o)
	}
	if own {
		last := objects[len(objects)-1] // the larger one, in two
		half := len(last.parts) / 2
		objects = append(objects, &object{dir: last.dir, parts: last.parts[half:]})
		last.parts = last.parts[:half]
	}
	var wg sync.WaitGroup
	for _, o := range objects {
		if !own {
			o.code = readFile(t, o.dir+"/"+target.Object)
			continue
		}
		wg.Go(func() { o.code, o.err = compileParts(t, target, o.dir, o.parts) })
	}
	wg.Wait()
	for _, o := range objects {
		if o.err != nil {
			t.Fatal(o.err)
		}
		for _, p := range o.parts {
			c := cases[p.inst]
			run := tileRun{wholeCase: c, planPart: p, code: o.code}
			switch grid := c.choice.Grid; {
			case c.whole() || grid == 1:
				runs = append(runs, run)
			default:
				first, last := run, run
				first.blocks, last.blocks = []int{0}, []int{grid - 1}
				runs = append(runs, last)
				if c.row.Op != "matmul_argmax" && !c.each() { // the second would cost as much, and the last has the edge
					runs = append(runs, first)
				}
			}
		}
	}
	return runs
}

// whole: what its last block makes needs all blocks. An argmax of some rows is one of those.
func (c *wholeCase) whole() bool {
	return slices.Contains(c.choice.Cells, kernels.Ticket) && c.row.Op != "matmul_argmax"
}

// each: a row has an expert for each of its slots.
func (c *wholeCase) each() bool { return strings.HasSuffix(c.row.Op, "_each") }

func runTiles(t *testing.T, target *codegen.Target, runs []tileRun, large *largeWeights) {
	devices, err := cards[target.Device](target.Name)
	if err != nil {
		t.Skip(err)
	}
	begun := time.Now()
	var next atomic.Int64
	worst := make([]float64, len(devices))
	var wg sync.WaitGroup
	for i, d := range devices {
		defer d.Close()
		modules := map[*byte]runtime.Module{}
		for _, r := range runs {
			if key := &r.code[0]; modules[key] == nil {
				if modules[key], err = d.Load(r.code); err != nil {
					t.Fatal(err)
				}
			}
		}
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(runs) {
					return
				}
				e, err := runs[n].run(d.(*sim.Device), modules[&runs[n].code[0]], large)
				if err != nil {
					t.Errorf("%s, blocks %v: %v", runs[n].inst, runs[n].blocks, err)
				}
				worst[i] = max(worst[i], e)
			}
		})
	}
	wg.Wait()
	insts := map[string]bool{}
	for _, r := range runs {
		insts[r.inst] = true
	}
	t.Logf("%d products at full dims, %d tiles or whole launches, in %.1f s; the worst NMSE of a row is %.1g", len(insts), len(runs), time.Since(begun).Seconds(), slices.Max(worst))
}

// A tileMemory is a tileRun's operands, and where they are.
type tileMemory struct {
	d      *sim.Device
	params []*ir.Tensor // of the full node
	args   []runtime.Ptr
	outs   []runtime.Ptr
	ticket runtime.Ptr
	free   []func()
}

func (m *tileMemory) place(b []byte) (runtime.Ptr, error) {
	p, err := m.d.Place(b)
	if err == nil {
		m.free = append(m.free, func() { m.d.Free(p) })
	}
	return p, err
}

func (m *tileMemory) room(b []byte) (runtime.Ptr, error) {
	p, err := m.d.Alloc(int64(len(b)))
	if err == nil {
		m.free = append(m.free, func() { m.d.Free(p) })
		err = m.d.Write(p, b)
	}
	return p, err
}

func (m *tileMemory) close() {
	for _, f := range slices.Backward(m.free) {
		f()
	}
}

// operands fills the memory: inputs are read-only, results poisoned.
func (r *tileRun) operands(d *sim.Device, large *largeWeights) (m *tileMemory, err error) {
	m = &tileMemory{d: d}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	rnd := rand.New(rand.NewPCG(uint64(len(r.inst)), uint64(r.rows())))
	add := func(p runtime.Ptr, e error) {
		m.args = append(m.args, p)
		if err == nil {
			err = e
		}
	}
	for _, a := range r.node.Bound() {
		var t *ir.Tensor
		switch elem := a.Type.Elem; {
		case elem == ir.Act:
			t = randomRows(a.Type, r.rows(), rnd)
			b := make([]byte, 4*len(t.Data))
			putFloats(b, t.Data)
			add(m.place(b))
		case elem == ir.I32: // experts: few of them, so that they've several rows, the first and the last among them
			t = ir.NewTensor(a.Type, r.rows())
			n, e := a.Type.Size(), r.dims["E"]
			for row := range r.rows() {
				for j, k := range rnd.Perm(min(32, e))[:n] {
					t.Ints[row*n+j] = int32(k)
					if k%2 == 1 {
						t.Ints[row*n+j] = int32(e - (k+1)/2)
					} else {
						t.Ints[row*n+j] = int32(k / 2)
					}
				}
			}
			b := make([]byte, 4*len(t.Ints))
			putInts(b, t.Ints)
			add(m.place(b))
		default:
			var w *packedWeight
			layout := r.choice.LayoutOf(slices.Index(r.node.Args, a))
			if len(a.Type.Dims) > 1 && layout != "rows" {
				var free func()
				if w, free, err = large.make(a.Type, layout); err == nil {
					m.free = append(m.free, free)
				}
			} else {
				w, err = randomWeight(a.Type, layout, rnd)
			}
			if err != nil {
				return m, err
			}
			t = w.tensor(a.Type)
			add(m.place(w.bytes))
		}
		m.params = append(m.params, t)
	}
	for _, name := range r.choice.Cells {
		b := make([]byte, 4)
		switch name {
		case "live":
			putInts(b, []int32{int32(r.rows())})
		case kernels.Ticket:
			b = make([]byte, 4*kernels.Tickets)
			if r.blocks != nil { // so that the last of these finds itself the last of all
				putInts(b, []int32{int32(r.choice.Grid - len(r.blocks))})
			}
			m.ticket = 1
		}
		p, e := m.room(b)
		if add(p, e); m.ticket == 1 {
			m.ticket = p
		}
	}
	for _, o := range r.node.Outs {
		p, e := m.room(poisoned(4 * r.rows() * o.Type.Size()))
		add(p, e)
		m.outs = append(m.outs, p)
	}
	if r.choice.Scratch > 0 {
		add(m.room(poisoned(r.choice.Scratch)))
	}
	return m, err
}

// run runs the blocks and compares what they wrote.
func (r *tileRun) run(d *sim.Device, code runtime.Module, large *largeWeights) (worst float64, err error) {
	m, err := r.operands(d, large)
	if err != nil {
		return 0, err
	}
	defer m.close()
	if len(m.args) != len(r.args) {
		return 0, fmt.Errorf("it has %d operands, the launch gives it %d", len(m.args), len(r.args))
	}
	x := sim.Dispatch{Kernel: r.step.Kernel, Grid: [3]int{r.step.Grid, 1, 1}, Block: [3]int{r.step.Block, 1, 1}, LDS: r.step.LDS}
	x.Kernarg = make([]byte, 8*(len(r.step.In)+len(r.step.Out)+len(r.step.State)))
	for i, a := range r.args { // what else stands beside it isn't run: its operands are null
		binary.LittleEndian.PutUint64(x.Kernarg[8*a:], uint64(m.args[i]))
	}
	blocks := r.blocks
	if blocks == nil {
		blocks = make([]int, r.choice.Grid)
		for i := range blocks {
			blocks[i] = i
		}
	}
	for _, b := range blocks {
		x.Only = append(x.Only, r.first+b)
	}
	if err := d.Dispatch(code, x); err != nil {
		return 0, err
	}
	if m.ticket != 0 {
		b := make([]byte, 4*kernels.Tickets)
		if err := d.Read(b, m.ticket); err != nil {
			return 0, err
		}
		if slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) {
			return 0, fmt.Errorf("the ticket isn't 0 afterwards")
		}
	}
	return r.compare(m)
}
