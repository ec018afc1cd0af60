package tests

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/kernels"
)

// TestLean compiles each row of which three blocks are to fit a processor for that, in each format and at the most channels that it promises: ptxas
// must find registers for all, and 80 of them do.
func TestLean(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	target, err := codegen.TargetByName("sm_90")
	if err != nil {
		t.Fatal(err)
	}
	var entries []codegen.Entry
	var experts codegen.EntryPart // the routed ones', of the format that came last
	seen := map[string]bool{}
	for i := range kernels.Registry {
		row := &kernels.Registry[i]
		if ok, _ := filepath.Match(row.Targets, target.Name); !ok || row.Lean == "" {
			continue
		}
		_, elems, _ := row.Vars()
		made := 0
		for _, format := range strings.Fields(row.Formats) {
			for _, dims := range [][2]int{{2048, 512}, {2048, 4096}, {2048, 8192}, {2048, 16384}, {512, 2048}} {
				formats := map[string]string{}
				for _, e := range elems {
					formats[e] = format
				}
				n, err := row.Example(map[string]int{"K": dims[0], "D": dims[0], "N": dims[1], "F": 512, "E": 64, "A": 8, "G": 128}, formats, nil)
				if err != nil {
					t.Fatal(err)
				}
				c, err := kernels.Find(target.Name, n, kernels.Dims{T: 1, S: 1, C: 4096, P: 64})
				if err != nil || c.Kernel != row || !c.Lean || seen[c.Inst] {
					continue
				}
				made++
				seen[c.Inst] = true
				part := codegen.EntryPart{Inst: c.Inst, Header: row.Header, Args: make([]int, len(n.Bound())+len(c.Cells)+len(n.Outs)), Grid: c.Grid}
				parts := []codegen.EntryPart{part}
				for k := range part.Args {
					part.Args[k] = k
				}
				switch row.Op {
				case "swiglu_each_rotate":
					experts = part
				case "swiglu_rotate": // the shared expert's, too few blocks for a launch of its own
					parts = []codegen.EntryPart{experts, part}
				}
				entries = append(entries, codegen.Entry{Name: fmt.Sprintf("lean_%d", len(entries)), Block: c.Block, Dense: true, Parts: parts})
			}
		}
		if made == 0 {
			t.Errorf("%s, where %s: no example of it is lean", row.Inst, row.Where)
		}
	}
	dir := t.TempDir()
	var missing *codegen.MissingTool
	if err := compileObject(t.Context(), kernels.Templates, target, dir, entries, nil); errors.As(err, &missing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	text, err := codegen.Report(target, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "spillst") {
		t.Skip("no ptxas: make gpu-tools fetches it")
	}
	report := readReport(t, string(text))
	for _, e := range entries {
		k := report[e.Name]
		if k["spillst"]+k["spillld"] > 0 || k["regs"] > 80 {
			t.Errorf("%s: %d registers, %d bytes of spills", e.Parts[0].Inst, k["regs"], k["spillst"])
		}
	}
	t.Logf("%d instances keep to 80 registers", len(entries))
}
