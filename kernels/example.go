package kernels

import (
	"fmt"
	"slices"
	"sync"

	"hipc/ir"
)

// rows are the registry's by their kernels.
var rows = sync.OnceValue(func() map[*Kernel]*row {
	m := map[*Kernel]*row{}
	for _, list := range registry() {
		for _, r := range list {
			m[r.Kernel] = r
		}
	}
	return m
})

// lineOf parses a row, the registry's own once.
func lineOf(k *Kernel) (*line, error) {
	if r := rows()[k]; r != nil {
		return r.line()
	}
	return parseLine(k)
}

// Vars lists what a kernel's signature leaves open: dims, counts of variadic operands and whole numbers; elements in
// capitals; real numbers. Each is sorted.
func (k *Kernel) Vars() (dims, elems, reals []string) {
	l, err := lineOf(k)
	if err != nil {
		panic("kernels: " + err.Error())
	}
	for _, o := range slices.Concat(l.sig.In, l.sig.Out) {
		switch {
		case o.Lit == "real":
			reals = append(reals, o.Elem)
		case o.Lit == "int":
			dims = append(dims, o.Elem)
		case o.isVariable():
			elems = append(elems, o.Elem)
		}
		if _, dim, ok := o.group(); ok {
			dims = append(dims, dim)
		}
		for _, a := range slices.Concat(o.Dims, o.List) {
			if n := a.Size.name(); n != "" {
				dims = append(dims, n)
			}
		}
		if m := o.many(); m != "" {
			dims = append(dims, m)
		}
	}
	for _, s := range []*[]string{&dims, &elems, &reals} {
		slices.Sort(*s)
		*s = slices.Compact(*s)
	}
	return dims, elems, reals
}

// Example is a node that k computes, made of values for all of its Vars: what tests run against the oracle. Find may
// still refuse it, by k's Where, or choose a row that stands before k.
func (k *Kernel) Example(dims map[string]int, elems map[string]string, reals map[string]float64) (*ir.Node, error) {
	l, err := lineOf(k)
	if err != nil {
		return nil, err
	}
	n := &ir.Node{Op: &ir.Op{Name: k.Op}}
	add := func(list []*operand, prefix string) ([]*ir.Value, error) {
		var out []*ir.Value
		for _, o := range list {
			count := 1
			if m := o.many(); m != "" {
				count = dims[m]
			}
			for range count {
				v, err := o.example(dims, elems, reals)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", k.Op, o, err)
				}
				v.Name = fmt.Sprintf("%s%d", prefix, len(out))
				out = append(out, v)
			}
		}
		return out, nil
	}
	if n.Args, err = add(l.sig.In, "in"); err != nil {
		return nil, err
	}
	n.Outs, err = add(l.sig.Out, "out")
	return n, err
}

func (o *operand) example(dims map[string]int, elems map[string]string, reals map[string]float64) (*ir.Value, error) {
	switch o.Lit {
	case "real":
		x, ok := reals[o.Elem]
		if !ok {
			return nil, unboundName(o.Elem)
		}
		return ir.Number(x), nil
	case "int":
		x, ok := dims[o.Elem]
		if !ok {
			return nil, unboundName(o.Elem)
		}
		return ir.Number(float64(x)), nil
	}
	elem := o.Elem
	if o.isVariable() {
		if elem = elems[o.Elem]; elem == "" {
			return nil, unboundName(o.Elem)
		}
	}
	if name, dim, ok := o.group(); ok {
		if dims[dim] < 1 {
			return nil, unboundName(dim)
		}
		elem = fmt.Sprint(name, dims[dim])
	}
	v := &ir.Value{Type: ir.Of(ir.Elem(elem))}
	if o.List != nil {
		v.Lit = &ir.Literal{IsList: true}
	}
	for _, a := range slices.Concat(o.Dims, o.List) {
		x, err := a.Size.eval(dims)
		if err != nil {
			return nil, err
		}
		if x < 1 {
			return nil, unboundName(a.Size.String())
		}
		v.Type.Dims = append(v.Type.Dims, x)
	}
	if o.List != nil {
		for _, x := range v.Type.Dims {
			v.Lit.List = append(v.Lit.List, float64(x))
		}
		v.Type = ir.Of("")
	}
	return v, nil
}
