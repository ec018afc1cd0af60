package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hipc/runtime/plan"
)

// A fakeCompiler stands in for c++: it takes some time, and then has made an object that was compiled before.
func fakeCompiler(t *testing.T, object string, seconds float64) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake-c++")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then echo fake 1; exit; fi\necho $$ > \"$0.pid\"\nsleep %g\nexec cp '%s' kernels.so\n", seconds, object)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"CXX=" + path}
}

// manifestOf checks all of an artifact and gives its manifest; "" if there is none at all.
func manifestOf(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return ""
	}
	src := readFile(t, filepath.Join(dir, plan.ManifestName))
	man, err := plan.ReadManifest(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := man.Verify(os.DirFS(dir), false); err != nil {
		t.Fatalf("half an artifact: %v", err)
	}
	if n := len(man.Members) + 2; len(files(t, dir)) != n { // the manifest and the weights
		t.Fatalf("%d files in the artifact, want %d", len(files(t, dir)), n)
	}
	return string(src)
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	for name, data := range tree(t, dir) {
		if !strings.HasPrefix(data, "d") {
			names = append(names, name)
		}
	}
	return names
}

// compiledObject is one to copy: of a compiler that can be waited for only once.
func compiledObject(t *testing.T) string {
	t.Helper()
	dir, _ := fakeArtifact(t, "llama", true)
	return filepath.Join(dir, "kernels.so")
}

// rounds is how often something is tried: in short runs, in others, and in make soak.
func rounds(short, normal, soak int) int {
	switch {
	case os.Getenv("HIPC_SOAK") != "":
		return soak
	case testing.Short():
		return short
	}
	return normal
}

