package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hipc/runtime/engine"
)

func devicesCommand() *cobra.Command {
	cmd := newCommand(cobra.Command{
		Use:   "devices",
		Short: "List the cards and processors that are here, and whose code they run",
		Long: `Opens the drivers and lists each card that they show, the processor, and what stands in for a card, with the targets
whose code each runs; where there's no card, why. A card runs code for exactly its own target, and that of a
near one only if --target asks for it, at your own risk.`,
		Example: `  hiprun devices`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, f := range engine.Here() {
				if f.Err != nil {
					fmt.Fprintf(w, "%s\t%v\n", f.Device, f.Err)
				} else {
					fmt.Fprintf(w, "%s\t%s\truns %s\n", f.Device, f.Name, strings.Join(f.Targets, ", "))
				}
			}
			return w.Flush()
		},
	})
	cmd.Args = args(cobra.NoArgs)
	return cmd
}
