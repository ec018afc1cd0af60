package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/compiler"
	"hipc/kernels"
	"hipc/runtime/cpu"
)

// beyond maps what compilers define for a level of x86-64 to the feature that it stands for. AVX is implied by AVX2, XSAVE by either.
var beyond = regexp.MustCompile(`(?m)^#define __(AVX2|AVX512\w+|BMI2?|F16C|FMA|LZCNT|MOVBE)__ 1$`)

var bmi = strings.NewReplacer("BMI2", "BMI2", "BMI", "BMI1")

// TestNeeds: what the compiler may use of a processor, hipc's table asks for, and so does the device that is to run it.
func TestNeeds(t *testing.T) {
	for _, target := range codegen.Targets {
		if target.Device != "cpu" {
			continue
		}
		i := slices.IndexFunc(cpu.Needs, func(n cpu.Need) bool { return n.Target == target.Name })
		if i < 0 || !slices.Equal(cpu.Needs[i].Features, target.Needs) {
			t.Errorf("%s needs %v for hipc, and something else for runtime/cpu: %v", target.Name, target.Needs, cpu.Needs)
		}
		tool, err := codegen.FindCompiler(t.Context(), target)
		if err != nil {
			t.Skip(err)
		}
		out, err := exec.Command(tool.Path, "-march="+target.March, "-dM", "-E", "-x", "c++", "/dev/null").Output()
		if err != nil {
			t.Fatal(err)
		}
		var may []string
		for _, m := range beyond.FindAllStringSubmatch(string(out), -1) {
			may = append(may, strings.ToLower(bmi.Replace(m[1])))
		}
		slices.Sort(may)
		if want := slices.Sorted(slices.Values(target.Needs)); !slices.Equal(may, want) {
			t.Errorf("%s: %s may use %v, the row needs %v", target.Name, tool.Name, may, want)
		}
	}
}

// TestMachines: the planner has a machine for each target that has kernels.
func TestMachines(t *testing.T) {
	for _, target := range codegen.Targets {
		if _, ok := kernels.Machines[target.Name]; ok != (target.Object != "") {
			t.Errorf("%s: a machine in kernels.Machines: %v, want %v", target.Name, ok, target.Object != "")
		}
	}
	for name := range kernels.Machines {
		if _, err := codegen.TargetByName(name); err != nil {
			t.Errorf("kernels.Machines: %v", err)
		}
	}
}

// TestSideBySide: several targets at once are what each is by itself, and share packed weights; where one can't be, none is left.
func TestSideBySide(t *testing.T) {
	noCompiler(t)
	place := t.TempDir()
	o := compiler.Options{Model: familyText("llama"), Weights: "testdata/families/llama", Out: filepath.Join(place, "all")}
	all, err := compiler.CompileAll(t.Context(), o, []string{"gfx1100", "sm_90", "cpu_v3", "gfx1151", "gfx1100"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all {
		target := filepath.Base(r.Dir)
		names = append(names, target)
		if r.Missing == nil {
			t.Errorf("%s: a compiler was found where there is none", target)
		}
		alone := o
		alone.Target, alone.Out = target, filepath.Join(place, target)
		if _, err := compiler.Compile(t.Context(), alone); err != nil {
			t.Fatal(err)
		}
		want, got := tree(t, alone.Out), tree(t, r.Dir)
		for name, data := range want {
			if got[name] != data {
				t.Errorf("%s/%s isn't what it is alone", target, name)
			}
		}
		if len(want) != len(got) || want["manifest.json"] == "" {
			t.Errorf("%s has %d members, %d alone", target, len(got), len(want))
		}
		one, err1 := os.Stat(filepath.Join(all[0].Dir, "weights-x16.bin"))
		two, err2 := os.Stat(filepath.Join(r.Dir, "weights-x16.bin"))
		if err1 != nil || err2 != nil || !os.SameFile(one, two) {
			t.Errorf("%s has packed weights of its own: %v, %v", target, err1, err2)
		}
	}
	if got := strings.Join(names, " "); got != "gfx1100 sm_90 cpu_v3 gfx1151" {
		t.Errorf("targets %s", got)
	}
	refused := func(o compiler.Options, ctx context.Context, want string, targets ...string) {
		t.Helper()
		if _, err := compiler.CompileAll(ctx, o, targets); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	o.Out = all[0].Dir
	refused(o, t.Context(), "is an artifact, of one target", "gfx1100", "sm_90")
	o.Out = filepath.Join(place, "none", "new")
	refused(o, t.Context(), `no target "gfx90"`, "sm_90", "gfx90")
	refused(o, t.Context(), "nothing to compile for", "sm_90", "reference")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	refused(o, stopped, "stopped: nothing was left", "sm_90", "gfx1100")
	t.Setenv("CXX", "absent-c++")
	refused(o, t.Context(), `cpu_v3: CXX is "absent-c++"`, "sm_90", "cpu_v3", "gfx1100")
	if _, err := os.Stat(filepath.Join(place, "none")); err == nil {
		t.Error("something was left")
	}
}
