package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"hipc/runtime/plan"
)

// Len is the number of tokens whose state is on the device.
func (m *Model) Len() int { return len(m.ids) }

// Keep goes back to the longest prefix that ids and the sequence share, and returns its length: what follows it in ids
// is to be fed. A state that can't be rolled back is kept whole or begun anew.
func (m *Model) Keep(ids []int32) (int, error) {
	if m.lost != nil {
		return 0, m.lost
	}
	n := 0
	for n < len(ids) && n < len(m.ids) && ids[n] == m.ids[n] {
		n++
	}
	if n < len(m.ids) {
		cleared, err := m.clear()
		if err != nil {
			return 0, err
		}
		if cleared {
			n = 0
		}
	}
	m.ids = m.ids[:n]
	return n, nil
}

// clear zeroes the states that are no KV cache, and says whether there are any.
func (m *Model) clear() (bool, error) {
	var zero []byte
	segments, _ := m.Plan.StateSegments()
	for _, s := range segments {
		if isKV(s.State) {
			continue
		}
		if zero == nil {
			zero = make([]byte, 1<<20)
		}
		at := m.at(plan.Operand{Block: plan.States, Offset: s.Offset})
		for n := int64(0); n < s.Bytes; n += int64(len(zero)) {
			if err := m.device.Write(at.Add(n), zero[:min(int64(len(zero)), s.Bytes-n)]); err != nil {
				return false, m.lose(err)
			}
		}
	}
	return zero != nil, nil
}

// A ContextError says that a sequence doesn't fit.
type ContextError struct{ Tokens, Context, Compiled int }

func (e *ContextError) Error() string {
	remedy := fmt.Sprintf("ask for more with --context, up to %d", e.Compiled)
	if e.Context >= e.Compiled {
		remedy = "it is the longest that the model was compiled for"
	}
	return fmt.Sprintf("%d tokens are more than the context of %d: %s", e.Tokens, e.Context, remedy)
}

// room refuses tokens that there are not, and those beyond the context.
func (m *Model) room(ids []int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= m.Plan.Vocab {
			return fmt.Errorf("token %d is %d, want 0 to %d", i, id, m.Plan.Vocab-1)
		}
	}
	if n := len(m.ids) + len(ids); n > m.context {
		return &ContextError{n, m.context, m.Plan.Context}
	}
	return nil
}

// stage writes the cells for tokens that follow the sequence.
func (m *Model) stage(ids []int32) error {
	if err := m.room(ids); err != nil {
		return err
	}
	for i, id := range ids {
		binary.LittleEndian.PutUint32(m.scratch[4*i:], uint32(id))
	}
	err := m.write("token", m.scratch[:4*len(ids)])
	if err == nil {
		err = m.writeInt("pos", len(m.ids))
	}
	if err == nil {
		err = m.writeInt("live", len(ids))
	}
	if err != nil {
		return m.lose(err)
	}
	return nil
}

// replay runs a bucket for tokens that follow the sequence, which then has them.
func (m *Model) replay(b *bucket, ids []int32) error {
	if err := m.stage(ids); err != nil {
		return err
	}
	if err := b.graph.Replay(); err != nil {
		return m.lose(err)
	}
	m.ids = append(m.ids, ids...)
	return nil
}

// Feed appends tokens to the sequence without asking what follows them. When ctx ends in between, what was fed stays.
func (m *Model) Feed(ctx context.Context, ids []int32) error {
	if err := m.room(ids); err != nil || len(ids) == 0 {
		return err
	}
	b, err := m.bucket(prefill)
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(ids), b.Rows)
		if err := m.replay(b, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// Sampling is how Draw chooses: filters in the order penalty, temperature, top-k, top-p, min-p.
type Sampling struct {
	Temperature float32 // 0: the likeliest
	TopK        int     // 0: all
	TopP        float32 // 1: all
	MinP        float32 // 0: all
	Penalty     float32 // of tokens that the context has already; 1: none
	Seed        uint64
	Context     []int32 // what counts as seen
}

// Sample sets how Draw chooses from now on.
func (m *Model) Sample(s Sampling) error {
	if _, err := m.bucket(sampled); err != nil {
		return err
	}
	params := make([]byte, 4*8)
	for i, v := range []float32{s.Temperature, float32(s.TopK), s.TopP, s.MinP, s.Penalty} {
		binary.LittleEndian.PutUint32(params[4*i:], math.Float32bits(v))
	}
	seen := make([]uint32, m.Plan.Vocab)
	for _, id := range s.Context {
		if id >= 0 && int(id) < len(seen) {
			seen[id]++
		}
	}
	counts := make([]byte, 0, 4*len(seen))
	for _, n := range seen {
		counts = binary.LittleEndian.AppendUint32(counts, n)
	}
	for _, c := range []struct {
		cell string
		b    []byte
	}{{"params", params}, {"counts", counts}, {"rng", binary.LittleEndian.AppendUint64(nil, s.Seed)}} {
		if err := m.write(c.cell, c.b); err != nil {
			return m.lose(err)
		}
	}
	return nil
}

// Logits appends tokens and hands out what the model expects after each: V logits a token, in order, in a slice that is
// good until each returns.
func (m *Model) Logits(ctx context.Context, ids []int32, each func(i int, logits []float32) error) error {
	if err := m.room(ids); err != nil {
		return err
	}
	b, err := m.bucket(score)
	if err != nil {
		return err
	}
	row := make([]float32, m.Plan.Vocab)
	for done := 0; done < len(ids); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(ids)-done, b.Rows)
		if err := m.replay(b, ids[done:done+n]); err != nil {
			return err
		}
		for i := range n {
			if err := m.readFloats(row, b.logits.Add(4*int64(i)*int64(len(row)))); err != nil {
				return err
			}
			if err := each(done+i, row); err != nil {
				return err
			}
		}
		done += n
	}
	return nil
}

// LastLogits gives what the last Next chose from.
func (m *Model) LastLogits() ([]float32, error) {
	b, err := m.bucket(greedy)
	if err != nil {
		return nil, err
	}
	row := make([]float32, m.Plan.Vocab)
	return row, m.readFloats(row, b.logits)
}

func (m *Model) readFloats(dst []float32, from Ptr) error {
	if m.row == nil {
		m.row = make([]byte, 4*m.Plan.Vocab)
	}
	if err := m.device.Read(m.row, from); err != nil {
		return m.lose(err)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(m.row[4*i:]))
	}
	return nil
}
