package explain

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hipc/compiler"
)

// explained is a model with everything that a page shows.
func explained(t *testing.T) (*compiler.Explanation, []byte) {
	t.Helper()
	e, err := compiler.Explain(compiler.Options{Model: "../models/qwen3.yaml", Target: "gfx1100"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := HTML(&b, e); err != nil {
		t.Fatal(err)
	}
	return e, b.Bytes()
}

// An element is one of a page, with what is in it.
type element struct {
	name  string
	attr  map[string]string
	text  string
	inner []*element
}

// parsed reads a page; that every element is closed is part of it.
func parsed(t *testing.T, page []byte) *element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	root := &element{}
	open := []*element{root}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the page can't be read: %v", err)
		}
		at := open[len(open)-1]
		switch x := tok.(type) {
		case xml.StartElement:
			e := &element{name: x.Name.Local, attr: map[string]string{}}
			for _, a := range x.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			at.inner = append(at.inner, e)
			open = append(open, e)
		case xml.EndElement:
			if at.name != x.Name.Local {
				t.Fatalf("<%s> is closed by </%s>", at.name, x.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			for _, o := range open {
				o.text += string(x)
			}
		}
	}
	return root
}

// all finds elements by their name, in the order of the page.
func (e *element) all(name string) []*element {
	var out []*element
	for _, i := range e.inner {
		if i.name == name {
			out = append(out, i)
		}
		out = append(out, i.all(name)...)
	}
	return out
}

// of are those of a class.
func (e *element) of(name, class string) []*element {
	return slices.DeleteFunc(e.all(name), func(i *element) bool { return !slices.Contains(strings.Fields(i.attr["class"]), class) })
}

func (e *element) byID(t *testing.T, id string) *element {
	t.Helper()
	var find func(e *element) *element
	find = func(e *element) *element {
		if e.attr["id"] == id {
			return e
		}
		for _, i := range e.inner {
			if f := find(i); f != nil {
				return f
			}
		}
		return nil
	}
	f := find(e)
	if f == nil {
		t.Fatalf("nothing on the page is called %s", id)
	}
	return f
}

// TestPageNeedsNothing: no script, and nothing that a browser would fetch.
func TestPageNeedsNothing(t *testing.T) {
	_, text := explained(t)
	root := parsed(t, text)
	var check func(e *element)
	check = func(e *element) {
		switch e.name {
		case "script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form":
			t.Errorf("the page has a <%s>", e.name)
		}
		for a, v := range e.attr {
			if a == "src" || a == "href" || strings.HasPrefix(a, "on") || strings.Contains(v, "url(") {
				t.Errorf("<%s> has %s=%q", e.name, a, v)
			}
		}
		for _, i := range e.inner {
			check(i)
		}
	}
	check(root)
	if bytes.Contains(text, []byte("://")) || bytes.Contains(text, []byte("@import")) {
		t.Error("the page names something elsewhere")
	}
	if bytes.Contains(text, []byte("ZgotmplZ")) || bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Inf")) {
		t.Error("a figure of the page is none")
	}
}

