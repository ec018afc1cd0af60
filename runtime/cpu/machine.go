package cpu

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// Cores is the number of cores that this process may use: those of its affinity mask, hardware threads of one core
// counted once, and no more than its cgroup's share of time.
func Cores() int {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		return 1
	}
	seen := map[string]bool{}
	for i := range 8 * 1024 {
		if !mask.IsSet(i) {
			continue
		}
		// Threads of one core name the same list; where the system doesn't tell, each counts.
		list, err := os.ReadFile("/sys/devices/system/cpu/cpu" + strconv.Itoa(i) + "/topology/thread_siblings_list")
		if err != nil {
			list = []byte(strconv.Itoa(i))
		}
		seen[strings.TrimSpace(string(list))] = true
	}
	n := len(seen)
	for _, dir := range cgroups() {
		quota, period, ok := strings.Cut(line(filepath.Join(dir, "cpu.max")), " ")
		q, err1 := strconv.Atoi(quota)
		p, err2 := strconv.Atoi(period)
		if ok && err1 == nil && err2 == nil && q > 0 && p > 0 {
			n = min(n, (q+p-1)/p)
		}
	}
	return max(n, 1)
}

// memory gives the bytes that this process may have in all, and those that it could have now: the machine's, or its
// cgroup's where that is less. What the system holds as a cache of files counts as free.
func memory() (total, free int64) {
	info := fields("/proc/meminfo")
	total, free = info["MemTotal:"]*1024, info["MemAvailable:"]*1024
	limit := func(most, used, cache int64) {
		if most > 0 && used > 0 {
			total, free = min(total, most), min(free, most-max(used-cache, 0))
		}
	}
	for _, dir := range cgroups() {
		stat := fields(filepath.Join(dir, "memory.stat"))
		limit(number(line(filepath.Join(dir, "memory.max"))), number(line(filepath.Join(dir, "memory.current"))), stat["inactive_file"]+stat["active_file"])
		limit(number(line(filepath.Join(dir, "memory.limit_in_bytes"))), number(line(filepath.Join(dir, "memory.usage_in_bytes"))),
			stat["total_inactive_file"]+stat["total_active_file"])
	}
	return total, max(free, 0)
}

// cgroups lists the folders of the control groups that this process is in, of all versions, up to their roots.
func cgroups() []string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var dirs []string
	for l := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(l), ":", 3)
		if len(f) != 3 || f[1] != "" && !strings.Contains(","+f[1]+",", ",memory,") {
			continue
		}
		root := "/sys/fs/cgroup"
		if f[1] != "" {
			root += "/memory"
		}
		for p := filepath.Clean("/" + f[2]); ; p = filepath.Dir(p) {
			dirs = append(dirs, filepath.Join(root, p))
			if p == "/" {
				break
			}
		}
	}
	return dirs
}

func line(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// number is 0 for "max", and for what isn't there.
func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// fields reads lines of a name and a number.
func fields(path string) map[string]int64 {
	b, _ := os.ReadFile(path)
	out := map[string]int64{}
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) >= 2 {
			out[f[0]] = number(f[1])
		}
	}
	return out
}

// processor is the processor's name.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown processor"
}

// A Need is what a target's code may use of a processor beyond what every x86-64-v2 has.
type Need struct {
	Target   string
	Features []string
}

// Needs are those of the targets that are for processors, best first. hipc's rows say the same (tests/targets_test.go): the compiler is
// told so much, and may use all of it.
var Needs = []Need{
	{"cpu_v4", append(v3[:len(v3):len(v3)], "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")},
	{"cpu_v3", v3},
}

var v3 = []string{"avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "movbe"}

// features are what this processor has of those.
var features = map[string]bool{
	"avx2": cpu.X86.HasAVX2, "fma": cpu.X86.HasFMA, "f16c": cpu.X86.HasF16C, "bmi1": cpu.X86.HasBMI1, "bmi2": cpu.X86.HasBMI2,
	"lzcnt": cpu.X86.HasLZCNT, "movbe": cpu.X86.HasMOVBE, "avx512f": cpu.X86.HasAVX512F, "avx512bw": cpu.X86.HasAVX512BW,
	"avx512cd": cpu.X86.HasAVX512CD, "avx512dq": cpu.X86.HasAVX512DQ, "avx512vl": cpu.X86.HasAVX512VL,
}

// targets are those whose instructions a processor of these features has, best first.
func targets(features map[string]bool) []string {
	var list []string
	for _, n := range Needs {
		if !slices.ContainsFunc(n.Features, func(f string) bool { return !features[f] }) {
			list = append(list, n.Target)
		}
	}
	return list
}
