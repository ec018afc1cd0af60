package explain

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"hipc/compiler"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"rate": rate, "join": strings.Join}).Parse(pageText))

// HTML writes the explanation as one page: no script, no font, no picture from elsewhere, so that it opens without a network and may be
// attached to a pull request.
func HTML(w io.Writer, e *compiler.Explanation) error {
	v := view{Explanation: e, Bounds: bounds}
	for _, c := range longest(e.Speeds).Context {
		v.Contexts = append(v.Contexts, c)
	}
	for i := range e.Buckets {
		b := &e.Buckets[i]
		_, cost, _ := strings.Cut(Phase(b), ": ")
		v.Phases = append(v.Phases, phase{Name: b.Name, Line: cost, Rows: rows(b), Rules: rules(b), Layers: b.Report.Rotation()})
	}
	v.Timeline = timeline(&e.Buckets[0])
	v.Roofline = roofline(e)
	for _, b := range e.Bodies {
		v.Bodies = append(v.Bodies, pair(b))
	}
	v.Memory = fmt.Sprintf("weights %s, state %s a sequence (%s of KV a token), arena %s", Size(e.Weights), Size(e.State), Size(e.StatePerToken), Size(e.Arena))
	v.Token = fmt.Sprintf("%d launches (%d unfused), %s moved, %s", e.LaunchesPerToken, e.UnfusedLaunches, Size(int64(e.BytesPerToken)), Ops(e.OpsPerToken))
	return page.Execute(w, v)
}

type view struct {
	*compiler.Explanation
	Token, Memory string
	Contexts      []int
	Bounds        []boundColour
	Phases        []phase
	Timeline      []strip
	Roofline      roof
	Bodies        []bodyPair
}

type phase struct {
	Name, Line, Layers string
	Rows               []tableRow
	Rules              []ruleTable
}

// A ruleTable is what came of the rules in one graph.
type ruleTable struct {
	Title string
	Rows  []ruleRow
}

type ruleRow struct{ Rule, At, Outcome, Class string }

func rules(b *compiler.BucketExplanation) []ruleTable {
	var out []ruleTable
	for _, r := range b.Report.Graphs {
		title, _, _ := strings.Cut(r.String(), "\n")
		t := ruleTable{Title: title}
		for _, e := range r.Fired {
			t.Rows = append(t.Rows, ruleRow{e.Rule, e.At, e.Saves(), "fired"})
		}
		for _, e := range r.Nearest() {
			t.Rows = append(t.Rows, ruleRow{e.Rule, e.At, fmt.Sprintf("lost by %.1f µs%s", e.Gain*1e6, e.Why), "lost"})
		}
		for _, e := range r.Lacking {
			t.Rows = append(t.Rows, ruleRow{e.Rule, e.At, e.Why, "lacking"})
		}
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

type tableRow struct {
	Part, Op, Kernel, Bytes, Micros, Share, Bound, Colour, Row, From string
	Times                                                            int
}

type boundColour struct{ Name, Colour, Why string }

var bounds = []boundColour{
	{"memory", "#9ecae9", "bytes over the bandwidth"},
	{"matrix", "#c9b3e6", "operations over the peak"},
	{"latency", "#f2a3ad", "too few blocks to keep the machine busy"},
	{"launch", "#fbd38d", "the launch itself costs more than what it does"},
}

func colour(bound string) string {
	for _, b := range bounds {
		if b.Name == bound {
			return b.Colour
		}
	}
	return "#999"
}

func rows(b *compiler.BucketExplanation) []tableRow {
	var out []tableRow
	for _, s := range b.Steps {
		out = append(out, tableRow{
			Part: s.Part, Times: s.Times, Op: Label(s.Op), Kernel: Label(s.Inst), Bytes: Size(int64(s.Bytes)), Micros: fmt.Sprintf("%.1f", float64(s.Time)/1e3),
			Share: fmt.Sprintf("%.1f", 100*float64(s.Times*s.Time)*1e-9/b.Seconds), Bound: s.Bound, Colour: colour(s.Bound), Row: s.Row, From: s.From,
		})
	}
	return out
}

// A strip is a bar of the timeline: the whole token, or one part of it at its own scale.
type strip struct {
	Title    string
	Segments []segment
}

type segment struct {
	X, W         float64 // per cent
	Colour       string
	Label, Title string
}

// timeline is where a token's time goes: all parts in their order, then what each consists of.
func timeline(b *compiler.BucketExplanation) []strip {
	type part struct {
		name  string
		times int
		total float64
		steps []compiler.StepExplanation
	}
	var parts []part
	for _, s := range b.Steps {
		if n := len(parts); n == 0 || parts[n-1].name != s.Part {
			parts = append(parts, part{name: s.Part, times: s.Times})
		}
		p := &parts[len(parts)-1]
		p.steps = append(p.steps, s)
		p.total += float64(s.Time)
	}
	all := strip{Title: fmt.Sprintf("a token, %.2f ms: its parts", 1e3*b.Seconds)}
	x := 0.0
	for i, p := range parts {
		w := p.total * float64(p.times) * 1e-9 / b.Seconds * 100
		label := p.name
		if p.times > 1 {
			label = fmt.Sprintf("%s ×%d", p.name, p.times)
		}
		all.Segments = append(all.Segments, segment{X: x, W: w, Colour: pastel(i), Label: label, Title: fmt.Sprintf("%s: %.1f µs each, %.1f %% of the token", label, p.total/1e3, w)})
		x += w
	}
	out := []strip{all}
	for _, p := range parts {
		s := strip{Title: fmt.Sprintf("%s, %.1f µs", p.name, p.total/1e3)}
		if p.times > 1 {
			s.Title += fmt.Sprintf(", ×%d", p.times)
		}
		x := 0.0
		for _, st := range p.steps {
			w := float64(st.Time) / p.total * 100
			s.Segments = append(s.Segments, segment{X: x, W: w, Colour: colour(st.Bound), Label: Label(st.Op),
				Title: fmt.Sprintf("%s: %.1f µs %s, bound by %s, grid %d", Label(st.Op), float64(st.Time)/1e3, st.From, st.Bound, st.Grid)})
			x += w
		}
		out = append(out, s)
	}
	return out
}

func pastel(i int) string { return fmt.Sprintf("hsl(%d,55%%,82%%)", i*67%360) }
