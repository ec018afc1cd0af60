package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An entry is a change with its costs on each target, by its name.
type entry struct {
	Change
	on map[string]Change
}

// entries puts the same changes of several targets together.
func (r *Report) entries(bucket string) []*entry {
	var out []*entry
	at := map[string]*entry{}
	for _, d := range r.both() {
		b := d.bucket(bucket)
		if b == nil {
			continue
		}
		for _, c := range b.Changes {
			k := fmt.Sprint(c.Times) + c.key()
			if at[k] == nil {
				at[k] = &entry{c, map[string]Change{}}
				out = append(out, at[k])
			}
			at[k].on[d.Target] = c
		}
	}
	return out
}

// delta is by how much a change moves the time, on the target where that's most.
func (e *entry) delta() int {
	most := 0
	for _, c := range e.on {
		d := 0
		for _, s := range c.B {
			d += s.time()
		}
		for _, s := range c.A {
			d -= s.time()
		}
		most = max(most, max(d, -d)*c.Times)
	}
	return most
}

func (s *Step) time() int {
	if s.Cost == nil {
		return 0
	}
	return s.Cost.Time
}

// mostRepriced is how many steps that only cost something else now are listed, the costliest first; the others are counted.
const mostRepriced = 5

// lines tells the changes of a bucket, aligned in columns.
func (r *Report) lines(name string) []string {
	var rows [][]string // cells, or one cell for a line that isn't aligned
	var repriced []*entry
	var last *entry
	header := []string{"", "", "", ""}
	for _, d := range r.both() {
		header = append(header, d.Target)
	}
	rows = append(rows, header)
	for _, e := range r.entries(name) {
		if e.Kind == Repriced {
			repriced = append(repriced, e)
			continue
		}
		rows = append(rows, r.rows(e, last)...)
		last = e
	}
	slices.SortStableFunc(repriced, func(a, b *entry) int { return cmp.Compare(b.delta(), a.delta()) })
	for i, e := range repriced {
		if i == mostRepriced {
			rows = append(rows, []string{fmt.Sprintf("  … %s more of another cost", plural(len(repriced)-i, "step"))})
			break
		}
		rows = append(rows, r.rows(e, nil)...)
	}
	unchanged := r.perTarget(func(d *Diff) string {
		if b := d.bucket(name); b != nil {
			return fmt.Sprint(b.Unchanged)
		}
		return "0"
	})
	return columns(append(rows, []string{"  " + unchanged + " launches unchanged"}))
}

// rows are the lines of one change: its steps, then the reasons, unless the change before has the same.
func (r *Report) rows(e, last *entry) [][]string {
	var out [][]string
	row := func(sign string, s *Step, cell func(c Change) string) {
		line := []string{sign, fmt.Sprintf("×%d", e.Times), s.label(), shorten(s.Weights)}
		for _, d := range r.both() {
			c, ok := e.on[d.Target]
			if !ok {
				line = append(line, "–")
				continue
			}
			line = append(line, cell(c))
		}
		out = append(out, line)
	}
	switch {
	case e.Kind == Layers:
		list, sign := e.A, "-"
		if len(e.A) == 0 {
			list, sign = e.B, "+"
		}
		s := Step{Op: fmt.Sprintf("%s: %s", e.Parts[0], plural(len(list), "step"))}
		row(sign, &s, func(c Change) string {
			t := 0
			for _, s := range append(c.A, c.B...) {
				t += s.time()
			}
			return micros(t)
		})
	case len(e.A) == 1 && len(e.B) == 1 && e.Kind != Replaced:
		row("~", &e.B[0], func(c Change) string { return costs(&c.A[0], &c.B[0]) })
	default:
		for i := range e.A {
			row("-", &e.A[i], func(c Change) string { return c.A[i].cost() })
		}
		for i := range e.B {
			row("+", &e.B[i], func(c Change) string { return c.B[i].cost() })
		}
	}
	switch {
	case last != nil && last.Kind == e.Kind && len(e.Reason) > 0 && slices.Equal(last.Reason, e.Reason):
		out = append(out, []string{"       " + string(e.Kind) + ": as above"})
	case e.Kind != Repriced && e.Kind != Layers || len(e.Reason) > 0:
		why := string(e.Kind)
		for i, s := range e.Reason {
			sep := "; "
			if i == 0 {
				sep = ": "
			}
			if utf8.RuneCountInString(lastLine(why))+len(s) > 120 && i > 0 {
				sep = ";\n         "
			}
			why += sep + s
		}
		for l := range strings.SplitSeq("       "+why, "\n") {
			out = append(out, []string{l})
		}
	}
	return out
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// label is what a step is called: its ops, with how many siblings are alike.
func (s *Step) label() string {
	var out []string
	list := strings.Split(s.Op, " | ")
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n] == list[i] {
			n++
		}
		name := list[i]
		if n > 1 {
			name = fmt.Sprintf("%s×%d", name, n)
		}
		out = append(out, name)
		i += n
	}
	return strings.Join(out, " | ")
}

// shorten is a list of weights that fits on a line.
func shorten(names []string) string {
	const most = 3
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(out[:most], " "), len(out)-most)
	}
	return strings.Join(out, " ")
}

func (s *Step) cost() string {
	if s.Cost == nil {
		return "?"
	}
	return fmt.Sprintf("%s %s%s", micros(s.Cost.Time), s.Cost.Bound, mark(s.Cost))
}

// costs is what a step costs before and after.
func costs(a, b *Step) string {
	if a.Cost == nil || b.Cost == nil {
		return span(a.cost(), b.cost())
	}
	if a.Cost.Time == b.Cost.Time && a.Cost.Full != b.Cost.Full {
		return fmt.Sprintf("%s → %s at the end of its context", micros(a.Cost.Full), micros(b.Cost.Full))
	}
	from := strings.TrimSuffix(micros(a.Cost.Time), " µs")
	to := strings.TrimSuffix(micros(b.Cost.Time), " µs")
	if a.Cost.measured() != b.Cost.measured() {
		return a.cost() + " → " + b.cost()
	}
	return fmt.Sprintf("%s µs %s%s", span(from, to), span(a.Cost.Bound, b.Cost.Bound), mark(b.Cost))
}

// mark marks a figure that is no prediction.
func mark(c *StepCost) string {
	if c.measured() {
		return " measured"
	}
	return ""
}

// columns pads cells so that they stand below each other.
func columns(rows [][]string) []string {
	var width []int
	for _, r := range rows {
		if len(r) == 1 {
			continue
		}
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var out []string
	for _, r := range rows {
		if len(r) == 1 {
			out = append(out, r[0])
			continue
		}
		var b strings.Builder
		for i, c := range r {
			b.WriteString(c)
			gap := 2
			if i == 0 {
				gap = 1
			}
			b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+gap))
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}
