package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hipc/kernels/times"
	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/sim"
)

func profileCommand() *cobra.Command {
	var m machine
	var at, repeat int
	var asJSON, compare bool
	var within float64
	var update string
	cmd := newCommand(cobra.Command{
		Use:   "profile DIR [flags]",
		Short: "Show where a token's time goes, and hold it against the prediction",
		Long: `Times each launch of one greedy token, the costliest kernels first. GB/s and Tflop/s are of what the plan says
that a launch moves and computes; the roof is what the target's memory and its matrix units could do by their data sheets.

On a GPU each launch stands between two events, which cost something: as much is taken off each launch as makes
their sum the time of a token's graph.

--compare shows the prediction that the artifact was written with beside each kernel, and fails where the median
error of the launches is above --within. --update puts the times into a table for hipc: kernels/TARGET.tsv. Neither is
for the simulator and the reference.

--device sim counts one token instead: instructions by class, and bytes.`,
		Example: `  hiprun profile out/smollm2
  hiprun profile out/smollm2 --at 1000 --threads 1
  hiprun profile out/smollm2 --compare --within 25
  hiprun profile out/smollm2 --update kernels/cpu_v4.tsv
  hiprun profile out/llama --device sim`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			if repeat < 1 || repeat > 10000 || at < 0 || within < 0 {
				return usageError{fmt.Errorf("-r %d --at %d --within %g: want at least one repetition, a position of 0 or more, and an error of 0 or more", repeat, at, within)}
			}
			if d, ok := engine.DeviceNamed(m.device); ok && d.StandsIn() && (compare || update != "") {
				return usageError{fmt.Errorf("--device %s: its times are no measurement; --compare and --update want the device that the code is for", m.device)}
			}
			if update != "" && m.target != "" { // a forced card says that it's the target
				return usageError{fmt.Errorf("--update with --target %s: times may be of a card that is only near it: name that target's own folder instead of --target", m.target)}
			}
			a, err := m.artifact(words[0])
			if err != nil {
				return err
			}
			if own := a.Plan.Target + ".tsv"; update != "" && filepath.Base(update) != own {
				return usageError{fmt.Errorf("--update %s: these are times of %s: want a file %s", update, a.Plan.Target, own)}
			}
			llm, err := m.model(a)
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			model, ok := llm.Model.(*runtime.Model)
			if !ok {
				return usageError{fmt.Errorf("the reference has no launches to time")}
			}
			if err := model.Feed(cmd.Context(), make([]int32, at)); err != nil {
				return err
			}
			if simulated, ok := model.Device().(*sim.Device); ok {
				list, err := counts(model, simulated)
				if err != nil {
					return err
				}
				return printCounts(cmd.OutOrStdout(), a, list, at, asJSON)
			}
			p, err := model.Profile(cmd.Context(), repeat)
			if err != nil {
				return err
			}
			r := newProfile(p, a, model, at, repeat)
			if (compare || update != "") && p.Machine == "" {
				return fmt.Errorf("%s: has no prediction: compile the model again", a.Dir)
			}
			if update != "" {
				if err := r.update(update, p); err != nil {
					return err
				}
				if n := moved(p); n < cache {
					fmt.Fprintf(os.Stderr, "hiprun: warning: a token moves %s, which a cache may hold: %s has times of weights that needn't have come from memory; measure a model of more than %s a token\n",
						runtime.Size(n), update, runtime.Size(cache))
				}
			}
			switch {
			case asJSON:
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				err = e.Encode(r)
			default:
				err = r.table(cmd.OutOrStdout(), compare)
			}
			if compare && err == nil && r.Error > within {
				err = fmt.Errorf("the prediction's median error is %.1f %%, more than %g %%: measure the target (--update kernels/%s.tsv), or mend its row in kernels/cost.go", r.Error, within, a.Plan.Target)
			}
			return err
		},
	})
	f := cmd.Flags()
	f.IntVarP(&repeat, "repeat", "r", 20, "tokens that are timed; the table has medians")
	f.IntVar(&at, "at", 0, "position of the token: so many stand before it")
	f.BoolVar(&asJSON, "json", false, "print a record with all that one has to know of the figures")
	f.BoolVar(&compare, "compare", false, "show predicted times, too, and fail where they are too far off")
	f.Float64Var(&within, "within", 25, "with --compare: per cent that the median error may be")
	f.StringVar(&update, "update", "", "put the times into this table, kernels/TARGET.tsv")
	m.flags(cmd)
	return cmd
}

// A profile is a token's time by kernel, as it's published.
type profile struct {
	Model    string          `json:"model"`
	Weights  string          `json:"weights,omitempty"`
	Target   string          `json:"target"`
	Hardware string          `json:"hardware"`
	Machine  string          `json:"machine,omitempty"` // what the prediction reckons with
	Command  string          `json:"command"`
	Commit   string          `json:"commit"`
	Plan     string          `json:"plan_sha256"`
	At       int             `json:"position"`
	Repeat   int             `json:"tokens"`
	Token    float64         `json:"token_us"`                       // without anything timed between
	Error    float64         `json:"median_error_percent,omitempty"` // of the prediction, over launches
	Kernels  []profileKernel `json:"kernels"`
}

