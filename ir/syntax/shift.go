package syntax

import (
	"reflect"

	"github.com/alecthomas/participle/v2/lexer"
)

// shift moves every position under node to where its text stands in the file that holds it. participle counts lines
// from 1 in the text it was given; only we know that the text is a block of a larger file.
func shift(node any, start Pos) {
	if start.Line <= 1 && start.Col <= 1 {
		return
	}
	shiftValue(reflect.ValueOf(node), start)
}

var position = reflect.TypeFor[lexer.Position]()

func shiftValue(v reflect.Value, start Pos) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			shiftValue(v.Elem(), start)
		}
	case reflect.Slice:
		for i := range v.Len() {
			shiftValue(v.Index(i), start)
		}
	case reflect.Struct:
		if v.Type() == position {
			shiftPos(v.Addr().Interface().(*lexer.Position), start)
			return
		}
		for i := range v.NumField() {
			shiftValue(v.Field(i), start)
		}
	}
}

// shiftPos moves p. A block of a YAML file loses the same indentation on every line, so every column moves alike.
func shiftPos(p *lexer.Position, start Pos) {
	if start.Line > 1 {
		p.Line += start.Line - 1
	}
	if start.Col > 1 {
		p.Column += start.Col - 1
	}
}
