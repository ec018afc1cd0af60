package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"hipc/compiler"
	"hipc/review"
)

func fmtCommand() *cobra.Command {
	var write, showDiff bool
	c := &cobra.Command{
		Use:   "fmt [MODEL.yaml ...]",
		Short: "write model texts in their canonical form",
		Long: `fmt prints model texts as they are written by convention: two spaces a level, one space where one belongs, = below =, trailing comments
below each other. Comments and line breaks are kept, and so is the model, which is checked. Without a file it formats its input.`,
		Example: `  hipc fmt -d models/*.yaml
  hipc fmt -w models/llama.yaml
  hipc fmt < models/llama.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				if write {
					return usage{fmt.Errorf("fmt -w without a file: there is none to write to")}
				}
				src, err := io.ReadAll(io.LimitReader(c.InOrStdin(), compiler.MaxText+1))
				if err != nil {
					return err
				}
				text, err := compiler.Format("<stdin>", string(src))
				fmt.Fprint(c.OutOrStdout(), text)
				return err
			}
			for _, file := range args {
				if err := formatFile(c.OutOrStdout(), file, write, showDiff); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVarP(&write, "write", "w", false, "write the files instead of printing them")
	f.BoolVarP(&showDiff, "diff", "d", false, "print what would change instead of the text")
	return c
}

func formatFile(out io.Writer, file string, write, showDiff bool) error {
	t, err := compiler.ReadText(file)
	if err != nil {
		return err
	}
	text, err := compiler.Format(file, t.Source)
	if err != nil {
		return err
	}
	if showDiff {
		fmt.Fprint(out, review.Unified(filepath.ToSlash(file), t.Source, text))
	}
	switch {
	case write && text != t.Source:
		return replace(file, text)
	case !write && !showDiff:
		fmt.Fprint(out, text)
	}
	return nil
}

// replace puts text in a file's place in one step.
func replace(file, text string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	if err == nil {
		err = tmp.Chmod(info.Mode().Perm())
	}
	if close := tmp.Close(); err == nil {
		err = close
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	return err
}
