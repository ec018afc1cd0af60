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

// randomWeights fills the plan's block of weights, on all cores.
func randomWeights(p *plan.Plan, seed uint64) ([]byte, func() error, error) {
	segments, total := p.Segments()
	b, err := unix.Mmap(-1, 0, int(total), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("%s for random weights: %w", runtime.Size(total), err)
	}
	work := make(chan plan.Segment)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range goruntime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range work {
				if err := randomSegment(b[s.Offset:s.Offset+s.Bytes], s, seed); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	for _, s := range segments {
		work <- s
	}
	close(work)
	wg.Wait()
	if first != nil {
		unix.Munmap(b)
		return nil, nil, first
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

func randomSegment(dst []byte, s plan.Segment, seed uint64) error {
	wrong := fmt.Errorf("plan: weight %s is %s in layout %s, of which no random one can be made", s.Name, s.Weight.Type, s.Weight.Layout)
	elem, rest, _ := strings.Cut(strings.TrimSuffix(s.Weight.Type, "]"), "[")
	f, ok := weights.FormatByName(elem)
	l, known := weights.LayoutByName(s.Weight.Layout)
	if !ok || !known {
		return wrong
	}
	rows, cols := 1, 1
	for d := range strings.SplitSeq(rest, ",") {
		n, err := strconv.Atoi(d)
		if err != nil || n < 1 || rows > plan.MaxBlob/n || rows*n > plan.MaxBlob {
			return wrong
		}
		rows, cols = rows*cols, n
	}
	if cols%f.Block != 0 || l.Bytes(f, rows, cols) != len(dst) {
		return wrong
	}
	return l.Pack(dst, f, rows, cols, func(i int) []byte {
		row := weights.Random(f, rows, cols, s.Name, i, seed)
		if f.Block == 1 && strings.HasPrefix(s.Weight.Expr, "-") { // -exp(A_log), which a recurrence's decay is made of: growth would overflow
			for j := f.Bytes - 1; j < len(row); j += f.Bytes {
				row[j] |= 0x80
			}
		}
		return row
	})
}
