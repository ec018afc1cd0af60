package runtime

import (
	"fmt"

	"hipc/runtime/plan"
)

// A WalkStep is a step of a bucket that is about to run by itself, so that what it reads and what it leaves can be looked at.
type WalkStep struct {
	Bucket *plan.Bucket
	Part   *plan.Part
	Layer  int // -1: the part runs once
	Step   *plan.Step
	Rows   int // tokens that are live
	Pos    int // position of the first one

	model  *Model
	launch Launch
}

// Walk runs a bucket step by step for tokens that follow the sequence: each is told of every step, and lets it run.
func (m *Model) Walk(b *plan.Bucket, ids []int32, each func(*WalkStep) error) error {
	k := &bucket{Bucket: b}
	launches, err := m.launches(k)
	if err != nil {
		return err
	}
	if err := m.stage(ids); err != nil {
		return err
	}
	n := 0
	for _, run := range m.Plan.Runs(b) {
		for i := range run.Part.Steps {
			s := &WalkStep{b, run.Part, run.Layer, &run.Part.Steps[i], len(ids), len(m.ids), m, launches[n]}
			if n++; n > len(launches) {
				return fmt.Errorf("plan: bucket %s has %d launches", b.Name, len(launches))
			}
			if err := each(s); err != nil {
				return err
			}
		}
	}
	m.ids = append(m.ids, ids...)
	return nil
}

// Read reads what a name in the step stands for; false: it's no slot and no cell, or is smaller than b.
func (s *WalkStep) Read(name string, b []byte) (bool, error) {
	o, ok := s.model.names.Find(s.Bucket.Name, s.Part.Name, s.Layer, name)
	if !ok || o.Block != plan.Slots && o.Block != plan.Cells || o.Bytes < int64(len(b)) {
		return false, nil
	}
	if err := s.model.device.Read(b, s.model.at(o)); err != nil {
		return false, s.model.lose(err)
	}
	return true, nil
}

// Run runs the step.
func (s *WalkStep) Run() error {
	g, err := s.model.device.Record(s.model.code, []Launch{s.launch})
	if err != nil {
		return err
	}
	err = g.Replay()
	if e := g.Close(); err == nil {
		err = e
	}
	if err != nil {
		return s.model.lose(err)
	}
	return nil
}
