package syntax

import (
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// Format writes a text of the language in its canonical form: two spaces a level and two more for a line that goes on, one space where
// one belongs, = below = in neighbouring lines, trailing comments three spaces behind and below each other, at most one empty line. Line
// breaks are the author's. What doesn't parse is an error.
func Format(file, text string, start Pos) (string, error) {
	if _, err := Parse(file, text, start); err != nil {
		return "", err
	}
	tokens, err := tokenLines(text)
	if err != nil {
		return "", err
	}
	var lines []Line
	f := formatter{}
	for _, l := range tokens {
		lines = append(lines, f.line(l))
	}
	return JoinLines(lines), nil
}

// A Line is a formatted line: code, whose = stands at Equals if it is to stand below that of its neighbours, and a comment.
type Line struct {
	Indent  int
	Code    string
	Equals  int    // 0: none to align
	Kind    string // only lines of a kind are aligned
	Comment string
}

// tokenLines lexes a text and divides the tokens by line.
func tokenLines(text string) ([][]lexer.Token, error) {
	lx, err := lex.LexString("", text)
	if err != nil {
		return nil, err
	}
	all, err := lexer.ConsumeAll(lx)
	if err != nil {
		return nil, err
	}
	lines := make([][]lexer.Token, strings.Count(text, "\n")+1)
	for _, t := range all {
		if !t.EOF() && t.Type != lexSpace {
			lines[t.Pos.Line-1] = append(lines[t.Pos.Line-1], t)
		}
	}
	return lines, nil
}

var (
	lexSpace   = lex.Symbols()["Space"]
	lexComment = lex.Symbols()["Comment"]
	lexKeyword = lex.Symbols()["Keyword"]
	lexIdent   = lex.Symbols()["Ident"]
	lexWeight  = lex.Symbols()["WeightPath"]
	lexNumber  = lex.Symbols()["Number"]
	lexString  = lex.Symbols()["String"]
	lexState   = lex.Symbols()["StatePath"]
)

// A formatter knows what is open at the beginning of a line.
type formatter struct {
	open []string // brackets
	more bool     // the line before ends where it must go on
}

// line formats one line.
func (f *formatter) line(tokens []lexer.Token) Line {
	var l Line
	if n := len(tokens); n > 0 && tokens[n-1].Type == lexComment {
		l.Comment = strings.TrimRight(tokens[n-1].Value, " \t\r")
		tokens = tokens[:n-1]
	}
	if len(tokens) == 0 {
		l.Indent = 2 * f.blocks()
		return l
	}
	first := tokens[0].Value
	depth, goesOn := f.blocks(), f.more || f.inside() || isInfix(first) && tokens[0].Type != lexNumber
	if first == "}" || first == ")" || first == "]" {
		f.close()
		depth, goesOn = f.blocks(), f.inside()
		f.open = append(f.open, first) // closed below, like any other
	}
	l.Indent = 2 * depth
	if goesOn {
		l.Indent += 2
	}
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && f.space(tokens, i) {
			b.WriteByte(' ')
		}
		if t.Value == "=" && l.Equals == 0 && !f.inside() && !goesOn && i < len(tokens)-1 {
			l.Equals, l.Kind = utf8.RuneCountInString(b.String()), "="
			if tokens[0].Type == lexKeyword {
				l.Kind = first
			}
		}
		b.WriteString(t.Value)
		switch t.Value {
		case "(", "[", "{":
			f.open = append(f.open, t.Value)
		case ")", "]", "}":
			f.close()
		}
	}
	l.Code = b.String()
	last := tokens[len(tokens)-1].Value
	f.more = isInfix(last) || last == "=" || last == "+=" || last == ":" || last == "," && !f.inside()
	return l
}

func (f *formatter) close() {
	if n := len(f.open); n > 0 {
		f.open = f.open[:n-1]
	}
}

// blocks counts the open braces, inside says that something else is open within them.
func (f *formatter) blocks() int {
	n := 0
	for _, o := range f.open {
		if o == "{" {
			n++
		}
	}
	return n
}

func (f *formatter) inside() bool {
	n := len(f.open)
	return n > 0 && f.open[n-1] != "{" && f.open[n-1] != "}"
}

func isInfix(s string) bool { return s == "+" || s == "-" || s == "*" || s == "/" }

