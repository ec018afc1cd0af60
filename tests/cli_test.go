package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHelp: every command shows how it's used.
func TestHelp(t *testing.T) {
	for _, c := range []string{"hipc", "hipc compile", "hipc inspect", "hipc explain", "hipc diff", "hipc fmt", "hipc lint", "hipc doctor", "hiprun", "hiprun bench", "hiprun devices", "hiprun eval", "hiprun logits", "hiprun profile", "hiprun verify"} {
		words := strings.Fields(c)
		got := runProgram(t, nil, words[0], append(words[1:], "--help")...)
		_, examples, ok := strings.Cut(got.out, "Examples:\n")
		if got.code != 0 || got.err != "" || !ok || !strings.HasPrefix(examples, "  "+c+" ") && !strings.HasPrefix(examples, "  "+c+"\n") && c != "hiprun logits" {
			t.Errorf("%s --help: exit %d, %s%s", c, got.code, got.out, got.err)
		}
		for line := range strings.Lines(got.out) {
			if len(strings.TrimSuffix(line, "\n")) > 200 {
				t.Errorf("%s --help has a line of %d characters", c, len(line))
			}
		}
	}
}

// TestCommandLine: what is mistyped is refused in one line that says what there is; exit code 2 for the command line, 1
// for what it names.
func TestCommandLine(t *testing.T) {
	place := t.TempDir()
	const llama, plans = "../models/llama.yaml", "../models/plans/llama"
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"hipc compile", 2, "takes one model text, not 0"},
		{"hipc compile a b", 2, "takes one model text, not 2"},
		{"hipc compil " + llama, 2, "hipc has no command compil; did you mean compile?"},
		{"hipc compile none.yaml", 1, "none.yaml: no such file"},
		{"hipc compile ../models", 1, "is a directory"},
		{"hipc compile " + llama + " --target gfx9000", 1, `no target "gfx9000", want one of cpu_v4, cpu_v3, `},
		{"hipc compile " + llama + " -fuse=maybe", 2, "-fuse=maybe: want on, off, or rules to leave out: -fuse=-swiglu"},
		{"hipc compile " + llama + " -after=fusion", 1, "-after=fusion: no graph is there to be seen; passes with one: elaborate, lower, bucket, fuse"},
		{"hipc compile " + llama + " -after=fuse --bucket decode_7", 1, "no bucket is called decode_7: there are decode_1, decode_1_sample, prefill_512"},
		{"hipc compile " + llama + " --frobnicate", 2, "unknown flag: --frobnicate"},
		{"hipc compile " + llama + " --set LL=2", 1, "no dim or real LL; did you mean L?"},
		{"hipc compile " + llama + " --set L=two", 1, "--set L=two: want a number"},
		{"hipc compile " + llama + " --set L", 2, "L"},
		{"hipc compile " + llama + " --context x", 2, "context"},
		{"hipc compile " + llama + " --context -5", 1, "--context -5: want 1 to 16777216 tokens"},
		{"hipc compile " + llama + " --weights none.gguf", 1, "none.gguf: no such file"},
		{"hipc compile " + llama + " --weights cli_test.go", 1, "unknown kind of file, want .safetensors, .gguf"},
		{"hipc inspect", 2, "takes one artifact, not 0"},
		{"hipc explain", 2, "takes one model text or artifact, not 0"},
		{"hipc diff " + llama, 2, "takes two artifacts or model texts, not 1"},
		{"hipc diff --detailed-exitcode " + llama, 1, "takes two artifacts or model texts, not 1"}, // 2 means a change there
		{"hipc diff --detailed-exitcode --frobnicate a b", 1, "unknown flag: --frobnicate"},
		{"hipc diff none.yaml " + llama, 1, "none.yaml: no such file, and no REVISION:PATH either"},
		{"hipc diff none:x.yaml " + llama, 1, "none:x.yaml: git ls-tree: "},
		{"hipc diff HEAD:none.yaml " + llama, 1, "HEAD:none.yaml: revision HEAD has no such file"},
		{"hipc diff " + llama + " " + llama + " --bucket decode", 1, "no bucket is called decode: there are decode_1, "},
		{"hipc diff --upload-pack=x:y " + llama, 2, "unknown flag"},
		{"hipc diff -- -x:y " + llama, 1, "-x:y: no such file, and no REVISION:PATH either"},
		{"hipc diff " + place + " " + llama, 1, "neither it nor a folder in it has a plan.go"},
		{"hipc diff --target gfx9000 " + llama + " " + llama, 1, `no target "gfx9000"`},
		{"hipc diff --budget none.yaml " + llama + " " + llama, 1, "none.yaml: no such file"},
		{"hipc diff -fuse=maybe " + llama + " " + llama, 2, "-fuse=maybe: want on, off"},
		{"hipc fmt -w", 2, "fmt -w without a file"},
		{"hipc fmt none.yaml", 1, "none.yaml: no such file"},
		{"hipc lint", 2, "lint takes model texts"},
		{"hipc inspect " + place, 1, "neither it nor a folder in it has a plan.go"},
		{"hipc inspect none", 1, "none: no such file or folder"},
		{"hipc inspect " + llama, 1, "models/llama.yaml is a file: want an artifact"},
		{"hipc inspect " + plans, 1, "has an artifact in each of gfx1100, gfx1151, sm_90: want one of these folders, or its --target"},
		{"hipc inspect --target sm_90 " + plans, 1, "models/plans/llama/sm_90 has no manifest.json: want an artifact"},
		{"hipc explain " + plans, 1, "has an artifact in each of gfx1100, gfx1151, sm_90: want one of these folders, or its --target"},
		{"hipc explain --target cpu " + plans, 1, "has an artifact in gfx1100, gfx1151, sm_90, none for cpu"},
		{"hipc explain --target sm_90 " + plans, 1, "models/plans/llama/sm_90 has a plan but no graph.txt to plan again"},
		{"hipc doctor twice", 0, "twice"},
		{"hiprun", 2, "accepts 1 arg(s), received 0"},
		{"hiprun " + place + " -p a", 1, "has no manifest.json: is it a folder that hipc compile has written?"},
		{"hiprun bench none", 1, "none: no such file"},
		{"hiprun logits " + place, 2, "want --ids"},
	} {
		words := strings.Fields(c.args)
		if words[0] == "hipc" && len(words) > 1 && words[1] == "compile" && !strings.Contains(c.args, "-after") {
			words = append(words, "-o", filepath.Join(place, "new", "out"))
		}
		got := runProgram(t, nil, words[0], words[1:]...)
		if got.code != c.code && !(c.code == 0 && (got.code == 1 || got.code == 2)) || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: exit %d, %q %q; want exit %d and one line with %q", c.args, got.code, got.out, got.err, c.code, c.want)
		}
	}
	if names := entries(t, place); len(names) != 0 {
		t.Errorf("something was written: %v", names)
	}
}

