package tests

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"hipc/compiler"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
)

var updateGoldens = flag.Bool("update", false, "rewrite testdata/stages from what the compiler does now")

// A stage is a section of a golden: what the compiler has after a pass, or what it writes.
type stage struct {
	name  string
	graph bool // a text of the model language
	text  func(t *testing.T, o compiler.Options) string
}

func stages() []stage {
	after := func(pass, bucket string) func(*testing.T, compiler.Options) string {
		return func(t *testing.T, o compiler.Options) string {
			text, err := compiler.After(o, pass, bucket)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	list := []stage{{"elaborate", true, after("elaborate", "")}, {"lower", true, after("lower", "")}}
	for _, pass := range []string{"bucket", "fuse"} {
		for _, bucket := range []string{"decode_1", "prefill_512"} {
			list = append(list, stage{pass + "/" + bucket, true, after(pass, bucket)})
		}
	}
	for _, file := range []string{"plan.go", "kernels.hip"} {
		list = append(list, stage{file, false, func(t *testing.T, o compiler.Options) string {
			return string(readFile(t, filepath.Join(o.Out, file)))
		}})
	}
	return list
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noCompiler is a machine without a C++ compiler.
func noCompiler(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("CXX", "")
}

const maxGolden = 128 << 10 // Qwen3.6 has four bodies in eight sections

// TestStages holds every model of models/ against what each pass made of it when a person last looked, with the
// published sizes, for one target, so that the machine has no say.
func TestStages(t *testing.T) {
	noCompiler(t)
	models, err := filepath.Glob("../models/*.yaml")
	if err != nil || len(models) == 0 {
		t.Fatalf("no models: %v", err)
	}
	goldens, err := filepath.Glob("testdata/stages/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range models {
		name := strings.TrimSuffix(filepath.Base(model), ".yaml")
		golden := filepath.Join("testdata/stages", name+".txtar")
		goldens = slices.DeleteFunc(goldens, func(g string) bool { return g == golden })
		t.Run(name, func(t *testing.T) {
			o := compiler.Options{Model: model, Target: "cpu_v3", Out: filepath.Join(t.TempDir(), "out")}
			r, err := compiler.Compile(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Missing == nil {
				t.Error("a compiler was found where there is none")
			}
			for file, most := range map[string]int{model: 60, filepath.Join(o.Out, "plan.go"): 400} {
				if n := strings.Count(string(readFile(t, file)), "\n"); n > most {
					t.Errorf("%s has %d lines, want at most %d", file, n, most)
				}
			}
			remake := fmt.Sprintf("go test ./tests -run 'TestStages/%s$' -update", name)
			if *updateGoldens {
				writeStages(t, golden, o, remake)
			}
			compareStages(t, golden, o, remake)
		})
	}
	for _, g := range goldens {
		t.Errorf("%s is the golden of no model: remove it", g)
	}
}

func writeStages(t *testing.T, golden string, o compiler.Options, remake string) {
	t.Helper()
	a := txtar.Archive{Comment: []byte("What the compiler makes of models/" + filepath.Base(o.Model) + ", pass by pass, for " + o.Target + ". Made by\n" + remake + "\n")}
	for _, s := range stages() {
		a.Files = append(a.Files, txtar.File{Name: s.name, Data: []byte(s.text(t, o))})
	}
	if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(golden, txtar.Format(&a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compareStages(t *testing.T, golden string, o compiler.Options, remake string) {
	t.Helper()
	data, err := os.ReadFile(golden)
	if os.IsNotExist(err) {
		t.Fatalf("%s has no golden. Make it, and read it:\n\t%s", o.Model, remake)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > maxGolden {
		t.Errorf("%s has %d bytes, want at most %d", golden, len(data), maxGolden)
	}
	sections := map[string]string{}
	a := txtar.Parse(data)
	for _, f := range a.Files {
		sections[f.Name] = string(f.Data)
	}
	if len(sections) != len(a.Files) {
		t.Errorf("%s has a section twice", golden)
	}
	for _, s := range stages() {
		want, ok := sections[s.name]
		delete(sections, s.name)
		if !ok {
			t.Errorf("%s has no section %s. Make it, and read it:\n\t%s", golden, s.name, remake)
			continue
		}
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(s.text(t, o), "\n")); diff != "" {
			t.Errorf("%s, %s (-golden +now). If that is as it should be:\n\t%s\n%s", golden, s.name, remake, diff)
		}
		if s.graph {
			reparse(t, s.name, want)
		}
	}
	for name := range sections {
		t.Errorf("%s has a section %s, which is no stage", golden, name)
	}
}

// reparse: a golden is an input too, and means itself.
func reparse(t *testing.T, name, text string) {
	t.Helper()
	f, err := syntax.Parse(name, text, syntax.Pos{File: name, Line: 1, Col: 1})
	if err != nil {
		t.Errorf("%s doesn't parse: %v", name, err)
		return
	}
	m, err := (&ir.Builder{Fused: fusion.Decls(), Headless: true}).Build(name, f)
	if err != nil {
		t.Errorf("%s can't be built: %v", name, err)
		return
	}
	if err := m.Verify(); err != nil {
		t.Errorf("%s, read again: %v", name, err)
	}
	if diff := cmp.Diff(text, m.String()); diff != "" {
		t.Errorf("%s prints as another text (-golden +printed):\n%s", name, diff)
	}
}
