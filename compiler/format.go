package compiler

import (
	"fmt"
	"reflect"
	"strings"

	"hipc/ir/syntax"
)

// Format writes a model text in its canonical form: the graph as syntax.Format does, the YAML around it with two spaces a level, one
// space where one belongs, and comments kept, three spaces behind what they're about. Line breaks are the author's. What it gives is the same
// model, which is checked, and formatting that again changes nothing.
func Format(file, src string) (string, error) {
	t, err := ParseText(file, src)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(src, "\r\t") {
		src = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "  ").Replace(src)
		if t, err = ParseText(file, src); err != nil {
			return "", err
		}
	}
	lines := strings.Split(src, "\n")
	from, to, err := graphLines(t, lines)
	if err != nil {
		return "", err
	}
	y := yamlFormatter{}
	above := y.lines(lines[:from])
	body := strings.Join(lines[from:to], "\n")
	graph, err := syntax.Format(file, body, syntax.Pos{File: file, Line: from + 1, Col: 1})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(syntax.JoinLines(above))
	for l := range strings.Lines(graph) {
		if l != "\n" {
			b.WriteString("  ")
		}
		b.WriteString(l)
	}
	if below := syntax.JoinLines(y.lines(lines[to:])); below != "" {
		b.WriteString(below)
	}
	out := b.String()
	u, err := ParseText(file, out)
	if err != nil {
		return "", fmt.Errorf("a bug in hipc: what fmt makes of %s can't be read: %w", file, err)
	}
	if at := t.differs(u); at != "" {
		return "", fmt.Errorf("a bug in hipc: what fmt makes of %s is another model: %s differs", file, at)
	}
	return out, nil
}

// graphLines finds the literal block: from its first line to the one behind its last, comments at its end included.
func graphLines(t *Text, lines []string) (from, to int, err error) {
	from = t.graphLine
	to = from
	for i := from; i < len(lines); i++ {
		if l := lines[i]; strings.TrimSpace(l) != "" {
			if l[0] != ' ' {
				break
			}
			to = i + 1
		}
	}
	if from < 1 || to <= from {
		return 0, 0, syntax.Errorf(syntax.Pos{File: t.File, Line: max(from, 1), Col: 1}, "the graph is empty")
	}
	return from, to, nil
}

// differs names the first field in which two texts differ, places apart.
func (t *Text) differs(u *Text) string {
	a, b := *t, *u
	for _, x := range []*Text{&a, &b} {
		x.Source, x.File, x.graphLine = "", "", 0
	}
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !sameBut(v.Field(i), w.Field(i)) {
			return f.Name
		}
	}
	return ""
}

// sameBut compares values, but for positions.
func sameBut(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		return a.IsNil() == b.IsNil() && (a.IsNil() || sameBut(a.Elem(), b.Elem()))
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).Name != "Pos" && !sameBut(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameBut(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if w := b.MapIndex(k); !w.IsValid() || !sameBut(a.MapIndex(k), w) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}

// A yamlFormatter formats the YAML around the graph, by the line.
type yamlFormatter struct {
	indents []int // those of the levels that are open, as written
	open    []int // columns at which lines go on within the open brackets, as they're written now
	quote   rune  // an open quotation
}

func (y *yamlFormatter) lines(in []string) []syntax.Line {
	var out []syntax.Line
	var waiting []int // comments by themselves, which stand as deep as what follows them
	for _, text := range in {
		l := y.line(text)
		if l.Code == "" && l.Comment != "" {
			waiting = append(waiting, len(out))
		} else if l.Code != "" {
			for _, i := range waiting {
				out[i].Indent = l.Indent
			}
			waiting = nil
		}
		out = append(out, l)
	}
	return out
}

func (y *yamlFormatter) line(text string) syntax.Line {
	var l syntax.Line
	body := strings.TrimLeft(text, " ")
	if body == "" || strings.TrimRight(body, " ") == "" {
		return l
	}
	if y.quote != 0 { // the line of a quotation that goes on is none of ours
		l.Code = text
		y.scan(&l, text, 0)
		l.Code = strings.TrimRight(text, "\n")
		return l
	}
	if body[0] == '#' {
		l.Comment = strings.TrimRight(body, " ")
		if n := len(y.open); n > 0 {
			l.Indent = y.open[n-1]
		}
		return l
	}
	if n := len(y.open); n > 0 {
		l.Indent = y.open[n-1]
	} else {
		l.Indent = 2 * y.level(len(text)-len(body))
	}
	y.scan(&l, body, l.Indent)
	return l
}

// level is how deep a line stands whose indentation is n.
func (y *yamlFormatter) level(n int) int {
	for len(y.indents) > 0 && y.indents[len(y.indents)-1] > n {
		y.indents = y.indents[:len(y.indents)-1]
	}
	if len(y.indents) == 0 || y.indents[len(y.indents)-1] < n {
		y.indents = append(y.indents, n)
	}
	return len(y.indents) - 1
}

// scan puts spaces right outside of quotations, and finds the comment.
func (y *yamlFormatter) scan(l *syntax.Line, body string, indent int) {
	var b strings.Builder
	runes := []rune(body)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	trim := func() { // spaces before what wants none
		s := strings.TrimRight(b.String(), " ")
		b.Reset()
		b.WriteString(s)
	}
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case y.quote != 0:
			b.WriteRune(r)
			switch {
			case i+1 < len(runes) && (r == '\\' && y.quote == '"' || r == '\'' && y.quote == '\'' && runes[i+1] == '\''):
				i++
				b.WriteRune(runes[i])
			case r == y.quote:
				y.quote = 0
			}
		case (r == '"' || r == '\'') && strings.ContainsRune(" ,[{:", at(i-1)):
			y.quote = r
			b.WriteRune(r)
		case r == '#' && at(i-1) == ' ':
			trim()
			l.Code, l.Comment = b.String(), strings.TrimRight(string(runes[i:]), " ")
			return
		case r == ' ':
			if s := b.String(); s != "" && !strings.HasSuffix(s, " ") && !(len(y.open) > 0 && (strings.HasSuffix(s, "{") || strings.HasSuffix(s, "["))) {
				b.WriteByte(' ')
			}
		case (r == '{' || r == '[') && (len(y.open) > 0 || strings.TrimSpace(b.String()) == "" || strings.HasSuffix(strings.TrimRight(b.String(), " "), ":")):
			column := indent + 2
			if strings.TrimSpace(b.String()) == "" {
				column = indent + 1
			}
			if n := len(y.open); n > 0 {
				column = max(column, y.open[n-1])
			}
			y.open = append(y.open, column)
			b.WriteRune(r)
		case (r == '}' || r == ']' || r == ',') && len(y.open) > 0:
			if s := strings.TrimRight(b.String(), " "); s != "" {
				trim()
			}
			if b.WriteRune(r); r != ',' {
				y.open = y.open[:len(y.open)-1]
			} else if at(i+1) != ' ' {
				b.WriteByte(' ')
			}
		default:
			b.WriteRune(r)
		}
	}
	if y.quote == 0 {
		trim()
	}
	l.Code = b.String()
}
