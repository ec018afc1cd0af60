package tests

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs are hipc and hiprun as a user has them, built once.
var programs struct {
	sync.Once
	dir string
	err error
}

// program is the path of hipc or hiprun.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.Do(func() {
		programs.dir = filepath.Join(sharedDir(t), "bin")
		out, err := exec.Command("go", "build", "-o", programs.dir+"/", "../cmd/hipc", "../cmd/hiprun").CombinedOutput()
		if err != nil {
			programs.err = errors.New(string(out) + err.Error())
		}
	})
	if programs.err != nil {
		t.Fatalf("building the programs: %v", programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// sharedDir lives as long as all tests; TestMain removes it.
func sharedDir(t *testing.T) string {
	t.Helper()
	artifacts.Lock()
	defer artifacts.Unlock()
	return artifactsFolder(t)
}

// said is what a program answered.
type said struct {
	code     int // -1: killed
	out, err string
}

func runProgram(t *testing.T, env []string, name string, args ...string) said {
	t.Helper()
	return finish(t, startProgram(t, env, name, args...))
}

type started struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func startProgram(t *testing.T, env []string, name string, args ...string) *started {
	t.Helper()
	p := &started{Cmd: exec.Command(program(t, name), args...)}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func finish(t *testing.T, p *started) said {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{p.ProcessState.ExitCode(), p.out.String(), p.err.String()}
}

// tree is all that lies in a folder: paths, the bytes of files, and whether a file can be run.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if d.IsDir() {
			out[rel] = info.Mode().String()
			return nil
		}
		b, err := os.ReadFile(p)
		out[rel] = info.Mode().String() + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameTree compares two folders without printing 90 MiB.
func sameTree(t *testing.T, a, b string) {
	t.Helper()
	x, y := tree(t, a), tree(t, b)
	for name := range x {
		if other, ok := y[name]; !ok {
			t.Errorf("%s is in %s and not in %s", name, a, b)
		} else if x[name] != other {
			t.Errorf("%s differs in %s and %s", name, a, b)
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			t.Errorf("%s is in %s and not in %s", name, b, a)
		}
	}
}

// entries are the names in a folder, hidden ones too.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
