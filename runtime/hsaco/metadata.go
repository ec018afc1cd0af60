package hsaco

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The metadata note is one msgpack value. What a code object may make us hold is bounded here: real notes have some
// thousand values, a few levels deep.
const (
	maxValues = 1 << 20
	maxDepth  = 16
)

// A packed value is nil, bool, int64, float64, string, []any or map[string]any.
type unpacker struct {
	b      []byte
	values int
}

// unpack reads one msgpack value and wants nothing after it but zeroes (the note is padded to 4 bytes).
func unpack(b []byte) (any, error) {
	u := &unpacker{b: b}
	v, err := u.value(0)
	if err != nil {
		return nil, err
	}
	for _, c := range u.b {
		if c != 0 {
			return nil, fmt.Errorf("metadata: %d bytes follow the value", len(u.b))
		}
	}
	return v, nil
}

func (u *unpacker) take(n uint64) ([]byte, error) {
	if n > uint64(len(u.b)) {
		return nil, fmt.Errorf("metadata: ends %d bytes early", n-uint64(len(u.b)))
	}
	b := u.b[:n]
	u.b = u.b[n:]
	return b, nil
}

func (u *unpacker) number(bytes uint64) (uint64, error) {
	b, err := u.take(bytes)
	if err != nil {
		return 0, err
	}
	var w [8]byte
	copy(w[8-bytes:], b)
	return binary.BigEndian.Uint64(w[:]), nil
}

func (u *unpacker) value(depth int) (any, error) {
	if u.values++; u.values > maxValues {
		return nil, fmt.Errorf("metadata: more than %d values", maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("metadata: deeper than %d levels", maxDepth)
	}
	t, err := u.number(1)
	if err != nil {
		return nil, err
	}
	switch {
	case t < 0x80:
		return int64(t), nil
	case t < 0x90:
		return u.dict(t&15, depth)
	case t < 0xa0:
		return u.list(t&15, depth)
	case t < 0xc0:
		return u.text(t & 31)
	case t >= 0xe0:
		return int64(int8(t)), nil
	}
	sized := func(from uint64, read func(uint64) (any, error)) (any, error) {
		n, err := u.number(1 << (t - from))
		if err != nil {
			return nil, err
		}
		return read(n)
	}
	switch t {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return t == 0xc3, nil
	case 0xc4, 0xc5, 0xc6:
		return sized(0xc4, u.text)
	case 0xca:
		n, err := u.number(4)
		return float64(math.Float32frombits(uint32(n))), err
	case 0xcb:
		n, err := u.number(8)
		return math.Float64frombits(n), err
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, err := u.number(1 << (t - 0xcc))
		return int64(n), err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		bytes := uint64(1) << (t - 0xd0)
		n, err := u.number(bytes)
		shift := 64 - 8*bytes
		return int64(n<<shift) >> shift, err
	case 0xd9, 0xda, 0xdb:
		return sized(0xd9, u.text)
	case 0xdc, 0xdd:
		return sized(0xdb, func(n uint64) (any, error) { return u.list(n, depth) })
	case 0xde, 0xdf:
		return sized(0xdd, func(n uint64) (any, error) { return u.dict(n, depth) })
	}
	return nil, fmt.Errorf("metadata: a value of type %#x", t)
}

func (u *unpacker) text(n uint64) (any, error) {
	b, err := u.take(n)
	return string(b), err
}

func (u *unpacker) list(n uint64, depth int) (any, error) {
	if n > uint64(len(u.b)) { // each element takes a byte at least
		return nil, fmt.Errorf("metadata: a list of %d values in %d bytes", n, len(u.b))
	}
	var list []any
	for range n {
		v, err := u.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (u *unpacker) dict(n uint64, depth int) (any, error) {
	if n > uint64(len(u.b)) {
		return nil, fmt.Errorf("metadata: a map of %d values in %d bytes", n, len(u.b))
	}
	m := map[string]any{}
	for range n {
		k, err := u.value(depth + 1)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("metadata: a key that is no text: %v", k)
		}
		if _, ok := m[key]; ok {
			return nil, fmt.Errorf("metadata: two values named %q", key)
		}
		if m[key], err = u.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// field is m's value of that name, or T's zero where there is none of that type.
func field[T any](m any, name string) T {
	d, _ := m.(map[string]any)
	v, _ := d[name].(T)
	return v
}
