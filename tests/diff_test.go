package tests

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var remake = flag.Bool("remake", false, "with -update: plan the changes of testdata/diff again, with hipc as it is now")

// A change is a small commit. testdata/diff/NAME.txtar has it as edits of this checkout: sections before/FILE and after/FILE, lines with - that are there
// and lines with + in their place; edits "before" are undone by the commit. What the plans of a Llama are for both AMD targets, before and after, lies beside it, as
// hipc was when they were made, packed for they are large: so the goldens say how a diff is told, whatever becomes of the planner. -remake plans again,
// with hipc built from the edits.
type change struct {
	file    string
	archive *txtar.Archive
	edits   map[string]map[string]string // before, after -> file -> its new text
	flags   []string                     // of hipc compile, after
}

func readChange(t *testing.T, file string) *change {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &change{file: file, archive: a, edits: map[string]map[string]string{"before": {}, "after": {}}}
	for _, f := range a.Files {
		if _, path, _ := strings.Cut(f.Name, "/"); path == "flags" {
			c.flags = strings.Fields(string(f.Data))
		}
	}
	return c
}

// read applies the edits of files that match.
func (c *change) read(t *testing.T, matches func(path string) bool) {
	t.Helper()
	for _, f := range c.archive.Files {
		when, path, ok := strings.Cut(f.Name, "/")
		if !ok || path == "flags" || !matches(path) {
			continue
		}
		text, ok := c.edits[when][path]
		if !ok {
			text = string(readFile(t, filepath.Join("..", path)))
		}
		c.edits[when][path] = c.edit(t, path, text, string(f.Data))
	}
}

// edit applies lines with - and +.
func (c *change) edit(t *testing.T, path, text, lines string) string {
	t.Helper()
	var old, new strings.Builder
	for l := range strings.Lines(lines) {
		if rest, ok := strings.CutPrefix(l, "-"); ok {
			old.WriteString(rest)
		} else if rest, ok := strings.CutPrefix(l, "+"); ok {
			new.WriteString(rest)
		} else {
			t.Fatalf("%s: %s: line %q begins with neither - nor +", c.file, path, l)
		}
	}
	from, to := strings.TrimSuffix(old.String(), "\n"), strings.TrimSuffix(new.String(), "\n")
	if strings.Count(text, from) != 1 {
		t.Fatalf("%s: %s has these lines %d times, want once; they have changed, so must the edit:\n%s", c.file, path, strings.Count(text, from), from)
	}
	return strings.Replace(text, from, to, 1)
}

// plans is the file of a commit's plans; base's where the commit changes nothing before.
func (c *change) plans(when string) string {
	if when == "before" && !slices.ContainsFunc(c.archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "before/") }) {
		return "testdata/diff/base.txtar.gz"
	}
	return strings.TrimSuffix(c.file, ".txtar") + "-" + when + ".txtar.gz"
}

// unpack puts a commit's plans into a folder.
func (c *change) unpack(t *testing.T, when, dir string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(readFile(t, c.plans(when))))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse(text).Files {
		writeFile(t, filepath.Join(dir, f.Name), string(f.Data))
	}
}

