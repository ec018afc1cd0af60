package runtime

import (
	"encoding/binary"
	"fmt"
)

// Next appends one token and returns what follows it: the likeliest token.
func (m *Model) Next(id int32) (next int32, err error) {
	err = m.Decode(id, 1, false, func(id int32) bool { next = id; return true })
	return next, err
}

// Decode appends id, then the token that follows it, and so on: n tokens, or until each, which gets them one by one, says
// that it's enough. They are the likeliest ones, or drawn as Sample said.
//
// A replay leaves its token and its position where the next one finds them. So on a device with a queue the host is one
// replay behind: while it reads a token the next one is made already, and nothing is written to the device but id. What was
// begun when each had enough is waited for and kept: its input is a token that each has seen.
func (m *Model) Decode(id int32, n int, draw bool, each func(id int32) bool) error {
	r := greedy
	if draw {
		r = sampled
	}
	b, err := m.bucket(r)
	if err != nil || n < 1 {
		return err
	}
	if err := m.stage([]int32{id}); err != nil {
		return err
	}
	begin, result, ahead := b.graph.Replay, func() (int32, error) { return m.readInt(b.next) }, 1
	if q, ok := b.graph.(Queue); ok {
		begin, result, ahead = func() error { return q.Queue(b.next) }, q.Result, 2
	}
	var broken error
	for begun, done, more := 0, 0, true; done < begun || more && done < n; done++ {
		for more && begun < min(n, done+ahead) && len(m.ids)+begun-done < m.context {
			if err := begin(); err != nil {
				return m.lose(err)
			}
			begun++
		}
		if done == begun {
			return m.room([]int32{id}) // it's full
		}
		next, err := result()
		if err != nil {
			return m.lose(err)
		}
		if next < 0 || int(next) >= m.Plan.Vocab {
			broken, more = fmt.Errorf("%s: the model chose token %d of %d: its kernels are broken", m.Dir, next, m.Plan.Vocab), false
			continue // what is queued has to be fetched
		}
		m.ids = append(m.ids, id)
		id, more = next, more && each(next)
	}
	return broken
}

func (m *Model) readInt(from Ptr) (int32, error) {
	err := m.device.Read(m.word[:], from)
	return int32(binary.LittleEndian.Uint32(m.word[:])), err
}
