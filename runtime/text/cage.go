package text

import (
	"fmt"
	"reflect"

	"github.com/nikolalohinski/gonja/v2/builtins"
	structures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	gonja "github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// The vocabulary of a chat template. What isn't listed doesn't exist: include, import, extends and block, which reach
// for other templates; filters that pad to any width, fetch attributes by name or roll dice; methods that change a
// list or an object (Hugging Face's sandbox forbids them too).
var (
	allowedFilters = []string{"abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "groupby", "int",
		"join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe",
		"select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount"}
	allowedStatements = []string{"break", "continue", "for", "if", "macro", "raw", "set"}
)

// config is how Hugging Face sets Jinja up for chat templates.
func config() *gonja.Config {
	c := gonja.New()
	c.TrimBlocks = true
	c.LeftStripBlocks = true
	return c
}

// environment gives a template its vocabulary, every word of which counts on b.
func environment(b *budget) *exec.Environment {
	filters := map[string]exec.FilterFunction{
		"tojson": b.filter(toJSON), "items": b.filter(itemsOf), "dictsort": b.filter(sortedItems),
		eachFilter: b.filter(each),
	}
	for _, name := range allowedFilters {
		f, ok := builtins.Filters.Get(name)
		if !ok {
			panic("text: gonja has no filter " + name)
		}
		filters[name] = b.filter(f)
	}
	indent, _ := builtins.Filters.Get("indent")
	filters["indent"] = b.filter(narrow(indent))
	methods := map[string]exec.Method[string]{}
	for name, m := range stringMethods {
		methods[name] = method(b, func(s string, _ *exec.Value, params *exec.VarArgs) (any, error) { return m(s, arguments{params}) })
	}
	dict := map[string]exec.Method[map[string]any]{}
	for name, m := range dictMethods {
		dict[name] = method(b, m)
	}
	statements := map[string]parser.ControlStructureParser{"generation": b.statement("generation", parseGeneration)}
	for _, name := range allowedStatements {
		p, ok := builtins.ControlStructures.Get(name)
		if !ok {
			panic("text: gonja has no statement " + name)
		}
		statements[name] = b.statement(name, p)
	}
	namespace, _ := builtins.GlobalFunctions.Get("namespace")
	return &exec.Environment{
		Filters:           exec.NewFilterSet(filters),
		Tests:             builtins.Tests,
		ControlStructures: exec.NewControlStructureSet(statements),
		Methods: exec.Methods{
			Str: exec.NewMethodSet(methods), Dict: exec.NewMethodSet(dict),
			Bool: exec.NewMethodSet[bool](nil), Int: exec.NewMethodSet[int](nil),
			Float: exec.NewMethodSet[float64](nil), List: exec.NewMethodSet[[]any](nil),
		},
		Context: exec.NewContext(map[string]any{
			"namespace": namespace, "dict": dictOf, "range": b.rangeOf,
			"raise_exception": b.raise, "strftime_now": b.strftimeNow,
		}),
	}
}

// filter counts a filter and the size of what it makes.
func (b *budget) filter(f exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		if err := b.before(in, params); err != nil {
			return exec.AsValue(err)
		}
		out := indexable(f(e, in, params))
		if err := b.shallow(out); err != nil {
			return exec.AsValue(err)
		}
		return out
	}
}

// narrow bounds the width of indent, the one filter that pads.
func narrow(f exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		for _, w := range []*exec.Value{params.First(), params.GetKeywordArgument("width", 0)} {
			if w.IsInteger() && w.Integer() > 256 {
				return exec.AsValue(fmt.Errorf("indent: the width is %d, want at most 256", w.Integer()))
			}
		}
		return f(e, in, params)
	}
}

// method counts a method and the size of what it makes.
func method[T any](b *budget, m exec.Method[T]) exec.Method[T] {
	return func(self T, v *exec.Value, params *exec.VarArgs) (any, error) {
		if err := b.before(v, params); err != nil {
			return nil, err
		}
		out, err := m(self, v, params)
		if err != nil {
			return nil, err
		}
		result := indexable(exec.ToValue(out))
		return result.Interface(), b.shallow(result) // not result: gonja takes a *exec.Value for an error
	}
}

// before counts a step, and refuses arguments that could make a large string of small ones: of an object of n bytes
// and arguments of m, joining and replacing make at most n*m; a width beyond every screen is no indentation.
func (b *budget) before(v *exec.Value, params *exec.VarArgs) error {
	if err := b.step(); err != nil {
		return err
	}
	longest := 0
	look := func(a *exec.Value) {
		switch {
		case a.IsString():
			longest = max(longest, len(a.String()))
		case a.IsList():
			longest = max(longest, a.Len())
		}
	}
	for _, a := range params.Args {
		look(a)
	}
	for _, a := range params.KwArgs {
		look(a)
	}
	n := 0
	if v.IsString() || v.IsList() {
		n = v.Len()
	}
	if longest > 64 && n > (1<<30)/longest {
		return b.fail("calls a filter or method with %d and %d characters or elements, which is too many", n, longest)
	}
	return nil
}

