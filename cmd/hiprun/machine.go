package main

import (
	"fmt"

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
}

func (m *machine) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.device, "device", "auto", "cpu, cuda, sim (slow: AMD code executed by the cpu), reference (slow, exact: the graph interpreted), or auto: what the model was compiled for")
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
	a, err := runtime.OpenArtifact(dir)
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
	default:
		return nil, usageError{fmt.Errorf("--device %s: %s was compiled for %s; want auto, %[3]s or reference", device, a.Dir, a.Plan.Device)}
	}
	return engine.Run(a, engine.Options{Device: device, Threads: m.threads, Context: m.context, Eager: m.graph == "off"})
}
