package cpu

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"

	"hipc/runtime"
)

// A module is a loaded shared object with its pool of threads.
type module struct {
	done   func() // closes the file; while it is open no other object gets its path, by which the loader tells objects apart
	handle uintptr
	pool   uintptr
	entry  [4]uintptr // the addresses of entries
}

// entries are what each object has besides its kernels; templates/cpu/abi.h declares them.
var entries = [...]string{"hipc_pool_open", "hipc_replay", "hipc_time", "hipc_pool_close"}

const (
	poolOpen = iota
	replay
	timed
	poolClose
)

// Load opens the object and starts its threads. The bytes that were checked are the bytes that run: they are handed to
// the loader in memory, not read from their file again.
func (d *Device) Load(code []byte) (runtime.Module, error) {
	if len(code) < 4 || string(code[:4]) != "\x7fELF" {
		return nil, fmt.Errorf("no shared object: %d bytes that don't begin as ELF does", len(code))
	}
	path, done, err := place(code)
	if err != nil {
		return nil, err
	}
	m := &module{done: done}
	if m.handle, err = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL); err != nil {
		done()
		return nil, fmt.Errorf("loading: %s", strings.TrimPrefix(oneLine(err), path+": "))
	}
	for i, name := range entries {
		if m.entry[i], err = purego.Dlsym(m.handle, name); err != nil {
			purego.Dlclose(m.handle)
			done()
			return nil, fmt.Errorf("no object of hipc for cpu: it has no %s", name)
		}
	}
	if m.pool, _, _ = purego.SyscallN(m.entry[poolOpen], uintptr(d.threads)); m.pool == 0 {
		purego.Dlclose(m.handle)
		done()
		return nil, fmt.Errorf("%d threads can't be started: ask for fewer with --threads", d.threads)
	}
	d.modules = append(d.modules, m)
	return m, nil
}

// place gives the loader a path to the code: a file without a name, or where the system has none, a temporary one.
func place(code []byte) (path string, done func(), err error) {
	var f *os.File
	fd, err := unix.MemfdCreate("hipc-kernels", unix.MFD_CLOEXEC)
	if err == nil {
		path = fmt.Sprintf("/proc/self/fd/%d", fd)
		f = os.NewFile(uintptr(fd), path)
		done = func() { f.Close() }
	} else {
		if f, err = os.CreateTemp("", "hipc-kernels-*.so"); err != nil {
			return "", nil, err
		}
		path = f.Name()
		done = func() { f.Close(); os.Remove(path) }
	}
	if _, err = f.Write(code); err != nil {
		done()
		return "", nil, fmt.Errorf("placing %s of code: %w", runtime.Size(int64(len(code))), err)
	}
	return path, done, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// Close ends the threads. It may be called twice.
func (m *module) Close() error {
	if m.handle == 0 {
		return nil
	}
	purego.SyscallN(m.entry[poolClose], m.pool)
	handle := m.handle
	m.handle, m.pool = 0, 0
	defer m.done()
	return purego.Dlclose(handle)
}

// A graph is an array of struct hipc_launch {fn, arg, grid}, then their operands, then room for their times.
type graph struct {
	d     *Device
	m     *module
	b     []byte
	steps int
	times int       // where in b the times begin
	args  []uintptr // of hipc_replay; kept, because a list of them made in the call would be garbage per token
}

const word = 8 // of a 64-bit machine, the only kind there is a target for

// Record writes the launches down.
func (d *Device) Record(code runtime.Module, steps []runtime.Launch) (runtime.Graph, error) {
	m, ok := code.(*module)
	if !ok || m.handle == 0 {
		return nil, fmt.Errorf("the module isn't one that this device has loaded")
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("nothing to record")
	}
	args := 0
	for _, s := range steps {
		args += len(s.Args)
	}
	g := &graph{d: d, m: m, steps: len(steps), times: word * (3*len(steps) + args)}
	var err error
	if g.b, err = d.take(int64(g.times + word*len(steps))); err != nil {
		return nil, err
	}
	d.graphs = append(d.graphs, g)
	g.args = []uintptr{m.pool, uintptr(address(g.b)), uintptr(len(steps)), uintptr(address(g.b)) + uintptr(g.times)}
	found := map[string]uintptr{}
	put := func(at int, v uint64) { binary.NativeEndian.PutUint64(g.b[at:], v) }
	at := word * 3 * len(steps)
	for i, s := range steps {
		fn, ok := found[s.Kernel]
		if !ok {
			if fn, err = purego.Dlsym(m.handle, s.Kernel); err != nil {
				return nil, fmt.Errorf("the object has no kernel %s", s.Kernel)
			}
			found[s.Kernel] = fn
		}
		if s.Grid < 1 {
			return nil, fmt.Errorf("kernel %s: %d blocks, want at least 1", s.Kernel, s.Grid)
		}
		put(word*3*i, uint64(fn))
		put(word*(3*i+1), uint64(address(g.b))+uint64(at))
		put(word*(3*i+2), uint64(s.Grid))
		for _, p := range s.Args {
			if _, ok := d.find(p); !ok {
				return nil, fmt.Errorf("kernel %s: an operand at %#x is in no block of memory", s.Kernel, uint64(p))
			}
			put(at, uint64(p))
			at += word
		}
	}
	return g, nil
}

func (g *graph) Replay() error {
	if r, _, _ := purego.SyscallN(g.m.entry[replay], g.args[:3]...); int32(r) != 0 {
		return fmt.Errorf("replaying: the pool answered %d", int32(r))
	}
	return nil
}

func (g *graph) Time() ([]time.Duration, error) {
	if r, _, _ := purego.SyscallN(g.m.entry[timed], g.args...); int32(r) != 0 {
		return nil, fmt.Errorf("timing: the pool answered %d", int32(r))
	}
	out := make([]time.Duration, g.steps)
	for i := range out {
		out[i] = time.Duration(binary.NativeEndian.Uint64(g.b[g.times+word*i:]))
	}
	return out, nil
}

// Close unmaps the launches. It may be called twice.
func (g *graph) Close() error {
	if g.b == nil {
		return nil
	}
	b := g.b
	g.b = nil
	return g.d.give(b)
}
