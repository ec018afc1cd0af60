package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// maxNesting bounds JSON from callers and values inside of templates.
const maxNesting = 64

// object makes gonja's ordered object, which templates can index, walk and print, of keys and values in turn.
func object(pairs ...any) *exec.Dict {
	d := exec.NewDict()
	for i := 0; i < len(pairs); i += 2 {
		set(d, pairs[i].(string), pairs[i+1])
	}
	return d
}

// set appends a key that isn't there yet.
func set(d *exec.Dict, key string, v any) {
	d.Pairs = append(d.Pairs, &exec.Pair{Key: exec.AsValue(key), Value: exec.AsValue(v)})
}

// parseJSON reads JSON as Python does: objects keep the order of their keys, of two equal keys the last value stays at
// the first place, and 1 and 1.0 are different.
func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, maxNesting)
	if err != nil {
		return nil, err
	}
	if d.More() || len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {
		return nil, fmt.Errorf("JSON goes on after its end at byte %d", d.InputOffset())
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		return number(t)
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("JSON is nested deeper than %d", maxNesting)
		}
		if t == '{' {
			return parseObject(d, depth-1)
		}
		l := list{}
		for d.More() {
			v, err := parseValue(d, depth-1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := d.Token()
		return l, err
	}
	return token, nil // nil, bool, string
}

func parseObject(d *json.Decoder, depth int) (any, error) {
	o, at := object(), map[string]int{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := parseValue(d, depth)
		if err != nil {
			return nil, err
		}
		k := key.(string)
		if i, twice := at[k]; twice {
			o.Pairs[i].Value = exec.AsValue(v)
			continue
		}
		at[k] = len(o.Pairs)
		set(o, k, v)
	}
	_, err := d.Token()
	return o, err
}

// number makes an int of what has neither point nor exponent. One that an int can't hold becomes a float.
func number(n json.Number) (any, error) {
	if !strings.ContainsAny(string(n), ".eE") {
		if i, err := strconv.Atoi(string(n)); err == nil {
			return i, nil
		}
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("number %.20s is out of range", n)
	}
	return f, nil
}

// A jsonWriter writes a template's value as Python's json.dumps does.
type jsonWriter struct {
	b         strings.Builder
	item, key string // separators
	indent    string // one level; with broken only
	broken    bool   // a line per element
	ascii     bool
	sorted    bool
}

func (w *jsonWriter) write(v *exec.Value, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("tojson: nested deeper than %d", maxNesting)
	}
	if w.b.Len() > maxOutput {
		return fmt.Errorf("tojson: longer than %d bytes", maxOutput)
	}
	switch {
	case v.IsError():
		return v
	case v.IsNil():
		w.b.WriteString("null")
	case v.IsBool():
		w.b.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		w.b.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		w.b.WriteString(pythonFloat(v.Float()))
	case v.IsString():
		w.string(v.String())
	case v.IsDict():
		keys, values := members(v)
		if w.sorted {
			sort.Sort(byKey{keys, values})
		}
		return w.list('{', '}', len(keys), depth, func(i int) error {
			w.string(keys[i].String())
			w.b.WriteString(w.key)
			return w.write(values[i], depth+1)
		})
	case v.IsList():
		return w.list('[', ']', v.Len(), depth, func(i int) error { return w.write(v.Index(i), depth+1) })
	default:
		return fmt.Errorf("tojson: a %s has no JSON", v.Val.Kind())
	}
	return nil
}

func (w *jsonWriter) list(open, end byte, n, depth int, element func(int) error) error {
	w.b.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if w.broken {
			w.b.WriteString("\n" + strings.Repeat(w.indent, depth+1))
		}
		if err := element(i); err != nil {
			return err
		}
	}
	if w.broken && n > 0 {
		w.b.WriteString("\n" + strings.Repeat(w.indent, depth))
	}
	w.b.WriteByte(end)
	return nil
}

func (w *jsonWriter) string(s string) {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	w.b.WriteByte('"')
	for _, r := range s {
		switch esc, ok := short[r]; {
		case ok:
			w.b.WriteString(esc)
		case r < 0x20 || w.ascii && r >= 0x7F && r <= 0xFFFF:
			fmt.Fprintf(&w.b, `\u%04x`, r)
		case w.ascii && r > 0xFFFF:
			fmt.Fprintf(&w.b, `\u%04x\u%04x`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
		default:
			w.b.WriteString(string(r))
		}
	}
	w.b.WriteByte('"')
}

// pythonFloat is Python's repr: the shortest digits that read back, with an exponent of at least two digits outside of
// 1e-4 to 1e16.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// members lists an object's keys and values: in their order for our own, sorted for a namespace, which is a Go map.
func members(v *exec.Value) (keys, values []*exec.Value) {
	var d *exec.Dict
	switch x := v.Interface().(type) {
	case *exec.Dict:
		d = x
	case exec.Dict:
		d = &x
	}
	if d == nil {
		for _, k := range v.Keys() {
			item, _ := v.GetItem(k.String())
			keys, values = append(keys, k), append(values, item)
		}
		return keys, values
	}
	for _, p := range d.Pairs {
		keys, values = append(keys, p.Key), append(values, p.Value)
	}
	return keys, values
}

type byKey struct{ keys, values []*exec.Value }

func (m byKey) Len() int           { return len(m.keys) }
func (m byKey) Less(i, j int) bool { return m.keys[i].String() < m.keys[j].String() }
func (m byKey) Swap(i, j int) {
	m.keys[i], m.keys[j] = m.keys[j], m.keys[i]
	m.values[i], m.values[j] = m.values[j], m.values[i]
}
