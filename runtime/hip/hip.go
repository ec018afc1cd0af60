// Package hip is the device that runs an artifact's code object on an AMD card, through libamdhip64 alone: ROCm's compiler and headers
// aren't needed. All of it but a vendor's tables is in runtime/gpu.
//
// A code object is for exactly one processor, and so is the plan: gfx1100's doesn't load on its neighbours. The loader goes by what the
// card says that it is. Options.Force lets it say another thing, by ROCm's own variable, at the user's risk.
//
// The library of ROCm 6 and of ROCm 7 have the same calls. What a card is called, gfx1100, stands only in a structure of 1472 bytes,
// whose layout is part of its call's name (R0600), and is checked to begin with gfx; ROCm 5 has another one, and can't make graph nodes
// of a loaded object's kernels.
package hip

import (
	"fmt"
	"strings"
	"unsafe"

	"hipc/runtime"
	"hipc/runtime/gpu"
	"hipc/runtime/hsaco"
)

// Versions of the runtime that are known, by their first number.
const (
	oldest = 6
	newest = 7
)

// Where hipDeviceProp_tR0600 has what we want.
const (
	propertiesBytes   = 1472
	multiprocessorsAt = 388  // multiProcessorCount, int32
	archAt            = 1160 // gcnArchName, 256 characters: "gfx1100", or "gfx90a:sramecc+:xnack-"
)

var driver = gpu.Driver{
	Vendor: "AMD", Libraries: []string{"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so", "/opt/rocm/lib/libamdhip64.so"}, Wanted: "that of ROCm 6 or 7",
	Symbols: [...]string{
		gpu.Init: "hipInit", gpu.DeviceGetCount: "hipGetDeviceCount", gpu.DeviceGetName: "hipDeviceGetName", gpu.SetCurrent: "hipSetDevice",
		gpu.MemGetInfo: "hipMemGetInfo", gpu.MemAlloc: "hipMalloc", gpu.MemFree: "hipFree", gpu.HostAlloc: "hipHostMalloc", gpu.HostFree: "hipHostFree", gpu.MemsetD8Async: "hipMemsetD8Async",
		gpu.MemcpyHtoDAsync: "hipMemcpyHtoDAsync", gpu.MemcpyDtoHAsync: "hipMemcpyDtoHAsync", gpu.MemcpyDtoDAsync: "hipMemcpyDtoDAsync",
		gpu.ModuleLoadDataEx: "hipModuleLoadDataEx", gpu.ModuleUnload: "hipModuleUnload", gpu.ModuleGetFunction: "hipModuleGetFunction",
		gpu.FuncGetAttribute: "hipFuncGetAttribute", gpu.LaunchKernel: "hipModuleLaunchKernel",
		gpu.StreamCreate: "hipStreamCreateWithFlags", gpu.StreamQuery: "hipStreamQuery", gpu.StreamDestroy: "hipStreamDestroy",
		gpu.EventCreate: "hipEventCreateWithFlags", gpu.EventRecord: "hipEventRecord", gpu.EventQuery: "hipEventQuery", gpu.EventElapsedTime: "hipEventElapsedTime", gpu.EventDestroy: "hipEventDestroy",
		gpu.GraphCreate: "hipGraphCreate", gpu.GraphAddKernelNode: "hipGraphAddKernelNode", gpu.GraphInstantiateWithFlags: "hipGraphInstantiateWithFlags",
		gpu.GraphLaunch: "hipGraphLaunch", gpu.GraphExecDestroy: "hipGraphExecDestroy", gpu.GraphDestroy: "hipGraphDestroy",
	},
	Status: status, Cards: cards, Bind: bind, Code: code, Node: node,
}

// Open opens a card.
func Open(o gpu.Options) (runtime.Device, error) {
	if o.Force {
		if err := pretend(o.Target, topology); err != nil {
			return nil, err
		}
	}
	return gpu.Open(&driver, o)
}

