package codegen

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// build compiles in dir, or skips where there is no compiler.
func build(t *testing.T, target *Target, dir string) *Tool {
	t.Helper()
	tool, err := Build(t.Context(), target, dir)
	var missing *MissingTool
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func object(t *testing.T, target *Target, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, target.Object))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same source gives the same object in another folder, and nothing of this machine's paths is in it. Each of the
// machine's compilers takes the row's arguments, for each row.
func TestBuildDeterministic(t *testing.T) {
	for _, target := range Targets {
		tried := map[string]bool{}
		for _, c := range target.Compilers {
			if c.Env != "" {
				continue
			}
			path, err := lookUp(c.Program)
			if err != nil {
				continue
			}
			if path, err = filepath.EvalSymlinks(path); err == nil && tried[path] {
				continue // c++ and g++ are mostly one program
			}
			tried[path] = true
			t.Run(target.Name+"/"+c.Program, func(t *testing.T) {
				one := *target
				one.Compilers = []Compiler{c}
				if tool, err := FindCompiler(t.Context(), &one); err != nil {
					t.Log(err) // it's here, but too old for this target
					return
				} else if tool.Path == "" {
					t.Error("no path")
				}
				a, b := artifact(t, &one, entries), artifact(t, &one, entries)
				deep := filepath.Join(b, "a folder", "of another length")
				if err := os.MkdirAll(filepath.Dir(deep), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(artifact(t, &one, entries), deep); err != nil {
					t.Fatal(err)
				}
				tool := build(t, &one, a)
				t.Setenv("CPLUS_INCLUDE_PATH", b)
				t.Setenv("LANG", "de_DE.UTF-8")
				build(t, &one, deep)
				x, y := object(t, &one, a), object(t, &one, deep)
				if !bytes.Equal(x, y) {
					t.Error("the object depends on its folder")
				}
				if bytes.Contains(x, []byte(filepath.Dir(a))) || bytes.Contains(x, []byte(os.TempDir()+"/")) {
					t.Error("a path is in the object")
				}
				if tool.Name != c.Program || tool.Version == "" || !strings.HasPrefix(tool.Command, c.Program+" -") {
					t.Errorf("%+v", tool)
				}
			})
		}
	}
}

// What the source spells is what runs: operands go where Args says, siblings by the block's number.
func TestEntriesRun(t *testing.T) {
	target := named(t, "cpu")
	if missing := target.Missing(); len(missing) > 0 {
		t.Skipf("this processor lacks %v", missing)
	}
	dir := artifact(t, target, entries)
	build(t, target, dir)
	lib, err := purego.Dlopen(filepath.Join(dir, target.Object), purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		t.Fatal(err)
	}
	defer purego.Dlclose(lib)
	for _, name := range []string{"hipc_pool_open", "hipc_replay", "hipc_time", "hipc_pool_close"} {
		if _, err := purego.Dlsym(lib, name); err != nil {
			t.Error(err)
		}
	}
	var two, one func(arg unsafe.Pointer, block int32)
	purego.RegisterLibFunc(&two, lib, "two")
	purego.RegisterLibFunc(&one, lib, "one")
	x, y := []float32{1, 2, 3}, []float32{10, 20, 30, 40}
	a, b, c := make([]float32, 3), make([]float32, 4), make([]float32, 1)
	ptr := func(s []float32) unsafe.Pointer { return unsafe.Pointer(&s[0]) }
	args := []unsafe.Pointer{ptr(x), ptr(y), ptr(a), ptr(b), ptr(c)}
	for block := range int32(8) {
		two(unsafe.Pointer(&args[0]), block)
	}
	if a[0] != 2.5 || a[2] != 6.5 || b[0] != 30.5 || b[3] != 120.5 || c[0] != 5.5 {
		t.Error(a, b, c)
	}
	args = []unsafe.Pointer{ptr(x), ptr(a)}
	one(unsafe.Pointer(&args[0]), 1)
	if a[1] != 14.00001 || a[0] != 2.5 {
		t.Error(a)
	}
}

func TestBuildRefused(t *testing.T) {
	target := named(t, "cpu_v3")
	bad := []Entry{{Name: "k", Parts: []EntryPart{{Inst: "nothing<1>", Header: "scale.h", Args: []int{0}, Grid: 1}}}}
	dir := artifact(t, target, bad)
	_, err := Build(t.Context(), target, dir)
	var missing *MissingTool
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "refused kernels.hip") || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v, want the compiler's words", err)
	}
	if _, err := os.Stat(filepath.Join(dir, target.Object)); err == nil {
		t.Error("an object was left")
	}
}

func TestMissingTool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CXX", "")
	_, err := Build(t.Context(), named(t, "cpu_v3"), t.TempDir())
	var missing *MissingTool
	want := "no compiler for cpu_v3: sought c++, g++, clang++; apt install g++ or apt install clang, then compile again"
	if !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	t.Setenv("CXX", "my-c++ -v")
	if _, err := Build(t.Context(), named(t, "cpu_v3"), t.TempDir()); err == nil || errors.As(err, &missing) || !strings.Contains(err.Error(), `CXX is "my-c++"`) {
		t.Error(err)
	}
	if _, err := Build(t.Context(), named(t, "reference"), t.TempDir()); err == nil || errors.As(err, &missing) {
		t.Error(err)
	}
}

