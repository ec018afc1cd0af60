// Package syntax is the grammar of hipc's language, and its errors. Models, lowering rules, fusion rules, tail rules
// and printed graphs are one grammar: a file is a list of declarations and statements.
//
//	block NAME(PARAMS) [at PATH] = EXPR          a model's building block, inlined forwards
//	block NAME(PARAMS) [at PATH] { STATEMENTS }
//	lower NAME(PARAMS) = EXPR                     how a weight format spells an op (a parameter may be NAME: FORMAT)
//	                                              (and, last, NAME=NUMBER: what a call means that leaves it out)
//	fuse NAME(PARAMS) = EXPR | { STATEMENTS }     what one launch may cover, matched backwards
//	tail NAME(PARAMS) = EXPR                      what follows the logits
//	a, b = EXPR     h += EXPR     return a, b
//	repeat h through PATH[L]: block, block[N]     layers take turns: one of the first block, N of the second, …
//	        by FIELD {VALUE: block, VALUE: block} unless the checkpoint's config lists under FIELD what each layer is
//	launch { STATEMENTS }                         steps that share one launch (printed by the planner)
//
// A statement needs no end mark: none of them begins where an expression could go on. An opening parenthesis or
// bracket therefore never begins one. Comments run from # to the end of the line.
//
// The structs below are the grammar (participle reads the tags) and the syntax tree at once.
package syntax

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// A File is one parsed text.
type File struct {
	Items []*Item `parser:"@@*"`
}

// An Item is a declaration or a top-level statement.
type Item struct {
	Decl *Decl `parser:"  @@"`
	Stmt *Stmt `parser:"| @@"`
}

// A Decl declares a block or a rule.
type Decl struct {
	Pos    lexer.Position
	Kind   string   `parser:"@('block' | 'lower' | 'fuse' | 'tail')"`
	Name   string   `parser:"@Ident"`
	Params []*Param `parser:"'(' ( @@ ( ',' @@ )* )? ')'"`
	At     string   `parser:"( 'at' @Ident ( @'.' @Ident )* )?"`
	Expr   *Expr    `parser:"( '=' @@"`
	Body   []*Stmt  `parser:"| '{' @@* '}' )"`
}

// Operands spells the parameters as those of an op: "x w eps=1e-05 r...".
func (d *Decl) Operands() string {
	var s []string
	for _, p := range d.Params {
		n := p.Name
		if p.Many {
			n += "..."
		} else if p.Default != "" {
			n += "=" + p.Default
		}
		s = append(s, n)
	}
	return strings.Join(s, " ")
}

// Operand is what operand i is called in the body: r_1, r_2, … for those that one parameter stands for.
func (d *Decl) Operand(i int) string {
	last := len(d.Params) - 1
	if i < last || !d.Params[last].Many {
		return d.Params[i].Name
	}
	return fmt.Sprintf("%s_%d", d.Params[last].Name, i-last+1)
}

// A Param is a formal parameter; Many takes one or more arguments, Format restricts a weight's format, Default is the
// number that a call without it means.
type Param struct {
	Pos     lexer.Position
	Name    string `parser:"@Ident"`
	Many    bool   `parser:"( @'...' )?"`
	Format  string `parser:"( ':' @Ident )?"`
	Default string `parser:"( '=' @Number )?"`
}

// A Stmt is one statement.
type Stmt struct {
	Pos    lexer.Position
	Return *Return `parser:"  @@"`
	Repeat *Repeat `parser:"| @@"`
	Launch *Launch `parser:"| @@"`
	Assign *Assign `parser:"| @@"`
}

// Return ends a block with its results. Only what prefill makes of the last layer has none.
type Return struct {
	Pos   lexer.Position
	Exprs []*Expr `parser:"'return' ( @@ ( ',' @@ )* )?"`
}

// Repeat runs the layers: the value of Carry goes in and comes out of each, and Blocks take turns, unless the config
// has a list By that names a case for each layer. A printed graph, where each block takes what its predecessor gives, says
// with To what the last one's results are called.
type Repeat struct {
	Pos    lexer.Position
	Carry  []string `parser:"'repeat' @Ident ( ',' @Ident )*"`
	To     []string `parser:"( 'to' @Ident ( ',' @Ident )* )?"`
	Path   string   `parser:"'through' @Ident ( @'.' @Ident )*"`
	Count  *Expr    `parser:"'[' @@ ']' ':'"`
	Blocks []*Turn  `parser:"@@ ( ',' @@ )*"`
	By     string   `parser:"( 'by' @Ident ( @'.' @Ident )*"`
	Cases  []*Case  `parser:"'{' @@ ( ',' @@ )* '}' )?"`
}

// A Case is the block of the layers for which a config's list has this value.
type Case struct {
	Pos   lexer.Position
	Value string `parser:"@Ident ':'"`
	Name  string `parser:"@Ident"`
}

// A Turn is one block of a repeat, Count times (once without it): layer l takes turn l modulo their number. A printed
// graph, whose bodies differ by format or successor too, says which layers it means: body in "0-28".
type Turn struct {
	Pos    lexer.Position
	Name   string `parser:"@Ident"`
	Count  *Expr  `parser:"( '[' @@ ']' )?"`
	Layers string `parser:"( 'in' @String )?"`
}

// Launch groups steps that share one launch.
type Launch struct {
	Pos  lexer.Position
	Body []*Stmt `parser:"'launch' '{' @@* '}'"`
}

// Assign binds the results of an expression to names; Add is x += e.
type Assign struct {
	Pos   lexer.Position
	Names []string `parser:"@Ident ( ',' @Ident )*"`
	Add   bool     `parser:"( @'+=' | '=' )"`
	Expr  *Expr    `parser:"@@"`
}

