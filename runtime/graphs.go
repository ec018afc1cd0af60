package runtime

import (
	"encoding/binary"
	"fmt"

	"hipc/runtime/plan"
)

// A role is what a bucket is good for. The plan doesn't say it: it follows from the bucket's shape and tail.
type role int

const (
	greedy  role = iota // one row, its logits, the likeliest token
	sampled             // one row, its logits, a drawn token
	prefill             // many rows, no logits
	score               // many rows, the logits of all
	roles
)

func (r role) String() string {
	return [...]string{"greedy decoding", "sampling", "prompts (rows without logits)", "scoring (logits of every row)"}[r]
}

func (r role) fits(b *plan.Bucket) bool {
	switch r {
	case greedy:
		return b.Rows == 1 && b.Picks == 1 && b.Tail == "argmax"
	case sampled:
		return b.Rows == 1 && b.Picks == 1 && b.Tail == "sample"
	case prefill:
		return b.Picks == 0 && b.Tail == ""
	}
	return b.Picks == b.Rows && b.Tail == ""
}

// A bucket is one of the plan's with its graph.
type bucket struct {
	*plan.Bucket
	graph  Graph
	logits Ptr // f32[Picks, V], where Picks isn't 0
	next   Ptr // i32, where there is a tail: the cell from which the next replay takes its token
}

// checkCells looks at the cells that the host writes: the plan may leave out what no kernel reads, but what's there has
// to hold what is written.
func (m *Model) checkCells() error {
	p := m.Plan
	segments, _ := p.CellSegments()
	m.cells = map[string]plan.Operand{}
	for _, s := range segments {
		m.cells[s.Name] = plan.Operand{Block: plan.Cells, Offset: s.Offset, Bytes: s.Bytes}
	}
	rows := 1
	for _, b := range p.Buckets {
		if b.Seqs != 1 {
			return fmt.Errorf("plan: bucket %s works on %d sequences, this program on one", b.Name, b.Seqs)
		}
		rows = max(rows, b.Rows)
	}
	for _, want := range []struct {
		name   string
		bytes  int64
		needed bool
	}{
		{"token", 4 * int64(rows), true}, {"pos", 4, true}, {"live", 4, rows > 1}, {"table", 4 * pages(p.Context, p.Page), false},
		{"params", 4 * 8, false}, {"rng", 8, false}, {"counts", 4 * int64(p.Vocab), false},
	} {
		c, ok := m.cells[want.name]
		if !ok && want.needed {
			return fmt.Errorf("plan: no cell %s", want.name)
		}
		if ok && c.Bytes < want.bytes {
			return fmt.Errorf("plan: cell %s has %d bytes, want %d", want.name, c.Bytes, want.bytes)
		}
	}
	m.scratch = make([]byte, 4*max(int64(rows), pages(p.Context, p.Page)))
	return nil
}

// record finds every operand's place and records a graph per bucket.
func (m *Model) record() error {
	p := m.Plan
	var err error
	if m.names, err = p.Names(); err != nil {
		return err
	}
	for i := range p.Buckets {
		b := &bucket{Bucket: &p.Buckets[i]}
		if err := m.results(b); err != nil {
			return fmt.Errorf("plan: bucket %s: %w", b.Name, err)
		}
		launches, err := m.launches(b)
		if err != nil {
			return fmt.Errorf("plan: bucket %s: %w", b.Name, err)
		}
		if b.graph, err = m.device.Record(m.code, launches); err != nil {
			return fmt.Errorf("bucket %s: %w", b.Name, err)
		}
		for r := range roles { // of several that fit, the one with the most rows
			if old := m.buckets[r]; r.fits(b.Bucket) && (old == nil || old.Rows < b.Rows) {
				m.buckets[r] = b
			}
		}
	}
	return m.identity()
}

func (m *Model) launches(b *bucket) ([]Launch, error) {
	var out []Launch
	for _, run := range m.Plan.Runs(b.Bucket) {
		for i := range run.Part.Steps {
			s := &run.Part.Steps[i]
			l := Launch{Kernel: s.Kernel, Grid: s.Grid, Block: s.Block, LDS: s.LDS}
			for _, names := range [][]string{s.In, s.Out, s.State} {
				for _, name := range names {
					o, ok := m.names.Find(b.Name, run.Part.Name, run.Layer, name)
					if !ok {
						return nil, fmt.Errorf("step %s: %q is no cell, weight, state or slot", s.Kernel, name)
					}
					l.Args = append(l.Args, m.at(o))
				}
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// at is an operand's place.
func (m *Model) at(o plan.Operand) Ptr {
	if o.Block == plan.States {
		o.Offset = m.states[o.Offset].Offset
	}
	return m.blocks[o.Block].Add(o.Offset)
}

// results finds what the host reads: the logits, a slot of the last part, and the token that the tail left.
func (m *Model) results(b *bucket) error {
	last := b.Parts[len(b.Parts)-1].Name
	find := func(name string, bytes int64) (Ptr, error) {
		o, ok := m.names.Find(b.Name, last, -1, name)
		if !ok || o.Block != plan.Slots && o.Block != plan.Cells {
			return 0, fmt.Errorf("part %s has no slot %s", last, name)
		}
		if o.Bytes < bytes {
			return 0, fmt.Errorf("%s has %d bytes, want %d", name, o.Bytes, bytes)
		}
		return m.at(o), nil
	}
	var err error
	if b.Picks > 0 {
		if b.logits, err = find("logits", 4*int64(b.Picks)*int64(m.Plan.Vocab)); err != nil {
			return err
		}
	}
	if b.Tail != "" {
		b.next, err = find("token", 4)
	}
	return err
}

// identity writes what stays as it is: one sequence has the pages in their order.
func (m *Model) identity() error {
	if _, ok := m.cells["table"]; !ok {
		return nil
	}
	n := pages(m.context, m.Plan.Page)
	for i := range n {
		binary.LittleEndian.PutUint32(m.scratch[4*i:], uint32(i))
	}
	return m.write("table", m.scratch[:4*n])
}

// write writes a cell, if the plan has it.
func (m *Model) write(cell string, b []byte) error {
	o, ok := m.cells[cell]
	if !ok {
		return nil
	}
	return m.device.Write(m.at(o), b)
}

func (m *Model) writeInt(cell string, v int) error {
	binary.LittleEndian.PutUint32(m.word[:], uint32(v))
	return m.write(cell, m.word[:4])
}

// bucket finds the one for a role. What begins with it ends here if the device has failed.
func (m *Model) bucket(r role) (*bucket, error) {
	if m.lost != nil {
		return nil, m.lost
	}
	if m.buckets[r] == nil {
		return nil, fmt.Errorf("%s: the plan has no bucket for %s: compile the model again", m.Dir, r)
	}
	return m.buckets[r], nil
}
