package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
		title = fmt.Sprintf("%s, layers %s", b.Name, strings.ReplaceAll(b.Layers, ",", ", "))
	}
	launch := make([]int, len(b.Ops))
	for l, ops := range b.Launches {
		for _, i := range ops {
			launch[i] = l
		}
	}
	var before, after []node
	for i, o := range b.Ops {
		before = append(before, node{fmt.Sprintf("%d %s", launch[i]+1, o.Op), fmt.Sprintf("%s = %s, %s, in launch %d: %s", o.Out, o.Op, o.Type, launch[i]+1, Label(b.Labels[launch[i]])), pastel(launch[i]), o.Reads})
	}
	for l := range b.Launches {
		after = append(after, node{fmt.Sprintf("%d %s", l+1, Label(b.Labels[l])), fmt.Sprintf("launch %d: %s", l+1, plural(len(b.Launches[l]), "op", "s")), pastel(l), b.Reads[l]})
	}
	return bodyPair{title, draw("before: "+plural(len(before), "op", "s"), before), draw("after: "+plural(len(after), "launch", "es"), after)}
}

// draw gives each node a row, below all that it reads, and a place in it, below the middle of what it reads. An edge that goes past rows has
// a place in each of them, too, so that it runs behind no box; the edges of one value share theirs.
func draw(title string, nodes []node) drawing {
	d := drawing{Title: title, W: 200}
	rank, height := make([]int, len(nodes)), 0
	deepest := make([]int, len(nodes)) // the last row that reads the node
	for i, n := range nodes {
		for _, j := range n.reads {
			rank[i] = max(rank[i], rank[j]+1)
		}
		for _, j := range n.reads {
			deepest[j] = max(deepest[j], rank[i])
		}
		height = max(height, rank[i]+1)
	}
	// An item is a node in its row, or where a value's edges pass one.
	type item struct {
		node int
		box  bool
	}
	rows := make([][]item, height)
	for i := range nodes {
		rows[rank[i]] = append(rows[rank[i]], item{i, true})
		for r := rank[i] + 1; r < deepest[i]; r++ {
			rows[r] = append(rows[r], item{i, false})
		}
	}
	width := func(it item) float64 {
		if !it.box {
			return 0
		}
		return 6.7*float64(utf8.RuneCountInString(nodes[it.node].label)) + 14
	}
	for _, row := range rows {
		w := gap
		for _, it := range row {
			w += width(it) + gap
		}
		d.W = max(d.W, w)
	}
	at := make([]map[int]float64, height) // of each row: the middle of a node's box, or where its edges are
	for r, row := range rows {
		at[r] = map[int]float64{}
		want := func(it item) float64 {
			if !it.box {
				return at[r-1][it.node]
			}
			sum, reads := 0.0, nodes[it.node].reads
			for _, j := range reads {
				sum += at[r-1][j]
			}
			if len(reads) == 0 {
				return d.W / 2
			}
			return sum / float64(len(reads))
		}
		slices.SortStableFunc(row, func(a, b item) int { return cmp.Compare(want(a), want(b)) })
		// As near to there as the others leave room: the mean of what two passes make, from the left and from the right; then within the drawing.
		x := gap
		for _, it := range row {
			x = max(x, want(it)-width(it)/2)
			at[r][it.node] = (x + width(it)/2) / 2
			x += width(it) + gap
		}
		x = d.W - gap
		for _, it := range slices.Backward(row) {
			x = min(x, want(it)+width(it)/2)
			at[r][it.node] += (x - width(it)/2) / 2
			x -= width(it) + gap
		}
		x = gap
		for _, it := range row {
			at[r][it.node] = max(at[r][it.node], x+width(it)/2)
			x = at[r][it.node] + width(it)/2 + gap
		}
		x = d.W - gap
		for _, it := range slices.Backward(row) {
			at[r][it.node] = min(at[r][it.node], x-width(it)/2)
			x = at[r][it.node] - width(it)/2 - gap
		}
	}
	top := func(r int) float64 { return float64(r)*rowHeight + 4 }
	for i, n := range nodes {
		for _, j := range n.reads {
			x, y := at[rank[j]][j], top(rank[j])+boxHeight
			path := fmt.Sprintf("M%.1f %.1f", x, y)
			curve := func(x1, y1 float64) {
				bend := (y1 - y) / 2
				path += fmt.Sprintf(" C%.1f %.1f %.1f %.1f %.1f %.1f", x, y+bend, x1, y1-bend, x1, y1)
				x, y = x1, y1
			}
			for r := rank[j] + 1; r < rank[i]; r++ {
				curve(at[r][j], top(r))
				y = top(r) + boxHeight
				path += fmt.Sprintf(" V%.1f", y)
			}
			curve(at[rank[i]][i], top(rank[i]))
			d.Edges = append(d.Edges, edge{path})
		}
		mid, w := at[rank[i]][i], width(item{i, true})
		d.Boxes = append(d.Boxes, box{X: mid - w/2, Y: top(rank[i]), W: w, TX: mid, TY: top(rank[i]) + 15, Label: n.label, Title: n.title, Colour: n.colour})
	}
	d.H = top(height)
	return d
}
