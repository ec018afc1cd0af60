package engine

import (
	"fmt"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hipc/runtime"
	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// Randomize gives the artifact weights made of a seed, in the place of those that it has or lacks: what a machine needs that has
// no checkpoint, to measure speed, and to hold one device against another. spec is "random:SEED". The same seed gives the same bytes
// everywhere, of the plan alone; they aren't those of a compilation with the same seed.
func Randomize(a *runtime.Artifact, spec string) error {
	digits, ok := strings.CutPrefix(spec, "random:")
	seed, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("--weights %s: want random: and a seed, a whole number: random:1", spec)
	}
	a.Substitute(spec, func() ([]byte, func() error, error) { return randomWeights(a.Plan, seed) })
	return nil
}

// piece is about how much of a weight one core makes at once: two tables of a GiB would keep two cores at work when the others are done.
const piece = 16 << 20

// randomWeights fills the plan's block of weights, on all cores.
func randomWeights(p *plan.Plan, seed uint64) ([]byte, func() error, error) {
	segments, total := p.Segments()
	b, err := unix.Mmap(-1, 0, int(total), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("%s for random weights: %w", runtime.Size(total), err)
	}
	work := make(chan func() error)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range goruntime.GOMAXPROCS(0) {
		wg.Go(func() {
			for pack := range work {
				if err := pack(); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	for _, s := range segments {
		var w *randomWeight
		if w, err = newRandomWeight(s, seed); err != nil {
			break
		}
		groups := w.layout.Groups(w.rows)
		size := w.layout.GroupBytes(w.format, w.cols)
		for from, many := 0, max(1, piece/size); from < groups; from += many {
			to := min(groups, from+many)
			dst := b[s.Offset+int64(from*size) : s.Offset+int64(to*size)]
			work <- func() error { return w.layout.PackGroups(dst, w.format, w.rows, w.cols, w.row, from, to) }
		}
	}
	close(work)
	wg.Wait()
	if err != nil {
		first = err
	}
	if first != nil {
		unix.Munmap(b)
		return nil, nil, first
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

// A randomWeight is a segment's weight, made of a seed.
type randomWeight struct {
	plan.Segment
	format     weights.Format
	layout     weights.Layout
	rows, cols int
	seed       uint64
}

func newRandomWeight(s plan.Segment, seed uint64) (*randomWeight, error) {
	wrong := fmt.Errorf("plan: weight %s is %s in layout %s, of which no random one can be made", s.Name, s.Weight.Type, s.Weight.Layout)
	elem, rest, _ := strings.Cut(strings.TrimSuffix(s.Weight.Type, "]"), "[")
	f, ok := weights.FormatByName(elem)
	l, known := weights.LayoutByName(s.Weight.Layout)
	if !ok || !known {
		return nil, wrong
	}
	rows, cols := 1, 1
	for d := range strings.SplitSeq(rest, ",") {
		n, err := strconv.Atoi(d)
		if err != nil || n < 1 || rows > plan.MaxBlob/n || rows*n > plan.MaxBlob {
			return nil, wrong
		}
		rows, cols = rows*cols, n
	}
	if cols%f.Block != 0 || int64(l.Bytes(f, rows, cols)) != s.Bytes {
		return nil, wrong
	}
	return &randomWeight{s, f, l, rows, cols, seed}, nil
}

func (w *randomWeight) row(i int) []byte {
	row := weights.Random(w.format, w.rows, w.cols, w.Name, i, w.seed)
	if w.format.Block == 1 && strings.HasPrefix(w.Weight.Expr, "-") { // -exp(A_log), which a recurrence's decay is made of: growth would overflow
		for j := w.format.Bytes - 1; j < len(row); j += w.format.Bytes {
			row[j] |= 0x80
		}
	}
	return row
}
