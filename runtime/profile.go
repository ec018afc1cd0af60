package runtime

import (
	"context"
	"slices"
	"time"

	"hipc/runtime/plan"
)

// A StepTime says how long one launch of a replay took.
type StepTime struct {
	Step  *plan.Step
	Part  string
	Layer int // -1: the part runs once
	Time  time.Duration
	Bytes int64 // of weights read
}

// Time replays the bucket that makes one token greedily, and says how long each launch took. The sequence must have
// room; the token isn't kept.
func (m *Model) Time(id int32) ([]StepTime, error) {
	b, err := m.bucket(greedy)
	if err != nil {
		return nil, err
	}
	if err := m.stage([]int32{id}); err != nil {
		return nil, err
	}
	times, err := b.graph.Time()
	if err != nil {
		return nil, &DeviceError{err}
	}
	var out []StepTime
	for _, run := range m.Plan.Runs(b.Bucket) {
		for i := range run.Part.Steps {
			s := StepTime{Step: &run.Part.Steps[i], Part: run.Part.Name, Layer: run.Layer, Time: times[len(out)]}
			for _, name := range s.Step.In {
				if o, ok := m.names.Find(b.Name, run.Part.Name, run.Layer, name); ok && o.Block == plan.Weights {
					s.Bytes += o.Bytes
				}
			}
			if slices.Contains(s.Step.In, "token") {
				s.Bytes = 0 // an embedding reads a row of its weight, not all of it
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// A KernelTime sums up a kernel's launches in one token.
type KernelTime struct {
	Kernel   string
	Launches int
	Time     time.Duration // a token
	Bytes    int64         // of weights a token
}

// Profile times repeat tokens after one that isn't counted, and gives each kernel's mean, in the order of the steps.
func Profile(ctx context.Context, m *Model, repeat int) ([]KernelTime, error) {
	var sums []KernelTime
	for i := range repeat + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		steps, err := m.Time(0)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			at := slices.IndexFunc(sums, func(k KernelTime) bool { return k.Kernel == s.Step.Kernel })
			if at < 0 {
				at = len(sums)
				sums = append(sums, KernelTime{Kernel: s.Step.Kernel})
			}
			if i == 0 { // the run that isn't counted says what there is
				sums[at].Launches++
				sums[at].Bytes += s.Bytes
			} else {
				sums[at].Time += s.Time
			}
		}
	}
	for i := range sums {
		sums[i].Time /= time.Duration(repeat)
	}
	return sums, nil
}
