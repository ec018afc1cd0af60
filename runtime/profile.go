package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hipc/runtime/plan"
)

// A StepTime says how long one launch of a replay took.
type StepTime struct {
	Step  *plan.Step
	Part  string
	Index int // of the step in the part
	Layer int // -1: the part runs once
	Time  time.Duration
	Bytes int64 // of weights read
}

// Time replays the bucket that makes one token greedily, and says how long each launch took. The sequence must have
// room; the token isn't kept, but a state that can't be rolled back has it: begin anew after it.
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
		return nil, m.lose(err)
	}
	var out []StepTime
	for _, run := range m.Plan.Runs(b.Bucket) {
		for i := range run.Part.Steps {
			s := StepTime{Step: &run.Part.Steps[i], Part: run.Part.Name, Index: i, Layer: run.Layer, Time: times[len(out)]}
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

// A KernelTime is what a kernel's launches took.
type KernelTime struct {
	Kernel, Inst string
	Grid         int
	Launches     int             // a token
	Times        []time.Duration // of each launch of each token that was timed, ascending
	Weights      int64           // bytes read by all launches of a token
	Predicted    plan.StepCost   // of a launch; no kernel: nothing is predicted
}

// Time is the median.
func (k *KernelTime) Time() time.Duration { return k.Times[len(k.Times)/2] }

// Spread is from the first quartile to the third.
func (k *KernelTime) Spread() time.Duration {
	return k.Times[3*len(k.Times)/4] - k.Times[len(k.Times)/4]
}

// A Profile is where a token's time goes.
type Profile struct {
	Token   time.Duration // of one of many that follow each other, nothing timed between
	Kernels []KernelTime  // in the order of the steps
	Machine string        // what the prediction reckons with; "": there is none
}

// Profile times each launch of repeat tokens after one that isn't counted. On a device that replays a graph, what the events around the launches
// cost is taken off: the same of each launch, as much as makes their sum the time of a token without events.
func (m *Model) Profile(ctx context.Context, repeat int) (*Profile, error) {
	if err := m.room(make([]int32, 2)); err != nil { // one that is timed, and the one before it
		return nil, fmt.Errorf("a token is timed behind another: %w", err)
	}
	p := &Profile{}
	var prediction *plan.Prediction
	if m.Has(plan.PredictionName) {
		src, err := m.File(plan.PredictionName)
		if err != nil {
			return nil, err
		}
		if prediction, err = plan.ReadPrediction(src); err != nil {
			return nil, err
		}
		p.Machine = prediction.Machine
	}
	b, err := m.bucket(greedy)
	if err != nil {
		return nil, err
	}
	var sum time.Duration
	launches := 0
	for i := range repeat + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		steps, err := m.Time(0)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			at := slices.IndexFunc(p.Kernels, func(k KernelTime) bool { return k.Kernel == s.Step.Kernel })
			if at < 0 {
				at = len(p.Kernels)
				k := KernelTime{Kernel: s.Step.Kernel, Inst: s.Step.Inst, Grid: s.Step.Grid}
				k.Predicted, _ = prediction.Of(b.Name, s.Part, s.Index, k.Kernel)
				p.Kernels = append(p.Kernels, k)
			}
			k := &p.Kernels[at]
			if i == 0 { // the run that isn't counted says what there is
				k.Launches++
				k.Weights += s.Bytes
				launches++
			} else {
				k.Times = append(k.Times, s.Time)
				sum += s.Time
			}
		}
	}
	if p.Token, err = m.token(repeat); err != nil {
		return nil, err
	}
	off := time.Duration(0)
	if _, ok := b.graph.(Queue); ok {
		off = max(0, (sum/time.Duration(repeat)-p.Token)/time.Duration(launches))
	}
	for _, k := range p.Kernels {
		slices.Sort(k.Times)
		for i := range k.Times {
			k.Times[i] = max(k.Times[i]-off, time.Nanosecond)
		}
	}
	return p, nil
}

// token is how long one token takes of some that follow the sequence, as many as there is room for (Profile has asked), n at most. They aren't kept, but a state
// that can't be rolled back has them.
func (m *Model) token(n int) (time.Duration, error) {
	n = min(n, m.context-len(m.ids)-1)
	begun, done := time.Time{}, 0
	ids := m.ids
	err := m.Decode(0, n+1, false, func(int32) bool {
		if done == 0 {
			begun = time.Now()
		}
		done++
		return true
	})
	m.ids = ids
	return time.Since(begun) / time.Duration(n), err
}
