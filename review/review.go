// Package review says what a change does to a launch plan, for the person who reviews it.
//
// Open reads each of two things: an artifact or a folder of them, a model text, or either as it was in a git revision. All
// become Sides, one a target: a plan, what it costs, what the compiler made of its kernels, and their sources, as far as they
// are there. Artifacts are read as they were written, with the prediction of the hipc that wrote them, so that two of them show
// what a change of hipc itself does; model texts are planned by this hipc, for as many targets as are asked for.
//
// Compare aligns the two plans of a target (align.go): layers first, by the parts that they run, then the steps of each pair of parts.
// A step is what it launches and on which weights and states; names of blocks and buffers aren't part of it. A part that thirty layers
// run is compared once, and counts thirty times. What differs becomes Changes (change.go): steps that were fused or split,
// retiled, reformatted, resized, moved, or that merely cost something else now, each with its bound and the reason.
//
// Report renders that (text.go, table.go, markdown.go): a verdict in one line, then the changes, and what is unchanged as a number. A Budget
// (budget.go) says what is too dear.
package review

import (
	"hipc/runtime/plan"
)

// A Side is one plan of the two that are compared.
type Side struct {
	Name   string
	Target string
	Plan   *plan.Plan       // every bucket with all its parts
	Costs  *plan.Prediction // nil: the artifact has none
	// Use says what came of a rule in a part of a bucket.
	Use   func(bucket, part, rule string) (plan.RuleUse, bool)
	Facts Facts // of kernels.txt; nil: it has none
	// Sources are the kernels' source and its templates.
	Sources func() (map[string][]byte, error)
}

// A Report is all that differs between A and B.
type Report struct {
	A       string  `json:"a"`
	B       string  `json:"b"`
	Model   string  `json:"model"`
	Targets []*Diff `json:"targets"`
	// Over are the budget's rows that the change breaks, a sentence each.
	Over []string `json:"over_budget,omitempty"`
	// Unchecked are its limits that nothing can be said about.
	Unchecked []string `json:"budget_unchecked,omitempty"`
	// Source is the difference of the kernels' sources, where it was asked for.
	Source string `json:"source,omitempty"`
}

// A Diff is what differs on one target.
type Diff struct {
	Target  string    `json:"target"`
	Context int       `json:"context"`           // of B
	Plan    []Setting `json:"plan,omitempty"`    // layers, context and the like
	Machine []string  `json:"machine,omitempty"` // the speeds that each side reckons with, where they differ
	// Reckoned are the speeds that both reckon with, where the same step on the same machine costs something else nevertheless.
	Reckoned string       `json:"reckoned_otherwise,omitempty"`
	Buckets  []BucketDiff `json:"buckets"`
	Memory   [2]Memory    `json:"memory"`
	Only     string       `json:"only,omitempty"` // "a" or "b", where the other has no such target
}

// A Setting is a fact about a whole plan that differs.
type Setting struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Memory is what a plan takes, in bytes.
type Memory struct {
	Weights int64 `json:"weights"`
	State   int64 `json:"state"`
	Arena   int64 `json:"arena"`
}

// Sum is all of it.
func (m Memory) Sum() int64 { return m.Weights + m.State + m.Arena }

// A BucketDiff is what differs in one bucket.
type BucketDiff struct {
	Name      string   `json:"name"`
	A         Total    `json:"a"`
	B         Total    `json:"b"`
	Changes   []Change `json:"changes,omitempty"`
	Unchanged int      `json:"unchanged"` // launches of B
	// Unlike says that changed launches are measured on one side and predicted on the other, and that of a side not all predictions are known.
	Unlike bool `json:"unlike,omitempty"`
}

// A Total sums up a bucket.
type Total struct {
	Launches int      `json:"launches"`
	Time     int      `json:"ns"`                // of a replay with an empty context
	Full     int      `json:"ns_at_context"`     // with the longest one
	From     []string `json:"from,omitempty"`    // how the figures are known: "predicted", "measured 2026-11-23 on …"
	Unknown  int      `json:"unknown,omitempty"` // launches whose cost nobody has said
	Spills   *int     `json:"spills,omitempty"`  // of registers, in all kernels of the bucket, each once; nil: nothing is compiled
}

// A Kind says what a change is.
type Kind string

const (
	Fused       Kind = "fused"       // fewer launches do what more did
	Split       Kind = "split"       // the reverse
	Retiled     Kind = "retiled"     // another instance, grid or block of the same op on the same weights
	Reformatted Kind = "reformatted" // weights in another format or layout
	Resized     Kind = "resized"     // other dims
	Adjusted    Kind = "adjusted"    // another real number: an epsilon, a scale
	Replaced    Kind = "replaced"    // as many launches of other ops
	Added       Kind = "added"
	Removed     Kind = "removed"
	Moved       Kind = "moved"    // the same step elsewhere in its part
	Rewired     Kind = "rewired"  // the same step on other values
	Repriced    Kind = "repriced" // the same step: only its cost is another
	Layers      Kind = "layers"   // the same part for more or fewer layers
	Rebuilt     Kind = "rebuilt"  // the same step, whose code has other registers or spills
)

// A Change is steps of A that became steps of B, Times times.
type Change struct {
	Kind   Kind     `json:"kind"`
	Times  int      `json:"times"`
	Parts  []string `json:"parts"`
	A      []Step   `json:"a,omitempty"`
	B      []Step   `json:"b,omitempty"`
	Reason []string `json:"reason,omitempty"`
}

// A Step is a launch, as a report shows it.
type Step struct {
	Op      string    `json:"op"`
	Weights []string  `json:"weights,omitempty"`
	Inst    string    `json:"inst"`
	Grid    int       `json:"grid"`
	Block   int       `json:"block"`
	LDS     int       `json:"lds,omitempty"`
	Row     string    `json:"row,omitempty"`
	Cost    *StepCost `json:"cost,omitempty"`
	Fact    Fact      `json:"code,omitempty"`
	step    *plan.Step
	part    string
	bucket  string
	types   []string // of Weights
	layout  []string
}

// A StepCost is what one launch costs.
type StepCost struct {
	Time      int    `json:"ns"`
	Full      int    `json:"ns_at_context"`
	From      string `json:"from"`
	Bound     string `json:"bound"`
	bytes     int
	ops       int
	predicted [2]int // Time and Full by prediction alone; zero: unknown
}

// Same says that nothing differs; of the sources only if they were compared.
func (r *Report) Same() bool {
	if r.Source != "" {
		return false
	}
	for _, d := range r.Targets {
		if !d.Same() {
			return false
		}
	}
	return true
}

// Same says that nothing differs on the target.
func (d *Diff) Same() bool {
	if d.Only != "" || len(d.Plan) > 0 || len(d.Machine) > 0 || d.Memory[0] != d.Memory[1] {
		return false
	}
	for _, b := range d.Buckets {
		if len(b.Changes) > 0 {
			return false
		}
	}
	return true
}
