package tests

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hipc/codegen"
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
