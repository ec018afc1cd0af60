package review

import (
	"slices"
	"strings"
)

// measured says that a cost is no prediction.
func (c *StepCost) measured() bool { return c != nil && strings.HasPrefix(c.From, "measured") }

// prediction is what was predicted of a step, measured or not; nil if that isn't known.
func (c *StepCost) prediction() *StepCost {
	switch {
	case !c.measured():
		return c
	case c.predicted == [2]int{}:
		return nil
	}
	return &StepCost{Time: c.predicted[0], Full: c.predicted[1], From: "predicted", Bound: c.Bound}
}

func (t *Total) count(c *StepCost, times int) {
	t.Launches += times
	if c == nil {
		t.Unknown += times
		return
	}
	t.Time += times * c.Time
	t.Full += times * c.Full
	if !slices.Contains(t.From, c.From) {
		t.From = append(t.From, c.From)
	}
}

// remeasured says that the figures of a step are of another origin now.
func (c *Change) remeasured() bool {
	x, y := c.A[0].Cost, c.B[0].Cost
	return x != nil && y != nil && x.From != y.From
}

// inexplicable says that a step costs something else for no reason that a plan or its prediction would say: whoever wrote one side reckons otherwise.
func (c *Change) inexplicable(sameContext bool) bool {
	if c.Kind != Repriced && c.Kind != Rebuilt {
		return false
	}
	x, y := c.A[0].Cost, c.B[0].Cost
	return x != nil && y != nil && x.From == y.From && x.bytes == y.bytes && x.ops == y.ops && (x.Time != y.Time || x.Full != y.Full && sameContext)
}

// alike says that the times of both sides can be held against each other: what isn't one step that became one of the same kind is all measured or
// all predicted. Else the difference would be for the most part that between measuring and predicting.
func (d *BucketDiff) alike() bool {
	var measured, predicted bool
	for _, c := range d.Changes {
		if len(c.A) == 1 && len(c.B) == 1 && c.A[0].Cost.measured() == c.B[0].Cost.measured() {
			continue
		}
		for _, list := range [][]Step{c.A, c.B} {
			for _, s := range list {
				if s.Cost.measured() {
					measured = true
				} else if s.Cost != nil {
					predicted = true
				}
			}
		}
	}
	return !measured || !predicted
}

// predict puts predictions in the place of measurements, in the totals and in what changes, if all are known. A step that merely is measured now, or was,
// keeps both figures: they are what there is to tell.
func (d *BucketDiff) predict(a, b Total) {
	if a.Unknown > d.A.Unknown || b.Unknown > d.B.Unknown {
		d.Unlike = true
		return
	}
	d.A, d.B = a, b
	for _, c := range d.Changes {
		if c.Kind == Repriced && c.remeasured() {
			continue
		}
		for _, list := range [][]Step{c.A, c.B} {
			for i := range list {
				list[i].Cost = list[i].Cost.prediction()
			}
		}
	}
}