// TestDashes: flags may be written with one dash, as Go programs do; -after prints what the golden has.
func TestDashes(t *testing.T) {
	const llama = "../models/llama.yaml"
	one := runProgram(t, nil, "hipc", "compile", llama, "-after=fuse", "-set", "L=3", "-bucket", "score_64")
	two := runProgram(t, nil, "hipc", "compile", llama, "--after", "fuse", "--set=L=3", "--bucket=score_64")
	off := runProgram(t, nil, "hipc", "compile", llama, "-after=fuse", "-fuse=off", "-set", "L=3", "-bucket", "score_64")
	if one.code != 0 || one != two || !strings.Contains(one.out, "through layers[3]") || !strings.Contains(one.out, "swiglu(") {
		t.Errorf("one dash: exit %d, %s\ntwo: %s", one.code, one.out+one.err, two.out+two.err)
	}
	if off.code != 0 || strings.Contains(off.out, "swiglu(") || !strings.Contains(off.out, "matmul(") {
		t.Errorf("-fuse=off: exit %d, %s%s", off.code, off.out, off.err)
	}
	reparse(t, "-fuse=off", off.out)
}

func TestInspect(t *testing.T) {
	dir, _ := fakeArtifact(t, "llama", true)
	got := runProgram(t, nil, "hipc", "inspect", dir)
	if got.code != 0 || got.err != "" {
		t.Fatal(got.err)
	}
	for _, want := range []string{`llama for cpu_v[34]: 2 layers, vocabulary 97, context 128, KV f32`, `decode_1 +\d+ steps`, `layers 0`, `matmul<.*grid \d+`,
		`weights f32 +layout x16 +\d+ tensors`, `state`, `made by hipc`, `made by c`, `plan\.go +\d+ bytes +[0-9a-f]{16}`} {
		if !regexp.MustCompile(want).MatchString(got.out) {
			t.Errorf("no %s in\n%s", want, got.out)
		}
	}
}

func TestDoctor(t *testing.T) {
	here := runProgram(t, nil, "hipc", "doctor")
	bare := runProgram(t, []string{"PATH=", "CXX="}, "hipc", "doctor")
	for _, got := range []said{here, bare} {
		if got.code != 0 || got.err != "" {
			t.Errorf("exit %d, %s", got.code, got.err)
		}
		for _, want := range []string{`(?m)^program +c\+\+ `, `(?m)^library +libcuda\.so\.1 `, `(?m)^target +cpu_v4 `, `(?m)^target +reference +compiles and runs here`} {
			if !regexp.MustCompile(want).MatchString(got.out) {
				t.Errorf("no %s in\n%s", want, got.out)
			}
		}
	}
	if !regexp.MustCompile(`(?m)^target +cpu_v3 .*no compiler for cpu_v3: .*apt install g\+\+`).MatchString(bare.out) {
		t.Errorf("without a compiler nothing says what to install:\n%s", bare.out)
	}
}

