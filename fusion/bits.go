package fusion

import (
	"cmp"
	"encoding/binary"
	"math/bits"
)

// A bitset is a set of a graph's nodes, by place. All sets of one graph have the same length.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (s bitset) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s bitset) remove(i int)   { s[i/64] &^= 1 << (i % 64) }
func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

func (s bitset) addAll(t bitset) {
	for i, w := range t {
		s[i] |= w
	}
}

func (s bitset) keepAll(t bitset) {
	for i, w := range t {
		s[i] &= w
	}
}

func (s bitset) removeAll(t bitset) {
	for i, w := range t {
		s[i] &^= w
	}
}

func (s bitset) meets(t bitset) bool {
	for i, w := range t {
		if s[i]&w != 0 {
			return true
		}
	}
	return false
}

func (s bitset) within(t bitset) bool {
	for i, w := range s {
		if w&^t[i] != 0 {
			return false
		}
	}
	return true
}

func (s bitset) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s bitset) union(t bitset) bitset {
	u := append(bitset(nil), s...)
	u.addAll(t)
	return u
}

// members lists the set in ascending order.
func (s bitset) members() []int {
	var out []int
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			out = append(out, i*64+bits.TrailingZeros64(w))
		}
	}
	return out
}

// key is the set as a key of maps.
func (s bitset) key() string { return string(s.appendKey(nil)) }

func (s bitset) appendKey(b []byte) []byte {
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// hash mixes the words: by odd multipliers of random bits.
func (s bitset) hash() uint64 {
	h := uint64(0)
	for _, w := range s {
		h = (h ^ w) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// compare orders sets of one graph somehow.
func (s bitset) compare(t bitset) int {
	for i, w := range s {
		if w != t[i] {
			return cmp.Compare(bits.ReverseBytes64(w), bits.ReverseBytes64(t[i]))
		}
	}
	return 0
}
