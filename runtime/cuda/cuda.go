// Package cuda is the device that runs an artifact's PTX on an NVIDIA card, through the driver's library alone: the CUDA toolkit isn't
// needed. All of it but this file's tables is in runtime/gpu.
//
// The driver compiles the PTX when it's loaded, for exactly the processor that it was written for: an sm_90 artifact runs on compute
// capability 9.0 and nowhere else, since what a kernel was tuned for is part of the plan. The context is the card's primary one.
package cuda

import (
	"bytes"
	"fmt"
	"strings"
	"unsafe"

	"hipc/runtime"
	"hipc/runtime/gpu"
)

// Values of the driver's enumerations.
const (
	computeMajor    = 75 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	computeMinor    = 76
	multiprocessors = 16
	mostShared      = 8        // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
	freeShared      = 48 << 10 // bytes of shared memory that a block may have without it
)

// driver names the calls as the library exports them: those with a suffix are the versions that took 64-bit sizes.
var driver = gpu.Driver{
	Vendor: "NVIDIA", Libraries: []string{"libcuda.so.1"}, Wanted: "that of CUDA 12 or newer",
	Symbols: [...]string{
		gpu.Init: "cuInit", gpu.DeviceGetCount: "cuDeviceGetCount", gpu.DeviceGetName: "cuDeviceGetName", gpu.SetCurrent: "cuCtxSetCurrent",
		gpu.MemGetInfo: "cuMemGetInfo_v2", gpu.MemAlloc: "cuMemAlloc_v2", gpu.MemFree: "cuMemFree_v2", gpu.HostAlloc: "cuMemHostAlloc", gpu.HostFree: "cuMemFreeHost", gpu.MemsetD8Async: "cuMemsetD8Async",
		gpu.MemcpyHtoDAsync: "cuMemcpyHtoDAsync_v2", gpu.MemcpyDtoHAsync: "cuMemcpyDtoHAsync_v2", gpu.MemcpyDtoDAsync: "cuMemcpyDtoDAsync_v2",
		gpu.ModuleLoadDataEx: "cuModuleLoadDataEx", gpu.ModuleUnload: "cuModuleUnload", gpu.ModuleGetFunction: "cuModuleGetFunction",
		gpu.FuncGetAttribute: "cuFuncGetAttribute", gpu.LaunchKernel: "cuLaunchKernel",
		gpu.StreamCreate: "cuStreamCreate", gpu.StreamQuery: "cuStreamQuery", gpu.StreamDestroy: "cuStreamDestroy_v2",
		gpu.EventCreate: "cuEventCreate", gpu.EventRecord: "cuEventRecord", gpu.EventQuery: "cuEventQuery", gpu.EventElapsedTime: "cuEventElapsedTime", gpu.EventDestroy: "cuEventDestroy_v2",
		gpu.GraphCreate: "cuGraphCreate", gpu.GraphAddKernelNode: "cuGraphAddKernelNode", gpu.GraphInstantiateWithFlags: "cuGraphInstantiateWithFlags",
		gpu.GraphLaunch: "cuGraphLaunch", gpu.GraphExecDestroy: "cuGraphExecDestroy", gpu.GraphDestroy: "cuGraphDestroy",
	},
	Status: status, Cards: cards, Bind: bind, Code: parsePTX, Share: share, Node: node,
}

// Open opens a card.
func Open(o gpu.Options) (runtime.Device, error) { return gpu.Open(&driver, o) }

// Cards lists the cards.
func Cards() ([]gpu.Card, error) { return gpu.Cards(&driver) }

func status(l *gpu.Library, s int32) (name, text string) {
	for _, x := range []struct {
		symbol string
		to     *string
	}{{"cuGetErrorName", &name}, {"cuGetErrorString", &text}} {
		var p unsafe.Pointer
		if f, err := l.Find(x.symbol); err == nil && int32(l.Result(f, uintptr(s), uintptr(unsafe.Pointer(&p)))) == 0 {
			*x.to = gpu.Text(p)
		}
	}
	return name, text
}

// oldest is the version of CUDA whose PTX we write (8.0): an older driver doesn't compile it.
const oldest = 12000

// fits refuses a driver by its version, 12040 for CUDA 12.4, before it says the same of code in other words.
func fits(l *gpu.Library, version int32) error {
	if version >= oldest {
		return nil
	}
	return &runtime.DeviceError{Err: fmt.Errorf("%s is of CUDA %d.%d, want %s: install a newer driver, or compile the model with --target cpu",
		l.Name, version/1000, version%1000/10, l.Wanted)}
}

