package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"hipc/review"
)

// An exit is a code that is no error.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func diffCommand() *cobra.Command {
	var o review.Options
	var markdown, asJSON, codes bool
	var budget, bucket, fuse string
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "say what a change does to the launch plan, and what it costs",
		Long: `diff compares two plans and tells what a reviewer wants to know: which launches were fused, split, retiled or moved, by which
rule or which row of the registry, what bounds them, and what a token costs before and after. Where nothing differs it prints nothing.

A and B are each an artifact, a folder with an artifact or a committed plan for each target, a model text, or one of these in a git
revision: REV:PATH. An artifact shows what the hipc that wrote it made and predicted. A model text, that of another revision
too, is planned by this hipc: its diff is about the model. To see what a change of hipc itself does (a rule, a kernel, a machine's
figures) compare artifacts or committed plans that the two versions of hipc have written.

Times are predicted from the target's row in the table of machines unless it says measured: where kernels/TARGET.tsv has the kernel.

With --detailed-exitcode: 0 nothing differs, 2 something does, 3 it's over the budget, 1 an error. A budget is a file, hipc.budget.yaml:

` + indent(review.BudgetHelp),
		Example: `  hipc diff HEAD:models/llama.yaml models/llama.yaml
  hipc diff main:models/plans/llama models/plans/llama --markdown
  hipc diff out/before out/after --source
  hipc diff v1.0:models/qwen3.yaml models/qwen3.yaml --target gfx1100,gfx1151,sm_90 --bucket all --detailed-exitcode`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage{fmt.Errorf("diff takes two artifacts or model texts, not %d: hipc diff A B", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			debug.SetGCPercent(-1) // some 80 MB in all: nearly every diff ends before any of it need be collected
			debug.SetMemoryLimit(1 << 30)
			err := diff(c.OutOrStdout(), c.ErrOrStderr(), args, o, fuse, budget, bucket, markdown, asJSON)
			var e exit
			if errors.As(err, &e) && !codes {
				return nil
			}
			return err
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Targets, "target", nil, "targets to compare (default the artifacts'; of model texts gfx1100,gfx1151)")
	f.BoolVar(&markdown, "markdown", false, "write a comment for a pull request")
	f.BoolVar(&asJSON, "json", false, "print everything as JSON")
	f.BoolVar(&codes, "detailed-exitcode", false, "0: no change, 2: a change, 3: over the budget")
	f.BoolVar(&o.Source, "source", false, "show how the kernels' sources differ, too")
	f.StringVar(&budget, "budget", "", "the budget (default hipc.budget.yaml, if it's here)")
	f.StringVar(&bucket, "bucket", "", "the bucket whose steps are listed (default the first that changes); all: every one")
	f.StringVar(&o.Compile.Weights, "weights", "", "of model texts: checkpoint, as for compile")
	f.StringToStringVar(&o.Compile.Set, "set", nil, "of model texts, NAME=VALUE: override a dim or a real")
	f.IntVar(&o.Compile.Context, "context", 0, "of model texts: longest context in tokens")
	f.StringVar(&fuse, "fuse", "on", "of model texts: as for compile")
	return c
}

// indent sets an example apart from what stands around it.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

func diff(out, aside io.Writer, args []string, o review.Options, fuse, budget, bucket string, markdown, asJSON bool) error {
	if err := o.Compile.SetFuse(fuse); err != nil {
		return usage{err}
	}
	r, err := review.Run(args[0], args[1], o)
	if err != nil {
		return err
	}
	if err := r.HasBucket(bucket); err != nil {
		return err
	}
	file := budget
	if file == "" {
		file = review.BudgetName
	}
	b, err := review.ReadBudget(file)
	switch {
	case err == nil:
		b.Hold(r)
	case budget != "" || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	switch {
	case asJSON:
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	case markdown:
		r.Markdown(out)
	default:
		r.Text(out, bucket)
		if r.Same() {
			fmt.Fprintln(aside, r.Verdict())
		}
	}
	switch {
	case len(r.Over) > 0:
		return exit(3)
	case !r.Same():
		return exit(2)
	}
	return nil
}
