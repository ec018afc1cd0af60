package cuda

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"hipc/runtime"
)

// The calls that we make, as the library exports them: those with a suffix are the versions that took 64-bit sizes.
const (
	cuInit = iota
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceGetAttribute
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuCtxSetCurrent
	cuMemGetInfo
	cuMemAlloc
	cuMemFree
	cuMemsetD8Async
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuFuncGetAttribute
	cuLaunchKernel
	cuStreamCreate
	cuStreamSynchronize
	cuStreamDestroy
	cuEventCreate
	cuEventRecord
	cuEventSynchronize
	cuEventElapsedTime
	cuEventDestroy
	cuGraphCreate
	cuGraphAddKernelNode
	cuGraphInstantiateWithFlags
	cuGraphLaunch
	cuGraphExecDestroy
	cuGraphDestroy
	cuGetErrorName
	cuGetErrorString
	calls
)

var symbols = [calls]string{
	"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2",
	"cuCtxSetCurrent", "cuMemGetInfo_v2", "cuMemAlloc_v2", "cuMemFree_v2", "cuMemsetD8Async", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2",
	"cuModuleLoadDataEx", "cuModuleUnload", "cuModuleGetFunction", "cuFuncGetAttribute", "cuLaunchKernel", "cuStreamCreate", "cuStreamSynchronize",
	"cuStreamDestroy_v2", "cuEventCreate", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime", "cuEventDestroy_v2", "cuGraphCreate", "cuGraphAddKernelNode",
	"cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuGraphExecDestroy", "cuGraphDestroy", "cuGetErrorName", "cuGetErrorString",
}

// Values of the driver's enumerations.
const (
	streamNonBlocking = 1
	computeMajor      = 75 // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
	computeMinor      = 76
	multiprocessors   = 16
	mostThreads       = 0 // CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
	jitErrorLog       = 5 // CU_JIT_ERROR_LOG_BUFFER
	jitErrorLogBytes  = 6
)

// A library is the driver's.
type library struct{ at [calls]uintptr }

// libraryName is a variable so that tests can name one that isn't there.
var libraryName = "libcuda.so.1"

var loaded = struct {
	sync.Mutex
	by map[string]*library
}{by: map[string]*library{}}

// open loads the library once. It stays loaded: it has threads of its own.
func open() (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if l := loaded.by[libraryName]; l != nil {
		return l, nil
	}
	handle, err := purego.Dlopen(libraryName, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("no NVIDIA driver: %s isn't there; install the driver, or compile the model with --target cpu", libraryName)
	}
	l := &library{}
	for i, name := range symbols {
		if l.at[i], err = purego.Dlsym(handle, name); err != nil {
			return nil, fmt.Errorf("the NVIDIA driver is too old: %s has no %s, want that of CUDA 12 or newer", libraryName, name)
		}
	}
	loaded.by[libraryName] = l
	return l, nil
}

// call makes a call. A pointer must be made within the call's list, as uintptr(unsafe.Pointer(&x)): so what it points to is kept where it
// is. What is pointed to from there must be on the heap, and alive.
//
//go:uintptrescapes
func (l *library) call(which int, args ...uintptr) error {
	r, _, _ := purego.SyscallN(l.at[which], args...)
	if status := int32(r); status != 0 {
		return &Error{Call: strings.TrimSuffix(symbols[which], "_v2"), Status: status, Name: l.text(cuGetErrorName, status), Text: l.text(cuGetErrorString, status)}
	}
	return nil
}

// An Error is a status of the driver other than success.
type Error struct {
	Call   string // "cuMemAlloc"
	Status int32
	Name   string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text   string
}

func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s: status %d of the NVIDIA driver", e.Call, e.Status)
	}
	return fmt.Sprintf("%s: %s (%s)", e.Call, e.Name, e.Text)
}

// text asks for a status's name or description.
func (l *library) text(which int, status int32) string {
	var p *byte
	if r, _, _ := purego.SyscallN(l.at[which], uintptr(status), uintptr(unsafe.Pointer(&p))); int32(r) != 0 || p == nil {
		return ""
	}
	n := 0
	for n < 256 && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// describe asks what a card is.
func (l *library) describe(device int32) (runtime.Info, error) {
	var info runtime.Info
	name := make([]byte, 256)
	if err := l.call(cuDeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)-1), uintptr(device)); err != nil {
		return info, err
	}
	info.Name, _, _ = strings.Cut(string(name), "\x00")
	var major, minor, units int32
	for _, a := range []struct {
		to    *int32
		which uintptr
	}{{&major, computeMajor}, {&minor, computeMinor}, {&units, multiprocessors}} {
		if err := l.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(a.to)), a.which, uintptr(device)); err != nil {
			return info, err
		}
	}
	info.Targets, info.Units = []string{fmt.Sprintf("sm_%d%d", major, minor)}, int(units)
	return info, nil
}