// TestLogitsFile: ids are checked before anything is computed, and what is written is whole.
func TestLogitsFile(t *testing.T) {
	dir, c := fakeArtifact(t, "llama", true)
	place := t.TempDir()
	in, out := filepath.Join(place, "ids.json"), filepath.Join(place, "out.safetensors")
	logits := func(text string, more ...string) said {
		if err := os.WriteFile(in, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return runProgram(t, nil, "hiprun", append([]string{"logits", dir, "--ids", in, "-o", out}, more...)...)
	}
	long := "[" + strings.Repeat("1,", 128) + "1]"
	for text, want := range map[string]string{
		`{"ids": [1]}`: "want a JSON list of token ids such as [1, 2, 3]", `"1"`: "want a JSON list", `[1, "2"]`: "want a JSON list", `[1.5]`: "want a JSON list",
		`[1, 2`: "want a JSON list", ``: "want a JSON list", `[]`: "no ids", `null`: "no ids", `[1, -1]`: "id 1 is -1, want 0 to 96", `[97]`: "id 0 is 97, want 0 to 96",
		`[4294967297]`: "want a JSON list", long: "129 tokens",
	} {
		got := logits(text)
		if got.code != 1 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, want) || !strings.Contains(got.err, in) {
			t.Errorf("ids %.20s: exit %d, %q %q; want exit 1 and one line with %q", text, got.code, got.out, got.err, want)
		}
	}
	if names := entries(t, place); len(names) != 1 {
		t.Errorf("a refused request has left %v", names)
	}
	ids := []int32{5, 96, 0, 5, 41}
	want := c.logits(ids)
	for _, device := range []string{"auto", "reference"} {
		if got := logits(strings.Join(strings.Fields(fmt.Sprint(ids)), ","), "--device", device); got.code != 0 || got.out+got.err != "" {
			t.Fatalf("exit %d, %s%s", got.code, got.out, got.err)
		}
		sameRows(t, device, out, want)
	}
}

// TestMute: an artifact whose checkpoint had no tokenizer takes ids, and says why it takes no words.
func TestMute(t *testing.T) {
	dir, _ := fakeArtifact(t, "llama", true)
	got := runProgram(t, nil, "hiprun", dir, "-p", "hello")
	if got.code != 1 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "has no tokenizer.json, its checkpoint had none") {
		t.Errorf("exit %d, %q %q", got.code, got.out, got.err)
	}
}

func TestBenchJSON(t *testing.T) {
	dir, _ := fakeArtifact(t, "llama", true)
	got := runProgram(t, nil, "hiprun", "bench", dir, "-p", "8", "-n", "4", "-r", "1", "--json")
	var r struct {
		Model, Format, Target, Hardware, Command, Commit, Gate, Plan_SHA256 string
		Threads                                                             int
		Results                                                             []struct {
			Test   string
			Median float64
		}
	}
	if err := json.Unmarshal([]byte(got.out), &r); got.code != 0 || got.err != "" || err != nil {
		t.Fatalf("exit %d, %v: %s%s", got.code, err, got.out, got.err)
	}
	if r.Model != "llama" || !strings.HasPrefix(r.Format, "f32/") || !strings.HasPrefix(r.Target, "cpu_v") || r.Hardware == "" || r.Commit == "" || r.Gate == "" || len(r.Plan_SHA256) != 64 ||
		!strings.Contains(r.Command, "bench") || r.Threads < 1 || len(r.Results) != 2 || r.Results[0].Test != "pp8" || r.Results[1].Test != "tg4" || r.Results[0].Median <= 0 {
		t.Errorf("%s", got.out)
	}
}

// TestGravity is the first thing that a user does.
func TestGravity(t *testing.T) {
	dir := smollm2Artifact(t, true)
	var golden []struct {
		Text string `json:"greedy_text"`
	}
	if err := json.Unmarshal(readFile(t, "testdata/smollm2/golden.json"), &golden); err != nil {
		t.Fatal(err)
	}
	want, _, ok := strings.Cut(golden[1].Text, "<|im_end|>")
	got := runProgram(t, nil, "hiprun", dir, "-p", "What is gravity? Answer in one sentence.")
	if !ok || got.code != 0 || got.out != want+"\n" {
		t.Errorf("exit %d, %q, want %q", got.code, got.out, want+"\n")
	}
	if strings.Count(got.err, "\n") != 1 || !regexp.MustCompile(`^\[39 prompt tokens, \d+ answered \| prefill .* tok/s, decode .* tok/s \| peak memory .*\]\n$`).MatchString(got.err) {
		t.Errorf("the summary is %q", got.err)
	}
}
