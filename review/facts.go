package review

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Facts are what kernels.txt says of each kernel.
type Facts map[string]Fact

// A Fact is what the compiler made of one kernel: counts by the column's name, of those that a review is about.
type Fact map[string]int

// counted are the columns that a review shows: memory and registers, and what spilled. Instructions are for kernels.txt's own diff.
var counted = []string{"vgpr", "sgpr", "lds", "scratch", "vspill", "sspill", "stack", "spill", "local"}

// spilling are those of them that say that registers didn't suffice.
var spilling = []string{"vspill", "sspill", "spill", "local"}

// readFacts reads kernels.txt: comments, of which the last one names the columns, then a line a kernel.
func readFacts(src []byte) (Facts, error) {
	if len(src) > maxFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(src), maxFile)
	}
	facts := Facts{}
	var columns []string
	for line := range strings.Lines(string(src)) {
		if c, ok := strings.CutPrefix(line, "#"); ok {
			columns = strings.Fields(c)
			continue
		}
		f := strings.Fields(line)
		name := len(columns) - 1 // what stands behind a name isn't counted
		if len(f) <= name || name < 0 || columns[name] != "kernel" {
			return nil, fmt.Errorf("%q: no columns stand above it that fit", strings.TrimSpace(line))
		}
		fact := Fact{}
		for i, c := range columns[:name] {
			n, err := strconv.Atoi(f[i])
			if err != nil {
				return nil, fmt.Errorf("%q is no count of %s", f[i], c)
			}
			if slices.Contains(counted, c) {
				fact[c] = n
			}
		}
		facts[f[name]] = fact
	}
	return facts, nil
}

// Spills sums up what says that registers didn't suffice.
func (f Fact) Spills() int {
	n := 0
	for _, c := range spilling {
		n += f[c]
	}
	return n
}

// waves is how many waves of 32 lanes one SIMD of RDNA 3 keeps at once with so many vector registers: of 1536, given out by 24, at
// most 16. Other devices' registers are none of kernels.txt.
func waves(vgpr int) int { return min(16, 1536/(max(1, (vgpr+23)/24)*24)) }

// differences says what became of a kernel's registers and the like, in words.
func (a Fact) differences(b Fact) []string {
	var out []string
	for _, c := range counted {
		x, inA := a[c]
		y, inB := b[c]
		if !inA || !inB || x == y {
			continue
		}
		s := fmt.Sprintf("%s %d → %d", c, x, y)
		if c == "vgpr" && waves(x) != waves(y) {
			s += fmt.Sprintf(" (waves a SIMD %d → %d)", waves(x), waves(y))
		}
		out = append(out, s)
	}
	return out
}
