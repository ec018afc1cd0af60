package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hipc/runtime/plan"
	toy "hipc/runtime/runtimetest"
	"hipc/runtime/weights"
)

// The test program is hiprun itself when this is set, so the tests see what a shell sees.
func TestMain(m *testing.M) {
	if os.Getenv("HIPRUN_AS_PROGRAM") != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// hiprun runs the program and gives its exit code and what it printed.
func hiprun(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), "HIPRUN_AS_PROGRAM=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestAnswers(t *testing.T) {
	dir := toy.Talking(t)
	chat := func(words ...string) []int32 {
		var list []int32
		for i, w := range words { // a system text, if it isn't empty, then what is asked
			if w == "" {
				continue
			}
			list = append(list, int32([]int{2, 0}[i]))
			list = append(append(list, toy.IDs(w)...), 3)
		}
		return append(list, 1)
	}
	for _, c := range []struct {
		args  []string
		stdin string
		ids   []int32
	}{
		{args: []string{"-p", "hello"}, ids: chat("", "hello")},
		{args: []string{"-p", "hello", "-t", "1"}, ids: chat("", "hello")},
		{args: []string{"-p", "hello", "--system", "be nice"[:2]}, ids: chat("be", "hello")},
		{args: []string{"--raw", "-p", "hello"}, ids: toy.IDs("hello")},
		{stdin: "what\n", ids: chat("", "what")},
		{args: []string{"--raw"}, stdin: "what", ids: toy.IDs("what")},
	} {
		code, out, errs := hiprun(t, c.stdin, append([]string{dir, "-n", "12"}, c.args...)...)
		if want := toy.Answer(t, c.ids, 12) + "\n"; code != 0 || out != want {
			t.Errorf("%v: exit %d, %q, want %q (%s)", c.args, code, out, want, errs)
		}
		if !strings.HasPrefix(errs, fmt.Sprintf("[%d prompt tokens, ", len(c.ids))) || !strings.Contains(errs, "tok/s | peak memory ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: the last line is %q", c.args, errs)
		}
	}
	// Equal seeds, equal answers.
	_, a, _ := hiprun(t, "", dir, "-p", "hello", "--temp", "1", "--seed", "40", "-n", "9")
	_, b, _ := hiprun(t, "", dir, "-p", "hello", "--temp", "1", "--seed", "40", "-n", "9")
	if a != b || a == "" {
		t.Errorf("%q and %q", a, b)
	}
}

