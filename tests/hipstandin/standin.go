// Command hipstandin is a stand-in for libamdhip64, to be built with -buildmode=c-shared: tests put it where the dynamic linker looks, and
// the programs that they run open it as they'd open AMD's. So runtime/hip is tested as it is shipped, on machines without an AMD card.
//
// It exports the HIP calls that we use, no others, with HIP's own structures and statuses. Kernels are executed by runtime/sim, behind the
// caller's back as a card does: a stream is a queue, a launch returns at once, and what a kernel does wrong is the status of a later
// call, from then on of all. What a driver refuses is refused: handles that it never gave, sizes out of bounds, memory that was freed,
// code for another card, a graph launched that wasn't instantiated. What a driver doesn't promise isn't given: new memory is garbage, and
// host memory is read when the call is made unless it is hipHostMalloc's.
//
// The environment says what card it plays, and what goes wrong:
//
//	HIPSTANDIN_CARDS=gfx1036,gfx1100   the cards; "none": there is none
//	HIPSTANDIN_MEMORY=1000000          bytes of a card
//	HIPSTANDIN_VERSION=70051831        what hipRuntimeGetVersion says
//	HIPSTANDIN_FAIL=17                 the 17th call fails, with HIPSTANDIN_STATUS (999)
//	HIPSTANDIN_LOST=17                 the 17th call and all after it fail: the card is gone
//	HIPSTANDIN_HANG=3                  the third kernel never ends
//	HIPSTANDIN_QUEUE=1024              a launch waits where so much is queued already
//	HIPSTANDIN_BEND=3                  each graph forgets its third node: it isn't what was launched one by one
//	HIPSTANDIN_RUN=2                   when this changes, all begins anew
//	HIPSTANDIN_LOG=FILE                each call is a line there, with the handles that it made or destroyed
//
// HSA_OVERRIDE_GFX_VERSION=11.0.0 makes a card say that it's gfx1100, as ROCm's own does.
package main

// #include <stdint.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"hipc/runtime/sim"
)

// The statuses of hipError_t that are given.
const (
	success            = 0
	invalidValue       = 1
	outOfMemory        = 2
	notInitialized     = 3
	invalidConfig      = 9
	noDevice           = 100
	invalidDevice      = 101
	invalidImage       = 200
	noBinaryForGPU     = 209
	invalidHandle      = 400
	notFound           = 500
	notReady           = 600
	illegalAddress     = 700
	launchFailure      = 719
	unknown            = 999
	defaultVersion     = 60241133
	defaultMemoryBytes = 1 << 30
)

var names = map[int]string{invalidValue: "hipErrorInvalidValue", outOfMemory: "hipErrorOutOfMemory", notInitialized: "hipErrorNotInitialized",
	invalidConfig: "hipErrorInvalidConfiguration", noDevice: "hipErrorNoDevice", invalidDevice: "hipErrorInvalidDevice", invalidImage: "hipErrorInvalidImage",
	noBinaryForGPU: "hipErrorNoBinaryForGpu", invalidHandle: "hipErrorInvalidHandle", notFound: "hipErrorNotFound", notReady: "hipErrorNotReady",
	illegalAddress: "hipErrorIllegalAddress", launchFailure: "hipErrorLaunchFailure", unknown: "hipErrorUnknown"}

// library is the library's state.
var library struct {
	sync.Mutex
	began   bool // hipInit has been called
	cards   []string
	current int
	card    *sim.Device // the one that memory was asked of
	run     string
	calls   int
	kernels int
	log     *os.File
	handles map[uintptr]any
	next    uintptr
}

// sticky is what a kernel did wrong: the status of all calls from then on. It's the queues' too, and so is no part of what is locked.
var sticky atomic.Int32

func main() {}

// env reads the environment that C has: what was set since the process began is there too.
func env(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	if v := C.getenv(n); v != nil {
		return C.GoString(v)
	}
	return ""
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(env(name)); err == nil {
		return n
	}
	return otherwise
}

// call runs one call, with the library locked: it counts it, and fails it if it's the one.
func call(name string, f func() (status int, note string)) C.int {
	l := &library
	l.Lock()
	defer l.Unlock()
	if run := env("HIPSTANDIN_RUN"); l.handles == nil || run != l.run {
		l.handles, l.next, l.run, l.began, l.card, l.calls, l.kernels = map[uintptr]any{}, 0x10, run, false, nil, 0, 0
		sticky.Store(success)
		if path := env("HIPSTANDIN_LOG"); path != "" {
			l.log, _ = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		}
	}
	if strings.HasSuffix(name, "Query") && sticky.Load() == success { // how often one asks is chance: only the last time counts
		if status, _ := f(); status == notReady {
			return notReady
		}
	}
	l.calls++
	lost := number("HIPSTANDIN_LOST", 0)
	status, note := success, ""
	switch {
	case l.calls == number("HIPSTANDIN_FAIL", 0):
		status = number("HIPSTANDIN_STATUS", unknown)
	case lost > 0 && l.calls >= lost:
		status = noDevice
	case !l.began && name != "hipInit":
		status = notInitialized
	case sticky.Load() != success:
		status = int(sticky.Load())
	default:
		status, note = f()
	}
	if status != success && status != notReady {
		note = fmt.Sprintf("status %d %s", status, note)
	}
	say("%d %s %s", l.calls, name, note)
	return C.int(status)
}

