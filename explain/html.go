package explain

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"hipc/compiler"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

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
		v.Phases = append(v.Phases, phase{Name: b.Name, Line: cost, Rows: rows(b), Rules: strings.TrimRight(b.Report.String(), "\n")})
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
	Name, Line, Rules string
	Rows              []tableRow
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
	X, W         float64
	Colour       string
	Label, Title string
}

const stripWidth = 1000.0

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
		w := p.total * float64(p.times) * 1e-9 / b.Seconds * stripWidth
		label := p.name
		if p.times > 1 {
			label = fmt.Sprintf("%s ×%d", p.name, p.times)
		}
		all.Segments = append(all.Segments, segment{X: x, W: w, Colour: pastel(i), Label: fit(label, w), Title: fmt.Sprintf("%s: %.1f µs each, %.1f %% of the token", label, p.total/1e3, 100*w/stripWidth)})
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
			w := float64(st.Time) / p.total * stripWidth
			s.Segments = append(s.Segments, segment{X: x, W: w, Colour: colour(st.Bound), Label: fit(Label(st.Op), w),
				Title: fmt.Sprintf("%s: %.1f µs %s, bound by %s, grid %d", Label(st.Op), float64(st.Time)/1e3, st.From, st.Bound, st.Grid)})
			x += w
		}
		out = append(out, s)
	}
	return out
}

// fit is as much of a label as a bar has room for.
func fit(label string, width float64) string {
	n := int((width - 8) / 6.7)
	if n < 3 {
		return ""
	}
	return cut(label, n)
}

func pastel(i int) string { return fmt.Sprintf("hsl(%d,55%%,82%%)", i*67%360) }

// A roof is the roofline: what the machine can do at most, by how many operations a byte is worth, and what each step does.
type roof struct {
	Line           string // a polyline
	XTicks, YTicks []tick
	Points         []point
	W, H           float64
}

type tick struct {
	At    float64
	Label string
}

type point struct {
	X, Y          float64
	R             float64
	Colour, Title string
	Prefill       bool
}

func roofline(e *compiler.Explanation) roof {
	const left, top, w, h = 70.0, 10.0, 900.0, 380.0
	r := roof{W: left + w + 20, H: top + h + 45}
	minX, maxX := -3.0, 4.0 // powers of ten of operations a byte
	maxY := math.Ceil(math.Log10(e.Machine.Flops))
	minY := maxY - 7
	x := func(v float64) float64 { return left + (min(max(math.Log10(v), minX), maxX)-minX)/(maxX-minX)*w }
	y := func(v float64) float64 { return top + (maxY-min(max(math.Log10(v), minY), maxY))/(maxY-minY)*h }
	for p := minX; p <= maxX; p++ {
		r.XTicks = append(r.XTicks, tick{x(math.Pow(10, p)), fmt.Sprintf("%g", math.Pow(10, p))})
	}
	for p := minY; p <= maxY; p++ {
		r.YTicks = append(r.YTicks, tick{y(math.Pow(10, p)), flops(math.Pow(10, p))})
	}
	m := e.Machine
	ridge := m.Flops / m.Bandwidth
	lo := math.Pow(10, minX)
	r.Line = fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f", x(lo), y(lo*m.Bandwidth), x(ridge), y(m.Flops), x(math.Pow(10, maxX)), y(m.Flops))
	for _, b := range e.Buckets {
		if b.Name != "decode_1" && b.Name != "prefill_512" {
			continue
		}
		for _, s := range b.Steps {
			if s.Bytes == 0 || s.Ops == 0 || s.Time == 0 {
				continue
			}
			intensity, rate := float64(s.Ops)/float64(s.Bytes), float64(s.Ops)/(float64(s.Time)*1e-9)
			share := float64(s.Times*s.Time) * 1e-9 / b.Seconds
			p := point{X: x(intensity), Y: y(rate), R: 3 + 9*math.Sqrt(share), Colour: colour(s.Bound), Prefill: b.Rows > 1,
				Title: fmt.Sprintf("%s %s: %s: %.3g operations a byte, %s/s of %s/s, %.1f %% of the time, bound by %s, %s", b.Name, s.Part, Label(s.Op), intensity, flops(rate),
					flops(min(m.Flops, intensity*m.Bandwidth)), 100*share, s.Bound, s.From)}
			if p.Prefill { // a square is drawn from its corner
				p.R *= 1.8
				p.X, p.Y = p.X-p.R/2, p.Y-p.R/2
			}
			r.Points = append(r.Points, p)
		}
	}
	return r
}

func flops(v float64) string {
	for _, u := range []struct {
		n    float64
		name string
	}{{1e15, "Pflop"}, {1e12, "Tflop"}, {1e9, "Gflop"}, {1e6, "Mflop"}} {
		if v >= u.n {
			return fmt.Sprintf("%.3g %s", v/u.n, u.name)
		}
	}
	return fmt.Sprintf("%.3g flop", v)
}
