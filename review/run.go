package review

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"hipc/compiler"
)

// DefaultTargets are what two model texts are planned for unless something else is asked for.
var DefaultTargets = []string{"gfx1100", "gfx1151"}

// Options say how two things are compared.
type Options struct {
	Targets []string         // none: those of the artifact, or DefaultTargets
	Compile compiler.Options // of model texts: Set, Context, Weights and the like
	Source  bool             // compare the kernels' sources, too
}

// Run compares what two specs name, for every target that both have.
func Run(a, b string, o Options) (*Report, error) {
	if o.Compile.Memo == nil {
		o.Compile.Memo = &compiler.Memo{} // of two versions of a model most graphs are the same
	}
	sides, err := both([2]string{a, b}, o)
	if err != nil {
		return nil, err
	}
	r := &Report{A: a, B: b, Model: sides[1][0].Plan.Model, Targets: make([]*Diff, len(sides[1]))}
	sources := make([]string, len(sides[1]))
	var g errgroup.Group
	for k, y := range sides[1] {
		i := slices.IndexFunc(sides[0], func(s *Side) bool { return s.Target == y.Target })
		if i < 0 {
			r.Targets[k] = &Diff{Target: y.Target, Only: "b", Memory: [2]Memory{{}, y.memory()}}
			continue
		}
		g.Go(func() (err error) {
			if r.Targets[k], err = Compare(sides[0][i], y); err == nil && o.Source {
				sources[k], err = compareSources(sides[0][i], y)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", y.Target, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for k, s := range sources { // a template's change is most targets': it's shown once
		if s != "" && !slices.Contains(sources[:k], s) {
			for l := k; l < len(sources); l++ {
				if sources[l] == s {
					r.Source += sides[1][l].Target + " "
				}
			}
			r.Source += "reads other sources:\n" + s
		}
	}
	for _, x := range sides[0] {
		if !slices.ContainsFunc(sides[1], func(s *Side) bool { return s.Target == x.Target }) {
			r.Targets = append(r.Targets, &Diff{Target: x.Target, Only: "a", Memory: [2]Memory{x.memory(), {}}})
		}
	}
	if !slices.ContainsFunc(r.Targets, func(d *Diff) bool { return d.Only == "" }) {
		return nil, fmt.Errorf("%s is for %s and %s for %s: nothing can be compared", a, targets(sides[0]), b, targets(sides[1]))
	}
	return r, nil
}

// both opens both sides, at once. A model text beside an artifact is planned for the artifact's targets and its context.
func both(specs [2]string, o Options) (sides [2][]*Side, err error) {
	var trees [2]*opened
	for i, s := range specs {
		if trees[i], err = open(s); err != nil {
			return sides, err
		}
	}
	for i, t := range trees {
		if t.text != nil {
			continue
		}
		if sides[i], err = t.artifacts(o.Targets); err != nil {
			return sides, err
		}
		if other := trees[1-i]; other.text != nil {
			o.Targets = nil
			for _, s := range sides[i] {
				o.Targets = append(o.Targets, s.Target)
			}
			if o.Compile.Context == 0 {
				o.Compile.Context = sides[i][0].Plan.Context
			}
		}
	}
	if len(o.Targets) == 0 {
		o.Targets = DefaultTargets
	}
	var once []string
	for _, t := range o.Targets {
		if !slices.Contains(once, t) {
			once = append(once, t)
		}
	}
	o.Targets = once
	same := trees[0].text != nil && trees[1].text != nil && bytes.Equal(trees[0].text, trees[1].text) // most models of a pull request
	var g errgroup.Group
	for i, t := range trees {
		if t.text == nil || i == 1 && same {
			continue
		}
		g.Go(func() (err error) {
			sides[i], err = t.plans(o.Compile, o.Targets)
			return err
		})
	}
	err = g.Wait()
	if same {
		sides[1] = sides[0]
	}
	return sides, err
}

func targets(sides []*Side) string {
	var out []string
	for _, s := range sides {
		out = append(out, s.Target)
	}
	return list(out)
}