func say(format string, args ...any) {
	if library.log != nil {
		fmt.Fprintln(library.log, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

// give makes a handle of what the library holds, and writes it where the caller wants it.
func give(to uintptr, what any) (int, string) {
	if to == 0 {
		return invalidValue, "nowhere to write a handle"
	}
	l := &library
	l.next += 0x10
	l.handles[l.next] = what
	*at[uintptr](to) = l.next
	return success, fmt.Sprintf("made %T %#x", what, l.next)
}

// held finds what a handle stands for.
func held[T any](handle uintptr) (T, bool) {
	x, ok := library.handles[handle].(T)
	return x, ok
}

// drop forgets a handle.
func drop[T any](handle uintptr) (int, string) {
	x, ok := held[T](handle)
	if !ok {
		return invalidHandle, fmt.Sprintf("no %T %#x", x, handle)
	}
	delete(library.handles, handle)
	return success, fmt.Sprintf("gone %T %#x", x, handle)
}

// at is a place in the caller's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

func bytesAt(p uintptr, n int) []byte { return unsafe.Slice(at[byte](p), n) }

//export hipInit
func hipInit(flags C.uint) C.int {
	return call("hipInit", func() (int, string) {
		l := &library
		if flags != 0 {
			return invalidValue, ""
		}
		l.began = true
		l.cards = []string{"gfx1100"}
		if s := env("HIPSTANDIN_CARDS"); s != "" {
			l.cards = strings.Split(s, ",")
		}
		if l.cards[0] == "none" {
			l.cards = nil
			return noDevice, ""
		}
		if v := strings.Split(env("HSA_OVERRIDE_GFX_VERSION"), "."); len(v) == 3 {
			for i := range l.cards {
				l.cards[i] = "gfx" + strings.Join(v, "")
			}
		}
		return success, ""
	})
}

//export hipRuntimeGetVersion
func hipRuntimeGetVersion(version uintptr) C.int {
	return call("hipRuntimeGetVersion", func() (int, string) {
		*at[int32](version) = int32(number("HIPSTANDIN_VERSION", defaultVersion))
		return success, ""
	})
}

//export hipGetDeviceCount
func hipGetDeviceCount(n uintptr) C.int {
	return call("hipGetDeviceCount", func() (int, string) {
		*at[int32](n) = int32(len(library.cards))
		return success, ""
	})
}

//export hipDeviceGetName
func hipDeviceGetName(name uintptr, n, device C.int) C.int {
	return call("hipDeviceGetName", func() (int, string) {
		if device < 0 || int(device) >= len(library.cards) {
			return invalidDevice, ""
		}
		if n < 1 {
			return invalidValue, ""
		}
		text := append([]byte(cardName(int(device))), 0)
		copy(bytesAt(name, int(n)), text)
		return success, ""
	})
}

func cardName(i int) string { return "Stand-in " + strings.ToUpper(library.cards[i]) }

//export hipGetDevicePropertiesR0600
func hipGetDevicePropertiesR0600(to uintptr, device C.int) C.int {
	return call("hipGetDevicePropertiesR0600", func() (int, string) {
		if to == 0 || device < 0 || int(device) >= len(library.cards) {
			return invalidDevice, ""
		}
		p := at[properties](to)
		*p = properties{memory: uint64(number("HIPSTANDIN_MEMORY", defaultMemoryBytes)), warp: 32, units: 96}
		copy(p.name[:], cardName(int(device)))
		copy(p.arch[:], library.cards[device])
		return success, ""
	})
}

// properties is hipDeviceProp_tR0600, as far as a field of it is filled.
type properties struct {
	name   [256]byte
	_      [32]byte
	memory uint64 // totalGlobalMem
	_      [12]byte
	warp   int32 // warpSize
	_      [76]byte
	units  int32 // multiProcessorCount
	_      [768]byte
	arch   [256]byte // gcnArchName
	_      [56]byte
}

//export hipSetDevice
func hipSetDevice(device C.int) C.int {
	return call("hipSetDevice", func() (int, string) {
		if device < 0 || int(device) >= len(library.cards) {
			return invalidDevice, ""
		}
		library.current = int(device)
		return success, ""
	})
}

// texts are kept: the caller gets the library's own.
var texts = map[string]*C.char{}

func constant(s string) *C.char {
	library.Lock()
	defer library.Unlock()
	if texts[s] == nil {
		texts[s] = C.CString(s)
	}
	return texts[s]
}

//export hipGetErrorName
func hipGetErrorName(status C.int) *C.char {
	if n := names[int(status)]; n != "" {
		return constant(n)
	}
	return constant("hipErrorUnknown")
}

//export hipGetErrorString
func hipGetErrorString(status C.int) *C.char { return constant(fmt.Sprintf("status %d", int(status))) }
