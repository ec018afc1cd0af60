// Package codegen writes an artifact's code: the kernels' source, the launch plan, the compiled object and the report
// on what it contains.
//
// What is to be run has been decided when this phase begins: each step of the plan names its kernel, and each kernel is
// an instance of a template, or several beside each other. So the source that Source writes has no code of its own. It
// includes templates, and has one entry per kernel that hands the operands on; Templates copies the files that it
// includes, so that the artifact compiles by itself. PlanSource writes plan.go with jennifer and reads it back with the
// reader that hiprun uses: what that one doesn't accept is never written.
//
// Targets is the table of what we compile for: element types, files, compilers with their arguments. The code asks a row
// and never a name; a GPU of a known family is a new row. Build runs the row's compiler. A machine without one still gets
// plan and source, and a *MissingTool that says what to install.
//
// Everything here is deterministic: the same plan and target give the same bytes, and the same compiler gives the same
// object, in whichever folder it runs.
package codegen

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/cpu"
)

// A Target is what an artifact is compiled for: a row of Targets.
type Target struct {
	Name   string
	Device string // what runs it: cpu, hip, cuda
	Act    string // element of activations
	KV     string // element of the KV cache
	Page   int    // tokens a KV page
	// Templates is the folder of kernels/templates, Prelude the headers in it that every source includes.
	Templates string
	Prelude   []string
	Source    string // member: the generated source
	Object    string // member: what the compiler makes of it; "" if nothing is compiled
	March     string // what the compiler is told to compile for
	Compilers []Compiler
	Needs     []string // features of the processor, by the names in features, without which the object can't be run here
	Alias     string   // another name by which the first row that fits this machine is found
	language  *language
	report    func(t *Target, dir string, shared map[string]int) ([]byte, error) // kernels.txt of the object
	inspector string                                                             // the program that tells most of that
	unit      *unit                                                              // of a GPU
	spills    func(ctx context.Context, t *Target, dir string) string            // what the object's kernels spill, "" if nothing
}

// A Compiler is one way to compile a target. The first that is found and takes the target is taken.
type Compiler struct {
	Program string
	Env     string   // a variable that, if it is set, names the program (and arguments that go first) instead
	Args    []string // with {march}, {source} and {object} put in; run in the artifact's folder
	Install string   // what brings it
	Least   int      // the oldest major version that will do; 0: any
	Probe   string   // a source that it must compile first: what it can do, its version doesn't tell
	Shown   bool     // its command stands in the source, whichever is found
}

// gnuOnly are arguments that clang, however it's called, doesn't know. g++ 12 merges equal functions and keeps what it knew of the
// ranges of one: with the kernel of one row merged into that of 64, the others' rows weren't written (tests/residual_test.go).
var gnuOnly = []string{"-fno-ipa-icf"}

// cxx is the command for an x86-64 object. Every choice is spelled out that distributions make differently, so that the same
// compiler gives the same code; paths are relative, nothing is stamped with a time.
var cxx = []string{
	"-x", "c++", "-std=c++20", "-march={march}", "-O3",
	// IEEE arithmetic as written, but for a*b+c in one rounding, and no traps or errno that would keep loops scalar.
	"-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
	gnuOnly[0],
	"-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fcf-protection=none", "-U_FORTIFY_SOURCE", "-fno-plt",
	"-fPIC", "-fvisibility=hidden", "-pthread", "-ffile-prefix-map=./=", "-frandom-seed={object}",
	"-shared", "-Wl,-z,defs,-z,now,--as-needed,--build-id=none", "-o", "{object}", "{source}",
}

var cxxs = []Compiler{
	{Env: "CXX", Args: cxx, Install: "set CXX to a C++20 compiler"},
	{Program: "c++", Args: cxx, Install: "apt install g++", Shown: true},
	{Program: "g++", Args: cxx, Install: "apt install g++"},
	{Program: "clang++", Args: cxx, Install: "apt install clang"},
}

// hsaco and ptx are the commands for code objects of AMD and for NVIDIA's PTX, which the driver compiles when it's loaded. No vendor's
// headers and libraries: the source has its own (device.h). A source has no identity beyond its bytes.
var (
	hsaco = []string{"-x", "hip", "--offload-device-only", "--no-gpu-bundle-output", "--offload-arch={march}", "-nogpulib", "-nogpuinc",
		"-std=c++17", "-O3", "-ffile-prefix-map=./=", "-fuse-cuid=none", "-o", "{object}", "{source}"}
	genco = []string{"--genco", "--no-gpu-bundle-output", "--offload-arch={march}", "-nogpulib", "-nogpuinc",
		"-std=c++17", "-O3", "-ffile-prefix-map=./=", "-fuse-cuid=none", "-o", "{object}", "{source}"}
	ptx = []string{"-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch={march}", "-Xclang", "-target-feature", "-Xclang", "+ptx80",
		"-std=c++17", "-O3", "-ffile-prefix-map=./=", "-fuse-cuid=none", "-S", "-o", "{object}", "{source}"}
	nvcc = []string{"-x", "cu", "-ptx", "-arch={march}", "-std=c++17", "-O3", "-o", "{object}", "{source}"}
)

// probe has what every template is written with: a compiler may lack the back end, its linker, the target or the dialect. nvcc up to
// 13.5 has no vectors in device code.
const probe = `typedef _Float16 half8 __attribute__((ext_vector_type(8)));
extern "C" __attribute__((global)) void probe(half8 *a) { a[0] = a[1] * a[2] + a[0].s0; }
`

const clang = "apt install clang-22 lld-22 llvm-22 (without root: make gpu-tools, which prints the PATH to set)"

