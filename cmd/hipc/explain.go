package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"hipc/compiler"
)

func explainCommand() *cobra.Command {
	var o compiler.Options
	var asJSON bool
	var bucket, fuse string
	c := &cobra.Command{
		Use:   "explain MODEL.yaml|DIR",
		Short: "say what was fused and why, and what a token costs",
		Long: `explain plans a model text, or an artifact's graph once more, and says per bucket which rules fired and what they
save, which matched and lost and by how much, and which lack a kernel. All times are predicted from the target's row in
the table of machines; none is measured.`,
		Example: `  hipc explain models/qwen3.6-35b-a3b.yaml
  hipc explain out/smollm2 --bucket prefill_512
  hipc explain out/smollm2 --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage{fmt.Errorf("explain takes one model text or artifact, not %d: hipc explain MODEL.yaml|DIR", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.Model = args[0]
			if err := fusing(&o, fuse); err != nil {
				return err
			}
			e, err := compiler.Explain(o)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(os.Stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(e)
			}
			return explain(os.Stdout, e, bucket)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Weights, "weights", "", "checkpoint, as for compile")
	f.StringVar(&o.Target, "target", "cpu", "target")
	f.StringToStringVar(&o.Set, "set", nil, "NAME=VALUE: override a dim or a real")
	f.IntVar(&o.Context, "context", 0, "longest context in tokens")
	f.StringVar(&fuse, "fuse", "on", "as for compile")
	f.StringVar(&bucket, "bucket", "decode_1", "the bucket whose rules are listed; all: every one")
	f.BoolVar(&asJSON, "json", false, "print everything as JSON")
	return c
}

func explain(out io.Writer, e *compiler.Explanation, bucket string) error {
	fmt.Fprintf(out, "%s for %s, context %d\n", e.Model, e.Target, e.Context)
	fmt.Fprintf(out, "  a token: %d launches (%d unfused), %s moved, %s\n", e.LaunchesPerToken, e.UnfusedLaunches, size(int64(e.BytesPerToken)), ops(e.OpsPerToken))
	fmt.Fprintf(out, "  memory: weights %s, state %s a sequence (%s of KV a token), arena %s\n\n", size(e.Weights), size(e.State), size(e.StatePerToken), size(e.Arena))
	printFormats(out, e.Formats)
	for _, b := range e.Buckets {
		if bucket == "all" || b.Name == bucket {
			fmt.Fprintf(out, "\n%s: %d launches, %.2f ms predicted\n%s", b.Name, b.Cost.Steps, 1e3*b.Seconds, b.Report)
		}
	}
	return nil
}

// printFormats is the table of what the weights are: the checkpoint's say, or the text's guess.
func printFormats(out io.Writer, fs []compiler.FormatUse) {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "format\tlayout\ttensors\tvalues\tbytes\tbits a value\t")
	for _, f := range fs {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.3f M\t%s\t%.2f\t\n", f.Format, f.Layout, f.Tensors, float64(f.Values)/1e6, size(f.Bytes), f.Bits)
	}
	w.Flush()
}
