// Package tests holds the tests that are about more than one package: the stages of compilation, every kernel and every
// rule against the oracle, whole models against goldens made by other people's code, and the project's own shape.
package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows are the imports that are allowed within the project. A new one is a visible line here.
var arrows = map[string][]string{
	"ir/syntax":           nil,
	"ir":                  {"ir/syntax"},
	"kernels":             {"ir", "ir/syntax", "kernels/checks", "kernels/times", "runtime/weights"},
	"kernels/checks":      nil,
	"kernels/times":       nil,
	"fusion":              {"ir", "ir/syntax", "kernels"},
	"codegen":             {"runtime/plan"},
	"compiler":            {"codegen", "fusion", "ir", "ir/syntax", "kernels", "kernels/checks", "runtime/plan", "runtime/text/files", "runtime/weights"},
	"explain":             {"compiler"},
	"review":              {"compiler", "runtime/plan"},
	"runtime/plan":        nil,
	"runtime/weights":     nil,
	"runtime/text/files":  nil,
	"runtime/text":        nil,
	"runtime":             {"runtime/plan"},
	"runtime/runtimetest": {"runtime/plan"},
	"runtime/cpu":         {"runtime"},
	"runtime/gpu":         {"runtime"},
	"runtime/cuda":        {"runtime", "runtime/gpu"},
	"runtime/hip":         {"runtime", "runtime/gpu", "runtime/hsaco"},
	"runtime/hsaco":       nil,
	"runtime/sim":         {"runtime", "runtime/hsaco"},
	"tests/hipstandin":    {"runtime", "runtime/hsaco", "runtime/sim"},
	"runtime/engine":      {"runtime", "runtime/cpu", "runtime/cuda", "runtime/gpu", "runtime/hip", "runtime/plan", "runtime/sim", "runtime/text/files", "runtime/weights"},
	"runtime/chat":        {"runtime", "runtime/engine", "runtime/text"},
	"runtime/reference":   {"ir", "ir/syntax", "runtime", "runtime/plan", "runtime/weights"},
	"cmd/hipc":            {"codegen", "compiler", "explain", "ir/syntax", "review", "runtime/plan"},
	"cmd/hiprun":          {"kernels/checks", "kernels/times", "runtime", "runtime/chat", "runtime/engine", "runtime/reference", "runtime/sim", "runtime/weights"},
}

func TestImports(t *testing.T) {
	found := map[string]map[string]bool{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || slices.Contains([]string{"testdata", "out", "bin", "examples", "plans"}, d.Name())) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(p))[len("../"):]
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if found[pkg] == nil {
			found[pkg] = map[string]bool{}
		}
		for _, im := range f.Imports {
			if to, ok := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), "hipc/"); ok {
				found[pkg][to] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, to := range found {
		allowed, ok := arrows[pkg]
		if !ok && pkg != "tests" {
			t.Errorf("package %s has no row in the table of arrows", pkg)
		}
		for p := range to {
			if !slices.Contains(allowed, p) {
				t.Errorf("%s imports %s: no such arrow is drawn", pkg, p)
			}
		}
		for _, p := range allowed {
			if !to[p] {
				t.Errorf("the table draws an arrow from %s to %s that is gone", pkg, p)
			}
		}
	}
	for pkg := range arrows {
		if found[pkg] == nil {
			t.Errorf("the table has a row for %s, which isn't there", pkg)
		}
	}
}
