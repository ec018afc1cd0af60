package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hipc/kernels/checks"
	"hipc/runtime"
	"hipc/runtime/reference"
)

func verifyCommand() *cobra.Command {
	var m machine
	var asJSON bool
	var update string
	cmd := newCommand(cobra.Command{
		Use:   "verify DIR [flags]",
		Short: "Each kernel against what it's to compute, and against what it was",
		Long: fmt.Sprintf(`Runs the model's launches one by one, and interprets beside each what graph.txt says that it computes, on
the same operands and weights. It prints each kernel's error, the mean square of the differences over
that of the values, the worst of all launches, and the bar: 1e-7 on the cpu, 5e-4 on GPUs, whose caches
and matrix units have 16 bits. A kernel beyond it is an error, with the exit code 1.

Beside it stands what the artifact's %[1]s has of each fused kernel: the worst error of the runs against
the oracle that checked it before the artifact was made, and the drift since: the error now over that one. They had
other operands and shapes, so up to %[2]d times is noise (~), and what is below %.0[3]e counts as %.0[3]e
(%.0[4]e of what reads a state on a GPU, whose cache is rounded and the oracle's not). More is marked as drifted:
the kernel passes, but the device, its driver or a compiler does something else than where it was checked.
A kernel that no run has checked as it is now says so. --update puts the errors into a table for hipc,
where they stand for these very kernels: kernels/checks/TARGET.tsv.`, checks.RecordName, noise, checks.Floor, checks.StateFloor),
		Example: `  hiprun verify out/smollm2
  hiprun verify out/gfx1100 --device sim --json
  hiprun verify out/smollm2 --update kernels/checks/cpu_v4.tsv`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			model, ok := llm.Model.(*runtime.Model)
			if !ok {
				return usageError{fmt.Errorf("the reference has no kernels to verify")}
			}
			recorded, err := recordOf(a)
			if err != nil {
				return err
			}
			if update != "" && recorded == nil {
				return fmt.Errorf("%s: has no %s, which says what its kernels were built from: compile the model again", a.Dir, checks.RecordName)
			}
			found, err := reference.Verify(cmd.Context(), model)
			if err != nil {
				return err
			}
			v := newVerification(found, recorded, a, model.Info().Name)
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				err = e.Encode(v)
			} else {
				err = v.table(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			if off := v.off(); len(off) > 0 {
				return fmt.Errorf("%s: %d of %d kernels are off: %s", a.Dir, len(off), len(v.Kernels), strings.Join(off, ", "))
			}
			if update != "" {
				return v.update(update, found, recorded, a)
			}
			return nil
		},
	})
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print a record with all that one has to know of the figures")
	f.StringVar(&update, "update", "", "put the errors of the fused kernels into this table, kernels/checks/TARGET.tsv")
	m.flags(cmd)
	return cmd
}

