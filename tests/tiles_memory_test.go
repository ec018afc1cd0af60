package tests

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"hipc/ir"
	"hipc/runtime/weights"
)

// periodGroups are the groups of rows after which a large weight repeats itself: more than a tile has, and as many as make whole pages.
const periodGroups = 64

// largeWeights keeps random beginnings of weights by format and width.
type largeWeights struct {
	sync.Mutex
	begun map[string][]byte
}

// make makes a weight of any size: what is beyond periodGroups is the same memory again, so that the gigabytes of a head or of 256 experts take none.
// free gives the addresses back.
func (l *largeWeights) make(t ir.Type, layout string) (w *packedWeight, free func(), err error) {
	f, ok := weights.FormatByName(string(t.Elem))
	x, known := weights.LayoutByName(layout)
	if !ok || !known {
		return nil, nil, fmt.Errorf("no format %s or layout %s", t.Elem, layout)
	}
	w = &packedWeight{format: f, layout: x, rows: t.Lead(), cols: t.Last()}
	groups := min(x.Groups(w.rows), periodGroups)
	head, err := l.begin(w, groups)
	if err != nil {
		return nil, nil, err
	}
	if groups < periodGroups || groups == x.Groups(w.rows) {
		w.bytes = head[:x.Bytes(f, w.rows, w.cols)]
		return w, func() {}, nil
	}
	w.bytes, free, err = repeated(head, x.Bytes(f, w.rows, w.cols))
	return w, free, err
}

func (l *largeWeights) begin(w *packedWeight, groups int) ([]byte, error) {
	l.Lock()
	defer l.Unlock()
	key := fmt.Sprint(w.format.Name, w.layout.Name, w.cols, groups, w.rows < groups*w.layout.Group)
	if b := l.begun[key]; b != nil {
		return b, nil
	}
	r := rand.New(rand.NewPCG(uint64(w.cols), uint64(groups)))
	rows := min(w.rows, groups*w.layout.Group)
	b := make([]byte, w.layout.Bytes(w.format, rows, w.cols))
	var wrong error
	err := w.layout.Pack(b, w.format, rows, w.cols, func(int) []byte {
		row, err := randomRow(w.format, w.cols, r)
		if err != nil {
			wrong = err
		}
		return row
	})
	if wrong != nil {
		err = wrong
	}
	if l.begun == nil {
		l.begun = map[string][]byte{}
	}
	l.begun[key] = b
	return b, err
}

// repeated maps head over and over, up to size bytes.
func repeated(head []byte, size int) (b []byte, free func(), err error) {
	if len(head)%unix.Getpagesize() != 0 {
		return nil, nil, fmt.Errorf("%d bytes of a weight's rows aren't whole pages", len(head))
	}
	fd, err := unix.MemfdCreate("weight", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	for at := 0; at < len(head); {
		n, err := unix.Pwrite(fd, head[at:], int64(at))
		if err != nil {
			return nil, nil, err
		}
		at += n
	}
	if b, err = unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE); err != nil {
		return nil, nil, err
	}
	free = func() { unix.Munmap(b) }
	for at := 0; at < size; at += len(head) {
		n := min(len(head), size-at)
		if _, err := unix.MmapPtr(fd, 0, unsafe.Pointer(&b[at]), uintptr(n), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
			free()
			return nil, nil, err
		}
	}
	return b, free, nil
}

// A rowsOf is a weight of which only some rows are known, in an order of its own.
type rowsOf struct {
	ir.Matrix
	row func(i int) int
}

func (m rowsOf) Row(i int, dst []float32) { m.Matrix.Row(m.row(i), dst) }
