package codegen

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hipc/runtime/plan"
)

func TestPlanSource(t *testing.T) {
	p := sample()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	got, err := PlanSource(p)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.go", got)
	again, err := PlanSource(sample())
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("written twice, it differs: %v", err)
	}
	q, err := plan.Read(got)
	if err != nil || !reflect.DeepEqual(p, q) {
		t.Errorf("read back: %v\n%+v", err, q)
	}
}

// Inserting a step is a diff of that step: no other line changes.
func TestPlanDiff(t *testing.T) {
	before, err := PlanSource(sample())
	if err != nil {
		t.Fatal(err)
	}
	p := sample()
	end := &p.Buckets[0].Parts[3]
	end.Steps = append(end.Steps, plan.Step{Kernel: "more", Inst: "more<1>", In: []string{"logits"}, Out: []string{"tokens"}, Grid: 1, Block: 1})
	after, err := PlanSource(p)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for l := range strings.Lines(string(before)) {
		lines[l]++
	}
	added := 0
	for l := range strings.Lines(string(after)) {
		if lines[l]--; lines[l] < 0 {
			added++
		}
	}
	if added > 3 {
		t.Errorf("%d lines for a new step, want at most 3", added)
	}
}

// What Go's own compiler makes of plan.go is the plan, field by field: the file is what it looks like.
func TestPlanCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the Go compiler")
	}
	p := sample()
	src, err := PlanSource(p)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	for name, text := range map[string]string{
		"probe/plan.go": string(src),
		"main.go": `package main

import (
	"encoding/json"
	"os"

	tiny "hipc/tests/planprobe/probe"
)

func main() { json.NewEncoder(os.Stdout).Encode(tiny.Plan) }
`} {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, "tests", "planprobe", name)] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "-overlay", filepath.Join(dir, "overlay.json"), "hipc/tests/planprobe")
	cmd.Dir = root
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &words)
	}
	q := new(plan.Plan)
	if err := json.Unmarshal(out.Bytes(), q); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, q) {
		t.Errorf("compiled, it is another plan: %s", difference(reflect.ValueOf(*p), reflect.ValueOf(*q), "Plan"))
	}
}

func TestPlanSourceRefuses(t *testing.T) {
	p := sample()
	p.Weights[0].Name = "größe"
	if _, err := PlanSource(p); err == nil || !strings.Contains(err.Error(), "printable ASCII") {
		t.Errorf("wrote what can't be read: %v", err)
	}
	p = sample()
	p.Version = -1
	if _, err := PlanSource(p); err == nil {
		t.Error("wrote a negative number")
	}
}

func TestPackage(t *testing.T) {
	for model, want := range map[string]string{
		"smollm2-135m-instruct": "smollm2_135m_instruct", "Qwen3.6": "qwen3_6", "": "m", "3b": "m3b", "_x": "m_x", "go": "go_", "é": "m_",
	} {
		if got := Package(model); got != want {
			t.Errorf("%q: %s, want %s", model, got, want)
		}
	}
}