// An Expr is a sum of terms.
type Expr struct {
	Pos  lexer.Position
	Left *Term     `parser:"@@"`
	Rest []*OpTerm `parser:"@@*"`
}

// An OpTerm is "+ term" or "- term".
type OpTerm struct {
	Pos  lexer.Position
	Op   string `parser:"@('+' | '-')"`
	Term *Term  `parser:"@@"`
}

// A Term is a product of factors.
type Term struct {
	Pos  lexer.Position
	Left *Unary     `parser:"@@"`
	Rest []*OpUnary `parser:"@@*"`
}

// An OpUnary is "* factor" or "/ factor".
type OpUnary struct {
	Pos   lexer.Position
	Op    string `parser:"@('*' | '/')"`
	Unary *Unary `parser:"@@"`
}

// A Unary is a factor with an optional minus.
type Unary struct {
	Pos     lexer.Position
	Minus   bool     `parser:"@'-'?"`
	Primary *Primary `parser:"@@"`
}

// A Primary is a weight, a state, a call, a name, a number, a list or an expression in parentheses; Member is w.rot,
// Many is r....
type Primary struct {
	Pos    lexer.Position
	Weight *Weight  `parser:"( @@"`
	State  string   `parser:"| @StatePath"`
	Call   *Call    `parser:"| @@"`
	Name   string   `parser:"| @Ident"`
	Number string   `parser:"| @Number"`
	List   *List    `parser:"| @@"`
	Paren  *Expr    `parser:"| '(' @@ ')' )"`
	Member []string `parser:"( '.' @Ident )*"`
	Many   bool     `parser:"@'...'?"`
}

// A Weight is @path[dims]. In printed graphs it has its format, and then its path and its dims are whole:
// @layers.{l}.mlp.up_proj:q4_1[1536,576]. {l} stands for the layer's number, {l+1} for the next one's.
type Weight struct {
	Pos    lexer.Position
	Path   string  `parser:"@WeightPath"`
	Format string  `parser:"( ':' @Ident )?"`
	Dims   []*Expr `parser:"( '[' @@ ( ',' @@ )* ']' )?"`
}

// A Call applies an op, a block or a fused op.
type Call struct {
	Pos  lexer.Position
	Name string `parser:"@Ident '('"`
	Args []*Arg `parser:"( @@ ( ',' @@ )* )? ')'"`
}

// An Arg is an operand, by position or by name.
type Arg struct {
	Pos  lexer.Position
	Name string `parser:"( @Ident '=' )?"`
	Expr *Expr  `parser:"@@"`
}

// A List is a list of dimensions: [H, D].
type List struct {
	Pos   lexer.Position
	Exprs []*Expr `parser:"'[' ( @@ ( ',' @@ )* )? ']'"`
}

var lex = lexer.MustSimple([]lexer.SimpleRule{
	{Name: "Comment", Pattern: `#[^\n]*`},
	{Name: "Space", Pattern: `\s+`},
	{Name: "Keyword", Pattern: `\b(block|lower|fuse|tail|at|return|repeat|through|to|launch|in|by)\b`},
	{Name: "WeightPath", Pattern: `@[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z0-9_]+|\{[a-z](\+1)?\}))*`},
	{Name: "StatePath", Pattern: `&[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z0-9_]+|\{[a-z](\+1)?\}))*`},
	{Name: "Number", Pattern: `([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][-+]?[0-9]+)?`},
	{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
	{Name: "String", Pattern: `"[^"\n]*"`},
	{Name: "Punct", Pattern: `\.\.\.|\+=|[-+*/=(){}\[\],:.]`},
	{Name: "Other", Pattern: `.`},
})

var (
	options    = []participle.Option{participle.Lexer(lex), participle.Elide("Comment", "Space"), participle.UseLookahead(4), participle.Unquote("String")}
	fileParser = participle.MustBuild[File](options...)
	exprParser = participle.MustBuild[Expr](options...)
)

// Parse reads a text. start is the place of its first byte, so that errors in a block scalar of a YAML file point into
// that file; col is added to every column (the block's indentation).
func Parse(file, text string, start Pos) (*File, error) {
	f, err := fileParser.ParseString(file, text)
	if err != nil {
		return nil, place(err, start)
	}
	shift(f, start)
	return f, nil
}

// ParseExpr reads one expression, such as a field "hidden_size / num_attention_heads" or a grid "(N+63)/64".
func ParseExpr(text string, start Pos) (*Expr, error) {
	e, err := exprParser.ParseString(start.File, text)
	if err != nil {
		return nil, place(err, start)
	}
	shift(e, start)
	return e, nil
}

// place turns participle's error into ours, at its true position.
func place(err error, start Pos) error {
	var pe participle.Error
	if !errors.As(err, &pe) {
		return err
	}
	p := pe.Position()
	shiftPos(&p, start)
	return Errorf(At(p), "%s", reword(pe.Message()))
}

// reword says participle's message in our words: what is, then what was wanted.
func reword(msg string) string {
	msg = strings.ReplaceAll(msg, "\\n", "")
	for from, to := range map[string]string{"<ident>": "a name", "<EOF>": "the end", "<number>": "a number", "<weightpath>": "a weight"} {
		msg = strings.ReplaceAll(msg, `"`+from+`"`, to)
		msg = strings.ReplaceAll(msg, from, to)
	}
	msg = strings.Replace(msg, "(expected ", "(wanted ", 1)
	return msg
}

// At is a lexer's position as ours.
func At(p lexer.Position) Pos { return Pos{File: p.Filename, Line: p.Line, Col: p.Column} }

// Number is the value of a number's text.
func Number(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
