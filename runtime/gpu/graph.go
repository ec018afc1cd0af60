package gpu

import (
	"bytes"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"hipc/runtime"
)

// A module is code that the driver has taken.
type module struct {
	d      *Device
	code   *Code
	image  []byte // stays where it is: some drivers read it when a kernel is first asked for
	handle uintptr
	log    []byte // what the driver said when it compiled
	found  map[string]*kernel
}

// A kernel is a module's that a launch has asked for.
type kernel struct {
	function uintptr
	most     int32 // threads a block
	shared   int   // bytes of LDS that it has been given room for
}

// maxLog is how much the driver may say about code that it refuses.
const maxLog = 8 << 10

// Load lets the driver take a compiled object. What it says about code that it refuses is in the error.
func (d *Device) Load(object []byte) (runtime.Module, error) {
	code, err := d.Code(object)
	if err != nil {
		return nil, err
	}
	if code.Target != d.card.Target {
		return nil, &runtime.DeviceError{Err: fmt.Errorf("code for %s, but this is %s: compile the model for this machine", code.Target, d.card)}
	}
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	m := &module{d: d, code: code, image: append(bytes.Clone(object), 0), log: make([]byte, maxLog), found: map[string]*kernel{}}
	options := []uint32{jitErrorLog, jitErrorLogBytes}
	values := []uintptr{uintptr(unsafe.Pointer(&m.log[0])), maxLog - 1}
	err = d.Call(ModuleLoadDataEx, uintptr(unsafe.Pointer(&m.handle)), uintptr(unsafe.Pointer(&m.image[0])), uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
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
	return m.d.Call(ModuleUnload, handle)
}

// A Node is one launch, its kernel found.
type Node struct {
	Function uintptr
	Grid     uint32
	Block    uint32
	Shared   uint32  // bytes of LDS beyond those that the kernel has by itself
	Params   uintptr // of an array of pointers to each parameter's value
}

// A graph is the list of launches with all that it points to, and what the driver made of it. Its slices are made once and stay where
// they are.
type graph struct {
	d      *Device
	nodes  []Node
	values []uint64  // all launches' parameters
	params []uintptr // where each of them is
	graph  uintptr
	exec   uintptr    // 0: launches are made one by one
	ends   [2]uintptr // while the chain is made: its last node, and the next
	events []uintptr
	behind ring
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
	n := 0
	for _, s := range steps {
		if err := m.check(s); err != nil {
			return nil, err
		}
		n += len(s.Args)
	}
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	g := &graph{d: d, nodes: make([]Node, len(steps))}
	g.values, g.params = make([]uint64, n+1), make([]uintptr, n+1) // one more, so that there is an address for none
	at := 0
	for i, s := range steps {
		function, err := m.function(s)
		if err != nil {
			return nil, fmt.Errorf("kernel %s: %w", s.Kernel, err)
		}
		g.nodes[i] = Node{function, uint32(s.Grid), uint32(s.Block), uint32(s.LDS), uintptr(unsafe.Pointer(&g.params[at]))}
		for _, p := range s.Args {
			g.values[at] = uint64(p)
			g.params[at] = uintptr(unsafe.Pointer(&g.values[at]))
			at++
		}
	}
	d.graphs = append(d.graphs, g)
	if d.opts.Eager {
		return g, nil
	}
	return g, g.instantiate()
}

// check refuses a launch that doesn't match the code, or whose operands aren't this device's.
func (m *module) check(s runtime.Launch) error {
	params, ok := m.code.Kernels[s.Kernel]
	switch {
	case !ok:
		return fmt.Errorf("the object has no kernel %s", s.Kernel)
	case params != len(s.Args):
		return fmt.Errorf("kernel %s: the plan gives %d operands, the object takes %d", s.Kernel, len(s.Args), params)
	case s.Grid < 1 || s.Block < 1 || s.Grid > 1<<30 || s.Block > 1<<16 || s.LDS < 0 || s.LDS > 1<<30:
		return fmt.Errorf("kernel %s: %d blocks of %d threads with %d bytes of LDS, want at least 1 block and thread", s.Kernel, s.Grid, s.Block, s.LDS)
	}
	for _, p := range s.Args {
		if _, ok := m.d.find(p); !ok {
			return fmt.Errorf("kernel %s: an operand at %#x is in no block of memory", s.Kernel, uint64(p))
		}
	}
	return nil
}

// function finds a kernel, which must have room for the launch's block.
func (m *module) function(s runtime.Launch) (uintptr, error) {
	k := m.found[s.Kernel]
	if k == nil {
		k = &kernel{}
		name := append([]byte(s.Kernel), 0)
		if err := m.d.Call(ModuleGetFunction, uintptr(unsafe.Pointer(&k.function)), m.handle, uintptr(unsafe.Pointer(&name[0]))); err != nil {
			return 0, err
		}
		if err := m.d.Call(FuncGetAttribute, uintptr(unsafe.Pointer(&k.most)), mostThreads, k.function); err != nil {
			return 0, err
		}
		m.found[s.Kernel] = k
	}
	if s.Block > int(k.most) {
		return 0, fmt.Errorf("%d threads a block, %s can run it with %d at most", s.Block, m.d.card, k.most)
	}
	if m.d.Share != nil && s.LDS > k.shared { // never less than another launch of it has
		if err := m.d.Share(m.d.Library, k.function, s.LDS); err != nil {
			return 0, fmt.Errorf("%d bytes of LDS: %w", s.LDS, err)
		}
		k.shared = s.LDS
	}
	return k.function, nil
}

func (g *graph) instantiate() error {
	d := g.d
	if err := d.Call(GraphCreate, uintptr(unsafe.Pointer(&g.graph)), 0); err != nil {
		return err
	}
	for i := range g.nodes {
		before, count := uintptr(0), uintptr(0)
		if i > 0 {
			before, count = uintptr(unsafe.Pointer(&g.ends[0])), 1
		}
		node := d.Node(&g.nodes[i])
		if err := d.Call(GraphAddKernelNode, uintptr(unsafe.Pointer(&g.ends[1])), g.graph, before, count, uintptr(node)); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		goruntime.KeepAlive(node)
		g.ends[0] = g.ends[1]
	}
	goruntime.KeepAlive(g)
	return d.Call(GraphInstantiateWithFlags, uintptr(unsafe.Pointer(&g.exec)), g.graph, 0)
}

// Replay launches the graph and waits for its end.
func (g *graph) Replay() error {
	leave, err := g.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = g.start()
	if wait := g.d.wait(); err == nil {
		err = wait
	}
	return err
}

// pending is how many launches are made one by one before some are waited for. A driver's queue holds some thousand; where it's full a
// launch waits without end for a card that hangs.
const pending = 256

// start launches the graph behind what the stream has been given before.
func (g *graph) start() error {
	if g.exec != 0 {
		return g.d.Call(GraphLaunch, g.exec, g.d.stream)
	}
	for i := range g.nodes {
		if i > 0 && i%pending == 0 {
			if err := g.d.wait(); err != nil {
				return err
			}
		}
		if err := g.launch(i); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) launch(i int) error {
	n := &g.nodes[i]
	err := g.d.Call(LaunchKernel, n.Function, uintptr(n.Grid), 1, 1, uintptr(n.Block), 1, 1, uintptr(n.Shared), g.d.stream, n.Params, 0)
	goruntime.KeepAlive(g)
	return err
}

// Time makes the launches one by one, with an event between: each launch's time has what two events cost in it, a microsecond or two.
func (g *graph) Time() (times []time.Duration, err error) {
	d := g.d
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	for len(g.events) <= len(g.nodes) {
		var e uintptr
		if err := d.Call(EventCreate, uintptr(unsafe.Pointer(&e)), 0); err != nil {
			return nil, err
		}
		g.events = append(g.events, e)
	}
	err = d.Call(EventRecord, g.events[0], d.stream)
	for i := 0; i < len(g.nodes) && err == nil; i++ {
		if i >= pending { // the queue never gets empty, which would take time
			err = d.waitFor(EventQuery, g.events[i-pending+1])
		}
		if err == nil {
			err = g.launch(i)
		}
		if err == nil {
			err = d.Call(EventRecord, g.events[i+1], d.stream)
		}
	}
	if wait := d.wait(); err == nil {
		err = wait
	}
	if err != nil {
		return nil, err
	}
	times = make([]time.Duration, len(g.nodes))
	for i := range times {
		var ms float32
		if err := d.Call(EventElapsedTime, uintptr(unsafe.Pointer(&ms)), g.events[i], g.events[i+1]); err != nil {
			return nil, err
		}
		times[i] = time.Duration(float64(ms) * 1e6)
	}
	return times, nil
}

// Close destroys what the driver made. It may be called twice.
func (g *graph) Close() error {
	g.d.graphs = slices.DeleteFunc(g.d.graphs, func(o *graph) bool { return o == g })
	if g.d.lost != nil || g.exec == 0 && g.graph == 0 && len(g.events) == 0 && g.behind.host == 0 {
		return nil
	}
	leave, err := g.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	var first error
	destroy := func(call int, handle uintptr) {
		if handle != 0 {
			if err := g.d.Call(call, handle); first == nil {
				first = err
			}
		}
	}
	for _, e := range g.behind.events {
		destroy(EventDestroy, e)
	}
	destroy(HostFree, g.behind.host)
	g.behind = ring{}
	destroy(GraphExecDestroy, g.exec)
	destroy(GraphDestroy, g.graph)
	for _, e := range g.events {
		destroy(EventDestroy, e)
	}
	g.exec, g.graph, g.events = 0, 0, nil
	return first
}
