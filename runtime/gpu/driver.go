package gpu

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"hipc/runtime"
)

// The calls that both vendors have, with the same arguments.
const (
	Init = iota
	DeviceGetCount
	DeviceGetName
	SetCurrent // of CUDA a context, of HIP a device
	MemGetInfo
	MemAlloc
	MemFree
	HostAlloc // memory that the card reaches, too
	HostFree
	MemsetD8Async
	MemcpyHtoDAsync
	MemcpyDtoHAsync
	MemcpyDtoDAsync
	ModuleLoadDataEx
	ModuleUnload
	ModuleGetFunction
	FuncGetAttribute
	LaunchKernel
	StreamCreate
	StreamQuery
	StreamDestroy
	EventCreate
	EventRecord
	EventQuery
	EventElapsedTime
	EventDestroy
	GraphCreate
	GraphAddKernelNode
	GraphInstantiateWithFlags
	GraphLaunch
	GraphExecDestroy
	GraphDestroy
	calls
)

// Values that both vendors' enumerations have in common.
const (
	streamNonBlocking = 1
	mostThreads       = 0 // attribute of a function: threads a block
	jitErrorLog       = 5 // options of a module's loading
	jitErrorLogBytes  = 6
	statusNoDevice    = 100
	statusBadDevice   = 101 // what HIP of ROCm 5 says when it begins and finds none
	statusNotReady    = 600
)

// A Driver is what a vendor's driver library differs in.
type Driver struct {
	Vendor    string        // "AMD"
	Libraries []string      // its names, tried in this order
	Wanted    string        // which versions have all calls: "HIP 6 or 7"
	Symbols   [calls]string // as the library exports them
	// Status names a status that isn't success.
	Status func(l *Library, status int32) (name, text string)
	// Cards lists the cards. The library is initialised.
	Cards func(l *Library, n int) ([]Card, error)
	// Bind readies a card. current is what SetCurrent takes for it; release, which may be nil, gives it back.
	Bind func(l *Library, c Card) (current uintptr, release func() error, err error)
	// Code reads what it takes to refuse a wrong launch before the driver sees it.
	Code func(code []byte) (*Code, error)
	// Share lets a kernel have so many bytes of LDS, beyond those that each may have. nil: there is no more to be had.
	Share func(l *Library, function uintptr, bytes int) error
	// Node is a launch as GraphAddKernelNode takes it, on the heap.
	Node func(n *Node) unsafe.Pointer
}

// A Card is one of the machine's.
type Card struct {
	Name            string                   // "AMD Radeon RX 7900 XTX"
	Target          string                   // "gfx1100"
	Multiprocessors int                      // as the driver counts them: of RDNA, pairs of compute units
	Ordinal         int32                    // as the driver counts
	Runs            func(target string) bool // whether code for its neighbour has a chance on it
}

// Near says that code for target, which the card isn't, may run on it.
func (c Card) Near(target string) bool { return c.Target != target && c.Runs != nil && c.Runs(target) }

func (c Card) String() string { return fmt.Sprintf("%s (%s)", c.Name, c.Target) }

// Code is a compiled object, as far as it can be read without its vendor.
type Code struct {
	Target  string
	Kernels map[string]int // the pointers that each takes
}

// A Library is a driver's, opened.
type Library struct {
	*Driver
	Name   string // that it was opened by
	handle uintptr
	procs  [calls]Proc
}

// A Proc is a call of a library.
type Proc struct {
	Name string
	at   uintptr
}

var opened = struct {
	sync.Mutex
	by map[string]*Library
}{by: map[string]*Library{}}

