package weights

import (
	"encoding/binary"
	"fmt"
)

// A Layout says where the bytes of a packed weight lie. Layouts are comparable
// with ==. Packing moves bytes and changes no value.
//
// A weight of rows × cols is cut into groups of Group rows; the last group is
// filled up with rows of zero bytes, which have the value 0 in every format.
// Groups follow each other.
type Layout struct {
	Name  string
	Group int // rows a group
	*mover
}

// A mover takes one row into or out of its group. group has the group's bytes,
// row the stored bytes of one row, r is the row's place in the group.
type mover struct {
	put, get func(f Format, group, row []byte, r int)
}

// layouts is the table of all layouts.
//
// "rows" is row-major, as stored.
//
// "x16" lets a vector of 16 lanes hold 16 rows. Along K, block by block, each
// element of the block is there for 16 rows before the next element comes. A
// block of 32 nibbles becomes four sub-blocks of 16 little-endian uint32, one
// a row, of which nibble i is the value k+i, k = 0, 8, 16, 24. Bytes a block:
// q4_1 32 (d) + 32 (m) + 4*64; q4_0 32 + 4*64; q8_0 32 + 32*16; f16 and bf16
// 32 a value; f32 64 a value.
var layouts = []Layout{
	{"rows", 1, &mover{putRow, getRow}},
	{"x16", 16, &mover{putLanes, getLanes}},
}

// LayoutByName finds a layout by its name, such as "x16".
func LayoutByName(name string) (Layout, bool) {
	for _, l := range layouts {
		if l.Name == name {
			return l, true
		}
	}
	return Layout{}, false
}

// LayoutNames lists the layouts, in the table's order.
func LayoutNames() []string {
	names := make([]string, len(layouts))
	for i, l := range layouts {
		names[i] = l.Name
	}
	return names
}

func (l Layout) String() string { return l.Name }

// Groups is the number of row groups of a weight.
func (l Layout) Groups(rows int) int { return (rows + l.Group - 1) / l.Group }

// GroupBytes is the packed size of one group of rows.
func (l Layout) GroupBytes(f Format, cols int) int { return l.Group * f.RowBytes(cols) }

// Bytes is the packed size of a weight of rows × cols.
func (l Layout) Bytes(f Format, rows, cols int) int {
	return l.Groups(rows) * l.GroupBytes(f, cols)
}

// Pack lays a weight out in dst, which has Bytes(f, rows, cols) bytes. raw(i)
// gives the stored bytes of row i; it is called once a row, in order.
func (l Layout) Pack(dst []byte, f Format, rows, cols int, raw func(i int) []byte) error {
	return l.PackGroups(dst, f, rows, cols, raw, 0, l.Groups(rows))
}

// PackGroups lays out the groups [from, to) alone, so that several goroutines
// may pack one weight. dst holds those groups and nothing else:
// (to-from)*GroupBytes(f, cols) bytes.
func (l Layout) PackGroups(dst []byte, f Format, rows, cols int, raw func(i int) []byte, from, to int) error {
	if rows < 0 || cols < 0 || cols%f.Block != 0 {
		return fmt.Errorf("layout %s: a weight of %d x %d in %s, want whole blocks of %d values a row", l.Name, rows, cols, f.Name, f.Block)
	}
	if from < 0 || to < from || to > l.Groups(rows) {
		return fmt.Errorf("layout %s: groups %d to %d, want them within the weight's %d", l.Name, from, to, l.Groups(rows))
	}
	size, want := l.GroupBytes(f, cols), f.RowBytes(cols)
	if len(dst) != (to-from)*size {
		return fmt.Errorf("layout %s: room of %d bytes for %d groups of %d bytes, want %d", l.Name, len(dst), to-from, size, (to-from)*size)
	}
	for g := from; g < to; g++ {
		group := dst[(g-from)*size:][:size]
		for r := range l.Group {
			i := g*l.Group + r
			if i >= rows { // the rest is padding; only the last group has any
				zero := make([]byte, want)
				l.put(f, group, zero, r)
				continue
			}
			row := raw(i)
			if len(row) != want {
				return fmt.Errorf("layout %s: row %d has %d bytes, want %d for %d values in %s", l.Name, i, len(row), want, cols, f.Name)
			}
			l.put(f, group, row, r)
		}
	}
	return nil
}

