package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hipc/runtime"
	"hipc/runtime/engine"
)

func benchCommand() *cobra.Command {
	var m machine
	var o engine.BenchOptions
	var asJSON bool
	cmd := newCommand(cobra.Command{
		Use:   "bench DIR [flags]",
		Short: "Measure prompt and generation speed as llama-bench does",
		Long: `Measures tokens a second: pp512 is a prompt of 512 tokens into an empty context, up to the logits of
the last one; tg128 is 128 tokens one by one from an empty context. Each is run once unmeasured, then
-r times, in turns; the table has the least, the median and the most. The logits of the measured
runs must be finite, otherwise there is no figure.`,
		Example: `  hiprun bench out/smollm2
  hiprun bench out/smollm2 -p 128 -n 32 -r 3 --threads 2
  hiprun bench out/smollm2 --json > bench/results/smollm2.json`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			if term.IsTerminal(int(os.Stderr.Fd())) {
				o.Progress = func(test string, run, of int) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s: run %d of %d", test, run, of) }
				defer fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			results, err := engine.Bench(cmd.Context(), llm.Model, o)
			if err != nil {
				return err
			}
			r := newRecord(a, llm, results)
			if o.Progress != nil {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				return e.Encode(r)
			}
			return r.table(cmd.OutOrStdout())
		},
	})
	f := cmd.Flags()
	f.IntVarP(&o.Prompt, "prompt", "p", 512, "tokens of the prompt test; 0: none")
	f.IntVarP(&o.Tokens, "tokens", "n", 128, "tokens of the generation test; 0: none")
	f.IntVarP(&o.Repeat, "repeat", "r", 5, "how often each is measured")
	f.BoolVar(&asJSON, "json", false, "print a record with all that one has to know of the figures")
	m.flags(cmd)
	return cmd
}

// A record is what has to stand beside a figure that is published.
type record struct {
	Model           string          `json:"model"`
	Format          string          `json:"format"`
	Weights         string          `json:"weights,omitempty"` // random:SEED where they're of no checkpoint
	Act             string          `json:"act"`
	KV              string          `json:"kv"`
	Target          string          `json:"target"`
	Context         int             `json:"context"`
	Hardware        string          `json:"hardware"`
	Threads         int             `json:"threads,omitempty"`         // of a processor
	Multiprocessors int             `json:"multiprocessors,omitempty"` // of a card
	Command         string          `json:"command"`
	Commit          string          `json:"commit"`
	Plan            string          `json:"plan_sha256"`
	Gate            string          `json:"gate"`
	Peak            int64           `json:"peak_memory_bytes"`
	Results         []engine.Series `json:"results"` // tokens a second
}

func newRecord(a *runtime.Artifact, llm *engine.LLM, results []engine.Series) record {
	r := record{Model: a.Plan.Model, Weights: a.Origin(), Act: a.Plan.Act, KV: a.Plan.KV, Target: a.Plan.Target, Context: llm.Context(), Hardware: "interpreted graph",
		Command: commandLine(), Commit: builtFrom(), Plan: a.Manifest.Plan, Gate: "finite logits after each run", Peak: engine.PeakMemory(), Results: results}
	var kinds []string
	for _, k := range a.Plan.Kinds() {
		kinds = append(kinds, fmt.Sprintf("%s/%s %s", k.Format, k.Layout, runtime.Size(k.Bytes)))
	}
	r.Format = strings.Join(kinds, ", ")
	if m, ok := llm.Model.(*runtime.Model); ok {
		info := m.Info()
		r.Hardware, r.Threads, r.Multiprocessors = info.Name, info.Threads, info.Multiprocessors
	}
	return r
}

// commit may be set when the program is linked, -ldflags "-X main.commit=$(git rev-parse HEAD)", where the go command is
// told not to stamp what it builds.
var commit string

func commandLine() string { return strings.Join(os.Args, " ") }

// builtFrom is the commit that this program was built from, as far as anyone has told it.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	rev, dirty := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				rev = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "-dirty"
			}
		}
	}
	return rev + dirty
}

func (r record) table(w io.Writer) error {
	fmt.Fprintf(w, "%s (%s), %s, %s", r.Model, r.Format, r.Target, r.Hardware)
	switch {
	case r.Threads > 0:
		fmt.Fprintf(w, ", %d threads", r.Threads)
	case r.Multiprocessors > 0:
		fmt.Fprintf(w, ", %d multiprocessors", r.Multiprocessors)
	}
	fmt.Fprintln(w)
	if r.Weights != "" {
		fmt.Fprintf(w, "weights %s: the figures are of speed only\n", r.Weights)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tok/s\tmin\tmedian\tmax\t")
	for _, s := range r.Results {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t\n", s.Test, s.Min, s.Median, s.Max)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s; peak memory %s; commit %s\n", r.Gate, runtime.Size(r.Peak), r.Commit)
	return err
}
