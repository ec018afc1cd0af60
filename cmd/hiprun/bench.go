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
		RunE: func(cmd *cobra.Command, words []string) error {
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer llm.Close()
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
	Model    string          `json:"model"`
	Format   string          `json:"format"`
	Act      string          `json:"act"`
	KV       string          `json:"kv"`
	Target   string          `json:"target"`
	Context  int             `json:"context"`
	Hardware string          `json:"hardware"`
	Threads  int             `json:"threads"`
	Command  string          `json:"command"`
	Commit   string          `json:"commit"`
	Plan     string          `json:"plan_sha256"`
	Gate     string          `json:"gate"`
	Peak     int64           `json:"peak_memory_bytes"`
	Results  []engine.Series `json:"results"` // tokens a second
}

func newRecord(a *runtime.Artifact, llm *engine.LLM, results []engine.Series) record {
	r := record{Model: a.Plan.Model, Act: a.Plan.Act, KV: a.Plan.KV, Target: a.Plan.Target, Context: llm.Context(), Hardware: "interpreted graph",
		Command: strings.Join(os.Args, " "), Commit: commit(), Plan: a.Manifest.Plan, Gate: "finite logits after each run", Peak: engine.PeakMemory(), Results: results}
	var kinds []string
	for _, k := range a.Plan.Kinds() {
		kinds = append(kinds, fmt.Sprintf("%s/%s %s", k.Format, k.Layout, runtime.Size(k.Bytes)))
	}
	r.Format = strings.Join(kinds, ", ")
	if m, ok := llm.Model.(*runtime.Model); ok {
		info := m.Info()
		r.Hardware, r.Threads = info.Name, info.Units
	}
	return r
}

// commit is the source that this program was built from, as the go command has stamped it.
func commit() string {
	rev, dirty := "", false
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				rev = s.Value
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
	}
	if rev == "" {
		return "unknown"
	}
	if dirty {
		rev += "-dirty"
	}
	return rev
}

func (r record) table(w io.Writer) error {
	fmt.Fprintf(w, "%s (%s), %s, %s, %d threads\n\n", r.Model, r.Format, r.Target, r.Hardware, r.Threads)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "test\tmin\tmedian\tmax\ttok/s\t")
	for _, s := range r.Results {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t\t\n", s.Test, s.Min, s.Median, s.Max)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s; peak memory %s; commit %s\n", r.Gate, runtime.Size(r.Peak), r.Commit)
	return err
}