// Unpack gives the stored bytes of row i back; row has f.RowBytes(cols) bytes.
func (l Layout) Unpack(row, packed []byte, f Format, rows, cols, i int) {
	if i < 0 || i >= rows || len(packed) != l.Bytes(f, rows, cols) || len(row) != f.RowBytes(cols) {
		panic(fmt.Sprintf("layout %s: row %d of %d x %d in %s from %d bytes into %d", l.Name, i, rows, cols, f.Name, len(packed), len(row)))
	}
	size := l.GroupBytes(f, cols)
	l.get(f, packed[i/l.Group*size:][:size], row, i%l.Group)
}

// Row gives the values of row i of a packed weight: dst has cols values. It
// panics if the format has no values of its own.
func (l Layout) Row(packed []byte, f Format, rows, cols, i int, dst []float32) {
	row := make([]byte, f.RowBytes(cols))
	l.Unpack(row, packed, f, rows, cols, i)
	if err := f.Decode(dst, row); err != nil {
		panic("layout " + l.Name + ": " + err.Error())
	}
}

func putRow(_ Format, group, row []byte, _ int) { copy(group, row) }
func getRow(_ Format, group, row []byte, _ int) { copy(row, group) }

// lanes is the number of rows that x16 interleaves.
const lanes = 16

// putLanes writes row r of a group of x16. Within a block the part that starts
// at byte o of a stored block starts at lanes*o of the packed one. The loops
// over blocks are innermost: a group's row is short enough for the cache.
func putLanes(f Format, group, row []byte, r int) {
	o := 0
	for _, p := range f.parts {
		switch p.width {
		case 0:
			for s, d := o, lanes*o+4*r; s < len(row); s, d = s+f.Bytes, d+lanes*f.Bytes {
				a, b := binary.LittleEndian.Uint64(row[s:]), binary.LittleEndian.Uint64(row[s+8:])
				binary.LittleEndian.PutUint32(group[d:], lowNibbles(a))
				binary.LittleEndian.PutUint32(group[d+64:], lowNibbles(b))
				binary.LittleEndian.PutUint32(group[d+128:], lowNibbles(a>>4))
				binary.LittleEndian.PutUint32(group[d+192:], lowNibbles(b>>4))
			}
			o += p.count
		case 1:
			for s, d := o, lanes*o+r; s < len(row); s, d = s+f.Bytes, d+lanes*f.Bytes {
				to := group[d : d+lanes*(p.count-1)+1]
				for j, v := range row[s : s+p.count] {
					to[lanes*j] = v
				}
			}
			o += p.count
		case 2:
			for s, d := o, lanes*o+2*r; s < len(row); s, d = s+f.Bytes, d+lanes*f.Bytes {
				for j := range p.count {
					binary.LittleEndian.PutUint16(group[d+2*lanes*j:], binary.LittleEndian.Uint16(row[s+2*j:]))
				}
			}
			o += 2 * p.count
		default:
			w := p.width
			for s, d := o, lanes*o+w*r; s < len(row); s, d = s+f.Bytes, d+lanes*f.Bytes {
				for j := range p.count {
					copy(group[d+lanes*w*j:][:w], row[s+w*j:])
				}
			}
			o += w * p.count
		}
	}
}

// getLanes is the inverse of putLanes, written for plainness: the oracle reads
// through it.
func getLanes(f Format, group, row []byte, r int) {
	o := 0
	for _, p := range f.parts {
		for s := o; s < len(row); s += f.Bytes {
			d := lanes * s // everything is lanes times as far apart
			if p.width == 0 {
				for j := range p.count {
					row[s+j] = nibble(group[d:], r, j) | nibble(group[d:], r, j+p.count)<<4
				}
				continue
			}
			for j := range p.count {
				copy(row[s+p.width*j:][:p.width], group[d+p.width*(lanes*j+r):])
			}
		}
		o += max(p.width, 1) * p.count
	}
}

// nibble is value k of row r in a part of 32 packed nibbles.
func nibble(part []byte, r, k int) byte {
	return byte(binary.LittleEndian.Uint32(part[64*(k/8)+4*r:]) >> (4 * (k % 8)) & 15)
}

// lowNibbles gathers the low nibbles of eight bytes, the first lowest.
func lowNibbles(x uint64) uint32 {
	x &= 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}
