// Package engine is the library: a language model as a Go value that answers.
//
//	llm, err := engine.Open("out/smollm2", engine.Options{})
//	usage, err := llm.Generate(ctx, ids, engine.SamplingParams{MaxTokens: 100}, func(id int32) bool { ...; return true })
//
// It knows requests, and nothing of text: ids go in and come out (hipc/runtime/text makes them). A request is a prompt
// and how to choose; what of it the model already has in its cache from the request before isn't computed again, so a
// conversation costs only what is new in it. Greedy requests are decided on the device, others drawn there.
//
// Beside generation the package measures: Bench how fast a model is, Evaluate how well it predicts a text, and how far
// one backend is from another.
package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hipc/runtime"
	"hipc/runtime/text/files"
)

// A Model runs tokens of one sequence: *runtime.Model on a device, *reference.Model by interpreting its graph. What the
// methods mean is written there.
type Model interface {
	Context() int
	Vocab() int
	Keep(ids []int32) (int, error)
	Feed(ctx context.Context, ids []int32) error
	Next(id int32) (int32, error)
	Decode(id int32, n int, draw bool, each func(id int32) bool) error
	Sample(runtime.Sampling) error
	Logits(ctx context.Context, ids []int32, each func(i int, logits []float32) error) error
	LastLogits() ([]float32, error)
	Close() error
}

// Options say how an LLM is opened.
type Options struct {
	Device  string        // "": what the plan is for; "sim": its code in the simulator
	Threads int           // 0: one per core
	Context int           // longest sequence in tokens, at most as compiled; 0: as compiled
	Force   bool          // on a card that is only near the target
	Eager   bool          // on a GPU: launch by launch instead of a graph
	Timeout time.Duration // of a GPU's replay; 0: a minute
}

// An LLM is an opened model with its special tokens. It serves one request at a time.
type LLM struct {
	Model
	Generation files.Generation
}

// Open opens the artifact in dir on the device that it was compiled for.
func Open(dir string, opts Options) (*LLM, error) {
	a, err := runtime.OpenArtifact(dir)
	if err != nil {
		return nil, err
	}
	return OpenArtifact(a, opts)
}

// OpenArtifact is Open for an artifact that is open already, in a folder or in the program itself.
func OpenArtifact(a *runtime.Artifact, opts Options) (*LLM, error) {
	m, err := Run(a, opts)
	if err != nil {
		return nil, err
	}
	llm, err := New(m, a)
	if err != nil {
		m.Close()
	}
	return llm, err
}

// Run is the part of Open that takes the device.
func Run(a *runtime.Artifact, opts Options) (*runtime.Model, error) {
	return a.Run(runtime.Options{Context: opts.Context, Device: func(kind string) (runtime.Device, error) {
		if opts.Device != "" {
			kind = opts.Device
		}
		d, ok := DeviceNamed(kind)
		if !ok || d.open == nil {
			return nil, fmt.Errorf("no device %q: want one of %s", kind, strings.Join(DeviceNames((*Device).opens), ", "))
		}
		return d.open(opts, a.Plan.Target)
	}})
}

// New makes an LLM of a model that runs already, and of what its artifact says about special tokens. An artifact
// without a generation.json has none.
func New(m Model, a *runtime.Artifact) (*LLM, error) {
	const member = "generation.json"
	llm := &LLM{Model: m}
	if !a.Has(member) {
		return llm, nil
	}
	b, err := a.File(member)
	if err != nil {
		return nil, err
	}
	if llm.Generation, err = files.ReadGeneration(b); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	return llm, nil
}