// statement makes a parser's statements count. Loops count their turns and macros their depth besides, set looks at
// what the variable has become.
func (b *budget) statement(name string, parse parser.ControlStructureParser) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		target := ""
		if t := args.Current(tokens.Name); t != nil {
			target = t.Val
		}
		cs, err := parse(p, args)
		if err != nil {
			return nil, err
		}
		inner, ok := cs.(exec.ControlStructure)
		if !ok {
			return cs, nil
		}
		s := &counted{ControlStructure: inner, budget: b}
		switch cs := cs.(type) {
		case *structures.ForControlStructure:
			if cs.Recursive {
				return nil, args.Error("a recursive for isn't supported", nil)
			}
			turn := &nodes.ControlStructureBlock{Location: cs.BodyWrapper.Location, Name: "turn", ControlStructure: &counted{ControlStructure: nothing{inner}, budget: b}}
			cs.BodyWrapper.Nodes = append([]nodes.Node{turn}, cs.BodyWrapper.Nodes...)
			cs.ObjectEvaluator = &nodes.FilteredExpression{Expression: cs.ObjectEvaluator, Filters: []*nodes.FilterCall{{Token: cs.Position(), Name: eachFilter}}}
		case *structures.MacroControlStructure:
			s.macro = cs.Name
		case *structures.SetControlStructure:
			s.variable = target
		}
		return s, nil
	}
}

// counted is a statement that counts.
type counted struct {
	exec.ControlStructure
	budget          *budget
	macro, variable string
}

func (c *counted) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	if err := c.budget.step(); err != nil {
		return err
	}
	if err := c.ControlStructure.Execute(r, block); err != nil {
		return err
	}
	names := r.Environment.Context
	if c.macro != "" {
		m, _ := names.Get(c.macro)
		if m, ok := m.(exec.Macro); ok {
			names.Set(c.macro, c.budget.guard(m))
		}
	}
	if c.variable != "" {
		v, _ := names.Get(c.variable)
		return c.budget.check(exec.ToValue(v))
	}
	return nil
}

// guard bounds how deep macros call one another, and what they're given and give.
func (b *budget) guard(m exec.Macro) exec.Macro {
	return func(params *exec.VarArgs) *exec.Value {
		if err := b.step(); err != nil {
			return exec.AsValue(err)
		}
		if b.calls >= maxCalls {
			return exec.AsValue(b.fail("calls macros deeper than %d", maxCalls))
		}
		b.calls++
		defer func() { b.calls-- }()
		for _, a := range params.Args {
			if err := b.check(a); err != nil {
				return exec.AsValue(err)
			}
		}
		for _, a := range params.KwArgs {
			if err := b.check(a); err != nil {
				return exec.AsValue(err)
			}
		}
		out := m(params)
		if err := b.check(out); err != nil {
			return exec.AsValue(err)
		}
		return out
	}
}

// nothing is the statement that a loop's turn counts on.
type nothing struct{ nodes.ControlStructure }

func (nothing) Execute(*exec.Renderer, *nodes.ControlStructureBlock) error { return nil }

// generation is Hugging Face's mark around what the assistant says, for training. Here it shows what it encloses.
type generation struct {
	location *tokens.Token
	body     *nodes.Wrapper
}

func (g *generation) Position() *tokens.Token { return g.location }
func (g *generation) String() string          { return "generation" }

func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteIfWrapper(g.body)
}

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{location: p.Current()}
	if !args.End() {
		return nil, args.Error("generation takes no arguments", nil)
	}
	var err error
	g.body, _, err = p.WrapUntil("endgeneration")
	return g, err
}

// checkChains refuses long chains of methods, x.a().b().c(): gonja evaluates the object of a method twice, so that n of
// them take 2^n, which no count can end. What stands in brackets counts for what the brackets belong to.
func checkChains(source string) error {
	type chain struct{ now, longest int }
	open := []chain{{}}
	var before [2]tokens.Type
	for stream := tokens.LexAll(source, config()); !stream.End(); {
		t := stream.Next()
		top := &open[len(open)-1]
		switch t.Type {
		case tokens.VariableBegin, tokens.BlockBegin:
			open = []chain{{}}
		case tokens.LeftParenthesis, tokens.LeftBracket, tokens.LeftBrace:
			if t.Type == tokens.LeftParenthesis && before == [2]tokens.Type{tokens.Dot, tokens.Name} {
				top.now++
			}
			open = append(open, chain{})
		case tokens.RightParenthesis, tokens.RightBracket, tokens.RightBrace:
			if len(open) > 1 {
				open = open[:len(open)-1]
				open[len(open)-1].now += max(top.now, top.longest)
			}
		case tokens.Dot, tokens.Name, tokens.Pipe, tokens.String:
		default: // an operator: what follows is another chain
			top.now, top.longest = 0, max(top.now, top.longest)
		}
		if open[len(open)-1].now > maxChain {
			return fmt.Errorf("line %d: calls more than %d methods in a chain", t.Line, maxChain)
		}
		before = [2]tokens.Type{before[1], t.Type}
	}
	return nil
}

// list is a list that can be indexed from its end. (gonja's index of the first element from the end, messages[-1] of
// one message, finds nothing.)
type list []any

func (l list) GetItem(key any) (*exec.Value, bool) {
	i, ok := key.(int)
	if ok && i < 0 {
		i += len(l)
	}
	if !ok || i < 0 || i >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[i]), true
}

// indexable makes a list of ours of what gonja's filters and methods return.
func indexable(v *exec.Value) *exec.Value {
	if v == nil || v.IsNil() || !v.IsList() || v.IsError() {
		return v
	}
	if _, special := v.Interface().(exec.AttributeGetter); special || v.Val.Type() == reflect.TypeFor[list]() {
		return v
	}
	l := make(list, v.Len())
	for i := range l {
		l[i] = v.Index(i).Interface()
	}
	return &exec.Value{Val: reflect.ValueOf(l), Safe: v.Safe}
}
