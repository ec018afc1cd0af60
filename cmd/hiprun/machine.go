package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hipc/runtime"
	"hipc/runtime/engine"
	"hipc/runtime/reference"
)

// A machine is the flags that say on what, and for how much, a model runs.
type machine struct {
	device  string
	threads int
	context int
	weights string
	graph   string
	target  string
	timeout time.Duration
}

func (m *machine) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.device, "device", "auto", "cpu, hip (AMD), cuda (NVIDIA), sim (AMD code, executed by the cpu), reference (the oracle); auto: what DIR is for, of several this card's, else the cpu")
	f.StringVar(&m.target, "target", "", "run this target's code, even on a card that is only near it, at your own risk: gfx1100's on gfx1101")
	f.DurationVar(&m.timeout, "timeout", time.Minute, "when a GPU that doesn't finish is given up")
	f.IntVarP(&m.threads, "threads", "t", 0, "threads of the cpu; 0: one per core")
	f.StringVar(&m.weights, "weights", "", "random:SEED: weights made of a seed, to measure without a checkpoint")
	f.StringVar(&m.graph, "graph", "on", "off: on a GPU, launch by launch instead of a graph")
	f.IntVarP(&m.context, "context", "c", 0, "longest sequence in tokens, which takes memory; 0: as compiled")
}

// open opens an artifact and runs it.
func (m *machine) open(dir string) (*engine.LLM, *runtime.Artifact, error) {
	a, err := m.artifact(dir)
	if err != nil {
		return nil, nil, err
	}
	llm, err := m.model(a)
	return llm, a, err
}

func (m *machine) artifact(dir string) (*runtime.Artifact, error) {
	if m.threads < 0 || m.context < 0 {
		return nil, usageError{fmt.Errorf("--threads %d --context %d: want 0 or more", m.threads, m.context)}
	}
	if m.graph != "on" && m.graph != "off" {
		return nil, usageError{fmt.Errorf("--graph %s: want on or off", m.graph)}
	}
	if m.timeout <= 0 {
		return nil, usageError{fmt.Errorf("--timeout %v: want more than nothing", m.timeout)}
	}
	if !slices.Contains([]string{"auto", "cpu", "hip", "cuda", "sim", "reference"}, m.device) {
		return nil, usageError{fmt.Errorf("--device %s: want auto, cpu, hip, cuda, sim or reference", m.device)}
	}
	device := m.device
	if device == "auto" {
		device = ""
	}
	a, said, err := engine.Find(dir, device, m.target)
	for _, s := range said {
		fmt.Fprintf(os.Stderr, "hiprun: warning: %s\n", s)
	}
	if err == nil && m.weights != "" {
		if err = engine.Randomize(a, m.weights); err != nil {
			return nil, usageError{err}
		}
	}
	return a, err
}

func (m *machine) model(a *runtime.Artifact) (*engine.LLM, error) {
	model, err := m.run(a, m.device)
	if err != nil {
		return nil, err
	}
	llm, err := engine.New(model, a)
	if err != nil {
		model.Close()
	}
	return llm, err
}

func (m *machine) run(a *runtime.Artifact, device string) (engine.Model, error) {
	switch device {
	case "auto", a.Plan.Device:
		if device = a.Plan.Device; device == "reference" {
			return reference.Open(a, m.context)
		}
	case "reference":
		return reference.Open(a, m.context)
	case "sim":
		if a.Plan.Device != "hip" {
			return nil, usageError{fmt.Errorf("--device sim: %s was compiled for %s, and the simulator runs AMD code alone", a.Dir, a.Plan.Target)}
		}
	default:
		return nil, usageError{fmt.Errorf("--device %s: %s was compiled for %s; want auto, %[3]s or reference", device, a.Dir, a.Plan.Device)}
	}
	return engine.Run(a, engine.Options{Device: device, Threads: m.threads, Context: m.context, Force: m.target != "", Eager: m.graph == "off", Timeout: m.timeout})
}
