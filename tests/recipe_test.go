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

// review runs the workflow's last step as its runner would, with a gh that writes down what it is to post. It gives the comment and the
// step's exit code.
func (r *scratchRepo) review() (comment string, code int) {
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
	gh := "#!/bin/sh\n[ \"$1 $2 $3\" = 'pr comment 7' ] || exit 9\nwhile [ $# -gt 1 ]; do [ \"$1\" = --body-file ] && cp \"$2\" \"$0.posted\"; shift; done\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(gh), 0o755); err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("bash", "-e", "-c", steps[len(steps)-1].Run)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+filepath.Dir(program(r.t, "hipc"))+":"+os.Getenv("PATH"), "GITHUB_BASE_REF=main", "PR=7")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return string(readFile(r.t, filepath.Join(bin, "gh.posted"))), cmd.ProcessState.ExitCode()
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