// Cards lists the cards.
func Cards() ([]gpu.Card, error) { return gpu.Cards(&driver) }

func status(l *gpu.Library, s int32) (name, text string) {
	for _, x := range []struct {
		symbol string
		to     *string
	}{{"hipGetErrorName", &name}, {"hipGetErrorString", &text}} {
		if f, err := l.Find(x.symbol); err == nil {
			p := l.Result(f, uintptr(s))
			*x.to = gpu.Text(*(*unsafe.Pointer)(unsafe.Pointer(&p))) // the library's own, constant
		}
	}
	return name, text
}

func cards(l *gpu.Library, n int) (list []gpu.Card, err error) {
	version, err := l.Find("hipRuntimeGetVersion")
	if err != nil {
		return nil, err
	}
	var v int32 // 6.2.41133 is 60241133
	if err := l.CallProc(version, uintptr(unsafe.Pointer(&v))); err != nil {
		return nil, err
	}
	if major := v / 10_000_000; major < oldest || major > newest {
		return nil, &runtime.DeviceError{Err: fmt.Errorf("%s is of HIP %d.%d, want HIP %d to %d: install another ROCm, or compile the model with --target cpu",
			l.Name, major, v/100_000%100, oldest, newest)}
	}
	properties, err := l.Find("hipGetDevicePropertiesR0600")
	if err != nil {
		return nil, err
	}
	for i := range n {
		c := gpu.Card{Ordinal: int32(i)}
		if c.Name, err = l.DeviceName(c.Ordinal); err != nil {
			return nil, err
		}
		p := new([propertiesBytes + 4096]byte) // a later version's may be longer
		if err := l.CallProc(properties, uintptr(unsafe.Pointer(p)), uintptr(i)); err != nil {
			return nil, err
		}
		c.Multiprocessors = int(*(*int32)(unsafe.Pointer(&p[multiprocessorsAt])))
		c.Target, _, _ = strings.Cut(gpu.Text(unsafe.Pointer(&p[archAt])), ":")
		if !strings.HasPrefix(c.Target, "gfx") {
			return nil, &runtime.DeviceError{Err: fmt.Errorf("%s describes %s in a way that isn't known (%q for gfx and a number): want %s", l.Name, c.Name, c.Target, l.Wanted)}
		}
		family := familyOf(c.Target)
		c.Runs = func(target string) bool { return familyOf(target) == family }
		list = append(list, c)
	}
	return list, nil
}

// familyOf is what cards have in common that have the same instructions but for a few: gfx11 of gfx1100, gfx1103 and gfx1151.
func familyOf(target string) string { return target[:max(len(target)-2, 0)] }

// bind has nothing to make: a device's number is what is made current.
func bind(_ *gpu.Library, c gpu.Card) (uintptr, func() error, error) {
	return uintptr(c.Ordinal), nil, nil
}

// code reads a code object's metadata.
func code(object []byte) (*gpu.Code, error) {
	o, err := hsaco.Read(object)
	if err != nil {
		return nil, err
	}
	c := &gpu.Code{Target: o.Target, Kernels: map[string]int{}}
	for _, k := range o.Kernels {
		args := k.Explicit()
		for i, a := range args {
			if a.Size != 8 {
				return nil, fmt.Errorf("kernel %s: argument %d has %d bytes, want a pointer", k.Name, i, a.Size)
			}
		}
		c.Kernels[k.Name] = len(args)
	}
	return c, nil
}

// node is hipKernelNodeParams. A loaded object's function is taken where a host function's address is meant, too.
func node(n *gpu.Node) unsafe.Pointer {
	return unsafe.Pointer(&struct {
		block    [3]uint32
		extra    uintptr
		function uintptr
		grid     [3]uint32
		params   uintptr
		shared   uint32
	}{block: [3]uint32{n.Block, 1, 1}, function: n.Function, grid: [3]uint32{n.Grid, 1, 1}, params: n.Params, shared: n.Shared})
}
