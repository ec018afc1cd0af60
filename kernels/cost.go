package kernels

import (
	"fmt"
	"slices"
	"strings"

	"hipc/ir"
	"hipc/kernels/times"
)

// A Step is a node with its kernel.
type Step struct {
	Node   *ir.Node
	Choice *Choice
	Rows   int
}

// A Load is what a step takes, in seconds: of the whole machine, and by itself with the blocks that it has.
type Load struct {
	Step
	Busy, Alone float64
}

// A Coster prices launches, in seconds: what each step takes, and what a launch of such steps comes to, in that order. The
// planner cuts off by it what can't be cheapest: a launch should take no less than Launch() and the sum of what is Busy, and
// no less for one step more.
type Coster interface {
	Load(Step) Load
	Launch(steps ...Load) float64
}

// A Machine predicts for a step max(bytes / Bandwidth, flops / Flops) / fill + Node, where fill is how much of the machine
// its blocks keep busy. Steps that share a launch fill each other's gaps: together they take as long as all their work on
// the whole machine, or as the longest of them by itself.
type Machine struct {
	Bandwidth float64 // bytes a second that steps of some MB reach
	Peak      float64 // bytes a second by the data sheet: the roof, which a step of a GB may come near
	Flops     float64 // a second; a multiply-add is two
	Node      float64 // seconds that a launch costs by itself
	Ticket    float64 // seconds until the block that ends last knows it: of kernels that finish in their last block
	Units     int     // processors; with a block on each all of it is taken to be busy
	Act       int     // bytes of an activation
	KV        int     // bytes of an element of the KV cache
}

// Machines are what plans for a target are made for. They are no measurement of the machine that compiles: the same
// input gives the same plan everywhere.
//
// The CPUs stand for an 8-core desktop with two channels of DDR4: 40 GB/s, and per core 2 fused multiply-adds of 8 or 16
// lanes at 3 GHz, of which decoding the weights leaves about a third. A launch is one barrier of the pool.
//
// sm_90 is calibrated on an H100 (SXM; 3.35 TB/s by its data sheet) with three plans of Qwen3.6-35B-A3B: all fusions, those without a last block's
// work, none. A launch of little takes 0.8 to 1.2 µs; products of some MB, of which a token consists, read 1.5 TB/s; the last of 64 blocks knows that
// it is some 1 µs later. With these the median error over the 322 launches of a token is 17 %, that of their sum 1 %
// (bench/results/2026-11-24-qwen3.6-35b-a3b-h100.json). The head alone, a product of 1 GB, reads 3.06 TB/s and is predicted twice too slow, the same
// in all plans; a launch of one block up to three times, so that -fuse=off is predicted 1.25 times too slow. A rate of its own for a block
// (40 GB/s) mended that, and chose prefill plans that were 7 % slower: what a block computes by itself isn't told by its bytes. The plans of a week
// later are in the order that this row predicts, each 1.15 to 1.17 times as fast as it says, on an H200, whose memory is faster
// (bench/results/2026-12-01-qwen3.6-35b-a3b-h200.json).
//
// That each block of a product norms a row for itself isn't priced: it hides behind the block's first weights. Mistral's gated product does it in
// 896 blocks, 16 KiB each, and a token of it is 2.3 % faster than with norms in last blocks.
//
// The other GPUs are an RTX 3090, an RX 7900 XTX and a Ryzen AI Max 395 by their data sheets: bandwidth of the memory, dense f16 with matrix
// units, compute units. What a graph's node costs was measured by others: 3.6 to 5.6 µs on a W7900. What a last block waits is taken from sm_90.
var Machines = map[string]Machine{
	"cpu_v3": {Bandwidth: 40e9, Peak: 40e9, Flops: 250e9, Node: 2e-6, Units: 8, Act: 4, KV: 4},
	"cpu_v4": {Bandwidth: 40e9, Peak: 40e9, Flops: 500e9, Node: 2e-6, Units: 8, Act: 4, KV: 4},

	"sm_90":   {Bandwidth: 1.5e12, Peak: 3.35e12, Flops: 989e12, Node: 1.1e-6, Ticket: 1e-6, Units: 132, Act: 4, KV: 2},
	"sm_86":   {Bandwidth: 936e9, Peak: 936e9, Flops: 71e12, Node: 1.5e-6, Ticket: 1e-6, Units: 82, Act: 4, KV: 2},
	"gfx1100": {Bandwidth: 960e9, Peak: 960e9, Flops: 123e12, Node: 4e-6, Ticket: 1e-6, Units: 96, Act: 4, KV: 2},
	"gfx1151": {Bandwidth: 256e9, Peak: 256e9, Flops: 59e12, Node: 4e-6, Ticket: 1e-6, Units: 40, Act: 4, KV: 2},
}

// String is the row as people read it, and hiprun: "1500 GB/s of 3350, 989 Tflop/s, 132 units, 1.1 µs a launch, 1 µs a last block". All that a
// prediction depends on is there: where two differ in it, hipc diff says so.
func (m Machine) String() string {
	return fmt.Sprintf("%.4g GB/s of %.4g, %.4g Tflop/s, %d units, %.3g µs a launch, %.3g µs a last block", m.Bandwidth/1e9, m.Peak/1e9, m.Flops/1e12, m.Units,
		m.Node*1e6, m.Ticket*1e6)
}

// Roof is how many operations a second can be reached at most by a step that has so many for each byte that it moves.
func (m Machine) Roof(intensity float64) float64 { return min(m.Flops, intensity*m.Peak) }

