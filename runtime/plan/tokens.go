package plan

import (
	"fmt"
	"go/scanner"
	"go/token"
	"strings"
)

// A SyntaxError is why a plan.go was refused, and where.
type SyntaxError struct {
	Line, Col int // from 1; Col counts bytes
	Msg       string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("plan.go:%d:%d: %s", e.Line, e.Col, e.Msg) }

// allowed are the tokens that a plan is made of. What isn't here needs no rule: no operator, no parenthesis, no function.
var allowed = map[token.Token]bool{
	token.PACKAGE: true, token.IMPORT: true, token.VAR: true, token.IDENT: true, token.PERIOD: true, token.ASSIGN: true,
	token.LBRACE: true, token.RBRACE: true, token.LBRACK: true, token.RBRACK: true, token.COLON: true, token.COMMA: true,
	token.SEMICOLON: true, token.STRING: true, token.INT: true,
}

// screen looks at the tokens alone, before the parser, which recurses, may see them. After it, braces are the only thing
// that nests, and they do so MaxDepth deep at most.
func screen(src []byte, file *token.File) error {
	at := func(offset int, format string, args ...any) error {
		return fail(file, file.Pos(offset), format, args...)
	}
	if !strings.HasPrefix(string(src[:min(len(src), len(Header))]), Header) {
		return at(0, "no plan of hipc: the first lines aren't its header")
	}
	for i, c := range src {
		if c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			file.SetLinesForContent(src)
			return at(i, "byte %#02x: a plan is printable ASCII", c)
		}
	}
	var first error
	refuse := func(offset int, format string, args ...any) {
		if first == nil {
			first = at(offset, format, args...)
		}
	}
	var s scanner.Scanner
	s.Init(file, src, func(p token.Position, msg string) { refuse(p.Offset, "%s", msg) }, scanner.ScanComments)
	depth, count := 0, 0
	before, last := token.ILLEGAL, token.ILLEGAL // the two tokens before this one
	for first == nil {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		offset := file.Offset(pos)
		if tok == token.COMMENT {
			if offset >= len(Header) {
				refuse(offset, "a comment: a plan has none but its header")
			}
			continue
		}
		count++
		switch {
		case count > MaxTokens:
			refuse(offset, "more than %d words", MaxTokens)
		case !allowed[tok]:
			refuse(offset, "%s: a plan has only literals, keyed by the names of fields", spell(tok, lit))
		case tok == token.SEMICOLON && lit == ";":
			refuse(offset, "a semicolon: a plan has one declaration a line")
		case last == token.LBRACK && tok != token.RBRACK:
			refuse(offset, "%s after [: a plan has slices only, []string", spell(tok, lit))
		case before == token.LBRACK && tok != token.IDENT: // last is ]
			refuse(offset, "%s after []: want the name of a type", spell(tok, lit))
		case last == token.PERIOD && tok != token.IDENT:
			refuse(offset, "%s after a dot: want plan.Step and the like", spell(tok, lit))
		case before == token.PERIOD && tok != token.LBRACE:
			refuse(offset, "%s after the name of a type: want {", spell(tok, lit))
		case last == token.RBRACE && tok != token.COMMA && tok != token.RBRACE && tok != token.SEMICOLON:
			refuse(offset, "%s after }: want a comma or }", spell(tok, lit))
		case tok == token.LBRACE:
			if depth++; depth > MaxDepth {
				refuse(offset, "more than %d levels of braces", MaxDepth)
			}
		case tok == token.RBRACE:
			depth--
		}
		before, last = last, tok
	}
	return first
}

// spell is a token as the user wrote it, cut short.
func spell(tok token.Token, lit string) string {
	if lit == "" {
		return tok.String()
	}
	return cut(strings.ReplaceAll(lit, "\n", `\n`))
}

// cut shortens what goes into a message.
func cut(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}

func fail(file *token.File, pos token.Pos, format string, args ...any) error {
	p := file.PositionFor(pos, false)
	return &SyntaxError{max(p.Line, 1), max(p.Column, 1), fmt.Sprintf(format, args...)}
}
