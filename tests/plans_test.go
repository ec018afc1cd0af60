package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/review"
)

// planTargets are the targets whose plans are committed, planMembers what of them can be made without a compiler.
var (
	planTargets = []string{"gfx1100", "gfx1151", "sm_90"}
	planMembers = []string{"plan.go", "prediction.tsv", "kernels.hip"}
)

// TestPlans: models/plans is what hipc makes of models/ now. Where it isn't, the failure says how to mend it, and what changes: that is what a reviewer
// will see. kernels.txt, for which a compiler would have to run for minutes, must speak of the very kernels that the source has.
func TestPlans(t *testing.T) {
	const plans = "../models/plans"
	if _, err := os.Stat(plans); err != nil {
		t.Skip("no plans are committed: make plans")
	}
	noCompiler(t)
	t.Setenv("HIPC_CLANG", "")
	stale := stalePlans(t, "../models", plans)
	for _, s := range stale {
		t.Error(s)
	}
}

// stalePlans says of each model's plans what is wrong with them.
func stalePlans(t *testing.T, models, plans string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(models, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in %s: %v", models, err)
	}
	var out []string
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		names = append(names, name)
		made := filepath.Join(t.TempDir(), name)
		differs := false
		for _, target := range planTargets {
			dir := filepath.Join(made, target)
			if _, err := compiler.Compile(t.Context(), compiler.Options{Model: file, Target: target, Out: dir}); err != nil {
				t.Fatalf("%s for %s: %v", name, target, err)
			}
			for _, m := range planMembers {
				b, err := os.ReadFile(filepath.Join(plans, name, target, m))
				differs = differs || err != nil || string(b) != string(readFile(t, filepath.Join(dir, m)))
			}
		}
		mend := ": make plans MODELS=" + name
		if differs {
			out = append(out, "models/plans/"+name+" is stale"+mend+"\n"+whatChanges(filepath.Join(plans, name), made))
			continue
		}
		for _, target := range planTargets {
			dir := filepath.Join(plans, name, target)
			source, report := string(readFile(t, filepath.Join(dir, "kernels.hip"))), string(readFile(t, filepath.Join(dir, "kernels.txt")))
			for l := range strings.Lines(source) {
				if rest, ok := strings.CutPrefix(l, "KERNEL("); ok {
					kernel, _, _ := strings.Cut(rest, ",")
					if !strings.Contains(report, "  "+kernel+"\n") {
						out = append(out, dir+"/kernels.txt doesn't speak of "+kernel+mend)
					}
				}
			}
		}
	}
	list, err := os.ReadDir(plans)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if !slices.Contains(names, e.Name()) {
			out = append(out, "models/plans/"+e.Name()+" has no model: remove it")
		}
	}
	return out
}

// whatChanges is the diff from what is committed to what hipc makes now.
func whatChanges(committed, made string) string {
	r, err := review.Run(committed, made, review.Options{})
	if err != nil {
		return err.Error()
	}
	if r.Same() {
		return "its plan is the same; the sources or the reasons differ"
	}
	var b strings.Builder
	r.Text(&b, "")
	return b.String()
}

// TestStalePlans: a plan that another hipc has written is found, with the command and the diff; one that is as it should be is passed.
func TestStalePlans(t *testing.T) {
	noCompiler(t)
	t.Setenv("HIPC_CLANG", "")
	models, plans := filepath.Join(t.TempDir(), "models"), filepath.Join(t.TempDir(), "plans")
	text := string(readFile(t, "../models/llama.yaml"))
	writeFile(t, filepath.Join(models, "llama.yaml"), text)
	file := filepath.Join(t.TempDir(), "llama.yaml")
	write := func(text string) {
		t.Helper()
		writeFile(t, file, text)
		for _, target := range planTargets {
			out := filepath.Join(t.TempDir(), target)
			if _, err := compiler.Compile(t.Context(), compiler.Options{Model: file, Target: target, Out: out}); err != nil {
				t.Fatal(err)
			}
			var kernels strings.Builder
			for l := range strings.Lines(string(readFile(t, filepath.Join(out, "kernels.hip")))) {
				if rest, ok := strings.CutPrefix(l, "KERNEL("); ok {
					kernel, _, _ := strings.Cut(rest, ",")
					kernels.WriteString("   1  " + kernel + "\n")
				}
			}
			writeFile(t, filepath.Join(plans, "llama", target, "kernels.txt"), "# words\n# bytes  kernel\n"+kernels.String())
			for _, m := range planMembers {
				writeFile(t, filepath.Join(plans, "llama", target, m), string(readFile(t, filepath.Join(out, m))))
			}
		}
	}
	write(text)
	if stale := stalePlans(t, models, plans); len(stale) > 0 {
		t.Errorf("plans that were just made: %q", stale)
	}
	writeFile(t, filepath.Join(plans, "llama/sm_90/kernels.txt"), "# words\n# bytes  kernel\n")
	if stale := stalePlans(t, models, plans); len(stale) == 0 || !strings.Contains(stale[0], "kernels.txt doesn't speak of ") {
		t.Errorf("a report on no kernel: %q", stale)
	}
	write(strings.Replace(text, "intermediate_size = 8192", "intermediate_size = 4096", 1))
	writeFile(t, filepath.Join(plans, "lost/plan.go"), "")
	stale := stalePlans(t, models, plans)
	if len(stale) != 2 || !strings.Contains(stale[0], "models/plans/llama is stale: make plans MODELS=llama\nllama: ") || !strings.Contains(stale[0], "resized") || !strings.Contains(stale[0], "gfx1151") ||
		!strings.Contains(stale[1], "lost has no model") {
		t.Errorf("plans of another width: %q", stale)
	}
}
