package review

import (
	"fmt"
	"io"
	"slices"
	"strings"
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
	if r.Source != "" {
		parts = append(parts, "kernels' sources differ")
	}
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

// HasBucket says whether a bucket of that name, "" or "all" can be told in full; if not, the error names those that can.
func (r *Report) HasBucket(name string) error {
	if names := r.bucketNames(); name != "" && name != "all" && !slices.Contains(names, name) {
		return fmt.Errorf("no bucket is called %s: there are %s, or all", name, strings.Join(names, ", "))
	}
	return nil
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

// perTarget joins what each target says, once if they agree; those that say nothing are left out. Between lists stands a semicolon.
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
	if slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, ", ") }) {
		return strings.Join(out, "; ")
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
	if !r.Same() {
		for _, u := range r.Unchecked {
			fmt.Fprintf(w, "the budget: %s\n", u)
		}
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
		if d.Reckoned != "" {
			fmt.Fprintf(w, "%s%s is reckoned with %s, as before, but otherwise: the cost model has changed (kernels/cost.go)\n", indent, d.Target, d.Reckoned)
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
		if len(b.A.From) > 0 && len(b.B.From) > 0 && !b.Unlike && percent(b.A.Full, b.B.Full) != percent(b.A.Time, b.B.Time) {
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
