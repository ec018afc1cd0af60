package tests

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"hipc/codegen"
	"hipc/ir"
	"hipc/kernels"
	"hipc/runtime"
)

// A speedCase is a product that is timed on a card: x[T, K], or rows of it by expert, with one or two weights of N rows.
type speedCase struct {
	inst, header string
	grid, block  int
	lds          int
	format       string
	k, n, t      int
	weights      int // of that size
	experts, a   int // with experts: how many, and how many a row has; the weight's rows are experts · n
	slots        bool
}

// weightBytes is what one launch reads of weights, where no expert is left out.
func (c speedCase) weightBytes() int { return c.weights * c.rows() * rowBytes(c.format, c.k) }
func (c speedCase) rows() int        { return max(c.experts, 1) * c.n }
func (c speedCase) flops() float64 {
	return 2 * float64(c.weights) * float64(c.t) * float64(max(c.a, 1)) * float64(c.n) * float64(c.k)
}

func decodeCase(format string, k, n, split int) speedCase {
	return speedCase{inst: fmt.Sprintf("matmul<%s, %d, %d, 1, %d>", traitOf(format), k, n, split), header: "matmul.hip", grid: ((n+15)/16 + 8/split - 1) / (8 / split), block: 256,
		format: format, k: k, n: n, t: 1, weights: 1}
}

func tileCase(format string, k, n, t, bm, bn int) speedCase {
	return speedCase{inst: fmt.Sprintf("matmul_tiles<%s, %d, %d, %d, %d, %d>", traitOf(format), k, n, t, bm, bn), header: "gemm.hip", grid: ((n + bn - 1) / bn) * ((t + bm - 1) / bm), block: 2 * bn,
		lds: 160 * (bm + bn), format: format, k: k, n: n, t: t, weights: 1}
}

func gatedCase(format string, k, n, t, bm, bn int) speedCase {
	w := traitOf(format)
	return speedCase{inst: fmt.Sprintf("swiglu_tiles<%s, %s, %d, %d, %d, %d, %d>", w, w, k, n, t, bm, bn), header: "gemm.hip", grid: ((2*n + bn - 1) / bn) * ((t + bm - 1) / bm), block: 2 * bn,
		lds: 160 * (bm + bn), format: format, k: k, n: n, t: t, weights: 2}
}

func groupedCase(gated bool, format string, e, a, k, n, t, bm, bn int) speedCase {
	c := speedCase{header: "grouped.hip", grid: e * ((n + bn - 1) / bn), block: 2 * bn, lds: 160 * (64 + bn), format: format, k: k, n: n, t: t, weights: 1, experts: e, a: a}
	if gated {
		c.grid = e * ((2*n + bn - 1) / bn)
		c.inst, c.weights = fmt.Sprintf("swiglu_each_tiles<%s, %d, %d, %d, %d, 0, %d, %d, %d>", traitOf(format), e, a, k, n, t, bm, bn), 2
	} else {
		c.inst, c.slots = fmt.Sprintf("matmul_each_tiles<%s, %d, %d, %d, %d, 1, %d, %d, %d>", traitOf(format), e, a, k, n, t, bm, bn), true
	}
	return c
}

func traitOf(format string) string {
	return map[string]string{"f32": "F32", "f16": "F16", "bf16": "BF16", "q4_0": "Q4_0", "q4_1": "Q4_1", "q8_0": "Q8_0", "i4_64": "I4_64", "i4_128": "I4_128"}[format]
}

func rowBytes(format string, k int) int {
	w, err := randomWeight(ir.Of(ir.Elem(format), 16, k), "x16", rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		panic(err)
	}
	return len(w.bytes) / 16
}

// The products of Qwen3.6-35B-A3B, K = 2048, and SmolLM2-135M, K = 576 and 1536.
func speedCases() (list []speedCase) {
	for _, s := range []struct{ k, n int }{{2048, 8192}, {2048, 4096}, {4096, 2048}, {2048, 512}, {512, 2048}} {
		for _, split := range []int{8, 4, 2} {
			list = append(list, decodeCase("i4_128", s.k, s.n, split))
		}
	}
	for _, f := range []string{"i4_64", "q4_1", "q4_0", "q8_0", "f16", "bf16"} {
		list = append(list, decodeCase(f, 2048, 8192, 8))
	}
	list = append(list, decodeCase("f16", 2048, 248320, 1), decodeCase("f16", 2048, 248320, 2), decodeCase("q8_0", 576, 49152, 1), decodeCase("q8_0", 576, 49152, 2),
		decodeCase("q4_1", 576, 1536, 8), decodeCase("q4_1", 576, 1536, 4), decodeCase("q4_1", 1536, 576, 8))
	for _, s := range []struct{ bm, bn int }{{128, 128}, {64, 128}, {64, 64}, {32, 64}} {
		for _, shape := range []struct{ k, n int }{{2048, 8192}, {4096, 2048}, {2048, 512}} {
			list = append(list, tileCase("i4_128", shape.k, shape.n, 512, s.bm, s.bn))
		}
		list = append(list, tileCase("q4_1", 576, 1536, 512, s.bm, s.bn), tileCase("q4_1", 1536, 576, 512, s.bm, s.bn))
	}
	for _, f := range []string{"q4_1", "q8_0", "f16", "bf16"} {
		list = append(list, tileCase(f, 2048, 8192, 512, 64, 128))
	}
	for _, s := range []struct{ bm, bn int }{{128, 128}, {64, 128}, {64, 64}, {32, 64}} {
		list = append(list, gatedCase("i4_128", 2048, 8192, 512, s.bm, s.bn), gatedCase("q4_1", 576, 1536, 512, s.bm, s.bn))
	}
	for _, t := range []int{512, 2048} {
		for _, s := range []struct{ bm, bn int }{{32, 128}, {64, 128}, {32, 64}, {64, 64}} {
			list = append(list, groupedCase(true, "i4_128", 256, 8, 2048, 512, t, s.bm, s.bn), groupedCase(false, "i4_128", 256, 8, 512, 2048, t, s.bm, s.bn))
		}
	}
	return list
}

