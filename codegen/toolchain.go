package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hipc/runtime/plan"
)

// A Tool is a compiler that was found. Its Command is how it is called in the artifact's folder: what the manifest
// records, so it holds no path of this machine.
type Tool struct {
	plan.Compiler
	Path   string
	Passed []string // compilers that go before it and are here, but won't do: which, and why
	args   []string
	index  int // in the target's list
}

// A MissingTool says that none of a target's compilers is on this machine: plan and source can still be written.
type MissingTool struct {
	Target  string
	Sought  []string // names, in order; of one that is here and won't do, why
	Install []string // what brings one of them
}

func (e *MissingTool) Error() string {
	return fmt.Sprintf("no compiler for %s: sought %s; %s, then compile again", e.Target, strings.Join(e.Sought, ", "), strings.Join(e.Install, " or "))
}

// FindCompiler finds the first of the target's compilers that is on this machine and can compile for it. If there is none, the
// error is a *MissingTool. A variable such as CXX that names a program which isn't there is an error of its own: the user meant it.
func FindCompiler(ctx context.Context, t *Target) (*Tool, error) { return t.find(ctx, 0) }

// find seeks from a place in the list on.
func (t *Target) find(ctx context.Context, from int) (*Tool, error) {
	if t.Object == "" {
		return nil, fmt.Errorf("%s has no kernels to compile", t.Name)
	}
	missing := &MissingTool{Target: t.Name}
	var passed []string
	for i, c := range t.Compilers[from:] {
		words := []string{c.Program}
		if c.Env != "" {
			if words = strings.Fields(os.Getenv(c.Env)); len(words) == 0 {
				continue
			}
		}
		path, err := lookUp(words[0])
		if err != nil && c.Env != "" {
			return nil, fmt.Errorf("%s is %q, which isn't there: unset it, or name a C++20 compiler", c.Env, words[0])
		}
		if !slices.Contains(missing.Install, c.Install) && c.Env == "" {
			missing.Install = append(missing.Install, c.Install)
		}
		if err != nil {
			missing.Sought = append(missing.Sought, c.Program)
			continue
		}
		version, err := versionOf(ctx, path, words[1:]...)
		if err != nil {
			return nil, fmt.Errorf("%s is there, but doesn't run: %w", path, err)
		}
		args := append(words[1:len(words):len(words)], t.command(c)...)
		if strings.Contains(version, "clang") {
			args = slices.DeleteFunc(args, func(a string) bool { return slices.Contains(gnuOnly, a) })
		}
		if why := t.wontDo(ctx, c, path, version, args); why != "" {
			passed = append(passed, c.Program+" "+why)
			missing.Sought = append(missing.Sought, fmt.Sprintf("%s (%s)", c.Program, why))
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := filepath.Base(words[0])
		return &Tool{plan.Compiler{Name: name, Version: version, Command: name + " " + strings.Join(args, " ")}, path, passed, args, from + i}, nil
	}
	return nil, missing
}

// besides are where vendors put their programs without telling PATH.
var besides = []string{"/opt/rocm/bin", "/opt/rocm/llvm/bin", "/usr/local/cuda/bin"}

// lookUp finds a program on PATH, or else where vendors put theirs.
func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range besides {
		if err == nil {
			break
		}
		if other, wrong := exec.LookPath(filepath.Join(dir, name)); wrong == nil && filepath.Base(name) == name {
			path, err = other, nil
		}
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

var major = regexp.MustCompile(`version (\d+)`)

// wontDo says why a compiler that is there can't be used for the target: its version, or what it says of the probe. "" if it can.
func (t *Target) wontDo(ctx context.Context, c Compiler, path, version string, args []string) string {
	if m := major.FindStringSubmatch(version); c.Least > 0 && m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n < c.Least {
			return fmt.Sprintf("is version %d, want %d", n, c.Least)
		}
	}
	if c.Probe == "" {
		return ""
	}
	dir, err := os.MkdirTemp("", "hipc-probe-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, t.Source), []byte(c.Probe), 0o600); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	said, err := runTool(ctx, dir, path, args...)
	if err == nil {
		return ""
	}
	return fmt.Sprintf("can't compile for %s: %s", t.March, complaint(said, err))
}

// complaint is the line with which a compiler refuses, without what precedes it in every such line.
func complaint(said string, err error) string {
	for l := range strings.Lines(said) {
		if _, what, ok := strings.Cut(l, "error: "); ok {
			what, _, _ = strings.Cut(what, "; ")
			return strings.TrimSpace(what)
		}
	}
	if l := firstLines(said, 1); l != "" {
		return l
	}
	return err.Error()
}

// Build compiles the target's source in dir, the artifact's folder, to its object. The compiler's words are in the error
// if it refuses. A cancelled context kills the compiler with all that it has started; a half-written object is removed.
//
// A compiler for GPUs that refuses the source, or lets registers spill, is passed over where there's another: hipcc of clang 15 has 128
// registers where the card has 256.
func Build(ctx context.Context, t *Target, dir string) (*Tool, error) {
	tool, err := FindCompiler(ctx, t)
	if err != nil {
		return nil, err
	}
	for {
		said, err := runTool(ctx, dir, tool.Path, tool.args...)
		if ctx.Err() != nil {
			os.Remove(filepath.Join(dir, t.Object))
			return nil, ctx.Err()
		}
		why := ""
		if err != nil {
			why = "refuses the source: " + complaint(said, err)
		} else if t.spills != nil {
			why = t.spills(ctx, t, dir)
		}
		if c := t.Compilers[tool.index]; why != "" && c.Probe != "" {
			if next, lacks := t.find(ctx, tool.index+1); lacks == nil {
				next.Passed = append(append(tool.Passed, tool.Name+" "+why), next.Passed...)
				tool = next
				continue
			}
		}
		if err == nil {
			return tool, nil
		}
		os.Remove(filepath.Join(dir, t.Object))
		return nil, fmt.Errorf("%s refused %s (%w):\n%s", tool.Name, t.Source, err, firstLines(said, 40))
	}
}

// runTool runs a program and returns what it said, both streams together. Its words are in English wherever it runs.
func runTool(ctx context.Context, dir, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(environ(), "LC_ALL=C", "SOURCE_DATE_EPOCH=0")
	// A compiler is a driver and its children: a group of their own, so that all of them go. Where hipc itself is killed,
	// the driver goes with it, or it'd link into a folder that is another's by then. The kernel takes the thread that
	// started it for its parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// environ is the environment without what would change the object behind our back.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX",
			"CCC_OVERRIDE_OPTIONS", "HIPCC_COMPILE_FLAGS_APPEND", "HIPCC_LINK_FLAGS_APPEND", "HIPCC_VERBOSE", "NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS",
			"DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "LC_ALL", "LANG", "SOURCE_DATE_EPOCH"}, name)
	})
}

var numbered = regexp.MustCompile(`(version:?|release) \d+\.\d`)

// versionOf is what a program says about itself: the first line that speaks of a version, or the first of all.
func versionOf(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	said, err := runTool(ctx, "", path, append(args, "--version")...)
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, firstLines(said, 1))
		}
		return "", err
	}
	for l := range strings.Lines(said) {
		if numbered.MatchString(l) {
			return strings.TrimSpace(l), nil
		}
	}
	return firstLines(said, 1), nil
}

// firstLines is the beginning of what a program said.
func firstLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		if lines = lines[:n]; n > 1 {
			lines = append(lines, "...")
		}
	}
	return strings.Join(lines, "\n")
}
