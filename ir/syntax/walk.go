package syntax

import (
	"reflect"

	"github.com/alecthomas/participle/v2/lexer"
)

// A Use is a name that a text reads: a value, dim or real, or, if Called, a block or an op.
type Use struct {
	Name   string
	Called bool
	Pos    lexer.Position
}

// Uses lists what a node and all below it read, in the order of the text.
func Uses(node any) []Use {
	var out []Use
	uses(reflect.ValueOf(node), &out)
	return out
}

func uses(v reflect.Value, out *[]Use) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		switch n := v.Interface().(type) {
		case *Primary:
			if n.Name != "" {
				*out = append(*out, Use{n.Name, false, n.Pos})
			}
		case *Call:
			*out = append(*out, Use{n.Name, true, n.Pos})
		case *Turn:
			*out = append(*out, Use{n.Name, true, n.Pos})
		case *Case:
			*out = append(*out, Use{n.Name, true, n.Pos})
		case *Repeat:
			for _, c := range n.Carry {
				*out = append(*out, Use{c, false, n.Pos})
			}
		case *Assign:
			if n.Add { // x += e reads x
				*out = append(*out, Use{n.Names[0], false, n.Pos})
			}
		}
		uses(v.Elem(), out)
	case reflect.Struct:
		for i := range v.NumField() {
			uses(v.Field(i), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			uses(v.Index(i), out)
		}
	}
}