func cards(l *gpu.Library, n int) (list []gpu.Card, err error) {
	get, err := l.Find("cuDriverGetVersion")
	if err != nil {
		return nil, err
	}
	var version int32
	if err := l.CallProc(get, uintptr(unsafe.Pointer(&version))); err != nil {
		return nil, err
	}
	if err := fits(l, version); err != nil {
		return nil, err
	}
	if get, err = l.Find("cuDeviceGet"); err != nil {
		return nil, err
	}
	attribute, err := l.Find("cuDeviceGetAttribute")
	if err != nil {
		return nil, err
	}
	for i := range n {
		var c gpu.Card
		if err := l.CallProc(get, uintptr(unsafe.Pointer(&c.Ordinal)), uintptr(i)); err != nil {
			return nil, err
		}
		if c.Name, err = l.DeviceName(c.Ordinal); err != nil {
			return nil, err
		}
		var major, minor, units int32
		for _, a := range []struct {
			to    *int32
			which uintptr
		}{{&major, computeMajor}, {&minor, computeMinor}, {&units, multiprocessors}} {
			if err := l.CallProc(attribute, uintptr(unsafe.Pointer(a.to)), a.which, uintptr(c.Ordinal)); err != nil {
				return nil, err
			}
		}
		c.Target, c.Multiprocessors = fmt.Sprintf("sm_%d%d", major, minor), int(units)
		c.Runs = func(target string) bool { // the driver compiles older processors' PTX for newer ones
			var n int32
			_, err := fmt.Sscanf(target, "sm_%d", &n)
			return err == nil && n <= 10*major+minor
		}
		list = append(list, c)
	}
	return list, nil
}

func bind(l *gpu.Library, c gpu.Card) (context uintptr, release func() error, err error) {
	retain, err := l.Find("cuDevicePrimaryCtxRetain")
	if err != nil {
		return 0, nil, err
	}
	give, err := l.Find("cuDevicePrimaryCtxRelease_v2")
	if err != nil {
		return 0, nil, err
	}
	if err := l.CallProc(retain, uintptr(unsafe.Pointer(&context)), uintptr(c.Ordinal)); err != nil {
		return 0, nil, err
	}
	return context, func() error { return l.CallProc(give, uintptr(c.Ordinal)) }, nil
}

func share(l *gpu.Library, function uintptr, bytes int) error {
	if bytes <= freeShared {
		return nil
	}
	set, err := l.Find("cuFuncSetAttribute")
	if err != nil {
		return err
	}
	return l.CallProc(set, function, mostShared, uintptr(bytes))
}

// parsePTX reads what it takes to refuse a wrong launch before the driver sees it: for what the text is, and how many parameters
// each entry has.
func parsePTX(code []byte) (*gpu.Code, error) {
	c := &gpu.Code{Kernels: map[string]int{}}
	name := ""
	for l := range bytes.Lines(code) {
		s := strings.TrimSpace(string(l))
		switch {
		case strings.HasPrefix(s, ".target "):
			c.Target = strings.TrimRight(strings.Fields(s)[1], ",")
		case strings.HasPrefix(s, ".visible .entry "):
			rest := strings.TrimPrefix(s, ".visible .entry ")
			name, _, _ = strings.Cut(rest, "(")
			c.Kernels[name] = 0
			if strings.HasSuffix(rest, "()") {
				name = ""
			}
		case name != "" && strings.HasPrefix(s, ".param "):
			if !strings.HasPrefix(s, ".param .u64 ") && !strings.HasPrefix(s, ".param .b64 ") {
				return nil, fmt.Errorf("kernel %s: its parameter %d is %s, want a pointer", name, c.Kernels[name], strings.Trim(s, " ,"))
			}
			c.Kernels[name]++
		case strings.HasPrefix(s, ")"):
			name = ""
		}
	}
	if c.Target == "" || len(c.Kernels) == 0 {
		return nil, fmt.Errorf("no PTX of hipc: %d bytes without a target or without kernels", len(code))
	}
	return c, nil
}

// node is CUDA_KERNEL_NODE_PARAMS, in its first version.
func node(n *gpu.Node) unsafe.Pointer {
	return unsafe.Pointer(&struct {
		function    uintptr
		grid, block [3]uint32
		shared      uint32
		params      uintptr
		extra       uintptr
	}{function: n.Function, grid: [3]uint32{n.Grid, 1, 1}, block: [3]uint32{n.Block, 1, 1}, shared: n.Shared, params: n.Params})
}