// TestPageShowsWhatItSays: each step is in its table and in the timeline, at its share; those that compute something on the roofline, under the
// roof; each op and each launch in the graphs.
func TestPageShowsWhatItSays(t *testing.T) {
	e, text := explained(t)
	root := parsed(t, text)

	tables := root.byID(t, "phases").of("table", "steps")
	points := map[string]bool{} // equal launches of a bucket are one
	for i, b := range e.Buckets {
		rows := tables[i].all("tr")[1:]
		if len(rows) != len(b.Steps) {
			t.Fatalf("%s: %d rows for %d steps", b.Name, len(rows), len(b.Steps))
		}
		for j, s := range b.Steps {
			cells := rows[j].all("td")
			if cells[2].text != Label(s.Op) || cells[5].text != fmt.Sprintf("%.1f", float64(s.Time)/1e3) || cells[7].text != s.Bound || cells[8].text != "predicted" {
				t.Errorf("%s: step %d is shown as %q", b.Name, j, rows[j].text)
			}
			if (b.Name == "decode_1" || b.Name == "prefill_512") && s.Ops > 0 && s.Bytes > 0 {
				points[fmt.Sprint(b.Name, s.Inst, s.Grid, s.Time)] = true
			}
		}
	}

	rules, k := root.byID(t, "phases").of("details", "rules"), 0
	for _, b := range e.Buckets {
		for _, r := range b.Report.Graphs {
			if len(r.Fired)+len(r.Lost)+len(r.Lacking) == 0 {
				continue
			}
			for class, want := range map[string]int{"fired": len(r.Fired), "lost": len(r.Nearest()), "lacking": len(r.Lacking)} {
				if got := rules[k].of("tr", class); len(got) != want || want > 0 && class == "fired" && !strings.Contains(got[0].text, r.Fired[0].Saves()) {
					t.Errorf("%s, %s: %d rules that %s, want %d", b.Name, r.Graph, len(got), class, want)
				}
			}
			k++
		}
	}

	strips := root.byID(t, "timeline").of("svg", "bar")
	parts := map[string]bool{}
	for _, s := range e.Buckets[0].Steps {
		parts[s.Part] = true
	}
	if len(strips) != 1+len(parts) {
		t.Errorf("%d bars, want one for the token and one for each of %d parts", len(strips), len(parts))
	}
	segments := 0
	for _, s := range strips {
		end := 0.0
		for i, r := range s.all("svg") {
			x, w := number(t, r, "x"), number(t, r, "width")
			if math.Abs(x-end) > 0.002*float64(i+1) || w <= 0 {
				t.Errorf("a bar's piece begins at %g %%, the one before ends at %g", x, end)
			}
			end = x + w
			segments++
		}
		if math.Abs(end-100) > 0.05 {
			t.Errorf("a bar ends at %g %%", end)
		}
	}
	if want := len(parts) + len(e.Buckets[0].Steps); segments != want {
		t.Errorf("%d pieces of bars, want %d", segments, want)
	}

	roof := root.byID(t, "roofline")
	steps, labels := roof.of("g", "step"), 0
	for _, g := range steps {
		var x, y float64
		if n, err := fmt.Sscanf(g.attr["transform"], "translate(%f %f)", &x, &y); n != 2 || x < roofLeft || x > roofLeft+roofWidth || y < roofTop || y > roofTop+roofHeight {
			t.Errorf("a step stands outside of the roofline: %s (%v)", g.attr["transform"], err)
		}
		labels += len(g.all("text"))
	}
	if len(steps) != len(points) || len(roof.all("polyline")) != 1 {
		t.Errorf("%d steps on the roofline, want %d", len(steps), len(points))
	}
	if rows := len(root.byID(t, "costliest").all("tr")) - 1; rows != labels || rows == 0 {
		t.Errorf("%d numbers on the roofline, %d below it", labels, rows)
	}
	for _, b := range e.Buckets[:1] {
		for _, s := range b.Steps {
			if rate, most := float64(s.Ops)/float64(s.Time), e.Machine.Roof(float64(s.Ops)/float64(s.Bytes))/1e9; rate > most*1.001 {
				t.Errorf("%s makes %g Gflop/s, the roof is at %g", s.Op, rate, most)
			}
		}
	}

	graphs := root.byID(t, "bodies").all("svg")
	if len(graphs) != 2*len(e.Bodies) {
		t.Fatalf("%d graphs for %d bodies", len(graphs), len(e.Bodies))
	}
	for i, b := range e.Bodies {
		for k, want := range []int{len(b.Ops), len(b.Launches)} {
			g := graphs[2*i+k]
			edges := 0
			for _, o := range b.Ops {
				edges += len(o.Reads)
			}
			if k == 1 {
				edges = 0
				for _, r := range b.Reads {
					edges += len(r)
				}
			}
			if len(g.all("rect")) != want || len(g.all("path")) != edges {
				t.Errorf("%s: %d boxes and %d edges, want %d and %d", b.Name, len(g.all("rect")), len(g.all("path")), want, edges)
			}
			for _, p := range g.all("path") {
				over(t, b.Name, p.attr["d"], g.all("rect"))
			}
			for i, r := range g.all("rect") {
				for _, q := range g.all("rect")[:i] {
					if x, z := number(t, r, "x"), number(t, q, "x"); r.attr["y"] == q.attr["y"] && x < z+number(t, q, "width") && z < x+number(t, r, "width") {
						t.Errorf("%s: two boxes lie on each other", b.Name)
					}
				}
			}
			for _, r := range g.all("rect") {
				if x, w := number(t, r, "x"), number(t, r, "width"); x < 0 || x+w > number(t, g, "width")+1 {
					t.Errorf("%s: a box from %g to %g stands outside", b.Name, x, x+w)
				}
			}
		}
		if n := 0; len(b.Ops) > 0 {
			for _, l := range b.Launches {
				n += len(l)
			}
			if n != len(b.Ops) {
				t.Errorf("%s: %d of %d ops are in a launch", b.Name, n, len(b.Ops))
			}
		}
	}
	speeds := root.byID(t, "speeds")
	for _, s := range e.Speeds {
		if !strings.Contains(speeds.text, s.Target) || s.Missing == "" && !strings.Contains(speeds.text, rate(s.Tokens[len(s.Tokens)-1])) {
			t.Errorf("%s's speed isn't shown", s.Target)
		}
	}
}