func TestErrors(t *testing.T) {
	dir := toy.Talking(t)
	plain := toy.Write(t, nil)
	other := toy.Write(t, func(p *plan.Plan) { p.Target = "cpu_v9" })
	changed := toy.Write(t, nil)
	if err := os.WriteFile(filepath.Join(changed, "generation.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(t.TempDir(), "out.safetensors")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "accepts 1 arg"},
		{dir + " two", 2, "accepts 1 arg"},
		{dir + " --nonsense", 2, "unknown flag: --nonsense"},
		{dir + " -t x -p a", 2, "invalid argument"},
		{dir + " -t -1 -p a", 2, "want 0 or more"},
		{dir + " -t 2000 -p a", 3, "want 1 to 1024"},
		{dir + " --device cuda -p a", 2, "was compiled for cpu; want auto, cpu or reference"},
		{dir, 2, "an empty prompt"},
		{"/no/such/folder -p a", 1, "no such file"},
		{os.TempDir() + " -p a", 1, "has no manifest.json"},
		{plain + " -p a", 1, "has no tokenizer.json"},
		{other + " -p a", 3, "compiled for cpu_v9, but"},
		{changed + " -p a", 1, "changed member: generation.json"},
		{dir + " -p a -c 65", 1, "want 1 to 64 as compiled"},
		{dir + " -p a -c 2", 1, "more than the context of 2: ask for more with --context, up to 64"},
		{dir + " -p a --top-p 2", 1, "top-p is 2, want 0 to 1"},
		{dir + " -p a --temp -1", 1, "temperature is -1"},
		{"bench", 2, "accepts 1 arg"},
		{"devices " + dir, 2, "unknown command"},
		{"bench " + dir + " -p 65 -n 1", 1, "65 tokens are more than the context of 64"},
		{"bench " + dir + " -p 1 -r 0", 1, "0 repetitions"},
		{"eval " + dir, 2, "want --text FILE"},
		{"eval " + dir + " --text /no/such", 1, "no such file"},
		{"eval " + dir + " --text " + file("t", "a"), 1, "a text of 1 tokens"},
		{"eval " + dir + " --text " + file("t", "abc") + " --against me", 2, "want reference"},
		{"eval " + dir + " --text " + file("t", "abc") + " --window 65", 1, "want 2 to the context's 64"},
		{"logits " + dir, 2, "want --ids"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[1, 2"), 1, "want a JSON list"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[]"), 1, "no ids"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[1, -2]"), 1, "id 1 is -2, want 0 to 47"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[48]"), 1, "id 0 is 48, want 0 to 47"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[1.5]"), 1, "want a JSON list"},
		{"logits " + dir + " -o " + out + " --ids " + file("i", "[99999999999]"), 1, "want a JSON list"},
		{"logits " + dir + " -o /no/such/folder/out --ids " + file("i", "[1]"), 1, "no such file"},
		{"profile " + dir + " -r 0", 2, "at least one"},
		{"profile " + dir + " --update /no/sm_90.tsv", 2, "--update /no/sm_90.tsv: these are times of cpu_v3: want a file cpu_v3.tsv"},
		{"profile " + dir + " --update /no/cpu_v3.tsv --device reference", 2, "its times are no measurement"},
		{"profile " + dir + " --update /no/cpu_v3.tsv --target cpu_v3", 2, "a card that is only near it"},
		{"profile " + dir + " --compare --device sim", 2, "its times are no measurement"},
		{"bench " + dir + " --weights noise:1", 2, "want random: and a seed"},
		{"bench " + dir + " --weights random:-1", 2, "want random: and a seed"},
		{"bench " + dir + " --graph maybe", 2, "--graph maybe: want on or off"},
		{"profile " + dir + " --at 63", 1, "a token is timed behind another: 65 tokens are more than the context of 64: it is the longest"},
		{"profile " + dir + " --at 64", 1, "66 tokens are more than the context of 64"},
		{"profile " + dir + " --at 65", 1, "65 tokens are more than the context of 64"},
	} {
		code, stdout, errs := hiprun(t, "", strings.Fields(c.args)...)
		if code != c.code || stdout != "" || !strings.HasPrefix(errs, "hiprun: ") || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("hiprun %s: exit %d, %q, %q; want exit %d and one line with %q", c.args, code, stdout, errs, c.code, c.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused request has left a file")
	}
}

func TestHelp(t *testing.T) {
	for _, cmd := range []string{"", "bench", "devices", "eval", "logits", "profile"} {
		code, out, errs := hiprun(t, "", append(strings.Fields(cmd), "--help")...)
		if code != 0 || errs != "" || !strings.Contains(out, "Examples:") || !strings.Contains(out, "  hiprun "+cmd) {
			t.Errorf("hiprun %s --help: exit %d, %s", cmd, code, errs)
		}
	}
}

func TestBench(t *testing.T) {
	dir := toy.Write(t, nil)
	code, out, errs := hiprun(t, "", "bench", dir, "-p", "12", "-n", "6", "-r", "3", "--json")
	var r record
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil || errs != "" {
		t.Fatalf("exit %d, %v, %s", code, err, errs)
	}
	if r.Model != "toy" || r.Target != "cpu_v3" || r.Threads < 1 || r.Hardware == "" || r.Commit == "" || r.Gate == "" || len(r.Plan) != 64 || !strings.Contains(r.Command, "bench") ||
		len(r.Results) != 2 || r.Results[0].Test != "pp12" || len(r.Results[1].Runs) != 3 {
		t.Errorf("%+v", r)
	}
	if code, out, _ := hiprun(t, "", "bench", dir, "-p", "0", "-n", "6", "-r", "1"); code != 0 || !strings.Contains(out, "tg6") || strings.Contains(out, "pp") {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestLogits(t *testing.T) {
	dir := toy.Write(t, nil)
	in, out := filepath.Join(t.TempDir(), "ids.json"), filepath.Join(t.TempDir(), "out.safetensors")
	if err := os.WriteFile(in, []byte("[5, 6, 7, 8, 9, 10, 11]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, stdout, errs := hiprun(t, "", "logits", dir, "--ids", in, "-o", out); code != 0 || stdout+errs != "" {
		t.Fatalf("exit %d, %s%s", code, stdout, errs)
	}
	c, err := weights.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x, ok := c.Tensor("logits")
	if !ok || len(x.Dims) != 2 || x.Dims[0] != 7 || x.Dims[1] != toy.Vocab {
		t.Fatalf("tensors %v", c.Tensors())
	}
	row := make([]float32, toy.Vocab)
	for i, want := range toy.Logits([]int32{5, 6, 7, 8, 9, 10, 11}) {
		if err := x.Row(i, row); err != nil {
			t.Fatal(err)
		}
		for v := range row {
			if math.Abs(float64(row[v])-want[v]) > 1e-4 {
				t.Fatalf("row %d, logit %d: %g, want %g", i, v, row[v], want[v])
			}
		}
	}
}

func TestEvalAndProfile(t *testing.T) {
	dir := toy.Talking(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("abcdefghijklmnop"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := hiprun(t, "", "eval", dir, "--text", text, "--window", "8", "--json")
	var s struct {
		Tokens, Windows int
		NLL             float64 `json:"mean_nll"`
	}
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil || s.Tokens != 14 || s.Windows != 2 || s.NLL <= 0 {
		t.Errorf("exit %d, %v, %s%s", code, err, out, errs)
	}
	code, out, errs = hiprun(t, "", "profile", dir, "-r", "2", "--at", "7")
	if code != 0 || !strings.Contains(out, "toy_head") || !strings.Contains(out, "all") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// TestScreen: what a model says is no command to the terminal.
func TestScreen(t *testing.T) {
	var b bytes.Buffer
	s := &screen{w: &b, safe: true}
	fmt.Fprint(s, "a\x1b[2Jb\tc\r\n\u009bd\x7fé")
	s.end()
	if want := "a[2Jb\tc\ndé\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestUnits: what a device has many of is called what it is, in the table and in the record; a device that says nothing has nothing said.
func TestUnits(t *testing.T) {
	for _, c := range []struct {
		r           record
		table, json string
	}{
		{record{Hardware: "EPYC", Threads: 2}, "EPYC, 2 threads\n", `"threads":2`},
		{record{Hardware: "H100", Multiprocessors: 132}, "H100, 132 multiprocessors\n", `"multiprocessors":132`},
		{record{Hardware: "simulated gfx1100"}, "simulated gfx1100\n", `"hardware":"simulated gfx1100","command"`},
	} {
		var b bytes.Buffer
		if err := c.r.table(&b); err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(c.r)
		if first, _, _ := strings.Cut(b.String(), "\n"); err != nil || !strings.HasSuffix(first+"\n", c.table) || !strings.Contains(string(j), c.json) {
			t.Errorf("got %s and %s, want %s and %s", first, j, c.table, c.json)
		}
	}
}
