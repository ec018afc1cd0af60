package codegen

import (
	"fmt"
	"strings"
)

// A language is how a target's source declares an entry and names what it's given.
type language struct {
	head    func(e Entry) string // up to the body
	operand string               // the n-th of the step's list, %d
	before  string               // what a body begins with
}

// functions are entries that a processor's threads call: operands come as a list, and the block's number beside it.
var functions = &language{
	head:    func(e Entry) string { return fmt.Sprintf("KERNEL(%s)", e.Name) },
	operand: "arg[%d]",
}

// launches are entries that a GPU's blocks run: an operand is a parameter each, and the block knows its number.
var launches = &language{
	head: func(e Entry) string {
		var b strings.Builder
		switch {
		case e.LDS > 64<<10:
			b.WriteString("LARGE_")
		case e.Dense:
			b.WriteString("DENSE_")
		}
		fmt.Fprintf(&b, "KERNEL(%s, %d", e.Name, max(e.Block, 1))
		for i := range e.operands() {
			fmt.Fprintf(&b, ", void *a%d", i)
		}
		return b.String() + ")"
	},
	operand: "Arg{a%d}",
	before:  "const int block = block_number(); ",
}

// operands is how many the step's list has: parts name all of them.
func (e Entry) operands() int {
	n := 0
	for _, p := range e.Parts {
		for _, a := range p.Args {
			n = max(n, a+1)
		}
	}
	return n
}
