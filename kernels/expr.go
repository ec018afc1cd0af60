package kernels

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The fields of a registry line are expressions over the dims that its signature binds. Arithmetic is on whole numbers,
// and / rounds down. A condition is one or more comparisons joined by "and"; without a comparison it holds unless it is 0.

type condition struct {
	All []*comparison `parser:"@@ ( 'and' @@ )*"`
}

type comparison struct {
	Left  *sum   `parser:"@@"`
	Op    string `parser:"( @Compare"`
	Right *sum   `parser:"  @@ )?"`
}

type sum struct {
	Left *product    `parser:"@@"`
	Rest []*addition `parser:"@@*"`
}

type addition struct {
	Op    string   `parser:"@('+' | '-')"`
	Right *product `parser:"@@"`
}

type product struct {
	Left *factor           `parser:"@@"`
	Rest []*multiplication `parser:"@@*"`
}

type multiplication struct {
	Op    string  `parser:"@('*' | '/' | '%')"`
	Right *factor `parser:"@@"`
}

type factor struct {
	Number string `parser:"  @Number"`
	Name   string `parser:"| @Ident"`
	Paren  *sum   `parser:"| '(' @@ ')'"`
}

// An instance is "name<argument, …>". An argument is an expression, or an instance: map1<right<div, c>, N, T>.
type instance struct {
	Name string      `parser:"@Ident '<'"`
	Args []*argument `parser:"@@ ( ',' @@ )* '>'"`
}

type argument struct {
	Inst *instance `parser:"  @@"`
	Sum  *sum      `parser:"| @@"`
}

var (
	lineLexer = lexer.MustSimple([]lexer.SimpleRule{
		{Name: "Space", Pattern: `\s+`},
		{Name: "Arrow", Pattern: `->`},
		{Name: "Compare", Pattern: `==|!=|<=|>=`},
		{Name: "Lead", Pattern: `\.\.`},
		{Name: "Times", Pattern: `×`},
		{Name: "Number", Pattern: `[0-9]+`},
		{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
		{Name: "Punct", Pattern: `[-+*/%(){}\[\],:<>]`},
	})
	// An instance's ">" must not read as a comparison, so < and > are comparisons only in a grammar of conditions.
	compareLexer = lexer.MustSimple([]lexer.SimpleRule{
		{Name: "Space", Pattern: `\s+`},
		{Name: "Compare", Pattern: `==|!=|<=|>=|<|>`},
		{Name: "Number", Pattern: `[0-9]+`},
		{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
		{Name: "Punct", Pattern: `[-+*/%()]`},
	})
	conditions = reader[condition]{parser: participle.MustBuild[condition](participle.Lexer(compareLexer), participle.Elide("Space"))}
	sums       = reader[sum]{parser: participle.MustBuild[sum](participle.Lexer(compareLexer), participle.Elide("Space"))}
	instances  = reader[instance]{parser: participle.MustBuild[instance](participle.Lexer(lineLexer), participle.Elide("Space"), participle.UseLookahead(2))}
	signatures = reader[signature]{parser: participle.MustBuild[signature](participle.Lexer(lineLexer), participle.Elide("Space"), participle.UseLookahead(2))}
)

// A reader parses texts, each once: of the registry's fields two thirds are said before, and to parse them was an eighth of a hipc diff. Nothing
// changes what it gives; nil for an empty text.
type reader[G any] struct {
	parser *participle.Parser[G]
	known  sync.Map // string -> *G
}

func (r *reader[G]) read(text string) (*G, error) {
	if text == "" {
		return nil, nil
	}
	if g, ok := r.known.Load(text); ok {
		return g.(*G), nil
	}
	g, err := r.parser.ParseString("", text)
	if err == nil {
		r.known.Store(text, g)
	}
	return g, err
}

// An unboundName is a name in an expression that the signature doesn't bind.
type unboundName string

func (u unboundName) Error() string { return fmt.Sprintf("%s is bound by no operand", string(u)) }

func (e *sum) eval(dims map[string]int) (int, error) {
	x, err := e.Left.eval(dims)
	for _, r := range e.Rest {
		y, err2 := r.Right.eval(dims)
		if err2 != nil && err == nil {
			err = err2
		}
		if r.Op == "+" {
			x += y
		} else {
			x -= y
		}
	}
	return x, err
}

func (e *product) eval(dims map[string]int) (int, error) {
	x, err := e.Left.eval(dims)
	for _, r := range e.Rest {
		y, err2 := r.Right.eval(dims)
		if err2 != nil {
			return 0, err2
		}
		if r.Op == "*" {
			x *= y
			continue
		}
		if y == 0 {
			return 0, fmt.Errorf("division by zero")
		}
		q, m := x/y, x%y
		if m != 0 && (m < 0) != (y < 0) { // Go rounds towards zero; a grid wants the floor
			q, m = q-1, m+y
		}
		if x = q; r.Op == "%" {
			x = m
		}
	}
	return x, err
}

func (f *factor) eval(dims map[string]int) (int, error) {
	switch {
	case f.Number != "":
		return strconv.Atoi(f.Number)
	case f.Paren != nil:
		return f.Paren.eval(dims)
	}
	x, ok := dims[f.Name]
	if !ok {
		return 0, unboundName(f.Name)
	}
	return x, nil
}

// name is the name that e consists of, or "".
func (e *sum) name() string {
	if len(e.Rest) > 0 || len(e.Left.Rest) > 0 {
		return ""
	}
	return e.Left.Left.Name
}

func (e *sum) String() string {
	s := e.Left.String()
	for _, r := range e.Rest {
		s += r.Op + r.Right.String()
	}
	return s
}

func (e *product) String() string {
	s := e.Left.String()
	for _, r := range e.Rest {
		s += r.Op + r.Right.String()
	}
	return s
}

func (f *factor) String() string {
	if f.Paren != nil {
		return "(" + f.Paren.String() + ")"
	}
	return f.Number + f.Name
}

// names lists the names that e reads.
func (e *sum) names() []string {
	var out []string
	terms := []*product{e.Left}
	for _, r := range e.Rest {
		terms = append(terms, r.Right)
	}
	for _, t := range terms {
		factors := []*factor{t.Left}
		for _, r := range t.Rest {
			factors = append(factors, r.Right)
		}
		for _, f := range factors {
			if f.Paren != nil {
				out = append(out, f.Paren.names()...)
			} else if f.Name != "" {
				out = append(out, f.Name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *condition) holds(dims map[string]int) (bool, error) {
	for _, one := range c.All {
		ok, err := one.holds(dims)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c *comparison) holds(dims map[string]int) (bool, error) {
	x, err := c.Left.eval(dims)
	if err != nil || c.Op == "" {
		return x != 0, err
	}
	y, err := c.Right.eval(dims)
	if err != nil {
		return false, err
	}
	switch c.Op {
	case "==":
		return x == y, nil
	case "!=":
		return x != y, nil
	case "<":
		return x < y, nil
	case "<=":
		return x <= y, nil
	case ">":
		return x > y, nil
	}
	return x >= y, nil
}