// hipc builds hipc with a commit's edits laid over this checkout.
func (c *change) hipc(t *testing.T, when string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for path, text := range c.edits[when] {
		if strings.HasPrefix(path, "models/") {
			continue
		}
		real, err := filepath.Abs(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		fake := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		writeFile(t, fake, text)
		overlay["Replace"][real] = fake
	}
	if len(overlay["Replace"]) == 0 {
		return program(t, "hipc")
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "hipc")
	writeFile(t, file, string(text))
	if out, err := exec.Command("go", "build", "-overlay", file, "-o", bin, "../cmd/hipc").CombinedOutput(); err != nil {
		t.Fatalf("%s: hipc with the edits %s doesn't build: %v\n%s", c.file, when, err, out)
	}
	return bin
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var planned = map[string]bool{}

// plan makes the plans of a commit.
func (c *change) plan(t *testing.T, when string) {
	t.Helper()
	if planned[c.plans(when)] {
		return // the base, which most changes have
	}
	planned[c.plans(when)] = true
	text, ok := c.edits[when]["models/llama.yaml"]
	if !ok {
		text = string(readFile(t, "../models/llama.yaml"))
	}
	model := filepath.Join(t.TempDir(), "llama.yaml")
	writeFile(t, model, text)
	hipc := c.hipc(t, when)
	var all txtar.Archive
	for _, target := range []string{"gfx1100", "gfx1151"} {
		out := filepath.Join(t.TempDir(), target)
		args := []string{"compile", model, "--target", target, "-o", out}
		if when == "after" {
			args = append(args, c.flags...)
		}
		cmd := exec.Command(hipc, args...)
		cmd.Env = append(os.Environ(), "PATH=", "HIPC_CLANG=") // no compiler: what it would make isn't kept
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.file, err, said)
		}
		for _, member := range []string{"plan.go", "prediction.tsv"} {
			all.Files = append(all.Files, txtar.File{Name: target + "/" + member, Data: readFile(t, filepath.Join(out, member))})
		}
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(txtar.Format(&all))
	z.Close()
	writeFile(t, c.plans(when), b.String())
}

func runGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestDiff: twelve commits, each of one change that somebody might make, and what hipc diff says of them to a reader, at a terminal and in a pull
// request, word for word as somebody has read it. -update rewrites the goldens.
func TestDiff(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git: apt install git")
	}
	files, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(files) != 12 {
		t.Fatalf("%d changes, want 12: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			c := readChange(t, file)
			if *remake {
				c.read(t, func(string) bool { return true })
				c.plan(t, "before")
				c.plan(t, "after")
			}
			repo := t.TempDir()
			runGit(t, repo, "init", "-q")
			for _, when := range []string{"before", "after"} {
				if err := os.RemoveAll(filepath.Join(repo, "plans")); err != nil {
					t.Fatal(err)
				}
				c.unpack(t, when, filepath.Join(repo, "plans"))
				runGit(t, repo, "add", "-A")
				runGit(t, repo, "commit", "-q", "--allow-empty", "-m", when)
				runGit(t, repo, "tag", when)
			}
			got := map[string]string{}
			for name, flags := range map[string][]string{"text": {"--bucket", "all"}, "markdown": {"--markdown"}} {
				out, code := diffIn(t, repo, append([]string{"before:plans", "after:plans"}, flags...)...)
				if got[name] = out; code != min(len(out), 1)*2 {
					t.Fatalf("exit %d:\n%s", code, out)
				}
			}
			c.holdAgainst(t, got)
			if nothing := c.changesNothing(); nothing != (got["text"]+got["markdown"] == "") {
				t.Errorf("an empty diff is wanted of what changes nothing, and of that alone")
			} else if nothing {
				return
			}
			open, _, _ := strings.Cut(got["markdown"], "\n<details>")
			if n := strings.Count(open, "\n"); n > 25 {
				t.Errorf("%d lines of the comment stand open, at most 25 are read", n)
			}
			if !strings.Contains(open, "gfx1100") || !strings.Contains(open, "gfx1151") {
				t.Errorf("the comment doesn't name both AMD targets")
			}
		})
	}
}

func (c *change) changesNothing() bool {
	name := filepath.Base(c.file)
	return strings.HasPrefix(name, "11-") || strings.HasPrefix(name, "12-")
}

