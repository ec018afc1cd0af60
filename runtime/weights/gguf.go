package weights

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A GGUF is the content of a GGUF file (version 3, little endian) as it stands
// there: typed metadata, and tensors under their own names with their own order
// of rows. It lives as long as its checkpoint.
//
// The file: "GGUF", version, counts of tensors and keys; the keys with their
// values; per tensor its name, dimensions (innermost first), type and offset;
// then, at a multiple of general.alignment, the data, each tensor at such a
// multiple behind the one before.
type GGUF struct {
	path   string
	keys   []string
	values map[string]value
	list   []*Tensor
	byName map[string]*Tensor
}

// What a header may claim. Real files have some 40 keys and 1,000 tensors; a
// chat template has some kilobytes.
const (
	maxKeys      = 1 << 16
	maxTensors   = 1 << 20
	maxName      = 1 << 16
	maxString    = 16 << 20
	maxAlignment = 1 << 20
	maxDims      = 4
	maxNesting   = 4
)

// types of GGUF tensors: the ones that are read have the name of a format.
var ggufTypes = map[uint32]string{
	0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1",
	10: "q2_K", 11: "q3_K", 12: "q4_K", 13: "q5_K", 14: "q6_K", 15: "q8_K",
	16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs",
	24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64", 29: "iq1_m", 30: "bf16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4",
}

// Keys lists the metadata keys in the order of the file.
func (g *GGUF) Keys() []string { return g.keys }

// Tensors lists the tensors in the order of the file, under their GGUF names.
func (g *GGUF) Tensors() []string {
	names := make([]string, len(g.list))
	for i, t := range g.list {
		names[i] = t.Name
	}
	return names
}

// Tensor finds a tensor by its GGUF name; its rows are in the file's order.
func (g *GGUF) Tensor(name string) (*Tensor, bool) {
	t, ok := g.byName[name]
	return t, ok
}

// parseGGUF checks a whole file. What it allocates is in proportion to what it
// has read, never to what a count claims.
func parseGGUF(path string, b []byte) (*GGUF, error) {
	r := &reader{path: path, b: b}
	if magic := r.bytes(4, "magic"); r.err == nil && string(magic) != "GGUF" {
		r.fail("begins with %q, want \"GGUF\"", magic)
	}
	switch v := r.u32("version"); {
	case r.err != nil:
	case v == 3<<24:
		r.fail("big-endian GGUF isn't read; convert it again for a little-endian machine")
	case v != 3:
		r.fail("GGUF version %d, want 3; convert it again with a current llama.cpp", v)
	}
	tensors, keys := r.u64("tensor count"), r.u64("key count")
	// The shortest key has 8+1+4+1 bytes, the shortest tensor 8+1+4+8+4+8.
	r.checkCount("keys", keys, maxKeys, 14)
	r.checkCount("tensors", tensors, maxTensors, 33)
	g := &GGUF{path: path, values: map[string]value{}, byName: map[string]*Tensor{}}
	for i := uint64(0); i < keys && r.err == nil; i++ {
		g.readKey(r, i)
	}
	align := g.alignment(r)
	var offsets []uint64
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		offsets = append(offsets, g.readTensor(r, i))
	}
	if r.err != nil {
		return nil, r.err
	}
	return g, g.place(b, r.at, align, offsets)
}

func (r *reader) checkCount(what string, n, limit, least uint64) {
	if r.err == nil && n > limit {
		r.fail("claims %d %s, want at most %d", n, what, limit)
	}
	if r.err == nil && n > r.left()/least {
		r.fail("claims %d %s, but only %d bytes follow: it is cut short", n, what, r.left())
	}
}

// alignment is general.alignment, or 32 where there is none.
func (g *GGUF) alignment(r *reader) uint64 {
	if !g.Has("general.alignment") {
		return 32
	}
	a, ok := g.Int("general.alignment")
	if !ok || a <= 0 || a > maxAlignment || a&(a-1) != 0 {
		v, _ := g.Value("general.alignment")
		r.fail("general.alignment is %.40q, want a power of two up to %d", fmt.Sprint(v), maxAlignment)
		return 32
	}
	return uint64(a)
}