// over wants an edge to go down, and past the boxes of the rows between its ends.
func over(t *testing.T, graph, path string, boxes []*element) {
	t.Helper()
	fields := strings.FieldsFunc(path, func(r rune) bool { return r == ' ' || r == 'M' || r == 'C' || r == 'V' })
	var at []float64
	for _, f := range fields {
		x, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatalf("%s: an edge is %s", graph, path)
		}
		at = append(at, x)
	}
	x, y := at[0], at[1]
	if x <= 0 {
		t.Errorf("%s: an edge begins nowhere: %s", graph, path)
	}
	for at = at[2:]; len(at) >= 6; {
		if at[5] <= y {
			t.Errorf("%s: an edge doesn't go down: %s", graph, path)
		}
		if x, y, at = at[4], at[5], at[6:]; len(at) > 0 { // straight down past a row
			for _, b := range boxes {
				if left := number(t, b, "x"); x <= 0 || number(t, b, "y") == y && left < x && x < left+number(t, b, "width") {
					t.Errorf("%s: an edge runs behind a box: %s", graph, path)
				}
			}
			y, at = at[0], at[1:]
		}
	}
}

func number(t *testing.T, e *element, name string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(strings.TrimSuffix(e.attr[name], "%"), 64)
	if err != nil {
		t.Fatalf("<%s %s=%q>", e.name, name, e.attr[name])
	}
	return x
}

// TestPageInBrowser: a browser without a network builds the elements that the page says.
func TestPageInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a browser")
	}
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no browser: apt install chromium")
	}
	e, text := explained(t)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--proxy-server=127.0.0.1:9", "--dump-dom", "file://"+file)
	dom, err := cmd.Output()
	if err != nil {
		t.Skipf("%s doesn't run here: %v", browser, err)
	}
	ours, theirs := parsed(t, text), parsed(t, dom)
	for _, name := range []string{"svg", "rect", "circle", "path", "polyline", "text", "title", "table", "tr", "td", "details", "g", "h2"} {
		if n, m := len(ours.all(name)), len(theirs.all(name)); n != m || n == 0 {
			t.Errorf("%d <%s> in the text, %d in the browser", n, name, m)
		}
	}
	if title := theirs.all("title")[0].text; title != e.Model+" for "+e.Target {
		t.Errorf("the page is called %q", title)
	}
}
