package main

import (
	"cmp"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hipc/runtime"
)

func profileCommand() *cobra.Command {
	var m machine
	var at, repeat int
	cmd := newCommand(cobra.Command{
		Use:   "profile DIR [flags]",
		Short: "Show where a token's time goes",
		Long: `Times each launch of one greedy token and sums them up by kernel, the costliest first. GB/s is the
bandwidth at which weights were read; an embedding, which reads one row, has none.`,
		Example: `  hiprun profile out/smollm2
  hiprun profile out/smollm2 --at 1000 --threads 1`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			if repeat < 1 || repeat > 10000 || at < 0 {
				return usageError{fmt.Errorf("-r %d --at %d: want at least one repetition, and a position of 0 or more", repeat, at)}
			}
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			model, ok := llm.Model.(*runtime.Model)
			if !ok {
				return usageError{fmt.Errorf("the reference has no launches to time")}
			}
			if err := model.Feed(cmd.Context(), make([]int32, at)); err != nil {
				return err
			}
			sums, err := runtime.Profile(cmd.Context(), model, repeat)
			if err != nil {
				return err
			}
			slices.SortStableFunc(sums, func(a, b runtime.KernelTime) int { return cmp.Compare(b.Time, a.Time) })
			total, launches := time.Duration(0), 0
			for _, s := range sums {
				total, launches = total+s.Time, launches+s.Launches
			}
			if a.Origin() != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "weights %s: the figures are of speed only\n", a.Origin())
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "kernel\tlaunches\tµs a token\tshare\tGB/s")
			for _, s := range sums {
				bandwidth := ""
				if s.Bytes > 0 && s.Time > 0 {
					bandwidth = fmt.Sprintf("%.1f", float64(s.Bytes)/float64(s.Time))
				}
				fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f %%\t%s\n", s.Kernel, s.Launches, us(s.Time), 100*float64(s.Time)/float64(max(total, 1)), bandwidth)
			}
			fmt.Fprintf(t, "all\t%d\t%.1f\t\t\n", launches, us(total))
			return t.Flush()
		},
	})
	f := cmd.Flags()
	f.IntVarP(&repeat, "repeat", "r", 20, "tokens that are timed; the table has the mean")
	f.IntVar(&at, "at", 0, "position of the token: so many stand before it")
	m.flags(cmd)
	return cmd
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
