package codegen

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Classes of PTX instructions, by their names' beginning. The first that matches counts.
var ptxClasses = []struct {
	name  string
	match *regexp.Regexp
}{
	{"mma", regexp.MustCompile(`^(mma|wgmma|ldmatrix)`)},
	{"fma", regexp.MustCompile(`^fma`)},
	{"arith", regexp.MustCompile(`^(add|sub|mul|div|max|min|sqrt|rcp|ex2|lg2|neg|abs)\S*\.f(16|32|64)`)},
	{"convert", regexp.MustCompile(`^cvt`)},
	{"ld16", regexp.MustCompile(`^ld\.(global|param)?\S*v4\.(b32|u32|f32)|^ld\.global\S*v2\.(b64|u64)`)},
	{"load", regexp.MustCompile(`^ld\.global`)},
	{"store", regexp.MustCompile(`^st\.global`)},
	{"shared", regexp.MustCompile(`^(ld|st)\.shared`)},
	{"local", regexp.MustCompile(`^(ld|st)\.local`)},
	{"shuffle", regexp.MustCompile(`^shfl`)},
	{"atomic", regexp.MustCompile(`^(atom|red|membar|fence)`)},
	{"barrier", regexp.MustCompile(`^bar`)},
	{"branch", regexp.MustCompile(`^(@\S+ )?bra`)},
}

var ptxEntry = regexp.MustCompile(`^\.visible \.entry (\S+)\($`)

// reportPTX counts in the text of PTX, which is what the driver gets: registers and spills come to be only when it compiles that.
func reportPTX(t *Target, dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, t.Object))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: what is in the PTX of each kernel; the driver makes code and registers of it when it's loaded. ld16: loads of 16 bytes a thread.\n", t.Name)
	fmt.Fprintf(&b, "# local: loads and stores of memory on the stack, which should be none.\n#%7s", "lines")
	for _, c := range ptxClasses {
		fmt.Fprintf(&b, "%8s", c.name)
	}
	fmt.Fprintf(&b, "  kernel\n")
	var lines []string
	name, body := "", false
	count, total := make([]int, len(ptxClasses)), 0
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSpace(l)
		switch m := ptxEntry.FindStringSubmatch(l); {
		case m != nil:
			name = m[1]
		case name == "":
		case l == "{":
			body = true
		case l == "}" && body:
			line := fmt.Sprintf("%8d", total)
			for i, n := range count {
				line += fmt.Sprintf("%8d", n)
				count[i] = 0
			}
			lines = append(lines, line+"  "+name+"\n")
			name, body, total = "", false, 0
		case body && strings.HasSuffix(l, ";") && !strings.HasPrefix(l, "."):
			total++
			for i, c := range ptxClasses {
				if c.match.MatchString(l) {
					count[i]++
					break
				}
			}
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(a[strings.LastIndex(a, " "):], b[strings.LastIndex(b, " "):])
	})
	b.WriteString(strings.Join(lines, ""))
	return b.Bytes(), nil
}
