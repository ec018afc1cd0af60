package codegen

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
)

// A Finding is one line of what hipc doctor says.
type Finding struct {
	Kind    string // "program", "library", "target"
	Name    string
	Found   bool   // a target: it can be compiled here, or needs no compiler
	Path    string // of a program or library
	Version string // of a program; of a target, its compiler
	Runs    bool   // a target: its object can be run here. Of a GPU only its driver can say so, which hipc doesn't open
	Note    string // what it is for; what to do where something is missing
}

// String is the finding as a line of a table, its columns separated by tabs.
func (f Finding) String() string {
	state := "no"
	switch {
	case f.Kind == "target" && f.Found && f.Runs:
		state = "compiles and runs here"
	case f.Kind == "target" && f.Found:
		state = "compiles here"
	case f.Kind == "target" && f.Runs:
		state = "would run here"
	case f.Found:
		state = "yes"
	}
	return strings.Join([]string{f.Kind, f.Name, state, cmp.Or(f.Version, f.Path, "-"), f.Note}, "\t")
}

// programs and libraries are looked for though no row may name them yet: people ask what their machine can do.
var programs = []struct{ name, note string }{
	{"c++", "compiles for cpu"}, {"g++", "compiles for cpu"}, {"clang++", "compiles for cpu"},
	{"objdump", "kernels.txt: what is in the compiled kernels"},
	{"hipcc", "compiles for AMD GPUs"}, {"clang++-22", "compiles for AMD and NVIDIA GPUs"}, {"ld.lld-22", "links for AMD GPUs"},
	{"llvm-objdump-22", "kernels.txt: what is in code for AMD GPUs"}, {"nvcc", "compiles for NVIDIA GPUs"},
	{"ptxas", "kernels.txt: registers and spills of code for NVIDIA GPUs"},
}

var libraries = []struct{ name, device, note string }{
	{"libamdhip64.so", "hip", "runs on AMD GPUs"}, {"libcuda.so.1", "cuda", "runs on NVIDIA GPUs"},
}

// Doctor looks at this machine: compilers and other programs, drivers' libraries, and which targets that lets one compile, and run on
// the processor. It starts the programs to ask for their versions, and opens no library: which cards there are, hiprun devices says.
func Doctor() []Finding {
	ctx := context.Background()
	var list []Finding
	for _, p := range programs {
		f := Finding{Kind: "program", Name: p.name, Note: p.note}
		if path, err := lookUp(p.name); err == nil {
			f.Found, f.Path = true, path
			if version, err := versionOf(ctx, path); err != nil {
				f.Note = err.Error()
			} else {
				f.Version = version
			}
		}
		list = append(list, f)
	}
	for _, l := range libraries {
		path := findLibrary(l.name)
		list = append(list, Finding{Kind: "library", Name: l.name, Found: path != "", Path: path, Note: l.note})
	}
	for _, t := range Targets {
		list = append(list, t.finding(ctx))
	}
	return list
}

func (t *Target) finding(ctx context.Context) Finding {
	f := Finding{Kind: "target", Name: t.Name, Found: true, Runs: true}
	var notes []string
	if t.Object == "" {
		notes = append(notes, "needs no compiler")
	} else if tool, err := FindCompiler(ctx, t); err != nil {
		f.Found = false
		notes = append(notes, err.Error())
	} else {
		f.Path, f.Version = tool.Path, tool.Name+", "+tool.Version
		for _, p := range tool.Passed {
			notes = append(notes, "not with "+p)
		}
		if _, err := newest(t.inspector); err != nil {
			notes = append(notes, "without "+t.inspector+" kernels.txt says less")
		}
	}
	for _, l := range libraries {
		if l.device != t.Device {
			continue
		}
		f.Runs = false
		if findLibrary(l.name) == "" {
			notes = append(notes, "no "+l.name+" is here")
		} else {
			notes = append(notes, l.name+" is here: hiprun devices says whether a card fits")
		}
	}
	if missing := t.Missing(); len(missing) > 0 {
		f.Runs = false
		notes = append(notes, "this processor lacks "+strings.Join(missing, ", "))
	}
	f.Note = strings.Join(notes, "; ")
	return f
}

// findLibrary seeks a shared object where the loader would, and where ROCm puts its own.
func findLibrary(name string) string {
	folders := append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")),
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/rocm/lib", "/usr/lib/wsl/lib")
	for _, dir := range folders {
		if dir == "" {
			continue
		}
		if found, _ := filepath.Glob(filepath.Join(dir, name) + "*"); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