// gpu lists the vendor's compiler first, then clang.
func gpu(program string, own, args []string, install string) []Compiler {
	list := []Compiler{
		{Env: "HIPC_CLANG", Args: args, Install: "set HIPC_CLANG to a clang++ of 19 or newer"},
		{Program: program, Args: own, Probe: probe, Install: install},
	}
	for _, name := range []string{"clang++-22", "clang++-21", "clang++-20", "clang++-19", "clang++"} {
		list = append(list, Compiler{Program: name, Args: args, Least: 19, Probe: probe, Install: clang, Shown: name == "clang++-22"})
	}
	return list
}

var (
	amd    = gpu("hipcc", genco, hsaco, "install ROCm's hipcc")
	nvidia = gpu("nvcc", nvcc, ptx, clang)
)

var (
	v3 = []string{"avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "movbe"}
	v4 = append(v3[:len(v3):len(v3)], "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
)

// Targets are what hipc compiles for, the better one of an alias first.
var Targets = []*Target{
	{Name: "cpu_v4", Device: "cpu", Act: "f32", KV: "f32", Page: 64, Templates: "cpu", Prelude: []string{"entry.h", "pool.h"},
		Source: "kernels.hip", Object: "kernels.so", March: "x86-64-v4", Compilers: cxxs, Needs: v4, Alias: "cpu", language: functions, report: reportX86, inspector: "objdump"},
	{Name: "cpu_v3", Device: "cpu", Act: "f32", KV: "f32", Page: 64, Templates: "cpu", Prelude: []string{"entry.h", "pool.h"},
		Source: "kernels.hip", Object: "kernels.so", March: "x86-64-v3", Compilers: cxxs, Needs: v3, Alias: "cpu", language: functions, report: reportX86, inspector: "objdump"},
	{Name: "gfx1100", Device: "hip", Act: "f32", KV: "f16", Page: 64, Templates: "gpu", Prelude: []string{"device.h"},
		Source: "kernels.hip", Object: "kernels.hsaco", March: "gfx1100", Compilers: amd, language: launches, report: reportAMD, inspector: "llvm-objdump", unit: rdna3, spills: spillsAMD},
	{Name: "gfx1151", Device: "hip", Act: "f32", KV: "f16", Page: 64, Templates: "gpu", Prelude: []string{"device.h"},
		Source: "kernels.hip", Object: "kernels.hsaco", March: "gfx1151", Compilers: amd, language: launches, report: reportAMD, inspector: "llvm-objdump", unit: rdna3, spills: spillsAMD},
	{Name: "sm_90", Device: "cuda", Act: "f32", KV: "f16", Page: 64, Templates: "gpu", Prelude: []string{"device.h"},
		Source: "kernels.hip", Object: "kernels.ptx", March: "sm_90", Compilers: nvidia, language: launches, report: reportPTX, inspector: "ptxas", unit: hopper},
	{Name: "sm_86", Device: "cuda", Act: "f32", KV: "f16", Page: 64, Templates: "gpu", Prelude: []string{"device.h"},
		Source: "kernels.hip", Object: "kernels.ptx", March: "sm_86", Compilers: nvidia, language: launches, report: reportPTX, inspector: "ptxas", unit: ga10x},
	{Name: "reference", Device: "reference", Act: "f32", KV: "f32", Page: 64},
}

// features are those of this machine's processor that a row may need.
var features = map[string]bool{
	"avx2": cpu.X86.HasAVX2, "fma": cpu.X86.HasFMA, "f16c": cpu.X86.HasF16C, "bmi1": cpu.X86.HasBMI1, "bmi2": cpu.X86.HasBMI2,
	"lzcnt": cpu.X86.HasLZCNT, "movbe": cpu.X86.HasMOVBE, "avx512f": cpu.X86.HasAVX512F, "avx512bw": cpu.X86.HasAVX512BW,
	"avx512cd": cpu.X86.HasAVX512CD, "avx512dq": cpu.X86.HasAVX512DQ, "avx512vl": cpu.X86.HasAVX512VL,
}

// TargetByName finds a row by its name, or the first of an alias's rows that this machine can run. Where it can run none,
// the alias is its last row: one may compile for another machine.
func TargetByName(name string) (*Target, error) {
	var names []string
	var last *Target
	for _, t := range Targets {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
		if t.Alias != "" && t.Alias == name {
			if last = t; len(t.Missing()) == 0 {
				return t, nil
			}
		}
	}
	if last != nil {
		return last, nil
	}
	for _, t := range Targets {
		if t.Alias != "" && names[len(names)-1] != t.Alias {
			names = append(names, t.Alias)
		}
	}
	return nil, fmt.Errorf("no target %q, want one of %s", name, strings.Join(names, ", "))
}

// Missing are the features that the target needs and this machine's processor lacks.
func (t *Target) Missing() []string {
	var missing []string
	for _, f := range t.Needs {
		if !features[f] {
			missing = append(missing, f)
		}
	}
	return missing
}

// elemBytes are the sizes of the elements that rows bind act and KV to.
var elemBytes = map[string]int{"f32": 4, "f16": 2, "bf16": 2, "i8": 1}

// ActBytes is the size of an activation.
func (t *Target) ActBytes() int { return elemBytes[t.Act] }

// KVBytes is the size of an element of the KV cache.
func (t *Target) KVBytes() int { return elemBytes[t.KV] }

// command is the compiler's arguments.
func (t *Target) command(c Compiler) []string {
	put := strings.NewReplacer("{march}", t.March, "{source}", t.Source, "{object}", t.Object)
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = put.Replace(a)
	}
	return args
}
