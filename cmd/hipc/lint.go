package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"hipc/compiler"
	"hipc/ir/syntax"
)

func lintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint MODEL.yaml ...",
		Short: "find what a model text has without a use",
		Long: `lint reads model texts and points at what has no use there: dims, reals, blocks, parameters and values that nothing reads, formats and
names of weights that the graph doesn't have. It exits with 1 if there is any.`,
		Example: `  hipc lint models/*.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage{fmt.Errorf("lint takes model texts: hipc lint MODEL.yaml")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			found := false
			for _, file := range args {
				t, err := compiler.ReadText(file)
				if err != nil {
					return err
				}
				list, err := compiler.Lint(file, t.Source)
				if err != nil {
					return err
				}
				if len(list) > 0 {
					found = true
					fmt.Fprint(c.OutOrStdout(), syntax.Render(list, compiler.Source))
				}
			}
			if found {
				return exit(1)
			}
			return nil
		},
	}
}