// TestKilled kills hipc at random moments: there is the old artifact, or the new one, or, where none was, nothing. What
// it leaves under a hidden name, the next compilation of that place takes away.
func TestKilled(t *testing.T) {
	cxx := fakeCompiler(t, compiledObject(t), 0.03)
	place := t.TempDir()
	c := newCheckpoint("llama", "F32")
	from := c.write(t, filepath.Join(place, "checkpoint"))
	parent := filepath.Join(place, "artifacts")
	out := filepath.Join(parent, "it")
	compile := func(context int) *started {
		return startProgram(t, cxx, "hipc", "compile", c.model(), "--weights", from, "-o", out, "--context", fmt.Sprint(context))
	}
	made := func(context int) (string, time.Duration) {
		begun := time.Now()
		if got := finish(t, compile(context)); got.code != 0 {
			t.Fatal(got.err)
		}
		return manifestOf(t, out), time.Since(begun)
	}
	old, _ := made(64)
	new, took := made(96)
	if old == new {
		t.Fatal("the two artifacts can't be told apart")
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	seen := map[string]int{}
	for i := range rounds(6, 20, 1000) {
		before := ""
		if i%2 == 0 {
			before, _ = made(64)
		} else if err := os.RemoveAll(parent); err != nil {
			time.Sleep(100 * time.Millisecond) // a compiler that was just killed may have been writing
			if err := os.RemoveAll(parent); err != nil {
				t.Fatal(err)
			}
		}
		p := compile(96)
		time.Sleep(time.Duration(r.Float64() * 1.1 * float64(took)))
		p.Process.Kill()
		finish(t, p)
		switch now := manifestOf(t, out); now {
		case new:
			seen["new"]++
		case before:
			seen["as before"]++
		default:
			t.Fatalf("kill %d (seed %d): neither the old artifact nor the new one nor nothing", i, seed)
		}
		if names, _ := os.ReadDir(parent); len(names) > 1 || len(names) == 1 && names[0].Name() != "it" {
			seen["leftovers"]++
		}
	}
	t.Logf("a compilation takes %v; after the kills: %v", took.Round(time.Millisecond), seen)
	if seen["as before"] == 0 {
		t.Errorf("no kill came in time (seed %d)", seed)
	}
	// What isn't ours to remove, though it's called alike.
	for _, name := range []string{".it.tmp-1x", ".it.tmp-", ".its.tmp-12", "it.tmp-12"} {
		if err := os.MkdirAll(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, ".it.tmp-7"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".it.tmp-99", ".it.tmp-98"} { // as a kill leaves them
		if err := os.CopyFS(filepath.Join(parent, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	made(96)
	if got, want := strings.Join(entries(t, parent), " "), ".it.tmp- .it.tmp-1x .it.tmp-7 .its.tmp-12 it it.tmp-12"; got != want {
		t.Errorf("after another compilation there are %s, want %s", got, want)
	}
	// A program may be killed on a file system that can't exchange, just when the old artifact was moved aside.
	aside := filepath.Join(parent, ".it.tmp-55.old")
	if err := os.Rename(out, aside); err != nil {
		t.Fatal(err)
	}
	if got := runProgram(t, nil, "hipc", "compile", c.model(), "--weights", filepath.Join(place, "none"), "-o", out); got.code != 1 {
		t.Errorf("no checkpoint: exit %d", got.code)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error("a compilation that was refused has touched what lay there")
	}
	p := startProgram(t, fakeCompiler(t, "/dev/null", 30), "hipc", "compile", c.model(), "--weights", from, "-o", out)
	hidden(t, parent)
	if manifestOf(t, out) != new {
		t.Error("the old artifact isn't back")
	}
	p.Process.Signal(os.Interrupt)
	finish(t, p)
}

// hidden waits until a compilation into a folder has begun, and gives its temporary folder, which is none of those known.
func hidden(t *testing.T, parent string, known ...string) string {
	t.Helper()
	ours := regexp.MustCompile(`^\.it\.tmp-\d+$`)
	for range 1000 {
		list, _ := os.ReadDir(parent)
		for _, e := range list {
			if _, err := os.Stat(filepath.Join(parent, e.Name(), "plan.go")); err == nil && ours.MatchString(e.Name()) && !slices.Contains(known, filepath.Join(parent, e.Name())) {
				return filepath.Join(parent, e.Name())
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("hipc doesn't begin")
	return ""
}

// TestInterrupted: Ctrl-C leaves nothing at all, not even the folders above, nor the compiler; another compilation to the
// same place isn't disturbed while it runs.
func TestInterrupted(t *testing.T) {
	place := t.TempDir()
	c := newCheckpoint("llama", "F32")
	from := c.write(t, filepath.Join(place, "checkpoint"))
	parent := filepath.Join(place, "some", "where")
	out := filepath.Join(parent, "it")
	object := compiledObject(t)
	args := []string{"compile", c.model(), "--weights", from, "-o", out}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := startProgram(t, fakeCompiler(t, object, 30), "hipc", args...)
		hidden(t, parent)
		begun := time.Now()
		p.Process.Signal(signal)
		got := finish(t, p)
		if (got.code != 1 && got.code != 130) || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "stopped: nothing was left") {
			t.Errorf("%v: exit %d, %q %q", signal, got.code, got.out, got.err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%v: it took %v to stop", signal, took)
		}
		if names := entries(t, place); len(names) != 1 {
			t.Errorf("%v: something was left: %v", signal, names)
		}
	}
	cxx := fakeCompiler(t, object, 5)
	p := startProgram(t, cxx, "hipc", args...)
	dead := hidden(t, parent)
	pidFile := strings.TrimPrefix(cxx[0], "CXX=") + ".pid"
	pid := ""
	for range 200 {
		if b, _ := os.ReadFile(pidFile); len(b) > 0 {
			pid = strings.TrimSpace(string(b))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.Process.Kill()
	finish(t, p)
	time.Sleep(50 * time.Millisecond)
	if stat, err := os.ReadFile("/proc/" + pid + "/stat"); pid == "" || err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("the compiler (process %q) lives on after its hipc was killed", pid)
	}
	slow := startProgram(t, fakeCompiler(t, object, 0.7), "hipc", args...)
	dir := hidden(t, parent, dead)
	if got := runProgram(t, fakeCompiler(t, object, 0), "hipc", args...); got.code != 0 {
		t.Error(got.err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error("a compilation has taken the folder of another that still runs")
	}
	if got := finish(t, slow); got.code != 0 {
		t.Error(got.err)
	}
	manifestOf(t, out)
	if names := entries(t, parent); len(names) != 1 {
		t.Errorf("something was left: %v", names)
	}
}

// TestDiskFull: at whichever member the disk is full, there is one line, and nothing is left.
func TestDiskFull(t *testing.T) {
	place := t.TempDir()
	disk := filepath.Join(place, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	c := newCheckpoint("llama", "F32")
	from := c.write(t, filepath.Join(place, "checkpoint"))
	object := compiledObject(t)
	mount := func(kib int) {
		t.Helper()
		if err := unix.Mount("none", disk, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
			t.Skipf("no small file system can be mounted here: %v", err)
		}
	}
	for kib := 8; kib < 270; kib += 36 { // text and templates have some 130 KiB, the object more
		mount(kib)
		for _, args := range [][]string{{"--weights", from}, {"--set", "L=2"}} {
			got := runProgram(t, fakeCompiler(t, object, 0), "hipc", append([]string{"compile", c.model(), "-o", filepath.Join(disk, "new", "out")}, args...)...)
			if got.code != 1 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "the disk is full") {
				t.Errorf("%d KiB, %s: exit %d, %q %q", kib, args[0], got.code, got.out, got.err)
			}
			if names := entries(t, disk); len(names) != 0 {
				t.Errorf("%d KiB, %s: something was left: %v", kib, args[0], names)
			}
		}
		if err := unix.Unmount(disk, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoArtifactIsOverwritten: -o takes nothing, an empty folder or an artifact, and touches nothing else.
func TestNoArtifactIsOverwritten(t *testing.T) {
	none := []string{"PATH=", "CXX="}
	place := t.TempDir()
	home := filepath.Join(place, "home")
	if err := os.CopyFS(home, os.DirFS("testdata/text")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(place, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := tree(t, place)
	for out, want := range map[string]string{home: "is there and is no artifact", file: "not a directory", filepath.Join(file, "under"): "not a directory"} {
		got := runProgram(t, none, "hipc", "compile", "../models/llama.yaml", "-o", out)
		if got.code != 1 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, want) {
			t.Errorf("-o %s: exit %d, %q %q, want %q", out, got.code, got.out, got.err, want)
		}
	}
	after := tree(t, place)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("something was touched")
	}
	empty := filepath.Join(place, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 { // into an empty folder, and over the artifact there
		if got := runProgram(t, none, "hipc", "compile", "../models/llama.yaml", "-o", empty); got.code != 0 {
			t.Error(got.err)
		}
	}
	if got := strings.Join(entries(t, place), " "); got != "empty file home" {
		t.Errorf("something was left: %s", got)
	}
}
