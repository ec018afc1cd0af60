package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"hipc/compiler"
	"hipc/explain"
	"hipc/review"
)

func explainCommand() *cobra.Command {
	var o compiler.Options
	var asJSON bool
	var bucket, fuse, html string
	c := &cobra.Command{
		Use:   "explain MODEL.yaml|DIR",
		Short: "say what was fused and why, and what a token costs",
		Long: `explain plans a model text, or an artifact's graph once more, and shows per bucket each step with its kernel, what it moves, how long it takes
and what bounds it; which rules fired and what they save, which matched and lost and by how much, and which lack a kernel; and how many tokens
a second that makes, on each target. Times are predicted from the target's row in the table of machines, unless it says measured:
where kernels/TARGET.tsv has the kernel.`,
		Example: `  hipc explain models/qwen3.6-35b-a3b.yaml --target gfx1100
  hipc explain out/smollm2 --bucket prefill_512
  hipc explain models/llama.yaml --target gfx1151 --html llama.html
  hipc explain out/llama --target gfx1151
  hipc explain out/smollm2 --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage{fmt.Errorf("explain takes one model text or artifact, not %d: hipc explain MODEL.yaml|DIR", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.Model = args[0]
			if info, err := os.Stat(o.Model); err == nil && info.IsDir() {
				if !c.Flags().Changed("target") {
					o.Target = ""
				}
				if o.Model, err = review.Folder(o.Model, o.Target); err != nil {
					return err
				}
			}
			if err := o.SetFuse(fuse); err != nil {
				return usage{err}
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
			if html != "" {
				var b bytes.Buffer
				if err := explain.HTML(&b, e); err != nil {
					return err
				}
				return os.WriteFile(html, b.Bytes(), 0o644)
			}
			return explain.Text(os.Stdout, e, bucket)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Weights, "weights", "", "checkpoint, as for compile")
	f.StringVar(&o.Target, "target", "cpu", "target (default the artifact's); of a folder with code for several, which")
	f.StringToStringVar(&o.Set, "set", nil, "NAME=VALUE: override a dim or a real")
	f.IntVar(&o.Context, "context", 0, "longest context in tokens")
	f.StringVar(&fuse, "fuse", "on", "as for compile")
	f.StringVar(&bucket, "bucket", "decode_1", "the bucket whose rules are listed; all: every one")
	f.BoolVar(&asJSON, "json", false, "print everything as JSON")
	f.StringVar(&html, "html", "", "write all of it to this file instead, as a page that needs nothing else")
	return c
}