// TestDiffOfTexts: the changes of the model's text once more, as texts, planned by hipc as it is now for both AMD targets: what they're called, and that a
// renamed block is none.
func TestDiffOfTexts(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git: apt install git")
	}
	for name, want := range map[string]string{"04-dim": "resized", "05-format": "reformatted", "11-renamed-block": "", "12-nothing": ""} {
		c := readChange(t, filepath.Join("testdata/diff", name+".txtar"))
		c.read(t, func(path string) bool { return path == "models/llama.yaml" })
		repo := t.TempDir()
		runGit(t, repo, "init", "-q")
		model := filepath.Join(repo, "models", "llama.yaml")
		writeFile(t, model, string(readFile(t, "../models/llama.yaml")))
		runGit(t, repo, "add", "-A")
		runGit(t, repo, "commit", "-q", "-m", "before")
		writeFile(t, model, c.edits["after"]["models/llama.yaml"])
		for _, dir := range []string{repo, filepath.Join(repo, "models")} { // names are relative to where one stands
			path := "models/llama.yaml"
			if dir != repo {
				path = "llama.yaml"
			}
			out, code := diffIn(t, dir, "HEAD:"+path, path)
			first, _, _ := strings.Cut(out, "\n")
			if want == "" && (out != "" || code != 0) || want != "" && (code != 2 || !strings.Contains(first, want) || !strings.Contains(first, "gfx1100, ") || !strings.Contains(first, "gfx1151;")) {
				t.Errorf("%s: exit %d, %s", name, code, first)
			}
		}
	}
}

// diffIn runs hipc diff --detailed-exitcode in a folder.
func diffIn(t *testing.T, dir string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(program(t, "hipc"), append([]string{"diff", "--detailed-exitcode"}, args...)...)
	cmd.Dir = dir
	var aside strings.Builder
	cmd.Stderr = &aside
	b, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code == 1 {
		t.Fatalf("hipc diff %v: %s", args, aside.String())
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// holdAgainst compares with the goldens, or rewrites them.
func (c *change) holdAgainst(t *testing.T, got map[string]string) {
	t.Helper()
	if *updateGoldens {
		c.archive.Files = slices.DeleteFunc(c.archive.Files, func(f txtar.File) bool { return !strings.Contains(f.Name, "/") })
		for _, name := range []string{"text", "markdown"} {
			c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
		if err := os.WriteFile(c.file, txtar.Format(c.archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, text := range got {
		i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			t.Errorf("no golden of %s: go test ./tests -run TestDiff -update, and read it", name)
		} else if d := cmp.Diff(string(c.archive.Files[i].Data), text); d != "" {
			t.Errorf("%s isn't what was read (go test ./tests -run TestDiff -update, and read it again):\n%s", name, d)
		}
	}
}

// TestDiffIsQuick: of 40 runs of hipc diff on two texts of a 40-layer model, changed in a layer that thirty of them are, 38 take less than 200 ms on two
// cores: less than 400 ms of processor time, which is the bound here, because on a machine that does other things, too, the wall clock measures those.
// What other programs leave of the caches and of a core's second thread still counts: under load it's twice what it is on a quiet machine.
func TestDiffIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	const model, runs, most = "../models/qwen3.6-35b-a3b.yaml", 40, 400 * time.Millisecond
	changed := filepath.Join(t.TempDir(), "changed.yaml")
	text := string(readFile(t, model))
	other := strings.Replace(text, "silu(z), @out_proj[d]", "sigmoid(z), @out_proj[d]", 1)
	if other == text {
		t.Fatal("the layer's gate has moved")
	}
	writeFile(t, changed, other)
	var wall, cpu []time.Duration
	for range runs {
		begun := time.Now()
		p := startProgram(t, nil, "hipc", "diff", model, changed)
		if got := finish(t, p); got.code != 0 || !strings.Contains(got.out, "rule gdn_norm_rotate fires no more") {
			t.Fatalf("exit %d: %s%s", got.code, got.out, got.err)
		}
		wall = append(wall, time.Since(begun))
		cpu = append(cpu, p.ProcessState.UserTime()+p.ProcessState.SystemTime())
	}
	for _, l := range [][]time.Duration{wall, cpu} {
		slices.Sort(l)
	}
	const p95 = runs*95/100 - 1
	t.Logf("two 40-layer models, %d times: wall min %v, median %v, p95 %v, max %v; processor %v, %v, %v, %v", runs,
		wall[0], wall[runs/2], wall[p95], wall[runs-1], cpu[0], cpu[runs/2], cpu[p95], cpu[runs-1])
	if cpu[p95] > most {
		t.Errorf("of %d runs only %d took less than %v of processor time", runs, slices.IndexFunc(cpu, func(d time.Duration) bool { return d > most }), most)
	}
}
