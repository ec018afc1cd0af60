package runtime

import (
	"bytes"
	"fmt"
	"slices"
)

// twinRows is how many tokens of a bucket with many rows the check below runs.
const twinRows = 3

// twins holds each bucket's graph against the same launches made one by one, on a device where these are two things: drivers have been
// seen to run graphs of some hundred nodes with other operands than they were given. Both begin with the same state and the same
// tokens, so they must leave the same logits and the same choice, to the bit: no kernel's result depends on the order of its blocks.
// The sequence is empty again afterwards.
func (m *Model) twins() error {
	switch info := m.device.Info(); {
	case info.Err != nil:
		return m.lose(info.Err)
	case !info.Graphs:
		return nil
	}
	var buckets []*bucket
	for _, b := range m.buckets {
		if b != nil && !slices.Contains(buckets, b) {
			buckets = append(buckets, b)
		}
	}
	graph, err := m.trace(buckets, func(b *bucket) error { return b.graph.Replay() })
	if err != nil {
		return err
	}
	eager, err := m.trace(buckets, func(b *bucket) error { _, err := b.graph.Time(); return err })
	if err != nil {
		return err
	}
	for i, b := range buckets {
		if !bytes.Equal(graph[i], eager[i]) {
			return &DeviceError{fmt.Errorf("bucket %s gives one thing as a graph and another one launch by launch: the driver's graphs can't be trusted, run with --graph off", b.Name)}
		}
	}
	return nil
}

// trace runs buckets one after the other from an empty sequence, and gives what the host can read of each.
func (m *Model) trace(buckets []*bucket, run func(*bucket) error) (results [][]byte, err error) {
	if m.buckets[sampled] != nil {
		if err := m.Sample(Sampling{Temperature: 1, TopP: 1, Penalty: 1, Seed: 1}); err != nil {
			return nil, err
		}
	}
	for _, b := range buckets {
		n := min(b.Rows, twinRows, m.context-len(m.ids))
		if n < 1 {
			if _, err := m.Keep(nil); err != nil { // a context that is too short for all of them
				return nil, err
			}
			n = min(b.Rows, twinRows, m.context)
		}
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32((len(m.ids) + i) % m.Plan.Vocab)
		}
		if err := m.stage(ids); err != nil {
			return nil, err
		}
		if err := run(b); err != nil {
			return nil, m.lose(err)
		}
		m.ids = append(m.ids, ids...)
		got := make([]byte, 4*(min(n, b.Picks)*m.Plan.Vocab+1))
		if b.Picks > 0 {
			if err := m.device.Read(got[4:], b.logits); err != nil {
				return nil, m.lose(err)
			}
		}
		if b.Tail != "" {
			if err := m.device.Read(got[:4], b.next); err != nil {
				return nil, m.lose(err)
			}
		}
		results = append(results, got)
	}
	if m.buckets[sampled] != nil {
		if err := m.Sample(Sampling{}); err != nil {
			return nil, err
		}
	}
	_, err = m.Keep(nil)
	return results, err
}
