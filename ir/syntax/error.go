package syntax

import (
	"fmt"
	"sort"
	"strings"
)

// A Pos is a place in a file that a person edits. Lines and columns count from 1; columns count bytes.
type Pos struct {
	File string
	Line int
	Col  int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// IsValid says whether p names a line.
func (p Pos) IsValid() bool { return p.Line > 0 }

// A Note points at a second place that an error speaks of.
type Note struct {
	Pos Pos
	Msg string
}

// An Error is one mistake at one place.
type Error struct {
	Pos   Pos
	Msg   string // lower case; says what is and what was wanted
	Notes []Note
}

func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Errorf makes an Error at pos.
func Errorf(pos Pos, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// Errors is a list of mistakes, sorted and cut to MaxErrors by Err.
type Errors []*Error

// MaxErrors is how many mistakes one run reports: the eleventh is seldom news.
const MaxErrors = 10

// Add appends err to the list, taking lists apart; nil adds nothing.
func (l *Errors) Add(err error) {
	switch e := err.(type) {
	case nil:
	case *Error:
		*l = append(*l, e)
	case Errors:
		*l = append(*l, e...)
	default:
		*l = append(*l, &Error{Msg: err.Error()})
	}
}

// Err returns the list sorted by position, each mistake once, at most MaxErrors of them; nil if it's empty.
func (l Errors) Err() error {
	if len(l) == 0 {
		return nil
	}
	sort.SliceStable(l, func(i, j int) bool {
		a, b := l[i].Pos, l[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
	out := l[:0:0]
	for i, e := range l {
		if i > 0 && l[i-1].same(e) {
			continue
		}
		out = append(out, e)
	}
	if n := len(out); n > MaxErrors {
		out = append(out[:MaxErrors:MaxErrors], &Error{Pos: Pos{File: out[MaxErrors].Pos.File}, Msg: fmt.Sprintf("and %d more", n-MaxErrors)})
	}
	return out
}

func (e *Error) same(f *Error) bool { return e.Pos == f.Pos && e.Msg == f.Msg }

func (l Errors) Error() string {
	s := make([]string, len(l))
	for i, e := range l {
		s[i] = e.Error()
	}
	return strings.Join(s, "\n")
}

// Render shows err with the line it points at and a caret, for every Error in it. source returns a file's text.
func Render(err error, source func(file string) (string, bool)) string {
	var list Errors
	list.Add(err)
	var b strings.Builder
	for _, e := range list {
		if e.Pos.File == "" && e.Pos.Line == 0 {
			b.WriteString(e.Msg + "\n")
		} else {
			b.WriteString(e.Error() + "\n")
		}
		caret(&b, e.Pos, source)
		for _, n := range e.Notes {
			fmt.Fprintf(&b, "  %s: %s\n", n.Pos, n.Msg)
			caret(&b, n.Pos, source)
		}
	}
	return b.String()
}

func caret(b *strings.Builder, p Pos, source func(string) (string, bool)) {
	if !p.IsValid() || source == nil {
		return
	}
	text, ok := source(p.File)
	if !ok {
		return
	}
	lines := strings.Split(text, "\n")
	if p.Line > len(lines) {
		return
	}
	line := strings.TrimRight(lines[p.Line-1], "\r")
	col := min(max(p.Col-1, 0), len(line))
	// Tabs stay tabs under tabs, and a caret stands under a character, not under a byte of one.
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, line[:col])
	fmt.Fprintf(b, "    %s\n    %s^\n", line, pad)
}

// Near returns, of names, those that someone who wrote name may have meant: at most three, nearest first.
func Near(name string, names []string) []string {
	type hit struct {
		name string
		d    int
	}
	var hits []hit
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] || n == name {
			continue
		}
		seen[n] = true
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if d <= 1+len(name)/4 || len(name) >= 3 && (strings.Contains(n, name) || len(n) >= 3 && strings.Contains(name, n)) {
			hits = append(hits, hit{n, d})
		}
	}
	sort.Slice(hits, func(i, j int) bool {
		if hits[i].d != hits[j].d {
			return hits[i].d < hits[j].d
		}
		return hits[i].name < hits[j].name
	})
	var out []string
	for i := 0; i < len(hits) && i < 3; i++ {
		out = append(out, hits[i].name)
	}
	return out
}

// DidYouMean is "; did you mean a or b?" of Near's names, or nothing.
func DidYouMean(name string, names []string) string {
	near := Near(name, names)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// distance is the number of single-byte edits (insert, delete, replace) that turn a into b.
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			c := prev[j-1]
			if a[i-1] != b[j-1] {
				c++
			}
			cur[j] = min(c, prev[j]+1, cur[j-1]+1)
		}
		prev = cur
	}
	return prev[len(b)]
}
