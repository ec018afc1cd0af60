// Package runtime runs an artifact: it checks it, gives its plan memory, records the plan's buckets as graphs, and
// replays them.
//
// Everything that can be refused is refused first: members by their digests, the plan by plan.Check, memory by its sum
// against what the device has free. Then there are four blocks of memory, weights (mapped from their file), state, arena
// and cells, in which each name of the plan has one place. Each step of each bucket, layers unrolled, becomes a Launch
// with those places; a bucket is one Graph. From then on nothing is allocated or looked up: a token is a few cells
// written, one Replay, and one cell read.
//
// A Device (device.go) is what runs the graphs; runtime/cpu is one. A Model keeps one sequence of tokens, and the state
// that they leave on the device: Keep goes back to a prefix of it, Feed and Next go on, Logits says what the model
// expects after each token.
package runtime

import (
	"fmt"
	"slices"
	"strings"

	"hipc/runtime/plan"
)

// Options say how a Model is opened.
type Options struct {
	// Device opens the device of that kind: "cpu", as the plan names it.
	Device func(kind string) (Device, error)
	// Context is the longest sequence in tokens, at most the plan's; 0: the plan's. State is allocated for it.
	Context int
}

// A Model is an artifact on a device, with one sequence. It is used by one goroutine at a time. After an error of the device
// it can only be closed.
type Model struct {
	*Artifact
	device  Device
	code    Module
	context int
	unmap   func() error

	blocks  [4]Ptr // by plan.Block
	names   *plan.Names
	states  map[int64]plan.Operand
	buckets [roles]*bucket
	cells   map[string]plan.Operand

	ids     []int32 // the tokens whose state is on the device
	scratch []byte  // what is written to cells
	row     []byte  // what is read of logits
	word    [4]byte // what is read of next
	lost    error   // what the device failed with: what its state is nobody knows since
}

// Open opens the artifact in dir on the device that its plan names.
func Open(dir string, opts Options) (*Model, error) {
	a, err := OpenArtifact(dir)
	if err != nil {
		return nil, err
	}
	return a.Run(opts)
}

// Run is Open for an artifact that is open already.
func (a *Artifact) Run(opts Options) (*Model, error) {
	m := &Model{Artifact: a, context: opts.Context}
	if m.context == 0 {
		m.context = a.Plan.Context
	}
	if m.context < 1 || m.context > a.Plan.Context {
		return nil, fmt.Errorf("%s: a context of %d tokens, want 1 to %d as compiled", a.Dir, m.context, a.Plan.Context)
	}
	if err := m.open(opts); err != nil {
		m.Close()
		if e := a.Dir + ": "; !strings.HasPrefix(err.Error(), e) {
			err = fmt.Errorf("%s%w", e, err)
		}
		return nil, err
	}
	return m, nil
}

func (m *Model) open(opts Options) error {
	p := m.Plan
	if m.Manifest.Weights == nil && m.substitute == nil {
		return errNoWeights
	}
	if err := m.checkCells(); err != nil {
		return err
	}
	device, err := opts.Device(p.Device)
	if err != nil {
		return &DeviceError{err}
	}
	m.device = device
	info := m.device.Info()
	if info.Err != nil {
		return &DeviceError{info.Err}
	}
	if !slices.Contains(info.Targets, p.Target) {
		return &DeviceError{fmt.Errorf("compiled for %s, but %s runs %s: compile the model for this machine", p.Target, info.Name, list(info.Targets))}
	}
	if err := m.fits(m.context, info); err != nil {
		return &DeviceError{err}
	}
	object, err := m.object()
	if err != nil {
		return err
	}
	if m.code, err = m.device.Load(object); err != nil {
		return &DeviceError{err}
	}
	if err := m.allocate(); err != nil {
		return err
	}
	m.ids = make([]int32, 0, m.context)
	if err := m.record(); err != nil {
		return err
	}
	return m.twins()
}

// A DeviceError is one of the machine's and not of the input's: too little memory, a missing driver, a wrong target.
type DeviceError struct{ Err error }

func (e *DeviceError) Error() string { return e.Err.Error() }
func (e *DeviceError) Unwrap() error { return e.Err }

// lose is a DeviceError that all that is asked of the model from now on gets, too.
func (m *Model) lose(err error) error {
	m.lost = &DeviceError{err}
	return m.lost
}

func list(words []string) string {
	if len(words) == 0 {
		return "no target"
	}
	return strings.Join(words, ", ")
}

// object reads the compiled object, whatever its kind.
func (m *Model) object() ([]byte, error) {
	for _, f := range m.Manifest.Members {
		switch f.Name {
		case "kernels.so", "kernels.hsaco", "kernels.ptx":
			return m.Manifest.Open(m.files, f.Name)
		}
	}
	return nil, fmt.Errorf("has no compiled kernels: compile the model where there is a compiler for %s (hipc doctor)", m.Plan.Target)
}

// allocate makes the four blocks. State, arena and cells begin as zeros.
func (m *Model) allocate() error {
	b, unmap, err := m.MapWeights()
	if err != nil {
		return err
	}
	m.unmap = unmap
	if m.blocks[plan.Weights], err = m.device.Place(b); err != nil {
		return &DeviceError{err}
	}
	var state int64
	m.states, state = m.Artifact.states(m.context)
	for _, x := range []struct {
		block plan.Block
		bytes int64
	}{{plan.States, state}, {plan.Slots, m.Plan.ArenaBytes()}, {plan.Cells, m.Plan.CellBytes()}} {
		if x.bytes == 0 {
			continue
		}
		if m.blocks[x.block], err = m.device.Alloc(x.bytes); err != nil {
			return &DeviceError{err}
		}
	}
	return nil
}

// Context is the longest sequence in tokens.
func (m *Model) Context() int { return m.context }

// Vocab is the number of tokens that there are: ids are below it.
func (m *Model) Vocab() int { return m.Plan.Vocab }

// Memory is what the model has taken.
func (m *Model) Memory() Memory { return m.Need(m.context) }

// Device is what the model runs on, for whoever knows what else a device of its kind can tell.
func (m *Model) Device() Device { return m.device }

// Info tells of the device.
func (m *Model) Info() Info { return m.device.Info() }

// Close gives everything back.
func (m *Model) Close() error {
	var first error
	if m.device != nil {
		first = m.device.Close()
		m.device = nil
	}
	if m.unmap != nil {
		if err := m.unmap(); first == nil {
			first = err
		}
		m.unmap = nil
	}
	return first
}
