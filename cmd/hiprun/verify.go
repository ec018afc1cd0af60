package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hipc/runtime"
	"hipc/runtime/reference"
)

func verifyCommand() *cobra.Command {
	var m machine
	cmd := newCommand(cobra.Command{
		Use:   "verify DIR [flags]",
		Short: "Each kernel against what it's to compute",
		Long: `Runs the model's launches one by one, and interprets beside each what graph.txt says that it computes, on
the same operands and weights. It prints each kernel's error, the mean square of the differences over
that of the values, the worst of all launches, and the bar: 1e-7 on the cpu, 5e-4 on GPUs, whose caches
and matrix units have 16 bits. A kernel beyond it is an error, with the exit code 1.`,
		Example: `  hiprun verify out/smollm2
  hiprun verify out/gfx1100 --device sim`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			model, ok := llm.Model.(*runtime.Model)
			if !ok {
				return usageError{fmt.Errorf("the reference has no kernels to verify")}
			}
			checks, err := reference.Verify(cmd.Context(), model)
			if err != nil {
				return err
			}
			var off []string
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "kernel\tlaunches\tNMSE\tbar\t")
			for _, c := range checks {
				said := ""
				if !c.Passed() {
					said, off = "off", append(off, c.Kernel)
				}
				fmt.Fprintf(t, "%s\t%d\t%.1e\t%.0e\t%s\n", c.Kernel, c.Launches, c.NMSE, c.Bar, said)
			}
			if err := t.Flush(); err != nil {
				return err
			}
			if len(off) > 0 {
				return fmt.Errorf("%s: %d of %d kernels are off: %s", a.Dir, len(off), len(checks), strings.Join(off, ", "))
			}
			return nil
		},
	})
	m.flags(cmd)
	return cmd
}