// A vendor's compiler goes first where it takes the target, and is passed over with its reason where it doesn't.
func TestVendorsCompiler(t *testing.T) {
	bin := t.TempDir()
	write := func(name, script string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const old = `case "$*" in
*--version*) echo "HIP version: 5.2.21153-0"; echo "Fake clang version 15.0.6" ;;
*gfx1151*) echo "clang: error: invalid target ID 'gfx1151'" >&2; exit 1 ;;
*) echo "$@" >> "$FAKE/said"; : > kernels.hsaco
	if grep -q newer kernels.hip; then echo "kernels.hip:1: error: no such builtin" >&2; exit 1; fi ;;
esac
`
	write("hipcc", old)
	write("clang++-21", `case "$*" in *--version*) echo "Fake clang version 21.1.0" ;; *) : > kernels.hsaco ;; esac`)
	write("clang++-19", "echo Fake clang version 18.0.0")
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	t.Setenv("HIPC_CLANG", "")
	t.Setenv("HIPCC_COMPILE_FLAGS_APPEND", "-O0")
	t.Setenv("FAKE", bin)
	compilers := gpu("hipcc", genco, hsaco, "install hipcc")
	none := slices.IndexFunc(compilers, func(c Compiler) bool { return c.Program == "clang++-22" })
	compilers = slices.Delete(compilers, none, none+1) // that of this machine isn't asked
	two := func(name string) *Target {
		target := *named(t, name)
		target.Compilers = compilers
		return &target
	}
	dir := t.TempDir()
	source := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "kernels.hip"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	source("newer")
	tool, err := Build(t.Context(), two("gfx1100"), dir)
	if err != nil || tool.Name != "clang++-21" || strings.Join(tool.Passed, "; ") != "hipcc refuses the source: no such builtin" {
		t.Errorf("%+v, %v", tool, err)
	}
	source("")
	os.Remove(filepath.Join(bin, "said"))
	tool, err = Build(t.Context(), two("gfx1100"), dir)
	if err != nil || tool.Name != "hipcc" || tool.Version != "HIP version: 5.2.21153-0" || !strings.HasPrefix(tool.Command, "hipcc --genco ") || len(tool.Passed) != 0 {
		t.Errorf("%+v, %v", tool, err)
	}
	said, _ := os.ReadFile(filepath.Join(bin, "said"))
	if strings.Count(string(said), "\n") != 2 || strings.Contains(string(said), "-O0") || !strings.Contains(string(said), "--offload-arch=gfx1100") {
		t.Errorf("it was asked, want a probe and the source: %q", said)
	}
	if tool, err = Build(t.Context(), two("gfx1151"), dir); err != nil || tool.Name != "clang++-21" ||
		strings.Join(tool.Passed, "; ") != "hipcc can't compile for gfx1151: invalid target ID 'gfx1151'" {
		t.Errorf("%+v, %v", tool, err)
	}
	write("clang++-21", "echo Fake clang version 18.0.0")
	write("clang++", "echo Fake clang version 14.0.6")
	_, err = FindCompiler(t.Context(), two("gfx1151"))
	want := "no compiler for gfx1151: sought hipcc (can't compile for gfx1151: invalid target ID 'gfx1151'), clang++-21 (is version 18, want 19), clang++-20, " +
		"clang++-19 (is version 18, want 19), clang++ (is version 14, want 19); install hipcc or apt install clang-22 lld-22 llvm-22 (without root: make gpu-tools, which prints the PATH to set), then compile again"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	t.Setenv("HIPC_CLANG", filepath.Join(bin, "hipcc")) // the user's choice isn't doubted
	if tool, err := FindCompiler(t.Context(), two("gfx1100")); err != nil || tool.Name != "hipcc" || !strings.HasPrefix(tool.Command, "hipcc -x hip ") {
		t.Errorf("%+v, %v", tool, err)
	}
}

// fake is a compiler of our own, that CXX names.
func fake(t *testing.T, script string) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "fake-c++")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nif [ \"$2\" = --version ]; then echo fake 1; exit; fi\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CXX", path+" -flag")
}

func TestCompilerFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	fake(t, "echo \"$@\" > said\n")
	tool, err := Build(t.Context(), named(t, "cpu_v3"), dir)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil || !strings.HasPrefix(string(said), "-flag -x c++ -std=c++20 -march=x86-64-v3 ") {
		t.Errorf("%q, %v", said, err)
	}
	if tool.Name != "fake-c++" || tool.Version != "fake 1" || tool.Command != "fake-c++ "+strings.TrimSpace(string(said)) {
		t.Errorf("%+v", tool)
	}
}

func TestCancelKillsCompiler(t *testing.T) {
	dir := t.TempDir()
	fake(t, "touch kernels.so\nsleep 60 &\necho $! > child.tmp\nmv child.tmp child\nwait\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for range 500 {
			if _, err := os.Stat(filepath.Join(dir, "child")); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	begun := time.Now()
	if _, err := Build(ctx, named(t, "cpu_v3"), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begun); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
	if _, err := os.Stat(filepath.Join(dir, "kernels.so")); err == nil {
		t.Error("half an object was left")
	}
	text, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if gone(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the compiler's child lives on")
}

// gone says whether a process has ended, reaped or not.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
