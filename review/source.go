package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compareSources is the difference of what the compiler of a target reads: the kernels' instances and the templates, in the form
// that patch takes.
func compareSources(a, b *Side) (string, error) {
	x, err := a.Sources()
	if err != nil {
		return "", err
	}
	y, err := b.Sources()
	if err != nil {
		return "", err
	}
	names := slices.Sorted(maps.Keys(x))
	for n := range y {
		if _, ok := x[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var out strings.Builder
	for _, n := range names {
		unified(&out, n, string(x[n]), string(y[n]))
	}
	return out.String(), nil
}

// around is how many unchanged lines stand about a change.
const around = 3

// unified writes the difference of two texts.
func unified(out *strings.Builder, name, a, b string) {
	if a == b {
		return
	}
	x, y := lines(a), lines(b)
	fmt.Fprintf(out, "--- a/%s\n+++ b/%s\n", name, name)
	common := append(lcs(len(x), len(y), func(i, j int) bool { return x[i] == y[j] }), [2]int{len(x), len(y)})
	// An edit is a run of lines that go or come, between two that stay.
	type edit struct{ a0, a1, b0, b1 int }
	var edits []edit
	i, j := 0, 0
	for _, p := range common {
		if p[0] > i || p[1] > j {
			edits = append(edits, edit{i, p[0], j, p[1]})
		}
		i, j = p[0]+1, p[1]+1
	}
	for k := 0; k < len(edits); {
		last := k
		for last+1 < len(edits) && edits[last+1].a0-edits[last].a1 <= 2*around {
			last++
		}
		from, to := max(edits[k].a0-around, 0), min(edits[last].a1+around, len(x))
		shift := edits[k].b0 - edits[k].a0
		end := edits[last].b1 + to - edits[last].a1
		fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n", from+1, to-from, from+shift+1, end-from-shift)
		at := from
		for _, e := range edits[k : last+1] {
			put(out, " ", x[at:e.a0])
			put(out, "-", x[e.a0:e.a1])
			put(out, "+", y[e.b0:e.b1])
			at = e.a1
		}
		put(out, " ", x[at:to])
		k = last + 1
	}
}

func put(out *strings.Builder, sign string, list []string) {
	for _, l := range list {
		out.WriteString(sign + l + "\n")
	}
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// Unified is the difference of two texts in the form that patch takes, "" if there's none.
func Unified(name, a, b string) string {
	var out strings.Builder
	unified(&out, name, a, b)
	return out.String()
}
