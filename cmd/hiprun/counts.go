package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"hipc/runtime"
	"hipc/runtime/sim"
)

// A counted kernel is what its launches in a token executed in the simulator, whose times mean nothing.
type counted struct {
	Kernel       string           `json:"kernel"`
	Launches     int64            `json:"launches"`
	Instructions map[string]int64 `json:"instructions"` // of waves, by class; all launches together
	Read         int64            `json:"read_bytes"`
	Written      int64            `json:"written_bytes"`
	all          int64
}

// counts runs a token in the simulator and lists its kernels, those that execute most first.
func counts(model *runtime.Model, device *sim.Device) ([]counted, error) {
	device.ResetCounts()
	if _, err := model.Time(0); err != nil {
		return nil, err
	}
	var list []counted
	for name, c := range device.Counts() {
		list = append(list, counted{name, c.Launches, c.ByClass(), c.Read, c.Written, c.Instructions()})
	}
	slices.SortFunc(list, func(a, b counted) int { return cmp.Or(cmp.Compare(b.all, a.all), cmp.Compare(a.Kernel, b.Kernel)) })
	return list, nil
}

func printCounts(w io.Writer, a *runtime.Artifact, list []counted, at int, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	fmt.Fprintf(w, "%s, %s, simulated, a token at position %d: instructions of waves and bytes of global memory, of a launch\n\n", a.Plan.Model, a.Plan.Target, at)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "launches\t")
	for c := sim.ClassVALU; c <= sim.ClassWait; c++ {
		fmt.Fprintf(t, "%v\t", c)
	}
	fmt.Fprintln(t, "read\twritten\t  kernel")
	for _, k := range list {
		fmt.Fprintf(t, "%d\t", k.Launches)
		for c := sim.ClassVALU; c <= sim.ClassWait; c++ {
			fmt.Fprintf(t, "%d\t", k.Instructions[c.String()]/k.Launches)
		}
		fmt.Fprintf(t, "%d\t%d\t  %s\n", k.Read/k.Launches, k.Written/k.Launches, k.Kernel)
	}
	return t.Flush()
}
