package main

import (
	"fmt"
	"os"
	"strings"
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
	f.StringVar(&m.device, "device", "auto", devices()+"; auto: what DIR is for, of several this card's, else the cpu")
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
	if _, ok := engine.DeviceNamed(m.device); !ok && m.device != "auto" {
		return nil, usageError{fmt.Errorf("--device %s: want auto, %s", m.device, either(engine.DeviceNames(func(*engine.Device) bool { return true })))}
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
	if device == "auto" {
		device = a.Plan.Device
	}
	if d, ok := engine.DeviceNamed(device); ok && !d.Runs(a.Plan) {
		return nil, usageError{fmt.Errorf("--device %s: %s was compiled for %s; want auto, %s", device, a.Dir, a.Plan.Device,
			either(engine.DeviceNames(func(d *engine.Device) bool { return d.Runs(a.Plan) })))}
	}
	if device == "reference" {
		return reference.Open(a, m.context)
	}
	return engine.Run(a, engine.Options{Device: device, Threads: m.threads, Context: m.context, Force: m.target != "", Eager: m.graph == "off", Timeout: m.timeout})
}

// devices lists them for --help.
func devices() string {
	var list []string
	for _, d := range engine.Devices {
		if d.About != "" {
			d.Name += " (" + d.About + ")"
		}
		list = append(list, d.Name)
	}
	return strings.Join(list, ", ")
}

// either is a list of words of which one is wanted.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
