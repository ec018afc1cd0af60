package main

import "C"

import (
	"fmt"
	"slices"
)

// A graph is nodes with what each waits for.
type graph struct{ nodes []*node }

type node struct {
	*launch
	graph *graph
	after []*node
}

// An exec is an instantiated graph: a copy, in an order that keeps what waits for what.
type exec struct{ launches []*launch }

// nodeParams is hipKernelNodeParams.
type nodeParams struct {
	block    [3]uint32
	extra    uintptr
	function uintptr
	grid     [3]uint32
	params   uintptr
	shared   uint32
}

//export hipGraphCreate
func hipGraphCreate(to uintptr, flags C.uint) C.int {
	return call("hipGraphCreate", func() (int, string) {
		if flags != 0 {
			return invalidValue, ""
		}
		return give(to, &graph{})
	})
}

//export hipGraphAddKernelNode
func hipGraphAddKernelNode(to, handle, after uintptr, n C.size_t, params uintptr) C.int {
	return call("hipGraphAddKernelNode", func() (int, string) {
		g, ok := held[*graph](handle)
		if !ok || params == 0 || n > 0 && after == 0 {
			return invalidValue, ""
		}
		x := &node{graph: g}
		for i := range uintptr(n) {
			before, ok := held[*node](*at[uintptr](after + 8*i))
			if !ok || before.graph != g || slices.Contains(x.after, before) {
				return invalidValue, "a node that isn't the graph's, or twice"
			}
			x.after = append(x.after, before)
		}
		p := at[nodeParams](params)
		l, status := prepare(p.function, p.grid, p.block, p.shared, p.params, p.extra)
		if status != success {
			return status, ""
		}
		x.launch = l
		g.nodes = append(g.nodes, x)
		status, _ = give(to, x)
		return status, l.x.Kernel
	})
}

//export hipGraphInstantiateWithFlags
func hipGraphInstantiateWithFlags(to, handle uintptr, flags C.ulonglong) C.int {
	return call("hipGraphInstantiateWithFlags", func() (int, string) {
		g, ok := held[*graph](handle)
		if !ok || flags != 0 {
			return invalidValue, ""
		}
		e := &exec{}
		chain := true
		for i, n := range g.nodes { // nodes wait for those that were there before them: their order is one
			e.launches = append(e.launches, n.launch)
			chain = chain && (i == 0 && len(n.after) == 0 || len(n.after) == 1 && n.after[0] == g.nodes[i-1])
		}
		if i := number("HIPSTANDIN_BEND", 0); i > 0 && i <= len(e.launches) {
			e.launches = slices.Delete(e.launches, i-1, i)
		}
		status, note := give(to, e)
		return status, fmt.Sprintf("%s of %d nodes, a chain: %t", note, len(g.nodes), chain)
	})
}

//export hipGraphLaunch
func hipGraphLaunch(handle, s uintptr) C.int {
	return call("hipGraphLaunch", func() (int, string) {
		e, ok := held[*exec](handle)
		if !ok {
			return invalidValue, "not instantiated"
		}
		q, ok := held[*stream](s)
		if !ok {
			return invalidHandle, ""
		}
		for _, l := range e.launches {
			l.run(q)
		}
		return success, ""
	})
}

//export hipGraphExecDestroy
func hipGraphExecDestroy(handle uintptr) C.int {
	return call("hipGraphExecDestroy", func() (int, string) { finishAll(); return drop[*exec](handle) })
}

//export hipGraphDestroy
func hipGraphDestroy(handle uintptr) C.int {
	return call("hipGraphDestroy", func() (int, string) {
		g, ok := held[*graph](handle)
		if !ok {
			return invalidHandle, ""
		}
		for h, x := range library.handles {
			if n, ok := x.(*node); ok && n.graph == g {
				delete(library.handles, h)
			}
		}
		return drop[*graph](handle)
	})
}
