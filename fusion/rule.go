// Package fusion decides what one launch covers.
//
// Rules are text in the model language, in three files: lower.rules (how a format spells an op, applied forwards),
// tail.rules (what follows the logits) and fuse.rules (what one launch may cover, matched backwards). A fuse rule's body
// is what the fused step means; it is matched against a graph node by node. The matcher alone knows what is legal: every
// value that is read outside of a match is a result of the rule, putting one step in the place of several leaves no
// cycle, and the target has a kernel of the rule's name for these very types. The planner alone knows what pays: of all
// plans whose launches are matches and single nodes, several in a launch where none needs another, it takes the cheapest,
// by a Coster (search.go). Neither a rule nor a kernel says anything about profit.
//
// A model's layers may be cut elsewhere than its text does: if that makes the plan cheaper, each body ends with the head
// of its successor, so that the sum at a layer's end and the next layer's norm can be one step (rotate.go).
//
// Everything here is deterministic: costs are compared in whole picoseconds, ties go to the rule that stands first in
// its file, and to the plan whose steps come earlier.
package fusion

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"hipc/ir"
	"hipc/ir/syntax"
)

//go:embed lower.rules
var lowerText string

//go:embed fuse.rules
var fuseText string

//go:embed tail.rules
var tailText string

// A Rule is one declaration of a rules file.
type Rule struct {
	Kind string // lower, fuse or tail
	Name string
	Pos  syntax.Pos
	Decl *syntax.Decl

	op       *ir.Op   // what a fused node applies
	patterns sync.Map // *pattern by count of variadic operands
}

// Op is the op of the nodes that the rule makes: a name and parameters; what it means is the node's body.
func (r *Rule) Op() *ir.Op { return r.op }

// many says that the last parameter stands for one or more operands.
func (r *Rule) many() bool {
	n := len(r.Decl.Params)
	return n > 0 && r.Decl.Params[n-1].Many
}

// Rules are the fuse rules, in file order.
func Rules() []*Rule { return loaded().fuse }

// Decls are the fuse rules' declarations by name: what an ir.Builder needs to read a fused graph.
func Decls() map[string]*syntax.Decl {
	m := map[string]*syntax.Decl{}
	for _, r := range Rules() {
		m[r.Name] = r.Decl
	}
	return m
}

type ruleSet struct{ lower, fuse, tail []*Rule }

var loaded = sync.OnceValue(func() ruleSet {
	var s ruleSet
	for _, f := range []struct {
		kind, text string
		to         *[]*Rule
	}{{"lower", lowerText, &s.lower}, {"fuse", fuseText, &s.fuse}, {"tail", tailText, &s.tail}} {
		rules, err := ParseRules(f.kind, "fusion/"+f.kind+".rules", f.text)
		if err != nil {
			panic(err) // tests read all three
		}
		*f.to = rules
	}
	return s
})

// Text is fuse.rules: what each fused op computes.
func Text() string { return fuseText }

// ParseRules reads a file of rules of one kind. The error lists every mistake with its place.
func ParseRules(kind, file, text string) ([]*Rule, error) {
	f, err := syntax.Parse(file, text, syntax.Pos{File: file, Line: 1, Col: 1})
	if err != nil {
		return nil, err
	}
	var rules []*Rule
	var errs syntax.Errors
	for _, it := range f.Items {
		switch {
		case it.Decl == nil:
			errs.Add(syntax.Errorf(syntax.At(it.Stmt.Pos), "a statement stands alone, want a %s rule", kind))
			continue
		case it.Decl.Kind != kind:
			errs.Add(syntax.Errorf(syntax.At(it.Decl.Pos), "%s is a %s, want a %s rule", it.Decl.Name, it.Decl.Kind, kind))
			continue
		}
		r := &Rule{Kind: kind, Name: it.Decl.Name, Pos: syntax.At(it.Decl.Pos), Decl: it.Decl}
		r.op = &ir.Op{Name: r.Name, Params: r.Decl.Operands(), Doc: "what " + file + " says"}
		errs.Add(r.check(rules))
		rules = append(rules, r)
	}
	return rules, errs.Err()
}

// check refuses what could never be applied.
func (r *Rule) check(before []*Rule) error {
	var errs syntax.Errors
	for i, p := range r.Decl.Params {
		if slices.ContainsFunc(r.Decl.Params[:i], func(q *syntax.Param) bool { return q.Name == p.Name }) {
			errs.Add(syntax.Errorf(syntax.At(p.Pos), "two parameters are called %s", p.Name))
		}
		if p.Many && (i < len(r.Decl.Params)-1 || r.Kind != "fuse") {
			errs.Add(syntax.Errorf(syntax.At(p.Pos), "%s... must be the last parameter of a fuse rule", p.Name))
		}
		if p.Format != "" && r.Kind != "lower" {
			errs.Add(syntax.Errorf(syntax.At(p.Pos), "%s: a %s rule holds for every format, only lower rules choose by it", p.Name, r.Kind))
		}
	}
	if r.Kind != "fuse" {
		if errs == nil && r.Kind == "lower" {
			errs.Add(r.checkLower())
		}
		return errs.Err()
	}
	for _, q := range before {
		if q.Name == r.Name {
			e := syntax.Errorf(r.Pos, "%s is declared twice: a kernel has one meaning", r.Name)
			e.Notes = append(e.Notes, syntax.Note{Pos: q.Pos, Msg: "here first"})
			errs.Add(e)
		}
	}
	if _, ok := ir.OpByName(r.Name); ok {
		errs.Add(syntax.Errorf(r.Pos, "%s is an op already: a rule needs a name of its own", r.Name))
	}
	if errs == nil {
		_, err := r.expand(2)
		errs.Add(err)
	}
	return errs.Err()
}

// checkLower looks whether the op that a rule spells is there and takes as many operands.
func (r *Rule) checkLower() error {
	op, ok := ir.OpByName(r.Name)
	if !ok {
		return syntax.Errorf(r.Pos, "no op is called %s%s", r.Name, syntax.DidYouMean(r.Name, ir.OpNames()))
	}
	if want := len(strings.Fields(op.Params)); want != len(r.Decl.Params) {
		return syntax.Errorf(r.Pos, "%s(%s) takes %d operands, not %d", r.Name, strings.Join(strings.Fields(op.Params), ", "), want, len(r.Decl.Params))
	}
	return nil
}

// Body builds the rule's meaning on operands of these types: what a step of that name must compute. Numbers stand among
// args as literals; the body's parameters stand for all others.
func (r *Rule) Body(args []*ir.Value) (*ir.Graph, error) {
	var bound, all []*ir.Value
	for i, a := range args {
		if a.Bound() {
			a = &ir.Value{Name: r.Decl.Operand(i), Type: a.Type}
			bound = append(bound, a)
		}
		all = append(all, a)
	}
	b := &ir.Builder{}
	g := b.Start(r.Name, bound...)
	results := b.Inline(r.Decl, all, "", nil, r.Pos)
	if err := b.Err(); err != nil {
		return nil, err
	}
	g.Results = results
	return g, nil
}
