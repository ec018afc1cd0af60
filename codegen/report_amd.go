package codegen

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// amdFacts are what the code object's own note says about a kernel, in the columns' order.
var amdFacts = []struct{ column, key string }{
	{"vgpr", "vgpr_count"}, {"sgpr", "sgpr_count"}, {"lds", "group_segment_fixed_size"}, {"scratch", "private_segment_fixed_size"},
	{"vspill", "vgpr_spill_count"}, {"sspill", "sgpr_spill_count"},
}

var amdClasses = []struct {
	name  string
	match *regexp.Regexp
}{
	{"wmma", regexp.MustCompile(`^v_wmma`)},
	{"dot", regexp.MustCompile(`^v_dot`)},
	{"fma", regexp.MustCompile(`fma`)},
	{"valu", regexp.MustCompile(`^v_`)},
	{"salu", regexp.MustCompile(`^s_`)},
	{"ld16", regexp.MustCompile(`^global_load_b128`)},
	{"load", regexp.MustCompile(`^global_load`)},
	{"store", regexp.MustCompile(`^global_store`)},
	{"ds", regexp.MustCompile(`^ds_`)},
	{"scratch", regexp.MustCompile(`^scratch_`)},
	{"other", regexp.MustCompile(``)},
}

var (
	amdKey  = regexp.MustCompile(`^\s+(?:- )?\.(\w+):\s+(\S+)$`)
	amdHead = regexp.MustCompile(`^[0-9a-f]+ <(\S+)>:$`)
)

// newest finds a program whose name may have a version of LLVM's.
func newest(name string) (path string, err error) {
	for _, n := range []string{name + "-22", name + "-21", name + "-20", name + "-19", name} {
		if path, err = lookUp(n); err == nil {
			break
		}
	}
	return path, err
}

// reportAMD reads the note of the code object, and counts what llvm-objdump prints. Without LLVM's programs only sizes are given.
func reportAMD(t *Target, dir string, shared map[string]int) ([]byte, error) {
	f, err := elf.Open(filepath.Join(dir, t.Object))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Object, err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Object, err)
	}
	sizes := map[string]uint64{}
	var names []string
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 {
			sizes[s.Name] = s.Size
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	var b bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	notes, counts, err := t.inspect(ctx, dir)
	if err != nil {
		fmt.Fprintf(&b, "# %s: %v (apt install llvm-22): only the size of each kernel's code is known.\n#%7s  kernel\n", t.Name, err, "bytes")
		for _, n := range names {
			fmt.Fprintf(&b, "%8d  %s\n", sizes[n], n)
		}
		return b.Bytes(), nil
	}
	fmt.Fprintf(&b, "# %s, %s: what the compiler made of each kernel. Registers, scratch and spills by the code\n", t.Name, comment(f))
	fmt.Fprintf(&b, "# object's note; lds: bytes, with those of the launch; occ%%: waves that a unit keeps, of 100 that it could; then instructions by class, counted in the code, not in a run.\n")
	fmt.Fprintf(&b, "# ld16: loads of 16 bytes a lane.\n#%7s", "bytes")
	for _, k := range amdFacts {
		fmt.Fprintf(&b, "%8s", k.column)
	}
	fmt.Fprintf(&b, "%8s", "occ%")
	for _, c := range amdClasses {
		fmt.Fprintf(&b, "%8s", c.name)
	}
	fmt.Fprintf(&b, "  kernel\n")
	for _, n := range names {
		fmt.Fprintf(&b, "%8d", sizes[n])
		lds := shared[n] + fact(notes[n], "group_segment_fixed_size")
		if notes[n] != nil {
			notes[n]["group_segment_fixed_size"] = strconv.Itoa(lds)
		}
		for _, k := range amdFacts {
			fmt.Fprintf(&b, "%8s", notes[n][k.key])
		}
		fmt.Fprintf(&b, "%8d", t.unit.occupancy(fact(notes[n], "max_flat_workgroup_size"), fact(notes[n], "vgpr_count"), lds))
		for i := range amdClasses {
			fmt.Fprintf(&b, "%8d", counts[n][i])
		}
		fmt.Fprintf(&b, "  %s\n", n)
	}
	return b.Bytes(), nil
}

func fact(facts map[string]string, key string) int {
	n, _ := strconv.Atoi(facts[key])
	return n
}

// spillsAMD says how many kernels keep registers in memory. Without llvm-readelf nothing is known of that.
func spillsAMD(ctx context.Context, t *Target, dir string) string {
	notes, _ := t.notes(ctx, dir)
	n := 0
	for _, facts := range notes {
		if fact(facts, "private_segment_fixed_size") > 0 {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("makes %d of %d kernels spill registers", n, len(notes))
}

// notes are what the code object says of each kernel.
func (t *Target) notes(ctx context.Context, dir string) (map[string]map[string]string, error) {
	readelf, err := newest("llvm-readelf")
	if err != nil {
		return nil, fmt.Errorf("no llvm-readelf was found")
	}
	text, err := runTool(ctx, dir, readelf, "--notes", t.Object)
	if err != nil {
		return nil, err
	}
	notes, facts := map[string]map[string]string{}, map[string]string{}
	for l := range strings.Lines(text) {
		m := amdKey.FindStringSubmatch(strings.TrimRight(l, "\n"))
		if m == nil {
			continue
		}
		if m[1] == "vgpr_spill_count" || m[1] == "symbol" || facts[m[1]] == "" {
			facts[m[1]] = m[2]
		}
		if strings.HasPrefix(l, "    .name:") {
			facts["name"] = m[2]
		}
		if m[1] == "wavefront_size" { // the last key of a kernel that matters: they're sorted
			notes[facts["name"]] = facts
			facts = map[string]string{}
		}
	}
	return notes, nil
}

// inspect asks LLVM's programs: what the note says of each kernel, and how many instructions of each class it has.
func (t *Target) inspect(ctx context.Context, dir string) (map[string]map[string]string, map[string][]int, error) {
	objdump, err := newest("llvm-objdump")
	if err != nil {
		return nil, nil, fmt.Errorf("no llvm-objdump was found")
	}
	notes, err := t.notes(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	text, err := runTool(ctx, dir, objdump, "-d", "--no-show-raw-insn", t.Object)
	if err != nil {
		return nil, nil, err
	}
	counts := map[string][]int{}
	var now []int
	for l := range strings.Lines(text) {
		if m := amdHead.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
			now = make([]int, len(amdClasses))
			counts[m[1]] = now
			continue
		}
		l = strings.TrimSpace(l)
		if now == nil || l == "" || strings.HasPrefix(l, "s_code_end") || strings.HasPrefix(l, "Disassembly") {
			continue
		}
		for i, c := range amdClasses {
			if c.match.MatchString(l) {
				now[i]++
				break
			}
		}
	}
	return notes, counts, nil
}
