package tests

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hipc/codegen"
	"hipc/compiler"
	"hipc/fusion"
	"hipc/kernels"
	"hipc/kernels/checks"
)

var (
	recordIn     = flag.String("record", "", "TestKernels and TestGPUKernels write how exact fused kernels are to TARGET.tsv in this folder: make checks")
	recordCommit = flag.String("commit", "", "what -record says was run, where git doesn't know")
)

// seed is what a case's operands are made of.
func (c *kernelCase) seed() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, c)
	return h.Sum64()
}

// bySeed says that a check is one of these tests, not of a model's verification.
func bySeed(c checks.Check) bool {
	return len(c.Seed) == 16 && strings.Trim(c.Seed, "0123456789abcdef") == ""
}

// fusedSources are the sources of a target's rows for fuse rules.
func fusedSources(t *testing.T, target *codegen.Target) map[*kernels.Kernel]string {
	t.Helper()
	m := map[*kernels.Kernel]string{}
	rules := fusion.Decls()
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, target.Name); !ok || rules[row.Op] == nil {
			continue
		}
		var err error
		if m[row], err = compiler.KernelSource(target, row, kernels.Templates); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// record writes the worst run of each fused kernel into the target's table. What other runs have found of kernels as they are now stays.
func record(t *testing.T, target *codegen.Target, device string, worst map[*kernelCase]float64) {
	t.Helper()
	if *recordIn == "" || t.Failed() {
		return
	}
	commit := []byte(*recordCommit)
	if len(commit) == 0 {
		var err error
		if commit, err = exec.Command("git", "rev-parse", "--short=12", "HEAD").Output(); err != nil {
			t.Fatalf("git rev-parse: %v: say which commit this is, -commit", err)
		}
	}
	run := checks.Run{Device: device, Date: time.Now().UTC().Format(time.DateOnly), Commit: strings.TrimSpace(string(commit))}
	sources := fusedSources(t, target)
	found := map[string]checks.Check{}
	for c, e := range worst {
		source, ok := sources[c.row]
		if !ok {
			continue
		}
		n := checks.Check{Source: source, Inst: c.choice.Inst, Shape: checks.Shape(c.live, c.rows(), c.pos), Seed: fmt.Sprintf("%016x", c.seed()), NMSE: e, Bar: c.bar(), Run: run}
		if old, ok := found[source]; !ok || e > old.NMSE || e == old.NMSE && n.Inst+n.Shape < old.Inst+old.Shape {
			found[source] = n
		}
	}
	path := filepath.Join(*recordIn, target.Name+".tsv")
	list := readChecks(t, path)
	current := map[string]bool{}
	for _, s := range sources {
		current[s] = true
	}
	list = slices.DeleteFunc(list, func(c checks.Check) bool {
		_, again := found[c.Source]
		return !current[c.Source] || again && bySeed(c)
	})
	for _, n := range found {
		list = checks.Update(list, []checks.Check{n})
	}
	out, err := checks.Write(list)
	if err == nil {
		err = os.WriteFile(path, out, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d kernels were checked, of %d", path, len(found), len(current))
}

func readChecks(t *testing.T, path string) []checks.Check {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	list, err := checks.Read(src)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return list
}

// TestChecks: the tables can be read, say nothing of kernels that are gone, and name how many have changed since: make checks mends that.
func TestChecks(t *testing.T) {
	for _, target := range codegen.Targets {
		list, err := kernels.Checked(target.Name)
		if err != nil {
			t.Error(err)
		}
		if len(list) == 0 {
			continue
		}
		templates, fresh := map[string]bool{}, 0
		sources := fusedSources(t, target)
		for row, s := range sources {
			templates[row.Inst[:strings.IndexByte(row.Inst, '<')]] = true
			if _, ok := checks.Find(list, s, ""); ok {
				fresh++
			}
		}
		for _, c := range list {
			if name, _, _ := strings.Cut(c.Inst, "<"); !templates[name] {
				t.Errorf("kernels/checks/%s.tsv: no fused kernel of the registry is called %s: make checks", target.Name, name)
			}
		}
		t.Logf("%s: %d of %d fused kernels are checked as they are now", target.Name, fresh, len(sources))
	}
}