// Load implements Coster: predicted, with an empty context.
func (m Machine) Load(s Step) Load {
	bytes, flops := Work(s.Node, s.Rows, m.Act)
	busy := max(float64(bytes)/m.Bandwidth, float64(flops)/m.Flops)
	return Load{s, busy, m.alone(s, busy)}
}

// Launch implements Coster.
func (m Machine) Launch(steps ...Load) float64 {
	var sum, longest float64
	for _, l := range steps {
		sum, longest = sum+l.Busy, max(longest, l.Alone)
	}
	return max(sum, longest) + m.Node
}

// A Bound says what most of a launch's time goes to.
type Bound string

const (
	Memory  Bound = "memory"  // bytes over the bandwidth
	Matrix  Bound = "matrix"  // operations over the peak
	Latency Bound = "latency" // its blocks leave more than half of the machine idle, so that neither of these is reached
	Launch  Bound = "launch"  // the launch itself costs more than what it does
)

// An Estimate is what a launch costs.
type Estimate struct {
	Seconds  float64
	Bytes    int // moved
	Flops    int
	Fill     float64 // the part of the machine that its blocks keep busy: of its units
	Bound    Bound
	Measured *times.Time // where Seconds is from; nil: predicted
}

// Estimate predicts a launch, of which the first row stands at position pos of its context.
func (m Machine) Estimate(launch []Step, pos int) Estimate {
	var e Estimate
	var memory, matrix, sum, longest float64
	grid := 0
	for _, s := range launch {
		bytes, flops := Work(s.Node, s.Rows, m.Act)
		b, f := Attention(s.Node, s.Rows, m.KV, pos)
		bytes, flops = bytes+b, flops+f
		e.Bytes, e.Flops = e.Bytes+bytes, e.Flops+flops
		x, y := float64(bytes)/m.Bandwidth, float64(flops)/m.Flops
		busy := max(x, y)
		memory, matrix = memory+x, matrix+y
		sum, longest = sum+busy, max(longest, m.alone(s, busy))
		grid += s.Choice.Grid
	}
	work := max(sum, longest)
	e.Seconds, e.Fill = work+m.Node, m.fill(grid)
	switch {
	case m.Node >= work:
		e.Bound = Launch
	case longest > 2*sum:
		e.Bound = Latency
	case matrix > memory:
		e.Bound = Matrix
	default:
		e.Bound = Memory
	}
	return e
}

// alone is how long s would take by itself, if it kept the whole machine busy for so long.
func (m Machine) alone(s Step, busy float64) float64 {
	t := busy / m.fill(s.Choice.Grid)
	if slices.Contains(s.Choice.Cells, Ticket) {
		t += m.Ticket
	}
	return t
}

// fill is the part of the machine that grid blocks keep busy. More of them than run at once keep all of it busy to the end:
// they don't run in step, and what the last ones leave of the memory's bandwidth the others get.
func (m Machine) fill(grid int) float64 { return min(1, float64(grid)/float64(m.Units)) }

// A PriceList is what launches cost on a target, for people: measured where its table of times has the launch, else predicted. Plans
// aren't made by it: a table that has some launches and not others would favour those that nobody has measured (with eight of SmolLM2's
// the planner dropped two fusions that pay), and a measurement would make another plan.
type PriceList struct {
	Machine
	Times map[times.Key]times.Time
}

// Prices is a target's price list.
func Prices(target string) (*PriceList, error) {
	m, err := MachineOf(target)
	if err != nil {
		return nil, err
	}
	t, err := measured(target)
	return &PriceList{m, t}, err
}

// MachineOf is a target's row of Machines.
func MachineOf(target string) (Machine, error) {
	m, ok := Machines[target]
	if !ok {
		return m, fmt.Errorf("nothing is known of the speed of target %s: kernels.Machines has no row for it", target)
	}
	return m, nil
}

// Estimate is a launch's measured time, or a prediction: of what was measured with an empty context alone, what the context adds to it. What a
// launch is bound by is always the prediction's say.
func (p *PriceList) Estimate(launch []Step, pos int) Estimate {
	e := p.Machine.Estimate(launch, pos)
	if t, ok := p.time(launch, pos); ok {
		e.Seconds, e.Measured = t.Median*1e-6, &t
	} else if t, ok := p.time(launch, 0); ok {
		e.Seconds += t.Median*1e-6 - p.Machine.Estimate(launch, 0).Seconds
	}
	return e
}

// time is what the table has of a launch.
func (p *PriceList) time(launch []Step, pos int) (times.Time, bool) {
	if len(p.Times) == 0 {
		return times.Time{}, false
	}
	insts, grid, seqs := make([]string, len(launch)), 0, 1
	for i, s := range launch {
		insts[i] = s.Choice.Inst
		grid += s.Choice.Grid
		seqs = max(seqs, s.Choice.Dims["S"])
	}
	if !readsContext(launch) {
		pos = 0 // a time that the context has no say in is filed there
	}
	t, ok := p.Times[times.Key{Inst: strings.Join(insts, " | "), Shape: times.Shape(seqs, launch[0].Rows/seqs, pos), Grid: grid}]
	return t, ok
}

func readsContext(launch []Step) bool {
	for _, s := range launch {
		if b, _ := Attention(s.Node, s.Rows, 1, 1); b > 0 {
			return true
		}
	}
	return false
}
