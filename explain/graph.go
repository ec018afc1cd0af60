package explain

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"hipc/compiler"
)

// A bodyPair is a layer before and after fusion. An op has the colour of the launch that it went into.
type bodyPair struct {
	Title         string
	Before, After drawing
}

// A drawing is a graph in rows: each node stands below all that it reads.
type drawing struct {
	Title string
	W, H  float64
	Boxes []box
	Edges []edge
}

type box struct {
	X, Y, W      float64
	TX, TY       float64
	Label, Title string
	Colour       string
}

type edge struct{ Path string }

const (
	rowHeight = 38.0
	boxHeight = 22.0
	gap       = 14.0
)

// A node is one to be drawn.
type node struct {
	label, title, colour string
	reads                []int
}

func pair(b compiler.Body) bodyPair {
	title := b.Name
	if b.Layers != "" {
		title = fmt.Sprintf("%s, layers %s", b.Name, b.Layers)
	}
	launch := make([]int, len(b.Ops))
	for l, ops := range b.Launches {
		for _, i := range ops {
			launch[i] = l
		}
	}
	var before, after []node
	for i, o := range b.Ops {
		before = append(before, node{o.Op, fmt.Sprintf("%s = %s, %s, in launch %d: %s", o.Out, o.Op, o.Type, launch[i]+1, Label(b.Labels[launch[i]])), pastel(launch[i]), o.Reads})
	}
	for l := range b.Launches {
		after = append(after, node{fmt.Sprintf("%d: %s", l+1, Label(b.Labels[l])), fmt.Sprintf("launch %d: %d ops", l+1, len(b.Launches[l])), pastel(l), b.Reads[l]})
	}
	return bodyPair{title, draw(fmt.Sprintf("before: %d ops", len(before)), before), draw(fmt.Sprintf("after: %d launches", len(after)), after)}
}

// draw gives each node a row, below all that it reads, and a place in it, below the middle of what it reads.
func draw(title string, nodes []node) drawing {
	d := drawing{Title: title, W: 200}
	rank := make([]int, len(nodes))
	var rows [][]int
	for i, n := range nodes {
		for _, j := range n.reads {
			rank[i] = max(rank[i], rank[j]+1)
		}
		for len(rows) <= rank[i] {
			rows = append(rows, nil)
		}
		rows[rank[i]] = append(rows[rank[i]], i)
	}
	width := func(i int) float64 { return 6.7*float64(utf8.RuneCountInString(nodes[i].label)) + 14 }
	for _, row := range rows {
		w := gap
		for _, i := range row {
			w += width(i) + gap
		}
		d.W = max(d.W, w)
	}
	middle := make([]float64, len(nodes))
	for _, row := range rows {
		mean := func(i int) float64 {
			sum := 0.0
			for _, j := range nodes[i].reads {
				sum += middle[j]
			}
			if len(nodes[i].reads) == 0 {
				return d.W / 2
			}
			return sum / float64(len(nodes[i].reads))
		}
		slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(mean(a), mean(b)) })
		total := -gap
		for _, i := range row {
			total += width(i) + gap
		}
		x := (d.W - total) / 2
		if len(row) == 1 { // as near to what it reads as there's room
			x = min(max(mean(row[0])-width(row[0])/2, gap), d.W-gap-width(row[0]))
		}
		for _, i := range row {
			middle[i] = x + width(i)/2
			x += width(i) + gap
		}

	}
	for i, n := range nodes {
		y := float64(rank[i])*rowHeight + 4
		for _, j := range n.reads {
			from := float64(rank[j])*rowHeight + 4 + boxHeight
			bend := (y - from) / 2
			d.Edges = append(d.Edges, edge{fmt.Sprintf("M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f", middle[j], from, middle[j], from+bend, middle[i], y-bend, middle[i], y)})
		}
		d.Boxes = append(d.Boxes, box{X: middle[i] - width(i)/2, Y: y, W: width(i), TX: middle[i], TY: y + 15, Label: n.label, Title: n.title, Colour: n.colour})
	}
	d.H = float64(len(rows))*rowHeight + 4
	return d
}
