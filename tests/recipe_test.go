package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A scratchRepo is somebody's repository with models and the recipe.
type scratchRepo struct {
	t   *testing.T
	dir string
}

func newScratchRepo(t *testing.T) *scratchRepo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git on this machine")
	}
	r := &scratchRepo{t, t.TempDir()}
	for name, from := range map[string]string{
		".github/workflows/plan-diff.sh": "../examples/review/plan-diff.sh", "models/llama.yaml": "../models/llama.yaml", "models/qwen3.yaml": "../models/qwen3.yaml",
	} {
		r.write(name, string(readFile(t, from)))
	}
	if err := os.Chmod(filepath.Join(r.dir, ".github/workflows/plan-diff.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	r.commit()
	r.git("update-ref", "refs/remotes/origin/main", "HEAD")
	return r
}

func (r *scratchRepo) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// change replaces a text in a file, once.
func (r *scratchRepo) change(name, old, new string) {
	r.t.Helper()
	text := string(readFile(r.t, filepath.Join(r.dir, name)))
	if !strings.Contains(text, old) {
		r.t.Fatalf("%s has no %q: change the test", name, old)
	}
	r.write(name, strings.Replace(text, old, new, 1))
}

func (r *scratchRepo) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func (r *scratchRepo) commit() {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "a change")
}

// plans commits plans of a model for both AMD targets, as the text is.
func (r *scratchRepo) plans(model string) {
	r.t.Helper()
	for _, target := range []string{"gfx1100", "gfx1151"} {
		out := filepath.Join(r.t.TempDir(), target)
		cmd := exec.Command(program(r.t, "hipc"), "compile", filepath.Join(r.dir, "models", model+".yaml"), "--target", target, "-o", out)
		cmd.Env = append(os.Environ(), "PATH=", "HIPC_CLANG=") // no compiler: what it would make isn't committed
		if said, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("%v\n%s", err, said)
		}
		for _, member := range []string{"plan.go", "prediction.tsv"} {
			r.write(filepath.Join("models/plans", model, target, member), string(readFile(r.t, filepath.Join(out, member))))
		}
	}
}

// review runs the workflow's last step as its runner would, with a gh that writes down what it is to post, and then says that it may. It gives the
// comment and the step's exit code.
func (r *scratchRepo) review() (comment string, code int) {
	return r.reviewWith("exit 0")
}

// reviewWith is the same with a gh that ends as it's told to.
func (r *scratchRepo) reviewWith(end string) (comment string, code int) {
	r.t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal(readFile(r.t, "../examples/review/plan-diff.yml"), &workflow); err != nil {
		r.t.Fatal(err)
	}
	steps := workflow.Jobs["plan-diff"].Steps
	bin := r.t.TempDir()
	gh := "#!/bin/sh\n[ \"$1 $2 $3\" = 'pr comment 7' ] || exit 9\nwhile [ $# -gt 1 ]; do [ \"$1\" = --body-file ] && cp \"$2\" \"$0.posted\"; shift; done\n" + end + "\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(gh), 0o755); err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("bash", "-e", "-c", steps[len(steps)-1].Run)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+filepath.Dir(program(r.t, "hipc"))+":"+os.Getenv("PATH"), "GITHUB_BASE_REF=main", "PR=7",
		"GITHUB_STEP_SUMMARY="+filepath.Join(bin, "summary"))
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		r.t.Fatalf("%v\n%s", err, out)
	}
	os.Remove(filepath.Join(r.dir, "comment.md")) // or the next commit has it
	comment = string(readFile(r.t, filepath.Join(bin, "gh.posted")))
	if summary := string(readFile(r.t, filepath.Join(bin, "summary"))); summary != comment {
		r.t.Errorf("the comment is %q, the job's summary %q", comment, summary)
	}
	return comment, cmd.ProcessState.ExitCode()
}

// TestRecipe: the workflow of examples/review in a repository that has nothing but models.
func TestRecipe(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	r := newScratchRepo(t)
	if comment, code := r.review(); code != 0 || comment != "No launch plan changes.\n" {
		t.Errorf("nothing changed: exit %d, %q", code, comment)
	}

	r.change("models/llama.yaml", "F: intermediate_size = 8192", "F: intermediate_size = 8448")
	r.commit()
	comment, code := r.review()
	if code != 0 || !strings.HasPrefix(comment, "**llama: 2 steps resized;") || strings.Contains(comment, "qwen3") {
		t.Errorf("a wider MLP: exit %d\n%s", code, comment)
	}
	fold, _, _ := strings.Cut(comment, "<details>")
	for _, want := range []string{"gfx1100", "gfx1151", "predicted", "resized: mlp.gate_proj bf16[8192,2048] → bf16[8448,2048]"} {
		if !strings.Contains(fold, want) {
			t.Errorf("a wider MLP: before the fold nothing says %q:\n%s", want, fold)
		}
	}
	if n := strings.Count(fold, "\n"); n > 25 {
		t.Errorf("%d lines before the fold, want 25 at most:\n%s", n, fold)
	}

	r.change("models/qwen3.yaml", "num_hidden_layers = 28", "num_hidden_layers = 30")
	r.write("models/new.yaml", strings.Replace(string(readFile(t, "../models/mistral.yaml")), "model: mistral", "model: new", 1))
	r.commit()
	comment, code = r.review()
	if code != 0 || strings.Count(comment, "launches") < 3 || !strings.Contains(comment, "**llama:") || !strings.Contains(comment, "**qwen3:") || !strings.Contains(comment, "**new is new**\n\n```\nnew for gfx1100") {
		t.Errorf("two models and a new one: exit %d\n%s", code, comment)
	}

	if again, code := r.reviewWith("exit 1"); code != 0 || again != comment {
		t.Errorf("a fork's token: exit %d\n%s", code, again)
	}

	r.write("hipc.budget.yaml", "budgets:\n  - {model: llama, target: gfx1100, bucket: decode_1, time: +1 %}\n")
	if comment, code = r.review(); code != 3 {
		t.Errorf("over the budget: exit %d, want 3\n%s", code, comment)
	}

	r.change("models/qwen3.yaml", "rmsnorm(", "rmsnrm(")
	r.commit()
	if comment, code = r.review(); code != 1 || !strings.Contains(comment, "**qwen3 can't be compared**") || !strings.Contains(comment, "rmsnrm") || !strings.Contains(comment, "**llama:") {
		t.Errorf("a mistake in a text: exit %d, want 1\n%s", code, comment)
	}
}