// recordOf reads the artifact's record, nil if it has none.
func recordOf(a *runtime.Artifact) ([]checks.Step, error) {
	if !a.Has(checks.RecordName) {
		return nil, nil
	}
	src, err := a.File(checks.RecordName)
	if err != nil {
		return nil, err
	}
	steps, err := checks.ReadRecord(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	return append([]checks.Step{}, steps...), nil
}

// noise is how many times the recorded error goes without saying. Of 144 fused kernels of four models, on the cpu and in the simulator, the
// furthest was 4 times: what's recorded is the worst of many shapes.
const noise = 10

// A verification is what every kernel is off, now and when it was recorded.
type verification struct {
	Model    string           `json:"model"`
	Weights  string           `json:"weights,omitempty"`
	Target   string           `json:"target"`
	Hardware string           `json:"hardware"`
	Command  string           `json:"command"`
	Commit   string           `json:"commit"`
	Plan     string           `json:"plan_sha256"`
	Record   bool             `json:"has_record"`
	Kernels  []verifiedKernel `json:"kernels"`
}

type verifiedKernel struct {
	Inst     string       `json:"instance"`
	Op       string       `json:"op"`                // or the rule
	Unfused  string       `json:"unfused,omitempty"` // the ops that a rule consists of
	Kernel   string       `json:"kernel"`            // of the worst launch
	Launches int          `json:"launches"`
	NMSE     *float64     `json:"nmse"` // null where a token or a NaN differs
	Bar      float64      `json:"bar"`
	Passed   bool         `json:"passed"`
	Recorded *recordedRun `json:"recorded,omitempty"`
	Drift    float64      `json:"drift,omitempty"`
	Lacks    string       `json:"not_checked,omitempty"` // why a fused kernel has no recorded run

	nmse float64
}

type recordedRun struct {
	Inst   string  `json:"instance"`
	Shape  string  `json:"shape"` // live rows/rows@position
	Seed   string  `json:"seed"`
	NMSE   float64 `json:"nmse"`
	Bar    float64 `json:"bar"`
	Device string  `json:"device"`
	Date   string  `json:"date"`
	Commit string  `json:"commit"`
}

func newVerification(found []*reference.Check, recorded []checks.Step, a *runtime.Artifact, hardware string) *verification {
	v := &verification{Model: a.Plan.Model, Weights: a.Origin(), Target: a.Plan.Target, Hardware: hardware, Command: commandLine(), Commit: builtFrom(),
		Plan: a.Manifest.Plan, Record: recorded != nil}
	for _, c := range found {
		k := verifiedKernel{Inst: c.Inst, Op: c.Op, Kernel: c.Kernel, Launches: c.Launches, Bar: c.Bar, Passed: c.Passed(), nmse: c.NMSE}
		if !math.IsInf(c.NMSE, 0) {
			k.NMSE = &c.NMSE
		}
		if s := checks.Recorded(recorded, c.Inst, c.Op); s != nil {
			k.Unfused, k.Lacks = s.Twin, s.Why
			if r := s.Check; r != nil {
				k.Recorded = &recordedRun{r.Inst, r.Shape, r.Seed, r.NMSE, r.Bar, r.Device, r.Date, r.Commit}
				floor := checks.Floor
				if c.State && a.Plan.Device != "cpu" {
					floor = checks.StateFloor
				}
				if k.NMSE != nil {
					k.Drift = checks.Drift(c.NMSE, r.NMSE, floor)
				}
			}
		}
		v.Kernels = append(v.Kernels, k)
	}
	return v
}

// off names the kernels that are beyond their bar.
func (v *verification) off() (names []string) {
	for _, k := range v.Kernels {
		if !k.Passed {
			names = append(names, k.Inst)
		}
	}
	return names
}

func (v *verification) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "kernel\tlaunches\tNMSE\tbar\trecorded\tdrift\t")
	fused, lacking := 0, map[string]int{}
	var runs []string
	for _, k := range v.Kernels {
		recorded, drift, said := "", "", ""
		if k.Unfused != "" {
			fused++
		}
		if r := k.Recorded; r != nil {
			recorded, drift = fmt.Sprintf("%.1e", r.NMSE), "~"
			if k.Drift > noise {
				drift, said = fmt.Sprintf("×%.3g", k.Drift), "drifted"
			} else if k.NMSE == nil {
				drift = ""
			}
			if run := (checks.Run{Device: r.Device, Date: r.Date, Commit: r.Commit}).String(); !slices.Contains(runs, run) {
				runs = append(runs, run)
			}
		} else if k.Lacks != "" {
			recorded = "not checked"
			lacking[k.Lacks]++
		}
		if !k.Passed {
			said = "off"
		}
		fmt.Fprintf(t, "%s\t%d\t%.1e\t%.0e\t%s\t%s\t%s\n", k.Inst, k.Launches, k.nmse, k.Bar, recorded, drift, said)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d kernels", len(v.Kernels))
	if v.Record {
		fmt.Fprintf(w, ", %d of them fused", fused)
	}
	switch {
	case !v.Record:
		fmt.Fprintf(w, "; no %s says what checked the fused ones: compile the model again", checks.RecordName)
	case len(runs) > 0:
		fmt.Fprintf(w, "; recorded %s", strings.Join(runs, "; "))
	}
	for _, why := range slices.Sorted(maps.Keys(lacking)) {
		fmt.Fprintf(w, "\n%d not checked: %s", lacking[why], why)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// update puts what was found of fused kernels into the table, beside what it has of others.
func (v *verification) update(file string, found []*reference.Check, recorded []checks.Step, a *runtime.Artifact) error {
	src, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := checks.Read(src)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	seed := a.Origin()
	if seed == "" {
		seed = "checkpoint"
	}
	run := checks.Run{Device: v.Hardware, Date: time.Now().UTC().Format(time.DateOnly), Commit: v.Commit}
	var list []checks.Check
	for _, c := range found {
		s := checks.Recorded(recorded, c.Inst, c.Op)
		if s == nil {
			continue // no fused kernel
		}
		list = append(list, checks.Check{Source: s.Source, Inst: c.Inst, Shape: checks.Shape(c.Rows, c.Rows, c.Pos), Seed: seed, NMSE: c.NMSE, Bar: c.Bar, Run: run})
	}
	out, err := checks.Write(checks.Update(old, list))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, out, 0o644)
}
