package review

import (
	"fmt"
	"io"
	"strings"
)

// unfolded is how many lines of a comment on a pull request stand open: a change of one rule fits, more is folded.
const unfolded = 25

// Markdown writes the report as a comment on a pull request: the verdict, a table with a column per target, the first bucket that changes
// if it fits, and the rest folded. It is nothing if nothing differs.
func (r *Report) Markdown(w io.Writer) {
	if r.Same() && len(r.Over) == 0 {
		return
	}
	var open []string
	say := func(format string, args ...any) { open = append(open, fmt.Sprintf(format, args...)) }
	for _, o := range r.Over {
		say("> - **Over the budget:** %s", escape(o))
	}
	for _, u := range r.Unchecked {
		say("> - The budget: %s", escape(u))
	}
	if len(r.Over)+len(r.Unchecked) > 0 {
		say("")
	}
	say("**%s**", escape(r.Verdict()))
	say("")
	say("| |%s", strings.Join(append(r.cells(func(d *Diff) string { return d.Target }), ""), "|"))
	say("|-|%s", strings.Join(append(r.cells(func(*Diff) string { return "-:" }), ""), "|"))
	for _, name := range r.bucketNames() {
		if name == r.subject() || len(r.entries(name)) > 0 {
			say("| %s |%s", name, strings.Join(append(r.cells(func(d *Diff) string {
				b := d.bucket(name)
				if b == nil {
					return "–"
				}
				return fmt.Sprintf("%s, %s launches", b.time(), span(fmt.Sprint(b.A.Launches), fmt.Sprint(b.B.Launches)))
			}), ""), "|"))
		}
	}
	say("| memory |%s", strings.Join(append(r.cells(func(d *Diff) string { return growth(d.Memory[1].Sum() - d.Memory[0].Sum()) }), ""), "|"))
	var machines strings.Builder
	r.machines(&machines, "")
	for l := range strings.Lines(machines.String()) {
		say("")
		say("%s", escape(strings.TrimSpace(l)))
	}
	var folded strings.Builder
	for _, name := range r.bucketNames() {
		if len(r.entries(name)) == 0 || r.like(name) != "" {
			continue
		}
		block := fence(r.lines(name))
		if name == r.subject() && len(open)+len(block)+1 <= unfolded {
			open = append(append(open, ""), block...)
			continue
		}
		fold(&folded, fmt.Sprintf("%s: %s", name, plural(len(r.entries(name)), "change")), block)
	}
	if r.Source != "" {
		fold(&folded, "kernel source", fence(lines(r.Source)))
	}
	fmt.Fprintln(w, strings.Join(open, "\n"))
	fmt.Fprint(w, folded.String())
}

func (r *Report) cells(f func(d *Diff) string) []string {
	var out []string
	for _, d := range r.both() {
		out = append(out, " "+escape(f(d))+" ")
	}
	return out
}

// fence is a block that is coloured as a diff. The fence is longer than any in the lines.
func fence(lines []string) []string {
	mark := "```"
	for _, l := range lines {
		for strings.Contains(l, mark) {
			mark += "`"
		}
	}
	out := []string{mark + "diff"}
	for _, l := range lines {
		if l = strings.TrimRight(l, " "); l != "" {
			out = append(out, strings.Replace(l, "~ ", "! ", 1)) // what GitHub colours
		}
	}
	return append(out, mark)
}

func fold(b *strings.Builder, summary string, block []string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n\n</details>\n", escape(summary), strings.Join(block, "\n"))
}

// escape keeps names of models and files from being markup.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "@", "@\u200b", "[", `\[`).Replace(s)
}
