package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"hipc/compiler"
	"hipc/explain"
)

func compileCommand() *cobra.Command {
	var o compiler.Options
	var after, fuse, bucket string
	c := &cobra.Command{
		Use:   "compile MODEL.yaml",
		Short: "compile a model text into an artifact",
		Long: `compile reads a model text, takes dims and formats from the checkpoint (or from the text without one), fuses,
writes the plan and the kernels' source, runs the target's compiler, and packs the weights.

Without --weights it makes the complete plan of the published sizes. Without a compiler on the machine it writes
everything but the compiled object, and says what to install. Several targets are built at once, and share packed
weights where their layouts are equal.

` + "The pipeline:\n  " + strings.Join(compiler.Passes(), "\n  "),
		Example: `  hipc compile models/smollm2-135m-instruct.yaml --weights SmolLM2-135M-Instruct.Q4_1.gguf -o out/smollm2
  hipc compile models/llama.yaml --set L=2 --set F=512 -o /tmp/small
  hipc compile models/llama.yaml --target gfx1100,gfx1151,sm_90,cpu -o out/llama
  hipc compile models/qwen3.yaml -after=fuse --bucket prefill_512
  hipc compile models/smollm2-135m-instruct.yaml -fuse=off -o out/unfused`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage{fmt.Errorf("compile takes one model text, not %d: hipc compile MODEL.yaml", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.Model, o.Version = args[0], version()
			if err := o.SetFuse(fuse); err != nil {
				return usage{err}
			}
			targets := strings.FieldsFunc(o.Target, func(r rune) bool { return r == ',' })
			if len(targets) != strings.Count(o.Target, ",")+1 {
				return usage{fmt.Errorf("--target %q: want one, or several with commas between: --target gfx1100,sm_90", o.Target)}
			}
			if after != "" && len(targets) > 1 {
				return usage{fmt.Errorf("-after prints the graph for one target, not %d", len(targets))}
			}
			if after != "" {
				text, err := compiler.After(o, after, bucket)
				fmt.Print(text)
				return err
			}
			if o.Out == "" {
				o.Out = filepath.Join("out", strings.TrimSuffix(filepath.Base(o.Model), filepath.Ext(o.Model)))
			}
			o.Progress = bar(os.Stderr)
			var all []*compiler.Result
			var err error
			if len(targets) > 1 {
				all, err = compiler.CompileAll(c.Context(), o, targets)
			} else if r, wrong := compiler.Compile(c.Context(), o); wrong != nil {
				err = wrong
			} else {
				all = append(all, r)
			}
			for _, r := range all {
				describe(os.Stdout, r)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.Weights, "weights", "", "checkpoint: a .gguf, a .safetensors, an index.json, or a folder with config.json")
	f.StringVar(&o.Target, "target", "cpu", "cpu (the better of cpu_v3 and cpu_v4 that fits this machine), gfx1100, gfx1151, sm_90, sm_86; several, with commas: each in a folder of its own in --out")
	f.StringVarP(&o.Out, "out", "o", "", "the artifact's folder (default out/MODEL)")
	f.StringVar(&fuse, "fuse", "on", "off: primitive ops only; -RULE,-RULE: without these rules")
	f.StringVar(&after, "after", "", "print the graph after this pass, in the model language, and stop")
	f.StringVar(&bucket, "bucket", "decode_1", "with -after: the bucket to print")
	f.StringToStringVar(&o.Set, "set", nil, "NAME=VALUE: override a dim or a real")
	f.IntVar(&o.Context, "context", 0, "longest context in tokens (default the checkpoint's, at most 8192)")
	return c
}

// bar shows packing on a terminal, and nothing elsewhere.
func bar(w *os.File) func(stage string, done, total int64) {
	if !term.IsTerminal(int(w.Fd())) {
		return nil
	}
	var b *progressbar.ProgressBar
	return func(stage string, done, total int64) {
		if b == nil {
			b = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(stage),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond))
		}
		b.Set64(done)
	}
}

// describe prints what was made, in a few lines.
func describe(w io.Writer, r *compiler.Result) {
	p := r.Plan
	fmt.Fprintf(w, "%s for %s: %d layers, vocabulary %d, context %d\n", p.Model, p.Target, p.Layers, p.Vocab, p.Context)
	for _, b := range p.Buckets {
		fmt.Fprintf(w, "  %-16s %4d steps  %s moved  %s\n", b.Name, b.Cost.Steps, explain.Size(int64(b.Cost.Bytes)), explain.Ops(b.Cost.Ops))
	}
	fmt.Fprintf(w, "  decode_1 has %d steps with -fuse=off\n", r.Unfused)
	fmt.Fprintf(w, "  weights %s, state %s, arena %s\n", explain.Size(p.WeightBytes()), explain.Size(p.StateBytes()), explain.Size(p.ArenaBytes()))
	explain.Formats(w, r.Formats)
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "  not used: %s\n", s)
	}
	var took []string
	for _, s := range r.Stages {
		if s.Name != "" {
			took = append(took, fmt.Sprintf("%s %.2f s", s.Name, s.Took.Seconds()))
		}
	}
	fmt.Fprintf(w, "%s (%s)\n", r.Dir, strings.Join(took, ", "))
	for _, p := range r.Passed {
		fmt.Fprintf(w, "not compiled with %s\n", p)
	}
	if r.Missing != nil {
		fmt.Fprintf(w, "without a compiled object: %v\n", r.Missing)
	}
	if r.NoTokenizer {
		fmt.Fprintln(w, "without a tokenizer: the checkpoint has no tokenizer.json (save it with a fast tokenizer); hiprun bench and logits work, prompts don't")
	}
	if r.NoWeights {
		fmt.Fprintf(w, "without weights: give --weights CHECKPOINT to run %s\n", p.Model)
	}
}
