package weights

import (
	"encoding/binary"
	"fmt"
)

// A reader takes little-endian numbers off a file's bytes. It never reads
// beyond them: the first failure is kept, and everything after it reads zeros.
type reader struct {
	path string
	b    []byte
	at   int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", r.path, fmt.Sprintf(format, args...))
	}
}

// left is the number of bytes not yet read.
func (r *reader) left() uint64 { return uint64(len(r.b) - r.at) }

// bytes gives a view of the next n bytes; what names them in the error.
func (r *reader) bytes(n uint64, what string) []byte {
	if r.err == nil && n > r.left() {
		r.fail("%s of %d bytes at byte %d, but the file ends at %d: it is cut short", what, n, r.at, len(r.b))
	}
	if r.err != nil {
		return nil
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32(what string) uint32 {
	if b := r.bytes(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64(what string) uint64 {
	if b := r.bytes(8, what); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// str gives a view of a string: its length (8 bytes), then that many bytes.
func (r *reader) str(limit uint64, what string) []byte {
	n := r.u64(what)
	if r.err == nil && n > limit {
		r.fail("%s of %d bytes at byte %d, want at most %d", what, n, r.at, limit)
	}
	return r.bytes(n, what)
}
