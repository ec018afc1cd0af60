package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"hipc/compiler"
)

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

// A point is the launches of a bucket that are alike, the costliest numbered.
type point struct {
	X, Y, R                         float64
	Number                          int // 0: none
	Colour, Title                   string
	Prefill                         bool
	Bucket, Op, Bound               string
	Intensity, Rate, Most, OfMost   string
	Share                           string
	intensity, rate, most, fraction float64
}

// Side is a square's.
func (p point) Side() float64 { return 2 * p.R }

// numbered is how many points of a bucket have a number: the rest can be pointed at.
const numbered = 8

const roofLeft, roofTop, roofWidth, roofHeight = 90.0, 10.0, 900.0, 380.0

func roofline(e *compiler.Explanation) roof {
	r := roof{W: roofLeft + roofWidth + 20, H: roofTop + roofHeight + 45}
	m := e.Machine
	for i := range e.Buckets {
		if b := &e.Buckets[i]; b.Name == "decode_1" || b.Name == "prefill_512" {
			r.Points = append(r.Points, points(e, b)...)
		}
	}
	// Powers of ten about all points and the ridge.
	ridge := m.Flops / m.Peak
	lo, hi, low, high := ridge, ridge, m.Flops, m.Flops
	for _, p := range r.Points {
		lo, hi, low, high = min(lo, p.intensity), max(hi, p.intensity), min(low, p.rate), max(high, p.rate)
	}
	minX, maxX := math.Floor(math.Log10(lo)), math.Ceil(math.Log10(hi)+0.1)
	minY, maxY := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high)+0.1)
	x := func(v float64) float64 { return roofLeft + (math.Log10(v)-minX)/(maxX-minX)*roofWidth }
	y := func(v float64) float64 { return roofTop + (maxY-max(math.Log10(v), minY))/(maxY-minY)*roofHeight }
	for p := minX; p <= maxX; p++ {
		r.XTicks = append(r.XTicks, tick{x(math.Pow(10, p)), fmt.Sprintf("%g", math.Pow(10, p))})
	}
	for p := minY; p <= maxY; p++ {
		r.YTicks = append(r.YTicks, tick{y(math.Pow(10, p)), flops(math.Pow(10, p)) + "/s"})
	}
	from := max(math.Pow(10, minX), math.Pow(10, minY)/m.Peak) // where the slope comes into sight
	r.Line = fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f", x(from), y(from*m.Peak), x(ridge), y(m.Flops), x(math.Pow(10, maxX)), y(m.Flops))
	for i := range r.Points {
		p := &r.Points[i]
		p.X, p.Y = x(p.intensity), y(p.rate)
	}
	return r
}

// points are a bucket's launches that compute something, those with the same kernel on the same grid as one, the costliest first.
func points(e *compiler.Explanation, b *compiler.BucketExplanation) []point {
	var out []point
	at := map[string]int{}
	for _, s := range b.Steps {
		if s.Bytes == 0 || s.Ops == 0 || s.Time == 0 {
			continue
		}
		key := fmt.Sprint(s.Inst, s.Grid, s.Time)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			intensity := float64(s.Ops) / float64(s.Bytes)
			p := point{Op: Label(s.Op), Bucket: b.Name, Bound: s.Bound, Colour: colour(s.Bound), Prefill: b.Rows > 1, Title: s.From,
				intensity: intensity, rate: float64(s.Ops) / (float64(s.Time) * 1e-9), most: e.Machine.Roof(intensity)}
			out = append(out, p)
		}
		out[i].fraction += float64(s.Times*s.Time) * 1e-9 / b.Seconds
	}
	slices.SortStableFunc(out, func(p, q point) int { return cmp.Compare(q.fraction, p.fraction) })
	for i := range out {
		p := &out[i]
		if i < numbered {
			p.Number = i + 1
		}
		p.R = 4 + 14*math.Sqrt(p.fraction)
		p.Intensity, p.Rate, p.Most = fmt.Sprintf("%.3g", p.intensity), flops(p.rate)+"/s", flops(p.most)+"/s"
		p.OfMost, p.Share = fmt.Sprintf("%.0f", 100*p.rate/p.most), fmt.Sprintf("%.1f", 100*p.fraction)
		p.Title = fmt.Sprintf("%s: %s: %s operations a byte, %s of %s, %s %% of the time, bound by %s, %s", p.Bucket, p.Op, p.Intensity, p.Rate, p.Most, p.Share, p.Bound, p.Title)
	}
	return out
}

func flops(v float64) string {
	for _, u := range []struct {
		n    float64
		name string
	}{{1e15, "Pflop"}, {1e12, "Tflop"}, {1e9, "Gflop"}, {1e6, "Mflop"}} {
		if v >= u.n*0.9995 {
			return fmt.Sprintf("%.3g %s", v/u.n, u.name)
		}
	}
	return fmt.Sprintf("%.3g flop", v)
}
