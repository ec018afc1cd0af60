// Package explain shows what the compiler made of a model: at a terminal (text.go), and as one page of HTML that needs nothing else, with the
// layers as graphs before and after fusion, where a token's time goes, and the roofline (html.go). It only draws what compiler.Explain found out.
package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"hipc/compiler"
)

// Text writes the explanation for a terminal; of one bucket, or of "all". A bucket that isn't there is an error.
func Text(out io.Writer, e *compiler.Explanation, bucket string) error {
	var names []string
	for _, b := range e.Buckets {
		names = append(names, b.Name)
	}
	if bucket != "all" && !slices.Contains(names, bucket) {
		return fmt.Errorf("no bucket is called %s: there are %s, or all", bucket, strings.Join(names, ", "))
	}
	fmt.Fprintf(out, "%s\n", head(e))
	if e.Note != "" {
		fmt.Fprintf(out, "  %s\n", e.Note)
	}
	fmt.Fprintf(out, "  a token: %d launches (%d unfused), %s moved, %s\n", e.LaunchesPerToken, e.UnfusedLaunches, Size(int64(e.BytesPerToken)), Ops(e.OpsPerToken))
	for _, b := range e.Buckets {
		fmt.Fprintf(out, "  %s\n", Phase(&b))
	}
	fmt.Fprintf(out, "  memory: weights %s, state %s a sequence (%s of KV a token), arena %s\n\n", Size(e.Weights), Size(e.State), Size(e.StatePerToken), Size(e.Arena))
	Formats(out, e.Formats)
	speeds(out, e.Speeds)
	for _, b := range e.Buckets {
		if bucket == "all" || b.Name == bucket {
			fmt.Fprintf(out, "\n%s\n", Phase(&b))
			steps(out, &b)
			fmt.Fprintf(out, "\n%s", b.Report)
		}
	}
	return nil
}

// head says what is explained.
func head(e *compiler.Explanation) string {
	s := fmt.Sprintf("%s for %s, context %d", e.Model, e.Target, e.Context)
	if e.Fuse != "" {
		s += ", --fuse=" + e.Fuse
	}
	return s
}

// Phase is what a bucket costs, in a line.
func Phase(b *compiler.BucketExplanation) string {
	s := fmt.Sprintf("%s: %s, %.2f ms %s", b.Name, plural(b.Cost.Steps, "launch", "es"), 1e3*b.Seconds, strings.Join(b.From, " and "))
	if b.Rows > 1 {
		s += fmt.Sprintf(", %.0f tokens a second", float64(b.Rows)/b.Seconds)
	}
	return s
}

// Formats is the table of what the weights are: the checkpoint's say, or the text's guess.
func Formats(out io.Writer, fs []compiler.FormatUse) {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "format\tlayout\ttensors\tvalues\tbytes\tbits a value\t")
	for _, f := range fs {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.3f M\t%s\t%.2f\t\n", f.Format, f.Layout, f.Tensors, float64(f.Values)/1e6, Size(f.Bytes), f.Bits)
	}
	w.Flush()
}

// speeds is the table of tokens a second.
func speeds(out io.Writer, list []compiler.Speed) {
	if len(list) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w)
	for i, s := range list {
		if i == 0 {
			fmt.Fprint(w, "tokens a second\t")
			for _, c := range longest(list).Context {
				fmt.Fprintf(w, "after %d\t", c)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\t", s.Target)
		for _, t := range s.Tokens {
			fmt.Fprintf(w, "%s\t", rate(t))
		}
		if s.Missing != "" {
			fmt.Fprint(w, "lacks a kernel\t")
		} else {
			fmt.Fprintf(w, "%s\t", strings.Join(s.From, " and "))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	for _, s := range list {
		if s.Missing != "" {
			fmt.Fprintf(out, "%s: %s\n", s.Target, cut(s.Missing, 180))
		}
	}
}

// longest is a row that has all columns.
func longest(list []compiler.Speed) compiler.Speed {
	most := list[0]
	for _, s := range list {
		if len(s.Context) > len(most.Context) {
			most = s
		}
	}
	return most
}

// steps is the table of a bucket's launches. Figures that aren't predicted say so.
func steps(out io.Writer, b *compiler.BucketExplanation) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "part\t×\tstep\tkernel\tbytes\tµs\t%\tbound by")
	for _, s := range b.Steps {
		measured := ""
		if strings.HasPrefix(s.From, "measured") {
			measured = ", " + s.From
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%.1f\t%.1f\t%s%s\n", s.Part, s.Times, Label(s.Op), cut(Label(s.Inst), 70), Size(int64(s.Bytes)), float64(s.Time)/1e3,
			100*float64(s.Times*s.Time)*1e-9/b.Seconds, s.Bound, measured)
	}
	w.Flush()
}

// Label is a list of siblings, equal ones counted: "matmul×3".
func Label(siblings string) string {
	var out []string
	list := strings.Split(siblings, " | ")
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n] == list[i] {
			n++
		}
		if n > 1 {
			out = append(out, fmt.Sprintf("%s×%d", list[i], n))
		} else {
			out = append(out, list[i])
		}
		i += n
	}
	return strings.Join(out, " | ")
}

func plural(n int, what, s string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %s%s", n, what, s)
}

// rate is a number of tokens a second.
func rate(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-2]) + " …"
}

// Size is a number of bytes.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// Ops is a number of floating-point operations.
func Ops(n int) string { return fmt.Sprintf("%.2f GFLOP", float64(n)/1e9) }