// open opens the library once. It stays: it has threads of its own.
func (d *Driver) open() (*Library, error) {
	opened.Lock()
	defer opened.Unlock()
	var lacks error
	why := ""
	for _, name := range d.Libraries {
		if l := opened.by[name]; l != nil {
			return l, nil
		}
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			if s := err.Error(); !strings.HasPrefix(s, name+": cannot open") { // it's there, and lacks something
				why = strings.Join(strings.Fields(s), " ")
			}
			continue
		}
		l := &Library{Driver: d, Name: name, handle: handle}
		if err := l.bindAll(); err != nil { // another version may have all
			lacks = cmp.Or(lacks, err)
			continue
		}
		opened.by[name] = l
		return l, nil
	}
	switch {
	case lacks != nil:
		return nil, lacks
	case why != "":
		return nil, &runtime.DeviceError{Err: fmt.Errorf("the %s driver can't be opened: %s", d.Vendor, why)}
	}
	return nil, &runtime.DeviceError{Err: &Absent{fmt.Sprintf("no %s driver: %s isn't there", d.Vendor, d.Libraries[0]), "; install the driver, or compile the model with --target cpu"}}
}

// bindAll finds the common calls.
func (l *Library) bindAll() (err error) {
	for i, s := range l.Symbols {
		if l.procs[i], err = l.Find(s); err != nil {
			return err
		}
	}
	return nil
}

// Absent is the error of a machine that has no driver or no card.
type Absent struct{ What, Remedy string }

func (e *Absent) Error() string { return e.What + e.Remedy }

// Find finds a call that only this vendor has.
func (l *Library) Find(symbol string) (Proc, error) {
	at, err := purego.Dlsym(l.handle, symbol)
	if err != nil {
		return Proc{}, &runtime.DeviceError{Err: fmt.Errorf("the %s driver doesn't fit: %s has no %s, want %s", l.Vendor, l.Name, symbol, l.Wanted)}
	}
	return Proc{symbol, at}, nil
}

// cards initialises the library and lists the cards. That there is none is an error.
func (l *Library) cards() ([]Card, error) {
	if status := int32(l.Result(l.procs[Init], 0)); status == statusNoDevice || status == statusBadDevice {
		return nil, &runtime.DeviceError{Err: &Absent{What: fmt.Sprintf("no %s card: the driver is there and sees none (%v)", l.Vendor, l.failure(l.procs[Init], status))}}
	} else if status != 0 {
		return nil, l.failure(l.procs[Init], status)
	}
	var n int32
	if err := l.Call(DeviceGetCount, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, &runtime.DeviceError{Err: &Absent{What: fmt.Sprintf("no %s card: the driver is there and sees none", l.Vendor)}}
	}
	return l.Cards(l, int(n))
}

// DeviceName is a card's, as its vendor sells it.
func (l *Library) DeviceName(ordinal int32) (string, error) {
	name := make([]byte, 256)
	err := l.Call(DeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)-1), uintptr(ordinal))
	s, _, _ := strings.Cut(string(name), "\x00")
	return s, err
}

// Call makes one of the common calls; CallProc any. A pointer must be made within the call's list, as uintptr(unsafe.Pointer(&x)): so
// what it points to is kept where it is. What is pointed to from there must be on the heap, and alive.
//
//go:uintptrescapes
func (l *Library) Call(which int, args ...uintptr) error {
	return l.CallProc(l.procs[which], args...)
}

//go:uintptrescapes
func (l *Library) CallProc(p Proc, args ...uintptr) error {
	r, _, _ := purego.SyscallN(p.at, args...)
	return l.failure(p, int32(r))
}

// failure is a status as an error.
func (l *Library) failure(p Proc, status int32) error {
	if status == 0 {
		return nil
	}
	e := &Error{Vendor: l.Vendor, Call: strings.TrimSuffix(p.Name, "_v2"), Status: status}
	e.Name, e.Text = l.Status(l, status)
	return &runtime.DeviceError{Err: e}
}

// Result makes a call that has no status, and gives what it returns.
//
//go:uintptrescapes
func (l *Library) Result(p Proc, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(p.at, args...)
	return r
}

// An Error is a status of the driver other than success.
type Error struct {
	Vendor string
	Call   string // "cuMemAlloc"
	Status int32
	Name   string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text   string
}

func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s: status %d of the %s driver", e.Call, e.Status, e.Vendor)
	}
	if e.Text == e.Name || e.Text == "" {
		return e.Call + ": " + e.Name
	}
	return fmt.Sprintf("%s: %s (%s)", e.Call, e.Name, e.Text)
}

// Text reads a C string at p, up to 256 bytes; "" where p is nil.
func Text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < 256 && *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
