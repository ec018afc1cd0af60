package ir

import (
	"strings"

	"hipc/ir/syntax"
)

// A packed format is several tensors under one name, its members. w4_paro is ParoQuant's: a rotation of the input, and
// four-bit weights with zero points. The group's width is part of the element's name, since one value can't do without it:
// w4_paro_128[N,K] has the members rot: rot_128[K] and q4: i4_128[N,K].
var members = map[string]map[string]func(dims []int) Type{
	"w4_paro": {
		"q4":  func(dims []int) Type { return Of("i4", dims...) },
		"rot": func(dims []int) Type { return Of("rot", dims[len(dims)-1]) },
	},
}

// cutMember takes a member's name off a path.
func cutMember(path string) (base, member string) {
	i := strings.LastIndexByte(path, '.')
	for _, m := range members {
		if i >= 0 && m[path[i+1:]] != nil {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}

// Base is an element's name without the width of its groups: w4_paro of w4_paro_128.
func (e Elem) Base() (base, group string) {
	i := strings.LastIndexByte(string(e), '_')
	if i < 0 {
		return string(e), ""
	}
	for _, c := range e[i+1:] {
		if c < '0' || c > '9' {
			return string(e), ""
		}
	}
	if _, ok := members[string(e[:i])]; !ok {
		return string(e), ""
	}
	return string(e[:i]), string(e[i+1:])
}

// Is says whether e is the format that a rule names: w4_paro stands for all widths of groups.
func (e Elem) Is(format string) bool {
	base, _ := e.Base()
	return string(e) == format || base == format
}

// member is a part of a packed weight: w.rot, w.q4.
func (b *Builder) member(v *Value, name string, pos syntax.Pos) *Value {
	base, group := v.Type.Elem.Base()
	f := members[base][name]
	if f == nil || v.Weight == nil || v.Weight.open {
		b.errorf(pos, "%s has no member %s: only a weight in a packed format has some", v.text(), name)
		return nil
	}
	t := f(v.Type.Dims)
	t.Elem += Elem("_" + group)
	m := &Value{Weight: &Weight{Path: v.Weight.Path + "." + name}, Type: t, Pos: pos}
	key := exprString(m)
	if old := b.weights[key]; old != nil {
		return old
	}
	b.weights[key] = m
	return m
}
