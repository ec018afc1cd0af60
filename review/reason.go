package review

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hipc/runtime/plan"
)

// because finds out why a change is there: which rule, which row of the registry, which format or dim.
func (c *Change) because(a, b *Side) {
	switch c.Kind {
	case Fused, Split, Replaced, Added, Removed:
		c.rules(a, b)
		c.shared()
	case Retiled, Resized, Adjusted, Reformatted, Rewired, Repriced:
		if c.Kind != Repriced {
			c.operands(&c.A[0], &c.B[0])
		}
		c.rows(&c.A[0], &c.B[0])
		if c.Kind == Adjusted || c.Kind == Resized || c.Kind == Retiled {
			c.arguments(&c.A[0], &c.B[0])
		}
		if c.Kind == Repriced && c.remeasured() {
			c.say("%s → %s", c.A[0].Cost.From, c.B[0].Cost.From)
		}
		if c.Kind == Repriced {
			c.work(c.A[0].Cost, c.B[0].Cost)
		}
	}
	if len(c.A) == 1 && len(c.B) == 1 && c.Kind != Rebuilt {
		c.Reason = append(c.Reason, c.A[0].Fact.differences(c.B[0].Fact)...)
	}
}

func (c *Change) say(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(c.Reason, s) {
		c.Reason = append(c.Reason, s)
	}
}

// ops are the ops of steps, siblings one by one.
func ops(list []Step) []string {
	var out []string
	for _, s := range list {
		out = append(out, strings.Split(s.Op, " | ")...)
	}
	return out
}

// rules names the fuse rules that only one side applies here, and says what the other side thinks of them.
func (c *Change) rules(a, b *Side) {
	x, y := ops(c.A), ops(c.B)
	for _, s := range c.B {
		for _, op := range strings.Split(s.Op, " | ") {
			if u, ok := b.use(&s, op); ok && u.Outcome == "fired" && !slices.Contains(x, op) {
				other, known := a.useAt(c.A, op)
				c.say("rule %s fires%s%s", op, saves(u), before(other, known))
			}
		}
	}
	for _, s := range c.A {
		for _, op := range strings.Split(s.Op, " | ") {
			if u, ok := a.use(&s, op); ok && u.Outcome == "fired" && !slices.Contains(y, op) {
				other, known := b.useAt(c.B, op)
				c.say("rule %s fires no more%s", op, now(other, known))
			}
		}
	}
}

func saves(u plan.RuleUse) string {
	if u.Time < 50 { // would be said to be 0.0 µs
		return ""
	}
	if u.Count > 1 {
		return fmt.Sprintf(", saves %s at %d places of the part", micros(u.Time), u.Count)
	}
	return ", saves " + micros(u.Time)
}

func before(u plan.RuleUse, known bool) string {
	switch {
	case !known:
		return "; before, it wasn't there or matched nothing"
	case u.Outcome == "lost" && u.Time < 50:
		return "; before, it saved nothing"
	case u.Outcome == "lost":
		return fmt.Sprintf("; before, it was %s too dear", micros(u.Time))
	case u.Outcome == "lacking":
		return "; before, it lacked a kernel"
	}
	return "" // it fired elsewhere in the part
}

func now(u plan.RuleUse, known bool) string {
	switch {
	case !known:
		return ": it isn't there or matches nothing"
	case u.Outcome == "lost" && u.Time < 50:
		return ": it saves nothing"
	case u.Outcome == "lost":
		return fmt.Sprintf(": it would be %s dearer", micros(u.Time))
	case u.Outcome == "lacking":
		return ": it lacks a kernel, " + u.Why
	}
	return " here; elsewhere in the part it does"
}

// use is what came of a rule where a step is; the part may be the base's.
func (s *Side) use(st *Step, rule string) (plan.RuleUse, bool) {
	if s.Use == nil {
		return plan.RuleUse{}, false
	}
	u, ok := s.Use(st.bucket, st.part, rule)
	for _, b := range s.Plan.Buckets {
		if ok {
			break
		}
		u, ok = s.Use(b.Name, st.part, rule)
	}
	return u, ok
}

// useAt is the same for the part that steps stand in.
func (s *Side) useAt(list []Step, rule string) (plan.RuleUse, bool) {
	if len(list) == 0 {
		return plan.RuleUse{}, false
	}
	return s.use(&list[0], rule)
}

// shared says that steps share a launch that did not, or the reverse.
func (c *Change) shared() {
	siblings := func(list []Step) int {
		n := 1 // a step alone has none
		for _, s := range list {
			n = max(n, strings.Count(s.Op, " | ")+1)
		}
		return n
	}
	switch n, m := siblings(c.A), siblings(c.B); {
	case m > n:
		c.say("%d siblings share a launch", m)
	case m < n:
		c.say("%d siblings shared a launch", n)
	}
}

