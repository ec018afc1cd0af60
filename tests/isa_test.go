package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hipc/codegen"
	"hipc/runtime/plan"
)

// reported are the models whose kernels are held to their claims, at their published sizes, and the targets. sm_86 differs from sm_90 in
// what ptxas makes of the same PTX.
var (
	reported        = []string{"smollm2-135m-instruct", "qwen3.6-35b-a3b"}
	reportedTargets = []string{"gfx1100", "gfx1151", "sm_90"}
)

// A claim is what the code of a template's instances must have: columns of kernels.txt that aren't 0, for AMD and for NVIDIA.
type claim struct {
	instance *regexp.Regexp
	amd, sm  string
}

// claims are the templates' promises; the first that fits an instance is taken. Beside them every kernel keeps all its registers.
// Weights come 16 bytes at a time, many rows go through matrix units, and a row times nibbles through dot products of two, or on NVIDIA
// through the matrix units too.
var claims = []claim{
	{regexp.MustCompile(`_tiles<`), "wmma ld16", "mma ld16"},
	{regexp.MustCompile(`^flash`), "wmma ld16", "mma ld16"},
	{regexp.MustCompile(`^gdn_chunked<`), "wmma", "mma"},
	{regexp.MustCompile(`^(norm_)?(matmul|(sw|ge)glu|(moe|experts)_down)\w*<[QI]4_`), "dot ld16", "mma ld16"},
	{regexp.MustCompile(`^(norm_)?(matmul|router|(sw|ge)glu|(moe|experts)_down)\w*<`), "ld16", "ld16"},
	{regexp.MustCompile(`^(attend|rotate|gated_norm_rotate|norm_rotate|gdn)\w*<`), "ld16", "ld16"},
}

// TestReports compiles the models for each target and holds kernels.txt against its golden, and each kernel against what it claims.
func TestReports(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs: it compiles two models at their published sizes for each GPU target")
	}
	withClang(t)
	for _, model := range reported {
		for _, name := range reportedTargets {
			t.Run(model+"/"+name, func(t *testing.T) {
				target, err := codegen.TargetByName(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := codegen.FindCompiler(t.Context(), target); err != nil {
					t.Skipf("%v (make gpu-tools fetches it)", err)
				}
				r := reportedArtifact(t, model, name)
				text := string(readFile(t, filepath.Join(r.Dir, "kernels.txt")))
				report := readReport(t, text)
				checkReport(t, target, report, r.Plan)
				compareReport(t, filepath.Join("testdata/isa", model+"-"+name+".txt"), text)
			})
		}
	}
}

// withClang lets a test compile with clang 22 where it's there, whatever else is: goldens are of one compiler's code.
func withClang(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("clang++-22"); err == nil {
		t.Setenv("HIPC_CLANG", "clang++-22")
	}
}

// compareReport holds a report against its golden, where the same compiler made both.
func compareReport(t *testing.T, golden, text string) {
	t.Helper()
	const remake = "go test ./tests -run TestReports -update"
	if *updateGoldens {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v: make it, and read it: %s", err, remake)
	}
	made, _, _ := strings.Cut(text, "\n")
	if want, _, _ := strings.Cut(string(data), "\n"); made != want {
		t.Skipf("%s isn't compared: it has %q, here is %q", golden, want, made)
	}
	if diff := cmp.Diff(strings.Split(string(data), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s (-golden +now). If that is as it should be: %s\n%s", golden, remake, diff)
	}
}

// readReport reads the table of kernels.txt: columns by name, for each kernel.
func readReport(t *testing.T, text string) map[string]map[string]int {
	t.Helper()
	report := map[string]map[string]int{}
	var columns []string
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, "#"); ok {
			columns = strings.Fields(rest) // the last line of these is the table's head
			continue
		}
		f := strings.Fields(l)
		if len(f) != len(columns) || columns[len(columns)-1] != "kernel" {
			t.Fatalf("%q has %d columns, its head %d: %v", l, len(f), len(columns), columns)
		}
		row := map[string]int{}
		for i, c := range columns[:len(columns)-1] {
			n, err := strconv.Atoi(f[i])
			if err != nil {
				t.Fatalf("%s of %q: %v", c, l, err)
			}
			row[c] = n
		}
		report[f[len(f)-1]] = row
	}
	return report
}

// lost are the columns that say that registers went to memory. What PTX keeps in local memory, ptxas may yet put into registers: it has
// the last word where it's there.
var lost = strings.Fields("scratch vspill sspill stack spillst spillld local")

// checkReport wants every kernel of the plan in the report, with no register in memory, and what its instances claim.
func checkReport(t *testing.T, target *codegen.Target, report map[string]map[string]int, p *plan.Plan) {
	t.Helper()
	insts := map[string]string{}
	for _, b := range p.Buckets {
		for _, part := range b.Parts {
			for _, s := range part.Steps {
				insts[s.Kernel] = s.Inst
			}
		}
	}
	if len(insts) == 0 || len(insts) != len(report) {
		t.Errorf("the plan has %d kernels, kernels.txt %d", len(insts), len(report))
	}
	for kernel, inst := range insts {
		row, ok := report[kernel]
		if !ok {
			t.Errorf("%s isn't in kernels.txt", kernel)
			continue
		}
		for _, c := range lost {
			if _, assembled := row["stack"]; row[c] != 0 && (c != "local" || !assembled) {
				t.Errorf("%s: %s %d, want 0", kernel, c, row[c])
			}
		}
		if occ, ok := row["occ%"]; ok && occ == 0 {
			t.Errorf("%s: not one block of it fits", kernel)
		}
		for part := range strings.SplitSeq(inst, " | ") {
			for _, c := range claims {
				if !c.instance.MatchString(part) {
					continue
				}
				columns := c.amd
				if target.Device == "cuda" {
					columns = c.sm
				}
				for column := range strings.FieldsSeq(columns) {
					if n, known := row[column]; known && n == 0 {
						t.Errorf("%s: it has none of %s, which %s claims", kernel, column, part)
					}
				}
				break
			}
		}
	}
}
