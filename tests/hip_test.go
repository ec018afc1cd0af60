package tests

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hipc/compiler"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/plan"
	"hipc/runtime/sim"
)

// standin is the folder of the stand-in for libamdhip64 (tests/hipstandin), built once.
var standin struct {
	sync.Once
	dir string
	err error
}

// inStandin says whether this process finds the stand-in as libamdhip64. If it doesn't, it runs the calling test in a process that does:
// the dynamic linker asks where to look only when a process begins.
func inStandin(t *testing.T) bool {
	t.Helper()
	if os.Getenv("HIPC_STANDIN") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "1h")
	cmd.Env = append(append(os.Environ(), standinEnv(t)...), "HIPC_STANDIN=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("with the stand-in: %v\n%s", err, out)
	}
	for l := range strings.Lines(string(out)) {
		if s := strings.TrimSpace(l); !strings.HasPrefix(s, "===") && s != "PASS" {
			t.Log(s)
		}
	}
	return false
}

// standinEnv is what lets a program find the stand-in.
func standinEnv(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	standin.Do(func() {
		standin.dir = filepath.Join(sharedDir(t), "standin")
		out, err := exec.Command("go", "build", "-buildmode=c-shared", "-o", filepath.Join(standin.dir, "libamdhip64.so.6"), "./hipstandin").CombinedOutput()
		if err != nil {
			standin.err = errors.New(string(out) + err.Error())
		}
	})
	if standin.err != nil {
		t.Fatalf("building the stand-in: %v", standin.err)
	}
	return []string{"LD_LIBRARY_PATH=" + standin.dir}
}

