package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/compiler"
	"hipc/kernels"
	"hipc/runtime/plan"
)

// A planPart is an instance in a launch of a plan, as the source that was compiled has it.
type planPart struct {
	step  *plan.Step
	inst  string
	first int   // its first block in the launch
	args  []int // which of the launch's operands it takes
}

var partCall = regexp.MustCompile(`([a-z]\w*<[^;{}]*>)\(((?:Arg\{a\d+\}, )+)block(?: - (\d+))?\);`)

// partsOf reads kernels.hip: each instance that a plan's launches have, once, where it stands first.
func partsOf(t *testing.T, dir string, p *plan.Plan) (list []planPart) {
	t.Helper()
	steps := map[string]*plan.Step{}
	for _, b := range p.Buckets {
		for _, part := range b.Parts {
			for i := range part.Steps {
				steps[part.Steps[i].Kernel] = &part.Steps[i]
			}
		}
	}
	seen := map[string]bool{}
	calls := 0
	var step *plan.Step
	for l := range strings.Lines(string(readFile(t, filepath.Join(dir, "kernels.hip")))) {
		if _, rest, ok := strings.Cut(l, "KERNEL("); ok {
			name, _, _ := strings.Cut(rest, ",")
			if step = steps[name]; step == nil {
				t.Fatalf("%s has %s, which the plan lacks", dir, name)
			}
		}
		m := partCall.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if calls++; seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		part := planPart{step: step, inst: m[1]}
		part.first, _ = strconv.Atoi(m[3])
		for _, a := range regexp.MustCompile(`\d+`).FindAllString(m[2], -1) {
			n, _ := strconv.Atoi(a)
			part.args = append(part.args, n)
		}
		list = append(list, part)
	}
	want := 0
	for _, s := range steps {
		want += len(strings.Split(s.Inst, " | "))
	}
	if calls != want {
		t.Fatalf("%s: %d instances in the source, %d in the plan: teach partsOf", dir, calls, want)
	}
	return list
}

// A wholeCase is a kernel at the dims that a plan has it with: what casesOf makes up, found again from the instance's text.
type wholeCase struct {
	*kernelCase
	dims  map[string]int
	mix   map[string]string
	reals map[string]float64
}

// wholeCaseOf finds the row whose instance it is. It gives nil for what isn't a product: no row with weights in a format, or one that looks rows up.
func wholeCaseOf(t *codegen.Target, inst string, context int) (*wholeCase, error) {
	name, args := instanceArgs(inst)
	var why error
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, t.Name); !ok {
			continue
		}
		template, vars := instanceArgs(row.Inst)
		if template != name || len(vars) != len(args) {
			continue
		}
		if row.Formats == "" || strings.HasPrefix(row.Op, "embed") {
			return nil, nil
		}
		c := &wholeCase{kernelCase: &kernelCase{row: row}, dims: map[string]int{}, mix: map[string]string{}, reals: map[string]float64{}}
		rows, ok := c.bind(vars, args)
		if !ok {
			continue
		}
		if c.node, why = row.Example(c.dims, c.mix, c.reals); why != nil {
			continue
		}
		d := kernels.Dims{T: rows, S: 1, C: context, P: t.Page}
		if c.choice, why = kernels.Find(t.Name, c.node, d); why != nil || c.choice.Inst != inst || c.choice.Kernel != row {
			continue
		}
		c.live = rows
		c.graph, why = meaning(row.Op, c.node)
		return c, why
	}
	return nil, fmt.Errorf("%s is no row's instance: %v", inst, why)
}

// bind takes the values of an instance's arguments, and its number of rows.
func (c *wholeCase) bind(vars, args []string) (rows int, ok bool) {
	dims, elems, reals := c.row.Vars()
	rows = 1
	for i, v := range vars {
		n, err := strconv.Atoi(args[i])
		switch {
		case slices.Contains(elems, v):
			c.mix[v] = strings.ToLower(args[i])
		case slices.Contains(reals, v):
			text := strings.NewReplacer("m", "-", "p", ".").Replace(strings.TrimPrefix(args[i], "r"))
			if c.reals[v], err = strconv.ParseFloat(text, 64); err != nil {
				return 0, false
			}
		case v == "T":
			rows = n
		case slices.Contains(dims, v):
			if was, ok := c.dims[v]; err != nil || ok && was != n {
				return 0, false
			}
			c.dims[v] = n
		default:
			if _, err := strconv.Atoi(v); err == nil && v != args[i] {
				return 0, false
			}
		}
	}
	return rows, true
}

func instanceArgs(inst string) (name string, args []string) {
	name, rest, _ := strings.Cut(inst, "<")
	for a := range strings.SplitSeq(strings.TrimSuffix(rest, ">"), ",") {
		args = append(args, strings.TrimSpace(a))
	}
	return name, args
}

// reportedArtifact compiles one of the models that are reported on, at its published size and without weights, once for all tests.
func reportedArtifact(t *testing.T, model, target string) *compiler.Result {
	t.Helper()
	artifacts.Lock()
	defer artifacts.Unlock()
	key := model + "-" + target
	if r := artifacts.reported[key]; r != nil {
		return r
	}
	dir := artifactsFolder(t)
	r, err := compiler.Compile(t.Context(), compiler.Options{Model: "../models/" + model + ".yaml", Target: target, Out: filepath.Join(dir, key)})
	if err != nil && strings.Contains(err.Error(), ": no kernel of ") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	artifacts.reported[key] = r
	return r
}

// sourceOf is kernels.hip without launches that have none of these parts.
func sourceOf(t *testing.T, dir string, parts []planPart) string {
	t.Helper()
	wanted := map[string]bool{}
	for _, p := range parts {
		wanted[p.step.Kernel] = true
	}
	var b strings.Builder
	keep := true
	for l := range strings.Lines(string(readFile(t, filepath.Join(dir, "kernels.hip")))) {
		if _, rest, ok := strings.Cut(l, "KERNEL("); ok {
			name, _, _ := strings.Cut(rest, ",")
			keep = wanted[name]
		} else if l == "\n" {
			keep = true
		}
		if keep {
			b.WriteString(l)
		}
	}
	return b.String()
}

// compileParts compiles the launches that have these parts, in a folder of its own, with the compilers of target.
func compileParts(t *testing.T, target *codegen.Target, dir string, parts []planPart) ([]byte, error) {
	out := t.TempDir()
	if err := os.CopyFS(filepath.Join(out, "templates"), os.DirFS(filepath.Join(dir, "templates"))); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(out, target.Source), []byte(sourceOf(t, dir, parts)), 0o644); err != nil {
		return nil, err
	}
	if _, err := codegen.Build(t.Context(), target, out); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(out, target.Object))
}