// operands says which weights are others now.
func (c *Change) operands(a, b *Step) {
	if !slices.Equal(a.Weights, b.Weights) {
		c.say("reads %s instead of %s", list(b.Weights), list(a.Weights))
		return
	}
	for i, w := range b.Weights {
		x, y := a.types[i], b.types[i]
		f, _, _ := strings.Cut(x, "[")
		g, _, _ := strings.Cut(y, "[")
		switch {
		case strings.TrimPrefix(x, f) == strings.TrimPrefix(y, g) && f != g:
			c.say("%s %s → %s", w, f, g)
		case x != y:
			c.say("%s %s → %s", w, x, y)
		}
		if a.layout[i] != b.layout[i] {
			c.say("%s in layout %s → %s", w, a.layout[i], b.layout[i])
		}
	}
}

func list(names []string) string {
	if len(names) == 0 {
		return "no weight"
	}
	return strings.Join(names, ", ")
}

// rows says which row of the registry is taken now, and what its launch looks like.
func (c *Change) rows(a, b *Step) {
	if a.Row != b.Row && a.Row != "" && b.Row != "" {
		x, y := strings.Split(a.Row, " | "), strings.Split(b.Row, " | ")
		for i := range y {
			if i >= len(x) || x[i] != y[i] {
				old := ""
				if i < len(x) {
					old = x[i] + " → "
				}
				c.say("registry: %s%s", old, y[i])
			}
		}
	}
	var launch []string
	for _, f := range []struct {
		name string
		a, b int
	}{{"grid", a.Grid, b.Grid}, {"block", a.Block, b.Block}, {"LDS", a.LDS, b.LDS}} {
		if f.a != f.b {
			launch = append(launch, fmt.Sprintf("%s %d → %d", f.name, f.a, f.b))
		}
	}
	if launch != nil {
		c.say("%s", strings.Join(launch, ", "))
	}
}

// work says that a step is thought to do more or less than it was.
func (c *Change) work(a, b *StepCost) {
	switch {
	case a == nil || b == nil:
		c.say("its cost is known of one side alone")
	case a.bytes != b.bytes:
		c.say("bytes moved %d → %d", a.bytes, b.bytes)
	case a.ops != b.ops:
		c.say("operations %d → %d", a.ops, b.ops)
	}
}

func micros(ns int) string {
	if ns >= 1e6 {
		return fmt.Sprintf("%.0f µs", float64(ns)/1e3)
	}
	return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
}

// An argument is one of an instance, under the name that the registry's row has for it.
type argument struct{ name, value string }

// argumentsOf are those of a step, siblings after each other; nil if row and instance don't have as many.
func argumentsOf(s *Step) []argument {
	mark := func(r rune) bool { return strings.ContainsRune("<>, ", r) }
	marks := func(text string) string {
		return strings.Map(func(r rune) rune {
			if mark(r) {
				return r
			}
			return -1
		}, text)
	}
	var out []argument
	rows, insts := strings.Split(s.Row, " | "), strings.Split(s.Inst, " | ")
	if len(rows) != len(insts) {
		return nil
	}
	for i := range rows {
		row, _, _ := strings.Cut(rows[i], " where ")
		names, values := strings.FieldsFunc(row, mark), strings.FieldsFunc(insts[i], mark)
		if marks(row) != marks(insts[i]) || len(names) != len(values) {
			return nil
		}
		for k := range names {
			out = append(out, argument{names[k], values[k]})
		}
	}
	return out
}

// onlyNumbers says that real numbers are all that two instances of a row differ in.
func onlyNumbers(a, b *Step) bool {
	x, y := argumentsOf(a), argumentsOf(b)
	if x == nil || len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && (number(x[i].value) == "" || number(y[i].value) == "") {
			return false
		}
	}
	return true
}

// number is a real number that an instance names, as people write it: r1em05 is 1e-05, list8_… some numbers; "" if it names none.
func number(name string) string {
	if strings.HasPrefix(name, "list") {
		return "other numbers"
	}
	digits, ok := strings.CutPrefix(name, "r")
	if digits = strings.NewReplacer("m", "-", "p", ".").Replace(digits); !ok {
		return ""
	}
	if _, err := strconv.ParseFloat(digits, 64); err != nil {
		return ""
	}
	return digits
}

// arguments says which arguments of the template are others now: what no weight's type says.
func (c *Change) arguments(a, b *Step) {
	x, y := argumentsOf(a), argumentsOf(b)
	if x == nil || len(x) != len(y) {
		return
	}
	for i := range x {
		if x[i].name != y[i].name || x[i].value == y[i].value {
			continue
		}
		v, w := x[i].value, y[i].value
		if r, s := number(v), number(w); r != "" && s != "" {
			v, w = r, s
		} else if !slices.Equal(a.types, b.types) {
			continue // the weights' dims are told already
		}
		c.say("%s %s", x[i].name, span(v, w))
	}
}
