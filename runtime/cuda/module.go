package cuda

import (
	"bytes"
	"fmt"
	goruntime "runtime"
	"strings"
	"time"
	"unsafe"

	"hipc/runtime"
)

// A module is code that the driver has compiled.
type module struct {
	d       *Device
	handle  uintptr
	entries map[string]int // parameters of each entry
	log     []byte         // what the driver said when it compiled
}

// maxLog is how much the driver may say about code that it refuses.
const maxLog = 8 << 10

// Load lets the driver compile PTX. What it says about code that it refuses is in the error.
func (d *Device) Load(code []byte) (runtime.Module, error) {
	entries, target, err := parsePTX(code)
	if err != nil {
		return nil, err
	}
	if target != d.info.Targets[0] {
		return nil, fmt.Errorf("PTX for %s, but %s is %s: compile the model for this machine", target, d.info.Name, d.info.Targets[0])
	}
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	text := append(bytes.Clone(code), 0)
	m := &module{d: d, entries: entries, log: make([]byte, maxLog)}
	options := []uint32{jitErrorLog, jitErrorLogBytes}
	values := []uintptr{uintptr(unsafe.Pointer(&m.log[0])), maxLog - 1}
	err = d.lib.call(cuModuleLoadDataEx, uintptr(unsafe.Pointer(&m.handle)), uintptr(unsafe.Pointer(&text[0])), uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	goruntime.KeepAlive(text)
	goruntime.KeepAlive(m)
	goruntime.KeepAlive(options)
	goruntime.KeepAlive(values)
	if err != nil {
		said, _, _ := strings.Cut(string(m.log), "\x00")
		if words := strings.Join(strings.Fields(said), " "); words != "" {
			err = fmt.Errorf("%w: %.500s", err, words)
		}
		return nil, err
	}
	d.modules = append(d.modules, m)
	return m, nil
}

// parsePTX reads what it takes to refuse a wrong launch before the driver sees it: for what the text is, and how many parameters
// each entry has.
func parsePTX(code []byte) (entries map[string]int, target string, err error) {
	entries = map[string]int{}
	name := ""
	for l := range bytes.Lines(code) {
		s := strings.TrimSpace(string(l))
		switch {
		case strings.HasPrefix(s, ".target "):
			target = strings.TrimRight(strings.Fields(s)[1], ",")
		case strings.HasPrefix(s, ".visible .entry "):
			rest := strings.TrimPrefix(s, ".visible .entry ")
			name, _, _ = strings.Cut(rest, "(")
			entries[name] = 0
			if strings.HasSuffix(rest, "()") {
				name = ""
			}
		case name != "" && strings.HasPrefix(s, ".param "):
			entries[name]++
		case strings.HasPrefix(s, ")"):
			name = ""
		}
	}
	if target == "" || len(entries) == 0 {
		return nil, "", fmt.Errorf("no PTX of hipc: %d bytes without a target or without kernels", len(code))
	}
	return entries, target, nil
}

// Close unloads the code. It may be called twice.
func (m *module) Close() error {
	if m.handle == 0 {
		return nil
	}
	leave, err := m.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	handle := m.handle
	m.handle = 0
	return m.d.lib.call(cuModuleUnload, handle)
}

// A node is one launch as the driver takes it: CUDA_KERNEL_NODE_PARAMS, in its first version.
type node struct {
	function uintptr
	grid     [3]uint32
	block    [3]uint32
	shared   uint32
	params   uintptr // of an array of pointers to each parameter's value
	extra    uintptr
}

// A graph is the list of launches with all that it points to, and what the driver made of it. Its slices are made once and stay where they
// are.
type graph struct {
	d      *Device
	nodes  []node
	values []uint64  // all launches' parameters
	params []uintptr // where each of them is
	graph  uintptr
	exec   uintptr    // 0: launches are made one by one
	ends   [2]uintptr // while the chain is made: its last node, and the next
	events []uintptr
}

// Record makes a chain of kernel nodes.
func (d *Device) Record(code runtime.Module, steps []runtime.Launch) (runtime.Graph, error) {
	m, ok := code.(*module)
	if !ok || m.handle == 0 {
		return nil, fmt.Errorf("the module isn't one that this device has loaded")
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("nothing to record")
	}
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	g := &graph{d: d, nodes: make([]node, len(steps))}
	n := 0
	for _, s := range steps {
		n += len(s.Args)
	}
	g.values, g.params = make([]uint64, n+1), make([]uintptr, n+1) // one more, so that there is an address for none
	found := map[string]uintptr{}
	at := 0
	for i, s := range steps {
		if found[s.Kernel], err = m.check(s, found[s.Kernel]); err != nil {
			return nil, err
		}
		g.nodes[i] = node{function: found[s.Kernel], grid: [3]uint32{uint32(s.Grid), 1, 1}, block: [3]uint32{uint32(s.Block), 1, 1}, shared: uint32(s.LDS),
			params: uintptr(unsafe.Pointer(&g.params[at]))}
		for _, p := range s.Args {
			if _, ok := d.find(p); !ok {
				return nil, fmt.Errorf("kernel %s: an operand at %#x is in no block of memory", s.Kernel, uint64(p))
			}
			g.values[at] = uint64(p)
			g.params[at] = uintptr(unsafe.Pointer(&g.values[at]))
			at++
		}
	}
	d.graphs = append(d.graphs, g)
	if d.eager {
		return g, nil
	}
	return g, g.instantiate()
}

// check refuses a launch that the code has no kernel for, and gives the kernel.
func (m *module) check(s runtime.Launch, function uintptr) (uintptr, error) {
	params, ok := m.entries[s.Kernel]
	switch {
	case !ok:
		return 0, fmt.Errorf("the object has no kernel %s", s.Kernel)
	case params != len(s.Args):
		return 0, fmt.Errorf("kernel %s: the plan gives %d operands, the object takes %d", s.Kernel, len(s.Args), params)
	case s.Grid < 1 || s.Block < 1:
		return 0, fmt.Errorf("kernel %s: %d blocks of %d threads, want at least 1", s.Kernel, s.Grid, s.Block)
	case function != 0:
		return function, nil
	}
	name := append([]byte(s.Kernel), 0)
	err := m.d.lib.call(cuModuleGetFunction, uintptr(unsafe.Pointer(&function)), m.handle, uintptr(unsafe.Pointer(&name[0])))
	goruntime.KeepAlive(name)
	if err != nil {
		return 0, fmt.Errorf("kernel %s: %w", s.Kernel, err)
	}
	var most int32
	if err := m.d.lib.call(cuFuncGetAttribute, uintptr(unsafe.Pointer(&most)), mostThreads, function); err != nil {
		return 0, fmt.Errorf("kernel %s: %w", s.Kernel, err)
	}
	if s.Block > int(most) {
		return 0, fmt.Errorf("kernel %s: %d threads a block, %s can run it with %d at most", s.Kernel, s.Block, m.d.info.Name, most)
	}
	return function, nil
}

func (g *graph) instantiate() error {
	lib := g.d.lib
	if err := lib.call(cuGraphCreate, uintptr(unsafe.Pointer(&g.graph)), 0); err != nil {
		return err
	}
	for i := range g.nodes {
		before, count := uintptr(0), uintptr(0)
		if i > 0 {
			before, count = uintptr(unsafe.Pointer(&g.ends[0])), 1
		}
		if err := lib.call(cuGraphAddKernelNode, uintptr(unsafe.Pointer(&g.ends[1])), g.graph, before, count, uintptr(unsafe.Pointer(&g.nodes[i]))); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		g.ends[0] = g.ends[1]
	}
	goruntime.KeepAlive(g)
	return lib.call(cuGraphInstantiateWithFlags, uintptr(unsafe.Pointer(&g.exec)), g.graph, 0)
}

// Replay launches the graph and waits for its end.
func (g *graph) Replay() error {
	leave, err := g.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	if g.exec != 0 {
		err = g.d.lib.call(cuGraphLaunch, g.exec, g.d.stream)
	} else {
		for i := range g.nodes {
			if err = g.launch(i); err != nil {
				break
			}
		}
	}
	if wait := g.d.lib.call(cuStreamSynchronize, g.d.stream); err == nil {
		err = wait
	}
	return err
}

func (g *graph) launch(i int) error {
	n := &g.nodes[i]
	err := g.d.lib.call(cuLaunchKernel, n.function, uintptr(n.grid[0]), uintptr(n.grid[1]), uintptr(n.grid[2]), uintptr(n.block[0]), uintptr(n.block[1]),
		uintptr(n.block[2]), uintptr(n.shared), g.d.stream, n.params, 0)
	goruntime.KeepAlive(g)
	return err
}

// Time makes the launches one by one, with an event between: each launch's time has what two events cost in it, a microsecond or two.
func (g *graph) Time() (times []time.Duration, err error) {
	leave, err := g.d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	lib := g.d.lib
	for len(g.events) <= len(g.nodes) {
		var e uintptr
		if err := lib.call(cuEventCreate, uintptr(unsafe.Pointer(&e)), 0); err != nil {
			return nil, err
		}
		g.events = append(g.events, e)
	}
	defer func() {
		if wait := lib.call(cuStreamSynchronize, g.d.stream); err == nil {
			err = wait
		}
	}()
	if err := lib.call(cuEventRecord, g.events[0], g.d.stream); err != nil {
		return nil, err
	}
	for i := range g.nodes {
		if err := g.launch(i); err != nil {
			return nil, err
		}
		if err := lib.call(cuEventRecord, g.events[i+1], g.d.stream); err != nil {
			return nil, err
		}
	}
	if err := lib.call(cuEventSynchronize, g.events[len(g.nodes)]); err != nil {
		return nil, err
	}
	times = make([]time.Duration, len(g.nodes))
	for i := range times {
		var ms float32
		if err := lib.call(cuEventElapsedTime, uintptr(unsafe.Pointer(&ms)), g.events[i], g.events[i+1]); err != nil {
			return nil, err
		}
		times[i] = time.Duration(float64(ms) * 1e6)
	}
	return times, nil
}

// Close destroys what the driver made. It may be called twice.
func (g *graph) Close() error {
	leave, err := g.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	var first error
	for _, x := range []struct {
		call   int
		handle *uintptr
	}{{cuGraphExecDestroy, &g.exec}, {cuGraphDestroy, &g.graph}} {
		if *x.handle != 0 {
			if err := g.d.lib.call(x.call, *x.handle); first == nil {
				first = err
			}
			*x.handle = 0
		}
	}
	for _, e := range g.events {
		if err := g.d.lib.call(cuEventDestroy, e); first == nil {
			first = err
		}
	}
	g.events = nil
	return first
}