// TestRecipePlans: what happens to texts and their committed plans besides a change of both is told, too.
func TestRecipePlans(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	base := newScratchRepo(t)
	base.plans("llama")
	base.commit()
	base.git("update-ref", "refs/remotes/origin/main", "HEAD")
	const wide, stale = "F: intermediate_size = 8448", "**models/plans/llama is stale: models/llama.yaml has changed, its plan for "
	remove := func(name string) func() { return func() { base.git("rm", "-q", "-r", name) } }
	wider := func() { base.change("models/llama.yaml", "F: intermediate_size = 8192", wide) }
	for name, c := range map[string]struct {
		do   []func()
		want []string // lines' beginnings, in this order, of all that are bold
	}{
		"nothing": {nil, nil},
		"a comment": {[]func(){func() {
			base.change("models/llama.yaml", "F: intermediate_size", "# a comment\n  F: intermediate_size")
		}}, nil},
		"a stale plan": {[]func(){wider}, []string{stale + "gfx1100,gfx1151 hasn't. What the text does:**", "**llama: 2 steps resized;"}},
		"both":         {[]func(){wider, func() { base.plans("llama") }}, []string{"**llama: 2 steps resized;"}},
		"one stale of two": {[]func(){wider, func() { base.plans("llama"); base.git("checkout", "-q", "HEAD", "--", "models/plans/llama/gfx1151") }},
			[]string{"**llama: 2 steps resized gfx1100;", stale + "gfx1151 hasn't.", "**llama: 2 steps resized;"}},
		"a target is gone": {[]func(){remove("models/plans/llama/gfx1151")}, []string{"**llama: gfx1151 only in "}},
		"a target is new": {[]func(){func() {
			base.write("models/plans/llama/sm_90/plan.go", strings.ReplaceAll(string(readFile(t, filepath.Join(base.dir, "models/plans/llama/gfx1100/plan.go"))), "gfx1100", "sm_90"))
		}}, []string{"**llama: sm\\_90 only in models/plans/llama"}},
		"the plans are gone": {[]func(){remove("models/plans/llama")}, []string{"**llama: its plans in models/plans/llama are gone**"}},
		"gone, and another":  {[]func(){remove("models/plans/llama"), wider}, []string{"**llama: its plans in models/plans/llama are gone**", "**llama: 2 steps resized;"}},
		"plans are new":      {[]func(){func() { base.plans("qwen3") }}, []string{"**qwen3: its plans in models/plans/qwen3 are new**"}},
		"the model is gone":  {[]func(){remove("models/llama.yaml"), remove("models/plans/llama")}, []string{"**llama is gone**"}},
		"the text alone is":  {[]func(){remove("models/llama.yaml")}, []string{"**llama is gone, its plans in models/plans/llama are not**"}},
		"the model is renamed": {[]func(){func() {
			base.git("mv", "models/llama.yaml", "models/alpaca.yaml")
			base.git("mv", "models/plans/llama", "models/plans/alpaca")
		}}, []string{"**llama is called alpaca now**"}},
		"renamed and changed": {[]func(){func() {
			base.git("mv", "models/qwen3.yaml", "models/qwen4.yaml")
			base.change("models/qwen4.yaml", "num_hidden_layers = 28", "num_hidden_layers = 30")
		}}, []string{"**qwen3 is called qwen4 now**", "**qwen3: layers 28 → 30;"}},
	} {
		base.git("checkout", "-q", "-B", "change", "main")
		for _, do := range c.do {
			do()
		}
		base.commit()
		comment, code := base.review()
		var bold []string
		for _, l := range strings.Split(comment, "\n") {
			if strings.HasPrefix(l, "**") {
				bold = append(bold, l)
			}
		}
		ok := code == 0 && len(bold) == len(c.want)
		for i := range bold {
			ok = ok && strings.HasPrefix(bold[i], c.want[i])
		}
		if !ok || c.want == nil && comment != "No launch plan changes.\n" {
			t.Errorf("%s: exit %d, %q; want %q\n%s", name, code, bold, c.want, comment)
		}
	}
}
