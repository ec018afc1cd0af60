package review

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Verdict is the report in one line.
func (r *Report) Verdict() string {
	if r.Same() {
		return r.Model + ": nothing changes"
	}
	var parts []string
	first := r.both()[0]
	for _, s := range first.Plan {
		parts = append(parts, fmt.Sprintf("%s %s", s.Name, span(s.A, s.B)))
	}
	for _, d := range r.Targets {
		if d.Only != "" {
			parts = append(parts, fmt.Sprintf("%s only in %s", d.Target, map[string]string{"a": r.A, "b": r.B}[d.Only]))
		}
	}
	at := r.subject()
	label := strings.TrimSuffix(at, "_1")
	if what := r.perTarget(func(d *Diff) string { return d.kinds(at) }); what != "" {
		if at != "decode_1" {
			what = at + ": " + what
		}
		parts = append(parts, what)
	} else if len(parts) == 0 {
		parts = append(parts, "no step changes")
	}
	parts = append(parts, "launches "+r.launches(at))
	var times []string
	for _, d := range r.both() {
		if b := d.bucket(at); b != nil {
			times = append(times, b.time()+" "+d.Target)
		}
	}
	parts = append(parts, label+" "+strings.Join(times, ", "))
	parts = append(parts, "memory "+r.memory())
	return r.Model + ": " + strings.Join(parts, "; ")
}

// kinds counts a bucket's changes by kind.
func (d *Diff) kinds(bucket string) string {
	b := d.bucket(bucket)
	if b == nil {
		return ""
	}
	var out []string
	for _, k := range kinds {
		n := 0
		for _, c := range b.Changes {
			if c.Kind == k {
				n++
			}
		}
		if n > 0 {
			out = append(out, k.noun(n))
		}
	}
	return strings.Join(out, ", ")
}

// both are the targets that both sides have.
func (r *Report) both() []*Diff {
	var out []*Diff
	for _, d := range r.Targets {
		if d.Only == "" {
			out = append(out, d)
		}
	}
	return out
}

// subject is the bucket that the verdict is about: decode, unless only others change.
func (r *Report) subject() string {
	for _, name := range r.bucketNames() {
		if len(r.entries(name)) > 0 {
			return name
		}
	}
	return r.bucketNames()[0]
}

func (r *Report) bucketNames() []string {
	var out []string
	for _, d := range r.both() {
		for _, b := range d.Buckets {
			if !slices.Contains(out, b.Name) {
				out = append(out, b.Name)
			}
		}
	}
	return out
}

func (d *Diff) bucket(name string) *BucketDiff {
	for i := range d.Buckets {
		if d.Buckets[i].Name == name {
			return &d.Buckets[i]
		}
	}
	return nil
}

// perTarget joins what each target says, once if they agree; those that say nothing are left out.
func (r *Report) perTarget(f func(d *Diff) string) string {
	var said, out []string
	for _, d := range r.both() {
		s := f(d)
		said = append(said, s)
		if s != "" {
			out = append(out, s+" "+d.Target)
		}
	}
	if len(slices.Compact(slices.Clone(said))) == 1 {
		return said[0]
	}
	return strings.Join(out, ", ")
}

func (r *Report) launches(bucket string) string {
	return r.perTarget(func(d *Diff) string {
		b := d.bucket(bucket)
		if b == nil {
			return "none"
		}
		return span(fmt.Sprint(b.A.Launches), fmt.Sprint(b.B.Launches))
	})
}

func (r *Report) memory() string {
	return r.perTarget(func(d *Diff) string { return growth(d.Memory[1].Sum() - d.Memory[0].Sum()) })
}

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

// Text writes the report for a terminal: nothing if nothing differs. Which buckets are told in full: "" the first that changes,
// "all", or one by its name.
func (r *Report) Text(w io.Writer, bucket string) {
	if !r.Same() {
		fmt.Fprintln(w, r.Verdict())
		r.machines(w, "")
		for _, name := range r.bucketNames() {
			if len(r.entries(name)) > 0 && (bucket == "all" || bucket == name || bucket == "" && name == r.subject()) {
				fmt.Fprintf(w, "\n%s: %s\n", name, r.headline(name, true))
				for _, l := range r.lines(name) {
					fmt.Fprintln(w, strings.TrimRight(l, " "))
				}
			}
		}
		if rest := r.rest(bucket); len(rest) > 0 {
			fmt.Fprintln(w)
			for _, l := range rest {
				fmt.Fprintln(w, l)
			}
		}
	}
	for _, o := range r.Over {
		fmt.Fprintf(w, "over the budget: %s\n", o)
	}
	if r.Source != "" {
		fmt.Fprint(w, "\n"+r.Source)
	}
}

func (r *Report) machines(w io.Writer, indent string) {
	for _, d := range r.both() {
		if d.Machine != nil {
			fmt.Fprintf(w, "%s%s is reckoned with %s; before, with %s\n", indent, d.Target, d.Machine[1], d.Machine[0])
		}
	}
}

// headline is what a bucket costs, on each target, and if that is asked for what it costs with the longest context before it.
func (r *Report) headline(name string, full bool) string {
	var empty, long []string
	context := 0
	for _, d := range r.both() {
		b := d.bucket(name)
		if b == nil {
			continue
		}
		empty = append(empty, b.time()+" "+d.Target)
		if len(b.A.From) > 0 && len(b.B.From) > 0 && percent(b.A.Full, b.B.Full) != percent(b.A.Time, b.B.Time) {
			context = d.Context
			long = append(long, fmt.Sprintf("%s ms (%s) %s", span(millis(b.A.Full), millis(b.B.Full)), percent(b.A.Full, b.B.Full), d.Target))
		}
	}
	s := fmt.Sprintf("launches %s; %s", r.launches(name), strings.Join(empty, ", "))
	if full && len(long) > 0 {
		s += fmt.Sprintf("; at the end of a context of %d: %s", context, strings.Join(long, ", "))
	}
	return s
}

// rest is a line for each bucket that changes and isn't told in full.
func (r *Report) rest(bucket string) []string {
	var out []string
	for _, name := range r.bucketNames() {
		if bucket == "all" || bucket == name || bucket == "" && name == r.subject() {
			continue
		}
		if n := len(r.entries(name)); n > 0 {
			what := plural(n, "change")
			if like := r.like(name); like != "" {
				what = "as " + like
			}
			out = append(out, fmt.Sprintf("%s: %s; %s", name, what, r.headline(name, false)))
		}
	}
	return out
}

// like names an earlier bucket with the same changes.
func (r *Report) like(name string) string {
	keys := func(bucket string) (out []string) {
		for _, e := range r.entries(bucket) {
			out = append(out, fmt.Sprint(e.Times, e.key()))
		}
		return out
	}
	for _, earlier := range r.bucketNames() {
		if earlier == name {
			break
		}
		if slices.Equal(keys(earlier), keys(name)) {
			return earlier
		}
	}
	return ""
}

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
	return fmt.Sprintf("%s %s%s", micros(s.Cost.Time), s.Cost.Bound, measured(s.Cost))
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
	return fmt.Sprintf("%s µs %s%s", span(from, to), span(a.Cost.Bound, b.Cost.Bound), measured(b.Cost))
}

// measured marks a figure that is no prediction.
func measured(c *StepCost) string {
	if strings.HasPrefix(c.From, "measured") {
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