// gfx1100Artifact compiles a family's checkpoint for gfx1100.
func gfx1100Artifact(t *testing.T, name string, layers ...string) string {
	t.Helper()
	o := compiler.Options{Model: familyText(name), Weights: "testdata/families/" + name, Target: "gfx1100", Out: filepath.Join(t.TempDir(), "gfx1100")}
	if len(layers) > 0 { // so many, of random weights
		o.Weights, o.Set = "random:1", map[string]string{"L": layers[0], "d": "64", "V": "160", "H": "4", "KV": "2", "D": "16", "F": "96"}
	}
	r, err := compiler.Compile(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing != nil {
		t.Skipf("no compiler: %v", r.Missing)
	}
	return r.Dir
}

// TestFamiliesThroughHIP: the families' tiny checkpoints in gfx1100 code, through the HIP calls as they're shipped, against their
// goldens; by graph and launch by launch the same. The cache is in f16.
func TestFamiliesThroughHIP(t *testing.T) {
	if !inStandin(t) {
		return
	}
	for name := range familyCheckpoints {
		t.Run(name, func(t *testing.T) {
			path, golden := gfx1100Artifact(t, name), familyGolden(t, name)
			var said [2]string
			for i, eager := range []bool{false, true} {
				if eager && name != "llama" && name != "qwen3.6-dense" { // when a model is loaded both are held against each other anyway
					said[1] = said[0]
					continue
				}
				llm, err := engine.Open(path, engine.Options{Eager: eager})
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{40, 7} {
					mean, most, top1 := apart(t, llm.Model, ints(t, golden, fmt.Sprintf("p%d", n)), floats(t, golden, fmt.Sprintf("p%d.logits", n)), map[int]int{40: 40, 7: 1}[n])
					said[i] += fmt.Sprintf("%d tokens: mean KL %.2g, at most %.2g, top-1 %.0f %%; ", n, mean, most, 100*top1)
					if !(mean <= 2e-3 && most <= 5e-2 && top1 >= 0.96) {
						t.Errorf("%swant 2e-3, 5e-2 and 96 %%", said[i])
					}
				}
				ids := ints(t, golden, "p7")
				restart(t, llm.Model)
				if err := llm.Feed(t.Context(), ids[:len(ids)-1]); err != nil {
					t.Fatal(err)
				}
				next := ids[len(ids)-1]
				for step, want := range ints(t, golden, "greedy") {
					if next, err = llm.Next(next); err != nil {
						t.Fatal(err)
					}
					if said[i] += fmt.Sprint(next, " "); next != want {
						row, err := llm.LastLogits()
						if gap := row[next] - row[want]; err != nil || gap > 0.5 {
							t.Errorf("greedy token %d is %d, want %d: %g below, %v", step, next, want, gap, err)
						}
						break
					}
				}
				if err := llm.Close(); err != nil {
					t.Error(err)
				}
			}
			if t.Log(said[0]); said[0] != said[1] {
				t.Errorf("launch by launch: %s", said[1])
			}
		})
	}
}

// apart is how far a model's predictions are from the wanted logits: Kullback-Leibler divergence, its mean and its largest, and how often
// both think the same token likeliest.
func apart(t *testing.T, m engine.Model, ids []int32, want []float32, chunk int) (mean, most, top1 float64) {
	t.Helper()
	n := len(ids)
	restart(t, m)
	for some := range slices.Chunk(ids, chunk) {
		err := m.Logits(t.Context(), some, func(_ int, logits []float32) error {
			p, q := shares(want[:len(logits)]), shares(logits)
			want = want[len(logits):]
			kl, a, b := 0.0, 0, 0
			for j := range p {
				kl += p[j] * (math.Log(p[j]) - math.Log(q[j]))
				if p[j] > p[a] {
					a = j
				}
				if q[j] > q[b] {
					b = j
				}
			}
			if a == b {
				top1 += 1 / float64(n)
			}
			mean, most = mean+kl/float64(n), max(most, kl)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return mean, most, top1
}

// shares is the softmax of logits.
func shares(logits []float32) []float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	p := make([]float64, len(logits))
	for i, x := range logits {
		p[i] = math.Exp(float64(x) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] = max(p[i]/sum, 1e-300)
	}
	return p
}

// TestHIPRun: hiprun's own logits through the stand-in are the simulator's to the bit, and the calls that it makes are those that they
// should be: a plain chain of the plan's steps a bucket, instantiated once, all that was made given back.
func TestHIPRun(t *testing.T) {
	env, dir, tmp := standinEnv(t), gfx1100Artifact(t, "llama"), t.TempDir()
	log := filepath.Join(tmp, "log")
	writeFile(t, filepath.Join(tmp, "ids"), "[3, 1, 4, 1, 5]")
	var logits [3]string
	for i, args := range [][]string{{}, {"--graph", "off"}, {"--device", "sim"}} {
		out := filepath.Join(tmp, fmt.Sprint(i))
		got := runProgram(t, append(env, "HIPSTANDIN_LOG="+log), "hiprun", append([]string{"logits", dir, "--ids", filepath.Join(tmp, "ids"), "-o", out}, args...)...)
		if got.code != 0 {
			t.Fatalf("%v: exit %d, %s", args, got.code, got.err)
		}
		logits[i] = string(readFile(t, out))
		if i == 0 {
			checkCalls(t, dir, string(readFile(t, log)))
		}
	}
	if logits[0] != logits[2] || logits[1] != logits[2] {
		t.Error("the logits aren't the simulator's")
	}
}

var callLine = regexp.MustCompile(`(?m)^\d+ (\w+) ?(.*)$`)

func checkCalls(t *testing.T, dir, log string) {
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i := range a.Plan.Buckets {
		n := 0
		for _, r := range a.Plan.Runs(&a.Plan.Buckets[i]) {
			n += len(r.Part.Steps)
		}
		want = append(want, fmt.Sprintf("of %d nodes, a chain: true", n))
	}
	for _, m := range callLine.FindAllStringSubmatch(log, -1) {
		if m[1] == "hipGraphInstantiateWithFlags" {
			_, nodes, _ := strings.Cut(m[2], " of ")
			got = append(got, "of "+nodes)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("graphs %q, want %q", got, want)
	}
	if left := notGiven(log); len(left) > 0 {
		t.Errorf("not given back: %q", left)
	}
}

// notGiven lists what a log says was made and doesn't say is gone. Nodes and functions go with their graph and module.
func notGiven(log string) (left []string) {
	made := map[string]bool{}
	for l := range strings.Lines(log) {
		if _, what, ok := strings.Cut(strings.TrimSpace(l), " made "); ok {
			what, _, _ = strings.Cut(what, " of ")
			made[what] = true
		}
		if _, what, ok := strings.Cut(strings.TrimSpace(l), " gone "); ok {
			delete(made, what)
		}
	}
	for what := range made {
		left = append(left, what)
	}
	return left
}

// TestHIPFailures lets one call after the other fail, once or from then on, in a run that loads a model, generates and times it, by graph
// and launch by launch: an error of the device that names the call and the status, in one line; nothing hangs, and what was made is given
// back but for what the failing call was to give. make soak lets every call fail.
func TestHIPFailures(t *testing.T) {
	if !inStandin(t) {
		return
	}
	dir := gfx1100Artifact(t, "llama", "1")
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	run := 0
	for _, how := range []struct {
		env, status string
		eager       bool
		first       int // calls of each name, and of the others every 53rd
	}{{"FAIL", "hipErrorUnknown", false, 1}, {"FAIL", "hipErrorUnknown", true, 0}, {"LOST", "hipErrorNoDevice", false, 0}} {
		use := func(from int) (string, error) {
			run++
			os.Remove(log)
			for k, v := range map[string]string{"RUN": strconv.Itoa(run), "FAIL": "0", "LOST": "0", "LOG": log, how.env: strconv.Itoa(from)} {
				os.Setenv("HIPSTANDIN_"+k, v)
			}
			m, err := engine.Run(a, engine.Options{Context: 64, Timeout: 20 * time.Second, Eager: how.eager})
			if err == nil {
				err = errors.Join(useAll(t, m), m.Close()) // what is asked after an error is the same error
				if list, ok := err.(interface{ Unwrap() []error }); ok {
					err = list.Unwrap()[0]
				}
			}
			return string(readFile(t, log)), err
		}
		said, err := use(0)
		if err != nil {
			t.Fatal(err)
		}
		calls := callLine.FindAllStringSubmatch(said, -1)
		seen, tried := map[string]int{}, 0
		for i, c := range calls {
			name := c[1]
			if seen[name]++; seen[name] > how.first && i%rounds(53, 53, 1) != 0 && i != len(calls)-1 {
				continue
			}
			tried++
			begun := time.Now()
			said, err := use(i + 1)
			var device *runtime.DeviceError
			switch {
			case err == nil:
				t.Errorf("%s=%d, %s, and nobody says so", how.env, i+1, name)
			case !errors.As(err, &device) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name+": "+how.status):
				t.Errorf("%s=%d, %s: %v", how.env, i+1, name, err)
			case time.Since(begun) > 15*time.Second:
				t.Errorf("%s=%d, %s: only after %v", how.env, i+1, name, time.Since(begun))
			}
			left := notGiven(said)
			gives := strings.Contains(name, "Destroy") || strings.Contains(name, "Free") || strings.Contains(name, "Unload")
			if how.env == "FAIL" && name != "hipSetDevice" && (len(left) > 1 || len(left) == 1 && !gives) { // what isn't bound can't be given back
				t.Errorf("call %d, %s, fails: not given back: %q", i+1, name, left)
			}
		}
		t.Logf("%s, launch by launch %v: %d of %d calls, of %d names", how.env, how.eager, tried, len(calls), len(seen))
	}
}

// useAll asks everything of a model.
func useAll(t *testing.T, m *runtime.Model) error {
	all := func(int32) bool { return true }
	if err := m.Feed(t.Context(), []int32{1, 2, 3}); err != nil {
		return err
	}
	if err := m.Decode(4, 3, false, all); err != nil {
		return err
	}
	if err := m.Sample(runtime.Sampling{Temperature: 1, TopP: 1, Penalty: 1}); err != nil {
		return err
	}
	if err := m.Decode(4, 2, true, all); err != nil {
		return err
	}
	if _, err := m.LastLogits(); err != nil {
		return err
	}
	if _, err := m.Keep(nil); err != nil {
		return err
	}
	if err := m.Logits(t.Context(), []int32{5, 6}, func(int, []float32) error { return nil }); err != nil {
		return err
	}
	if _, err := m.Profile(t.Context(), 1); err != nil {
		return err
	}
	return m.Walk(&m.Plan.Buckets[0], []int32{7}, func(s *runtime.WalkStep) error { return s.Run() })
}

// TestOperandsAtLoad: a plan and a code object that don't agree on a kernel's operands are found out when the model is loaded.
func TestOperandsAtLoad(t *testing.T) {
	if !inStandin(t) {
		return
	}
	for _, device := range []string{"", "sim"} {
		a, err := runtime.OpenArtifact(gfx1100Artifact(t, "llama"))
		if err != nil {
			t.Fatal(err)
		}
		s := &a.Plan.Buckets[0].Parts[0].Steps[0]
		*s = plan.Step{Kernel: s.Kernel, Inst: s.Inst, In: append(slices.Clone(s.In), "pos"), Out: s.Out, State: s.State, Grid: s.Grid, Block: s.Block, LDS: s.LDS}
		m, err := engine.Run(a, engine.Options{Device: device})
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), s.Kernel) || !strings.Contains(err.Error(), fmt.Sprint(len(s.In)+len(s.Out))) {
			t.Errorf("device %q: %v, want %s refused", device, err, s.Kernel)
		}
	}
	// So is a launch that has too many threads, though another one of the same kernel hasn't, and though nothing is launched yet.
	a, err := runtime.OpenArtifact(gfx1100Artifact(t, "llama"))
	if err != nil {
		t.Fatal(err)
	}
	begin := &a.Plan.Buckets[0].Parts[0]
	wide := begin.Steps[0]
	wide.Block = 4096
	begin.Steps = append(slices.Clone(begin.Steps), wide)
	m, err := engine.Run(a, engine.Options{Eager: true})
	if err == nil {
		m.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "kernel "+wide.Kernel+": 4096 threads a block, Stand-in GFX1100 (gfx1100) can run it with") {
		t.Errorf("%v, want 4096 threads refused", err)
	}
}
