package compiler

import (
	"math"
	"slices"
	"strings"

	"hipc/fusion"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// predict is what a launch of these nodes costs, and why it is one launch of these kernels.
func (p *placer) predict(launch []kernels.Step) plan.StepCost {
	end := max(p.context-p.bucket.rows(), 0)
	e, full := p.prices.Estimate(launch, 0), p.prices.Estimate(launch, end)
	cost := plan.StepCost{
		Time: nanoseconds(e.Seconds), Full: nanoseconds(full.Seconds), From: "predicted",
		Bound: string(e.Bound), Fill: int(math.Round(1000 * e.Fill)), Bytes: e.Bytes, Ops: e.Flops,
	}
	if e.Measured != nil {
		cost.From = e.Measured.String()
		m := p.prices.Machine // hipc diff holds it against launches that nobody has measured
		cost.Predicted = [2]int{nanoseconds(m.Estimate(launch, 0).Seconds), nanoseconds(m.Estimate(launch, end).Seconds)}
	}
	var ops, rows []string
	for _, s := range launch {
		ops, rows = append(ops, s.Node.Op.Name), append(rows, s.Choice.Kernel.Row())
	}
	cost.Op, cost.Row = strings.Join(ops, " | "), strings.Join(rows, " | ")
	return cost
}

func nanoseconds(seconds float64) int { return int(math.Round(1e9 * seconds)) }

// uses says per graph and rule what came of it: it fired, or it lost and by how much at the best of its places, or it lacks
// a kernel. It weighs every match.
func (b *bucketGraph) uses() []plan.RuleUse {
	var out []plan.RuleUse
	if b.report != nil {
		for _, r := range b.report.Graphs {
			out = append(out, usesIn(b.Name, r, "")...)
		}
	}
	return out
}

// usesIn is the same for one graph, and for one rule unless that is "": only what is asked for is weighed.
func usesIn(bucket string, r *fusion.Report, rule string) []plan.RuleUse {
	r.Weigh(rule)
	var out []plan.RuleUse
	add := func(e fusion.Event, outcome string, time func(old int) int) {
		if rule != "" && e.Rule != rule {
			return
		}
		i := slices.IndexFunc(out, func(u plan.RuleUse) bool { return u.Rule == e.Rule })
		if i < 0 {
			i = len(out)
			out = append(out, plan.RuleUse{Bucket: bucket, Part: r.Graph, Rule: e.Rule, Outcome: outcome, Time: -1, Why: whyLacking(e.Why)})
		}
		if u := &out[i]; u.Outcome == outcome {
			u.Count++
			u.Time = time(u.Time)
		}
	}
	for _, e := range r.Fired {
		saved := nanoseconds(e.Gain)
		if e.Gain > 600 {
			saved = 0 // nothing else could make it
		}
		add(e, "fired", func(old int) int { return max(old, 0) + max(saved, 0) })
	}
	for _, e := range r.Lost {
		dearer := max(nanoseconds(e.Gain), 0)
		add(e, "lost", func(old int) int {
			if old < 0 {
				return dearer
			}
			return min(old, dearer)
		})
	}
	for _, e := range r.Lacking {
		add(e, "lacking", func(int) int { return 0 })
	}
	return out
}

// whyLacking is what stands in the way of a kernel: "no kernel of X computes OP(…): matmul<…>: only where T == 1" without its first half,
// which the rule and the place say already.
func whyLacking(text string) string {
	if _, why, ok := strings.Cut(text, ": "); ok {
		text = why
	}
	return short(text)
}

// use is the same for one rule in one part.
func (b *bucketGraph) use(part, rule string) (plan.RuleUse, bool) {
	if b.report == nil {
		return plan.RuleUse{}, false
	}
	for _, r := range b.report.Graphs {
		if r.Graph != part {
			continue
		}
		for _, u := range usesIn(b.Name, r, rule) {
			return u, true
		}
	}
	return plan.RuleUse{}, false
}

// ownParts leaves out of a prediction what the folded plan p doesn't list: parts that a bucket takes from its base.
func ownParts(c *plan.Prediction, p *plan.Plan) {
	own := map[[2]string]bool{}
	for _, b := range p.Buckets {
		for _, part := range b.Parts {
			own[[2]string{b.Name, part.Name}] = true
		}
	}
	c.Steps = slices.DeleteFunc(c.Steps, func(s plan.StepCost) bool { return !own[[2]string{s.Bucket, s.Part}] })
	c.Rules = slices.DeleteFunc(c.Rules, func(r plan.RuleUse) bool { return !own[[2]string{r.Bucket, r.Part}] })
}
