package tests

import (
	"slices"

	"hipc/runtime"
	"hipc/runtime/plan"
	"hipc/runtime/sim"
)

// A launched experiment is on the device: in one block of memory or, in the simulator, in one a region, so that an access beyond a
// region's end is a fault, even if what is read there isn't used.
type launched struct {
	*experiment
	device runtime.Device
	blocks []memoryBlock
	graph  runtime.Graph
}

type memoryBlock struct {
	at       runtime.Ptr
	from, to int // in bytes
}

func (x *experiment) launch(b *kernelBench) (*launched, error) {
	l := &launched{experiment: x, device: b.device, blocks: []memoryBlock{{to: len(x.bytes)}}}
	if _, ok := b.device.(*sim.Device); ok {
		l.blocks = nil
		for _, r := range x.regions { // up to where the next one may lie in a plan
			l.blocks = append(l.blocks, memoryBlock{from: r.from, to: min(r.from+(r.to-r.from+plan.Align-1)/plan.Align*plan.Align, len(x.bytes))})
		}
	}
	step := runtime.Launch{Kernel: x.kernel, Grid: x.choice.Grid, Block: x.choice.Block, LDS: x.choice.LDS}
	var err error
	for i := range l.blocks {
		m := &l.blocks[i]
		if m.at, err = b.device.Alloc(int64(m.to - m.from)); err != nil {
			l.close()
			return nil, err
		}
	}
	for _, a := range x.args {
		i := slices.IndexFunc(l.blocks, func(m memoryBlock) bool { return a >= m.from && a < m.to })
		step.Args = append(step.Args, l.blocks[i].at.Add(int64(a-l.blocks[i].from)))
	}
	if l.graph, err = b.device.Record(b.modules[x.kernel], []runtime.Launch{step}); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// run writes the memory, runs the kernel and gives what the memory is then.
func (l *launched) run() ([]byte, error) {
	for _, m := range l.blocks {
		if err := l.device.Write(m.at, l.bytes[m.from:m.to]); err != nil {
			return nil, err
		}
	}
	if err := l.graph.Replay(); err != nil {
		return nil, err
	}
	got := slices.Clone(l.bytes)
	for _, m := range l.blocks {
		if err := l.device.Read(got[m.from:m.to], m.at); err != nil {
			return nil, err
		}
	}
	return got, nil
}

func (l *launched) close() {
	if l.graph != nil {
		l.graph.Close()
	}
	for _, m := range l.blocks {
		if m.at != 0 {
			l.device.Free(m.at)
		}
	}
}
