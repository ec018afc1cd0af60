package main

import "C"

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"hipc/runtime"
	"hipc/runtime/hsaco"
	"hipc/runtime/sim"
)

// A module is a loaded code object.
type module struct {
	code    runtime.Module
	kernels map[string]*hsaco.Kernel
}

// A function is one of its kernels.
type function struct {
	*module
	*hsaco.Kernel
}

// objectBytes is the size of an ELF file of which only the address is known: its section headers are its end.
func objectBytes(p uintptr) int {
	h := bytesAt(p, 64)
	if string(h[:4]) != "\x7fELF" {
		return 0
	}
	le := binary.LittleEndian
	return int(le.Uint64(h[40:])) + int(le.Uint16(h[58:]))*int(le.Uint16(h[60:]))
}

//export hipModuleLoadDataEx
func hipModuleLoadDataEx(to, image uintptr, options C.uint, names, values uintptr) C.int {
	return call("hipModuleLoadDataEx", func() (int, string) {
		d, status := device()
		if status != success {
			return status, ""
		}
		if image == 0 || objectBytes(image) == 0 {
			return invalidImage, ""
		}
		code := slices.Clone(bytesAt(image, objectBytes(image)))
		o, err := hsaco.Read(code)
		switch {
		case err != nil:
			return invalidImage, err.Error()
		case o.Target != library.cards[library.current]:
			return noBinaryForGPU, o.Target
		}
		busy.Lock()
		defer busy.Unlock()
		m := &module{kernels: map[string]*hsaco.Kernel{}}
		if m.code, err = d.Load(code); err != nil {
			return invalidImage, err.Error()
		}
		for _, k := range o.Kernels {
			m.kernels[k.Name] = k
		}
		return give(to, m)
	})
}

//export hipModuleUnload
func hipModuleUnload(handle uintptr) C.int {
	return call("hipModuleUnload", func() (int, string) {
		finishAll()
		m, ok := held[*module](handle)
		if !ok {
			return invalidHandle, ""
		}
		for h, x := range library.handles {
			if f, ok := x.(*function); ok && f.module == m {
				delete(library.handles, h)
			}
		}
		m.code.Close()
		return drop[*module](handle)
	})
}

//export hipModuleGetFunction
func hipModuleGetFunction(to, handle, name uintptr) C.int {
	return call("hipModuleGetFunction", func() (int, string) {
		m, ok := held[*module](handle)
		if !ok {
			return invalidHandle, ""
		}
		k := m.kernels[C.GoString(at[C.char](name))]
		if k == nil {
			return notFound, ""
		}
		status, _ := give(to, &function{m, k})
		return status, k.Name
	})
}

//export hipFuncGetAttribute
func hipFuncGetAttribute(to uintptr, attribute C.int, handle uintptr) C.int {
	return call("hipFuncGetAttribute", func() (int, string) {
		f, ok := held[*function](handle)
		switch {
		case !ok:
			return invalidHandle, ""
		case attribute != 0:
			return invalidValue, ""
		}
		*at[int32](to) = int32(f.MaxBlock)
		return success, ""
	})
}

// A launch is a kernel with its arguments, taken from the caller's memory.
type launch struct {
	function *function
	x        sim.Dispatch
}

// prepare checks a launch as the driver does, and copies its arguments.
func prepare(handle uintptr, grid, block [3]uint32, shared uint32, params, extra uintptr) (*launch, int) {
	f, ok := held[*function](handle)
	if !ok {
		return nil, invalidImage
	}
	l := &launch{f, sim.Dispatch{Kernel: f.Name, LDS: int(shared)}}
	threads := 1
	for i := range 3 {
		if grid[i] == 0 || block[i] == 0 || uint64(grid[i])*uint64(block[i]) > 1<<32-1 {
			return nil, invalidConfig
		}
		l.x.Grid[i], l.x.Block[i] = int(grid[i]), int(block[i])
		threads *= int(block[i])
	}
	args := f.Explicit()
	switch {
	case threads > f.MaxBlock:
		return nil, launchFailure
	case int(shared)+f.LDS > 64<<10, extra != 0, params == 0 && len(args) > 0:
		return nil, invalidValue
	}
	for i, a := range args {
		p := *at[uintptr](params + uintptr(8*i))
		if p == 0 {
			return nil, invalidValue
		}
		if n := a.Offset + a.Size; n > len(l.x.Kernarg) {
			l.x.Kernarg = append(l.x.Kernarg, make([]byte, n-len(l.x.Kernarg))...)
		}
		copy(l.x.Kernarg[a.Offset:], bytesAt(p, a.Size))
	}
	return l, success
}

// run queues a launch.
func (l *launch) run(q *stream) {
	for most := number("HIPSTANDIN_QUEUE", 0); most > 0 && q.length() >= most; {
		time.Sleep(time.Millisecond)
	}
	library.kernels++
	if library.kernels == number("HIPSTANDIN_HANG", 0) {
		q.push(func() error {
			busy.Unlock() // others may use the card
			select {}
		})
		return
	}
	d := library.card
	q.push(func() error { return d.Dispatch(l.function.code, l.x) })
}

//export hipModuleLaunchKernel
func hipModuleLaunchKernel(f uintptr, gx, gy, gz, bx, by, bz, shared C.uint, s, params, extra uintptr) C.int {
	return call("hipModuleLaunchKernel", func() (int, string) {
		q, ok := held[*stream](s)
		if !ok {
			return invalidHandle, ""
		}
		l, status := prepare(f, [3]uint32{uint32(gx), uint32(gy), uint32(gz)}, [3]uint32{uint32(bx), uint32(by), uint32(bz)}, uint32(shared), params, extra)
		if status != success {
			return status, ""
		}
		l.run(q)
		return success, fmt.Sprint(l.x.Kernel, " ", l.x.Grid, l.x.Block)
	})
}
