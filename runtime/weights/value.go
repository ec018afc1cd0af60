package weights

import (
	"encoding/binary"
	"math"
)

// A value is one metadata value of a GGUF: its type and a view of its bytes,
// checked when the file was opened and decoded when it is asked for.
type value struct {
	kind uint32
	raw  []byte // a scalar's bytes, a string's content, or an array's elements
	elem uint32 // arrays: type and count of the elements
	n    int
}

const (
	kindBool   = 7
	kindString = 8
	kindArray  = 9
)

// kinds are GGUF's value types: their size (0: not fixed) and decoding.
var kinds = map[uint32]struct {
	name   string
	size   int
	decode func(b []byte) any
}{
	0:  {"u8", 1, func(b []byte) any { return b[0] }},
	1:  {"i8", 1, func(b []byte) any { return int8(b[0]) }},
	2:  {"u16", 2, func(b []byte) any { return binary.LittleEndian.Uint16(b) }},
	3:  {"i16", 2, func(b []byte) any { return int16(binary.LittleEndian.Uint16(b)) }},
	4:  {"u32", 4, func(b []byte) any { return binary.LittleEndian.Uint32(b) }},
	5:  {"i32", 4, func(b []byte) any { return int32(binary.LittleEndian.Uint32(b)) }},
	6:  {"f32", 4, func(b []byte) any { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	7:  {"bool", 1, func(b []byte) any { return b[0] == 1 }},
	8:  {"string", 0, func(b []byte) any { return string(b) }},
	9:  {"array", 0, nil},
	10: {"u64", 8, func(b []byte) any { return binary.LittleEndian.Uint64(b) }},
	11: {"i64", 8, func(b []byte) any { return int64(binary.LittleEndian.Uint64(b)) }},
	12: {"f64", 8, func(b []byte) any { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }},
}

// value checks and skips one value, which errors call what. Arrays are walked,
// not built.
func (r *reader) value(kind uint32, what string, depth int) value {
	k, ok := kinds[kind]
	switch {
	case r.err != nil:
		return value{}
	case !ok:
		r.fail("%s: value type %d, want 0 to 12", what, kind)
		return value{}
	case kind == kindString:
		return value{kind: kind, raw: r.str(maxString, what)}
	case kind != kindArray:
		b := r.bytes(uint64(k.size), what)
		r.checkBools(kind, b, what)
		return value{kind: kind, raw: b}
	case depth == maxNesting:
		r.fail("%s: arrays nested deeper than %d", what, maxNesting)
		return value{}
	}
	elem, n := r.u32(what), r.u64(what)
	e, ok := kinds[elem]
	if r.err == nil && !ok {
		r.fail("%s: array of type %d, want 0 to 12", what, elem)
	}
	least := uint64(e.size)
	switch elem {
	case kindString:
		least = 8
	case kindArray:
		least = 12
	}
	if r.err == nil && n > r.left()/least {
		r.fail("%s: array of %d %s at byte %d, but the file ends at %d: it is cut short", what, n, e.name, r.at, len(r.b))
	}
	if r.err != nil {
		return value{}
	}
	start := r.at
	if e.size > 0 {
		r.checkBools(elem, r.bytes(n*least, what), what)
	} else {
		for i := uint64(0); i < n && r.err == nil; i++ {
			r.value(elem, what, depth+1)
		}
	}
	return value{kind: kind, raw: r.b[start:r.at], elem: elem, n: int(n)}
}

func (r *reader) checkBools(kind uint32, b []byte, what string) {
	if kind != kindBool {
		return
	}
	for _, v := range b {
		if v > 1 {
			r.fail("%s: bool of %d, want 0 or 1", what, v)
			return
		}
	}
}

// Has says whether a metadata key is there, whatever its type.
func (g *GGUF) Has(key string) bool {
	_, ok := g.values[key]
	return ok
}

// Value decodes a metadata value: bool, string, a number of the stored type, or
// []any of those.
func (g *GGUF) Value(key string) (any, bool) {
	v, ok := g.values[key]
	if !ok {
		return nil, false
	}
	return v.decode(), true
}

func (v value) decode() any {
	if v.kind != kindArray {
		return kinds[v.kind].decode(v.raw)
	}
	// The elements were checked at opening, so this reader can't fail.
	r := &reader{b: v.raw}
	list := make([]any, v.n)
	for i := range list {
		list[i] = r.value(v.elem, "", 0).decode()
	}
	return list
}

// String decodes a string.
func (g *GGUF) String(key string) (string, bool) {
	v := g.values[key]
	return string(v.raw), v.kind == kindString
}

// Bool decodes a bool.
func (g *GGUF) Bool(key string) (val, ok bool) {
	v, _ := g.Value(key)
	val, ok = v.(bool)
	return val, ok
}

// Int decodes an integer of any width that an int64 holds.
func (g *GGUF) Int(key string) (int64, bool) {
	v, _ := g.Value(key)
	return toInt(v)
}

// Float decodes a float of either width.
func (g *GGUF) Float(key string) (float64, bool) {
	v, _ := g.Value(key)
	return toFloat(v)
}

// Strings decodes an array of strings.
func (g *GGUF) Strings(key string) ([]string, bool) {
	return elements(g, key, func(v any) (string, bool) { s, ok := v.(string); return s, ok })
}

// Ints decodes an array of integers.
func (g *GGUF) Ints(key string) ([]int64, bool) { return elements(g, key, toInt) }

// Floats decodes an array of floats.
func (g *GGUF) Floats(key string) ([]float64, bool) { return elements(g, key, toFloat) }

func elements[T any](g *GGUF, key string, to func(any) (T, bool)) ([]T, bool) {
	v, ok := g.values[key]
	if !ok || v.kind != kindArray {
		return nil, false
	}
	r := &reader{b: v.raw}
	list := make([]T, v.n)
	for i := range list {
		if list[i], ok = to(r.value(v.elem, "", 0).decode()); !ok {
			return nil, false
		}
	}
	return list, true
}

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case int64:
		return v, true
	}
	return 0, false
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