// space says whether one stands before token i.
func (f *formatter) space(tokens []lexer.Token, i int) bool {
	a, b := tokens[i-1], tokens[i]
	inList := len(f.open) > 0 && f.open[len(f.open)-1] == "["
	switch b.Value {
	case ",", ")", "]", "...", ".":
		return false
	case ":":
		return false
	case "(":
		return a.Type != lexIdent
	case "[":
		return a.Type != lexIdent && a.Type != lexWeight && a.Value != "(" && a.Value != "["
	case "}":
		return false
	case "=":
		return !f.inside()
	case "*", "/":
		return !inList
	case "+", "-":
		return !(inList && binary(tokens, i) && alone(tokens, i))
	}
	switch a.Value {
	case "(", "[", "{", ".":
		return false
	case ":":
		return i < 2 || tokens[i-2].Type != lexWeight
	case "=":
		return !f.inside()
	case "+", "-":
		return binary(tokens, i-1) && !(inList && alone(tokens, i-1))
	case "*", "/":
		return !inList
	}
	return true
}

// alone says that no product stands beside the sum at i, in its element of a list: P-1, but 2*K + V.
func alone(tokens []lexer.Token, i int) bool {
	for _, step := range []int{-1, 1} {
		depth := 0
		for j := i + step; j >= 0 && j < len(tokens); j += step {
			switch tokens[j].Value {
			case "(", "[", "{":
				depth += step
			case ")", "]", "}":
				depth -= step
			case "*", "/":
				if depth == 0 {
					return false
				}
			case ",":
				if depth == 0 {
					depth = -1
				}
			}
			if depth < 0 {
				break
			}
		}
	}
	return true
}

// binary says that the minus at i stands between two operands.
func binary(tokens []lexer.Token, i int) bool {
	if i == 0 {
		return false
	}
	switch a := tokens[i-1]; a.Type {
	case lexIdent, lexWeight, lexNumber, lexString, lexState:
		return true
	default:
		return a.Value == ")" || a.Value == "]" || a.Value == "..."
	}
}

// JoinLines aligns lines with their neighbours and joins them. Empty lines at the beginning and the end go, and of several in a row all but one.
func JoinLines(lines []Line) string {
	alignEquals(lines)
	alignComments(lines)
	var b strings.Builder
	empty := true
	for _, l := range lines {
		text := strings.TrimRight(strings.Repeat(" ", l.Indent)+l.Code+l.Comment, " ")
		if text == "" {
			empty = empty || b.Len() == 0
			if !empty {
				empty = true
				b.WriteByte('\n')
			}
			continue
		}
		empty = false
		b.WriteString(text + "\n")
	}
	out := b.String()
	for strings.HasSuffix(out, "\n\n") {
		out = strings.TrimSuffix(out, "\n")
	}
	return out
}

// run finds how many lines from i on are neighbours of one sort.
func run(lines []Line, i int, same func(l Line) bool) int {
	n := 0
	for i+n < len(lines) && same(lines[i+n]) {
		n++
	}
	return n
}

func alignEquals(lines []Line) {
	for i := 0; i < len(lines); {
		first := lines[i]
		n := run(lines, i, func(l Line) bool { return l.Equals > 0 && l.Kind == first.Kind && l.Indent == first.Indent })
		most := 0
		for _, l := range lines[i : i+n] {
			most = max(most, l.Equals)
		}
		for k := i; k < i+n; k++ {
			l := &lines[k]
			at := len(string([]rune(l.Code)[:l.Equals]))
			l.Code = l.Code[:at] + strings.Repeat(" ", most-l.Equals) + l.Code[at:]
		}
		i += max(n, 1)
	}
}

func alignComments(lines []Line) {
	for i := 0; i < len(lines); {
		n := run(lines, i, func(l Line) bool { return l.Code != "" && l.Comment != "" })
		most := 0
		for _, l := range lines[i : i+n] {
			most = max(most, l.Indent+utf8.RuneCountInString(l.Code))
		}
		for k := i; k < i+n; k++ {
			l := &lines[k]
			l.Comment = strings.Repeat(" ", most-l.Indent-utf8.RuneCountInString(l.Code)+3) + l.Comment
		}
		i += max(n, 1)
	}
}
