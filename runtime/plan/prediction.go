package plan

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// PredictionName is the prediction's name in the artifact's folder.
const PredictionName = "prediction.tsv"

const (
	maxPrediction = 4 << 20
	maxLines      = 1 << 16
)

// A Prediction is prediction.tsv: what hipc believed about a plan when it wrote it, for people, for hipc diff and for
// comparing with a measurement. hiprun replays a plan without it, and the plan's digest doesn't depend on it: a better
// figure for a machine's bandwidth makes no other plan.
type Prediction struct {
	Target  string
	Machine string // the speeds that it reckons with: "960 GB/s of 960, 123 Tflop/s, 96 units, 4 µs a launch, 1 µs a last block"
	Steps   []StepCost
	Rules   []RuleUse
}

// A StepCost is what one step of the plan costs. Parts that a bucket takes from its base are listed there alone.
type StepCost struct {
	Bucket string
	Part   string
	Step   int // its place in the part
	Kernel string
	Time   int    // ns, with an empty context
	Full   int    // ns, with the plan's longest context before it
	From   string // "predicted", or "measured 2026-11-23 on NVIDIA H100"
	Bound  string // memory, matrix, latency or launch
	Fill   int    // thousandths of the machine that its blocks keep busy
	Bytes  int    // moved, with an empty context
	Ops    int
	Op     string // what it computes, an op or the rule that fired there, one per sibling with " | " between
	Row    string // of the registry, in the same way: "matmul<W, K, N, T, 8> where T == 1"
	// Predicted are Time and Full by prediction alone, where they are measured; zero: a hipc wrote it that didn't say.
	Predicted [2]int
}

// Measured says that Time and Full are no predictions.
func (s *StepCost) Measured() bool { return strings.HasPrefix(s.From, "measured") }

// A RuleUse is what came of a fuse rule in one part.
type RuleUse struct {
	Bucket  string
	Part    string
	Rule    string
	Outcome string // fired, lost or lacking
	Count   int
	Time    int    // ns: saved in all by those that fired; how much dearer the best of those that lost would be
	Why     string // of one that lacks a kernel: what is missing
}

// Write writes the table: first the machine, then the steps, then the rules.
func (p *Prediction) Write() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# What hipc believes that this plan costs. Times in ns: with an empty context, with the longest one.\n")
	b.WriteString("# machine\ttarget\tspeeds\n# step\tbucket\tpart\tstep\tkernel\ttime\tfull\tfrom\tbound\tfill\tbytes\tops\top\trow, and of a measured one\ttime\tfull, as predicted\n# rule\tbucket\tpart\trule\toutcome\tcount\ttime\twhy\n")
	line := func(fields ...any) error {
		for i, f := range fields {
			s := fmt.Sprint(f)
			if s == "" {
				s = "-"
			}
			if strings.ContainsAny(s, "\t\n\r") {
				return fmt.Errorf("%s: %q holds a tab or a line's end", PredictionName, s)
			}
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(s)
		}
		b.WriteByte('\n')
		return nil
	}
	err := line("machine", p.Target, p.Machine)
	for _, s := range p.Steps {
		if err == nil {
			fields := []any{"step", s.Bucket, s.Part, s.Step, s.Kernel, s.Time, s.Full, s.From, s.Bound, s.Fill, s.Bytes, s.Ops, s.Op, s.Row}
			if s.Predicted != [2]int{} {
				fields = append(fields, s.Predicted[0], s.Predicted[1])
			}
			err = line(fields...)
		}
	}
	for _, r := range p.Rules {
		if err == nil {
			err = line("rule", r.Bucket, r.Part, r.Rule, r.Outcome, r.Count, r.Time, r.Why)
		}
	}
	return b.Bytes(), err
}

// ReadPrediction reads prediction.tsv. It says nothing about whether the steps are those of a plan: Of does.
func ReadPrediction(src []byte) (*Prediction, error) {
	if len(src) > maxPrediction {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", PredictionName, len(src), maxPrediction)
	}
	p := &Prediction{}
	n := 0
	for text := range strings.Lines(string(src)) {
		if n++; n > maxLines {
			return nil, fmt.Errorf("%s: more than %d lines", PredictionName, maxLines)
		}
		if strings.HasPrefix(text, "#") {
			continue
		}
		r := row{fields: strings.Split(strings.TrimSuffix(text, "\n"), "\t")}
		switch kind := r.text(); kind {
		case "machine":
			p.Target, p.Machine = r.text(), r.text()
		case "step":
			s := StepCost{r.text(), r.text(), r.number(), r.text(), r.number(), r.number(), r.text(), r.text(), r.number(),
				r.number(), r.number(), r.text(), r.text(), [2]int{}}
			if len(r.fields) > 0 && s.Measured() {
				s.Predicted = [2]int{r.number(), r.number()}
			}
			p.Steps = append(p.Steps, s)
		case "rule":
			p.Rules = append(p.Rules, RuleUse{r.text(), r.text(), r.text(), r.text(), r.number(), r.number(), r.text()})
		default:
			r.err = fmt.Errorf("%q, want machine, step or rule", cut(kind))
		}
		if r.err == nil && len(r.fields) > 0 {
			r.err = fmt.Errorf("%d fields too many", len(r.fields))
		}
		if r.err != nil {
			return nil, fmt.Errorf("%s:%d: %w", PredictionName, n, r.err)
		}
	}
	if p.Target == "" {
		return nil, fmt.Errorf("%s names no machine", PredictionName)
	}
	return p, nil
}

// A row is what is left of a line.
type row struct {
	fields []string
	err    error
}

func (r *row) text() string {
	if len(r.fields) == 0 {
		if r.err == nil {
			r.err = fmt.Errorf("the line is too short")
		}
		return ""
	}
	s := r.fields[0]
	r.fields = r.fields[1:]
	if len(s) > MaxText || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.err = fmt.Errorf("%q is no printable text of at most %d bytes", cut(s), MaxText)
	}
	if s == "-" {
		return ""
	}
	return s
}

func (r *row) number() int {
	s := r.text()
	n, err := strconv.Atoi(s)
	if (err != nil || n < 0) && r.err == nil {
		r.err = fmt.Errorf("%q is no whole number", cut(s))
	}
	return n
}

// Of finds what a step costs, and whether the prediction speaks of that very step.
func (p *Prediction) Of(bucket, part string, step int, kernel string) (StepCost, bool) {
	if p == nil {
		return StepCost{}, false
	}
	for _, s := range p.Steps {
		if s.Bucket == bucket && s.Part == part && s.Step == step && s.Kernel == kernel {
			return s, true
		}
	}
	return StepCost{}, false
}

// Use finds what came of a rule in a part.
func (p *Prediction) Use(bucket, part, rule string) (RuleUse, bool) {
	if p == nil {
		return RuleUse{}, false
	}
	for _, r := range p.Rules {
		if r.Bucket == bucket && r.Part == part && r.Rule == rule {
			return r, true
		}
	}
	return RuleUse{}, false
}