// kernelCase is what compileCases wants to know of c.
func (c speedCase) kernelCase() *kernelCase {
	n := &ir.Node{}
	for range 1 + c.weights {
		n.Args = append(n.Args, &ir.Value{Type: ir.Of(ir.Act, 1)})
	}
	if c.experts > 0 { // x, ids, weight
		n.Args = n.Args[:2]
		n.Args = append(n.Args, &ir.Value{Type: ir.Of(ir.Act, 1)})
	}
	n.Outs = []*ir.Value{{Type: ir.Of(ir.Act, 1)}}
	return &kernelCase{row: &kernels.Kernel{Header: c.header}, node: n, graph: &ir.Graph{}, choice: &kernels.Choice{Inst: c.inst, Grid: c.grid, Block: c.block, LDS: c.lds, Cells: []string{"live"}}}
}

// TestProductSpeed times products on a card, with weights that no cache holds: HIPC_SPEED=1, and HIPC_OBJECTS as for TestGPUKernels.
func TestProductSpeed(t *testing.T) {
	if os.Getenv("HIPC_SPEED") == "" {
		t.Skip("HIPC_SPEED isn't set: it takes a card, and a minute")
	}
	target, err := codegen.TargetByName("sm_90")
	if err != nil {
		t.Fatal(err)
	}
	list := speedCases()
	devices, lacks := cards[target.Device](target.Name)
	var all []*kernelCase
	for _, c := range list {
		all = append(all, c.kernelCase())
	}
	objects := compileCases(t, target, all)
	if lacks != nil {
		t.Skip(lacks)
	}
	device := devices[0]
	defer device.Close()
	b := newBench(t, target, device, objects)
	for i, c := range list {
		if err := c.time(t, b, all[i].kernel); err != nil {
			t.Errorf("%s: %v", c.inst, err)
		}
	}
}

func (c speedCase) time(t *testing.T, b *kernelBench, kernel string) error {
	r := rand.New(rand.NewPCG(1, 2))
	few, err := randomWeight(ir.Of(ir.Elem(c.format), 256, c.k), "x16", r)
	if err != nil {
		return err
	}
	size := (c.weightBytes()/c.weights + 4095) &^ 4095
	copies := max(2, min(400, 300<<20/(size*c.weights)))
	var taken []runtime.Ptr
	put := func(b0 []byte) runtime.Ptr {
		p, e := b.device.Alloc(int64(len(b0)))
		if e == nil {
			taken = append(taken, p)
			e = b.device.Write(p, b0)
		}
		if err == nil {
			err = e
		}
		return p
	}
	defer func() {
		for _, p := range taken {
			b.device.Free(p)
		}
	}()
	rows := c.t
	if c.slots {
		rows *= c.a
	}
	x := make([]float32, rows*c.k)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	xb := make([]byte, 4*len(x))
	putFloats(xb, x)
	args := []runtime.Ptr{put(xb)}
	if c.experts > 0 {
		var ids []int32
		for range c.t {
			for _, e := range r.Perm(c.experts)[:c.a] {
				ids = append(ids, int32(e))
			}
		}
		ib := make([]byte, 4*len(ids))
		putInts(ib, ids)
		args = append(args, put(ib))
	}
	live := make([]byte, 4)
	putInts(live, []int32{int32(c.t)})
	y, cell := put(make([]byte, 4*c.t*max(c.a, 1)*c.n)), put(live)
	w := bytes.Repeat(few.bytes, size/len(few.bytes)+1)[:size]
	var steps []runtime.Launch
	for range copies {
		l := runtime.Launch{Kernel: kernel, Grid: c.grid, Block: c.block, LDS: c.lds, Args: slices.Clone(args)}
		count := c.weights
		if c.experts > 0 && c.weights == 2 {
			l.Args = append(l.Args, put(append(slices.Clone(w), w...)))
			count = 0
		}
		for range count {
			l.Args = append(l.Args, put(w))
		}
		l.Args = append(l.Args, cell, y)
		steps = append(steps, l)
	}
	if err != nil {
		return err
	}
	g, err := b.device.Record(b.modules[kernel], steps)
	if err != nil {
		return err
	}
	defer g.Close()
	var times []time.Duration
	for range 7 {
		begun := time.Now()
		if err := g.Replay(); err != nil {
			return err
		}
		times = append(times, time.Since(begun)/time.Duration(len(steps)))
	}
	slices.Sort(times)
	s := times[3].Seconds()
	t.Logf("%-64s %9.2f µs  %7.0f GB/s %5.1f %%  %7.1f TFLOP/s   min %.2f max %.2f", c.inst, s*1e6, float64(c.weightBytes())/s/1e9, float64(c.weightBytes())/s/3.35e12*100, c.flops()/s/1e12,
		times[0].Seconds()*1e6, times[6].Seconds()*1e6)
	return nil
}
