package review

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// plural counts things: "1 step", "2 steps".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// millis is a bucket's time: "6.41 ms".
func millis(ns int) string {
	switch ms := float64(ns) / 1e6; {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.2f", ms)
	}
}

// percent is a change in per cent, "−5.3 %" or "±0 %".
func percent(a, b int) string {
	if a == 0 || a == b {
		return "±0 %"
	}
	p := 100 * (float64(b) - float64(a)) / float64(a)
	if math.Abs(p) < 0.05 {
		return "≈0 %"
	}
	return signed(p, "%.1f") + " %"
}

func signed(x float64, format string) string {
	if x < 0 {
		return "−" + fmt.Sprintf(format, -x)
	}
	return "+" + fmt.Sprintf(format, x)
}

// growth is a change of memory: "+0.2 MiB".
func growth(d int64) string {
	switch x := math.Abs(float64(d)); {
	case d == 0:
		return "±0"
	case x >= 1<<30:
		return signed(float64(d)/(1<<30), "%.2f") + " GiB"
	case x >= 1<<20/20:
		return signed(float64(d)/(1<<20), "%.1f") + " MiB"
	default:
		return signed(float64(d)/(1<<10), "%.1f") + " KiB"
	}
}

// span is two figures of which the second may be the same: "372 → 332", or "372".
func span(a, b string) string {
	if a == b {
		return b
	}
	return a + " → " + b
}

// known says where figures are from: "predicted", or "predicted and measured 2026-11-23 on …".
func known(a, b Total) string {
	from := slices.Clone(a.From)
	for _, f := range b.From {
		if !slices.Contains(from, f) {
			from = append(from, f)
		}
	}
	if n := a.Unknown + b.Unknown; n > 0 {
		from = append(from, "without "+plural(n, "launch")+" of unknown cost")
		from[len(from)-1] = strings.Replace(from[len(from)-1], "launchs", "launches", 1)
	}
	return strings.Join(from, " and ")
}

// time is what a bucket costs: "6.41 → 6.07 ms (−5.3 %, predicted)".
func (b *BucketDiff) time() string {
	if len(b.A.From)+len(b.B.From) == 0 {
		return "of unknown cost"
	}
	if b.A.Launches == 0 || b.B.Launches == 0 {
		return fmt.Sprintf("%s ms (%s)", millis(b.A.Time+b.B.Time), known(b.A, b.B))
	}
	if b.Unlike {
		return fmt.Sprintf("%s ms (not comparable: %s)", span(millis(b.A.Time), millis(b.B.Time)), known(b.A, b.B))
	}
	return fmt.Sprintf("%s ms (%s, %s)", span(millis(b.A.Time), millis(b.B.Time)), percent(b.A.Time, b.B.Time), known(b.A, b.B))
}

// noun is what a kind of change is called in a verdict, for n of them.
func (k Kind) noun(n int) string {
	switch k {
	case Retiled:
		return plural(n, "kernel") + " retiled"
	case Rebuilt:
		return plural(n, "kernel") + " compiled otherwise"
	case Layers:
		return plural(n, "part") + " in other layers"
	case Repriced:
		return plural(n, "step") + " of another cost"
	}
	return plural(n, "step") + " " + string(k)
}

// kinds are all of them, in the order of a verdict.
var kinds = []Kind{Fused, Split, Replaced, Added, Removed, Reformatted, Resized, Adjusted, Retiled, Layers, Moved, Rewired, Rebuilt, Repriced}