// name reads a key or a tensor's name.
func (r *reader) name(what string) string {
	b := r.str(maxName, what)
	if r.err == nil && (len(b) == 0 || !utf8.Valid(b)) {
		r.fail("%s %.60q, want UTF-8 of at least one character", what, b)
	}
	return string(b)
}

func (g *GGUF) readKey(r *reader, i uint64) {
	key := r.name(fmt.Sprintf("name of key %d", i))
	v := r.value(r.u32("type of a key"), "value of key "+strconv.Quote(key), 0)
	if _, ok := g.values[key]; ok {
		r.fail("key %q is there twice, want it once", key)
	}
	if r.err != nil {
		return
	}
	g.keys = append(g.keys, key)
	g.values[key] = v
}

// readTensor reads a tensor's entry and returns the offset of its data.
func (g *GGUF) readTensor(r *reader, i uint64) uint64 {
	name := r.name(fmt.Sprintf("name of tensor %d", i))
	rank := r.u32("rank of a tensor")
	if r.err == nil && (rank == 0 || rank > maxDims) {
		r.fail("tensor %q: %d dimensions, want 1 to %d", name, rank, maxDims)
	}
	var dims []int
	for j := uint32(0); j < rank && r.err == nil; j++ {
		d := r.u64("dimension of a tensor")
		if r.err == nil && (d == 0 || d > 1<<56) {
			r.fail("tensor %q: dimension %d is %d, want 1 to 2^56", name, j, d)
		}
		dims = append(dims, int(d))
	}
	slices.Reverse(dims)
	kind := r.u32("type of a tensor")
	offset := r.u64("offset of a tensor")
	if r.err != nil {
		return 0
	}
	f, ok := FormatByName(ggufTypes[kind])
	if !ok || !f.Float() {
		known := ggufTypes[kind]
		if known == "" {
			known = fmt.Sprintf("type %d", kind)
		}
		r.fail("tensor %q: %s isn't read yet; re-quantise to one of f32 f16 bf16 q4_0 q4_1 q8_0", name, known)
		return 0
	}
	if _, ok := g.byName[name]; ok {
		r.fail("tensor %q is there twice, want it once", name)
		return 0
	}
	if _, err := storedBytes(f, dims); err != nil {
		r.fail("tensor %q: %v", name, err)
		return 0
	}
	t := &Tensor{Name: name, Source: filepath.Base(r.path) + ": " + name, Format: f, Dims: dims}
	g.list = append(g.list, t)
	g.byName[name] = t
	return offset
}

// place gives each tensor its bytes. Tensors lie one behind the other, each at
// a multiple of align, and nothing but padding is between and behind them.
func (g *GGUF) place(b []byte, header int, align uint64, offsets []uint64) error {
	up := func(n uint64) uint64 { return (n + align - 1) &^ (align - 1) }
	start := min(up(uint64(header)), uint64(len(b))) // a file without tensors may end with its header
	data := b[start:]
	order := make([]int, len(g.list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if offsets[i] < offsets[j] {
			return -1
		}
		return int(min(offsets[i]-offsets[j], 1))
	})
	at, last := uint64(0), "the header"
	for _, i := range order {
		t, off := g.list[i], offsets[i]
		n, _ := storedBytes(t.Format, t.Dims)
		size := uint64(n)
		switch {
		case off%align != 0:
			return fmt.Errorf("%s: tensor %q: offset %d, want a multiple of %d (general.alignment)", g.path, t.Name, off, align)
		case off > uint64(len(data)) || size > uint64(len(data))-off:
			return fmt.Errorf("%s: tensor %q: %s%v at offset %d has %d bytes, but the file has %d bytes of data: it is cut short", g.path, t.Name, t.Format, t.Dims, off, size, len(data))
		case off < at:
			return fmt.Errorf("%s: tensor %q: offset %d lies inside %s, which ends at %d", g.path, t.Name, off, last, at)
		case off != up(at):
			return fmt.Errorf("%s: tensor %q: offset %d, want %d right behind %s", g.path, t.Name, off, up(at), last)
		}
		t.data = data[off : off+size : off+size]
		at, last = off+size, fmt.Sprintf("tensor %q", t.Name)
	}
	if uint64(len(data)) > up(at) {
		return fmt.Errorf("%s: %d bytes follow %s, want none", g.path, uint64(len(data))-at, last)
	}
	return nil
}
