package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"hipc/codegen"
	"hipc/explain"
	"hipc/review"
	"hipc/runtime/plan"
)

func inspectCommand() *cobra.Command {
	var target string
	c := &cobra.Command{
		Use:   "inspect DIR",
		Short: "check an artifact and show what it holds",
		Long:  `inspect checks every member of an artifact against its digest, reads the plan, and shows steps, memory and weights.`,
		Example: `  hipc inspect out/smollm2
  hipc inspect out/llama --target gfx1151`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage{fmt.Errorf("inspect takes one artifact, not %d: hipc inspect DIR", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return inspect(args[0], target) },
	}
	c.Flags().StringVar(&target, "target", "", "of a folder with code for several targets, which")
	return c
}

func inspect(dir, target string) error {
	dir, err := review.Folder(dir, target)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, plan.ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no %s: want an artifact, a folder that hipc compile has written", dir, plan.ManifestName)
	}
	if err != nil {
		return err
	}
	man, err := plan.ReadManifest(data)
	if err != nil {
		return err
	}
	if err := man.Verify(os.DirFS(dir), false); err != nil {
		return err
	}
	src, err := man.Open(os.DirFS(dir), "plan.go")
	if err != nil {
		return err
	}
	p, err := plan.Read(src)
	if err != nil {
		return fmt.Errorf("plan.go: %w", err)
	}
	if err := p.Check(); err != nil {
		return fmt.Errorf("plan.go: %w", err)
	}
	if p, err = p.Unfold(); err != nil {
		return fmt.Errorf("plan.go: %w", err)
	}
	if target != "" && target != p.Target {
		return fmt.Errorf("%s is compiled for %s, not for %s", dir, p.Target, target)
	}
	fmt.Printf("%s for %s: %d layers, vocabulary %d, context %d, KV %s\n\n", p.Model, p.Target, p.Layers, p.Vocab, p.Context, p.KV)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, b := range p.Buckets {
		fmt.Fprintf(w, "%s\t%d steps\t%s moved\t%s\n", b.Name, b.Cost.Steps, explain.Size(int64(b.Cost.Bytes)), explain.Ops(b.Cost.Ops))
		for _, part := range b.Parts {
			layers := "once"
			if part.Layers != "" {
				layers = "layers " + part.Layers
			}
			fmt.Fprintf(w, "  %s\t%s\n", part.Name, layers)
			for _, s := range part.Steps {
				fmt.Fprintf(w, "    %s\tgrid %d\n", s.Inst, s.Grid)
			}
		}
	}
	fmt.Fprintln(w)
	for _, k := range p.Kinds() {
		fmt.Fprintf(w, "weights %s\tlayout %s\t%d tensors\t%s\n", k.Format, k.Layout, k.Segments, explain.Size(k.Bytes))
	}
	fmt.Fprintf(w, "state\t%s\nbuffers\t%s\n\n", explain.Size(p.StateBytes()), explain.Size(p.ArenaBytes()))
	for _, c := range man.Compilers {
		fmt.Fprintf(w, "made by %s\t%s\t%s\n", c.Name, c.Version, c.Command)
	}
	for _, m := range man.Members {
		fmt.Fprintf(w, "%s\t%d bytes\t%s\n", m.Name, m.Bytes, m.SHA256[:16])
	}
	return w.Flush()
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "say which compilers and drivers are here, and for which targets one can compile",
		Example: `  hipc doctor`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, f := range codegen.Doctor() {
				fmt.Fprintln(w, f)
			}
			return w.Flush()
		},
	}
}