type profileKernel struct {
	Kernel    string  `json:"kernel"`
	Launches  int     `json:"launches"`
	Time      float64 `json:"us"` // of a launch: median
	Spread    float64 `json:"spread_us"`
	Share     float64 `json:"share_percent"`
	GBs       float64 `json:"gb_s,omitempty"`
	Tflops    float64 `json:"tflop_s,omitempty"`
	Roof      float64 `json:"roof_percent,omitempty"`
	Predicted float64 `json:"predicted_us,omitempty"`
	From      string  `json:"predicted_from,omitempty"`
	Bound     string  `json:"bound,omitempty"`
}

func newProfile(p *runtime.Profile, a *runtime.Artifact, model *runtime.Model, at, repeat int) *profile {
	r := &profile{Model: a.Plan.Model, Weights: a.Origin(), Target: a.Plan.Target, Hardware: model.Info().Name, Machine: p.Machine, Command: commandLine(), Commit: builtFrom(),
		Plan: a.Manifest.Plan, At: at, Repeat: repeat, Token: us(p.Token)}
	var gbs, tflops float64
	fmt.Sscanf(p.Machine, "%g GB/s of %g, %g Tflop/s", new(float64), &gbs, &tflops)
	total := 0.0
	var errors []float64 // one for each launch
	for i := range p.Kernels {
		k := &p.Kernels[i]
		x := profileKernel{Kernel: k.Kernel, Launches: k.Launches, Time: us(k.Time()), Spread: us(k.Spread())}
		total += x.Time * float64(k.Launches)
		if c := k.Predicted; c.Kernel != "" {
			x.GBs, x.Tflops = float64(c.Bytes)/x.Time/1e3, float64(c.Ops)/x.Time/1e6
			x.Predicted, x.From, x.Bound = float64(c.Time)/1e3, c.From, c.Bound
			if gbs > 0 && tflops > 0 {
				x.Roof = 100 * max(x.GBs/gbs, x.Tflops/tflops)
			}
			off := 100 * (x.Predicted - x.Time) / x.Time
			for range k.Launches {
				errors = append(errors, max(off, -off))
			}
		}
		r.Kernels = append(r.Kernels, x)
	}
	for i := range r.Kernels {
		r.Kernels[i].Share = 100 * r.Kernels[i].Time * float64(r.Kernels[i].Launches) / total
	}
	slices.SortStableFunc(r.Kernels, func(a, b profileKernel) int { return cmp.Compare(b.Share, a.Share) })
	if slices.Sort(errors); len(errors) > 0 {
		r.Error = errors[len(errors)/2]
	}
	return r
}

func (r *profile) table(w io.Writer, compare bool) error {
	fmt.Fprintf(w, "%s, %s, %s, a token at position %d\n", r.Model, r.Target, r.Hardware, r.At)
	if r.Weights != "" {
		fmt.Fprintf(w, "weights %s: the figures are of speed only\n", r.Weights)
	}
	if compare {
		fmt.Fprintf(w, "predicted for %s\n", r.Machine)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "launches\tµs each\t± \tshare\tGB/s\tTflop/s\troof\t"
	if compare {
		head += "predicted\toff\tbound\t"
	}
	fmt.Fprintln(t, head+"  kernel")
	some := func(format string, x float64) string {
		if x == 0 {
			return ""
		}
		return fmt.Sprintf(format, x)
	}
	launches := 0
	sum, predicted := 0.0, 0.0
	for _, k := range r.Kernels {
		launches += k.Launches
		sum, predicted = sum+k.Time*float64(k.Launches), predicted+k.Predicted*float64(k.Launches)
		line := fmt.Sprintf("%d\t%.2f\t%.2f\t%.1f %%\t%s\t%s\t%s\t", k.Launches, k.Time, k.Spread, k.Share, some("%.0f", k.GBs), some("%.2f", k.Tflops), some("%.0f %%", k.Roof))
		if compare {
			line += fmt.Sprintf("%s\t%s\t%s\t", some("%.2f", k.Predicted), some("%+.0f %%", 100*(k.Predicted-k.Time)/k.Time), k.Bound)
		}
		fmt.Fprintln(t, line+"  "+k.Kernel)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d launches, %.1f µs in all; a token takes %.1f µs\n", launches, sum, r.Token)
	if compare && err == nil {
		_, err = fmt.Fprintf(w, "predicted: %.1f µs; median error of a launch %.1f %%\n", predicted, r.Error)
	}
	return err
}

// cache is more than the last-level cache holds of a card that there's a target for (an RX 7900 XTX has 96 MiB, an H100 50) and of a desktop's
// processor; servers may have more.
const cache = 128 << 20

// moved is what a token's launches read and write, as the plan says: of experts those that are chosen, of an embedding a row.
func moved(p *runtime.Profile) (bytes int64) {
	for i := range p.Kernels {
		bytes += int64(p.Kernels[i].Launches) * int64(p.Kernels[i].Predicted.Bytes)
	}
	return bytes
}

// update puts the times into the table, beside those that it has of other launches.
func (r *profile) update(file string, p *runtime.Profile) error {
	src, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := times.Read(src)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var list []times.Time
	for i := range p.Kernels {
		k := &p.Kernels[i]
		list = append(list, times.Time{Key: times.Key{Inst: k.Inst, Shape: times.Shape(1, 1, r.At), Grid: k.Grid}, Median: us(k.Time()), Spread: us(k.Spread()),
			Date: time.Now().UTC().Format(time.DateOnly), Device: r.Hardware, Commit: r.Commit})
	}
	out, err := times.Write(times.Update(old, list))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, out, 0o644)
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
