package plan

import "fmt"

// A Block is one of the four pieces of memory that a replay works on.
type Block int

const (
	Cells Block = iota
	Weights
	States
	Slots // the arena
)

func (b Block) String() string { return [...]string{"cell", "weight", "state", "slot"}[b] }

// An Operand is what a name in a step stands for: Bytes bytes at Offset in Block.
type Operand struct {
	Block  Block
	Offset int64
	Bytes  int64
}

// Names resolves the names in a plan's steps.
type Names struct {
	shared map[string]Operand // cells, weights and states, layers' numbers put in
	arenas map[place]map[string]Operand
}

// A place is a part of a bucket, by their names.
type place struct{ bucket, part string }

// Names indexes what the plan names: each cell, each weight and state of each layer, each arena's slots. A name that means
// two things is an error. It wants a plan whose sizes and layers are as Check wants them, and is how Check looks names up.
func (p *Plan) Names() (*Names, error) {
	n := &Names{map[string]Operand{}, map[place]map[string]Operand{}}
	cells, _ := p.CellSegments()
	weights, _ := p.Segments()
	states, _ := p.StateSegments()
	for b, list := range [][]Segment{cells, weights, states} {
		for _, s := range list {
			if old, ok := n.shared[s.Name]; ok {
				return nil, fmt.Errorf("%q is the name of a %s and of a %s", s.Name, old.Block, Block(b))
			}
			n.shared[s.Name] = Operand{Block(b), s.Offset, s.Bytes}
		}
	}
	for _, a := range p.Arena {
		at := place{a.Bucket, a.Part}
		if n.arenas[at] != nil {
			return nil, fmt.Errorf("bucket %s, part %s has two arenas", a.Bucket, a.Part)
		}
		slots := make(map[string]Operand, len(a.Slots))
		for _, s := range a.Slots {
			if old, ok := n.shared[s.Name]; ok {
				return nil, fmt.Errorf("bucket %s, part %s: slot %q is also the name of a %s", a.Bucket, a.Part, s.Name, old.Block)
			}
			if _, ok := slots[s.Name]; ok {
				return nil, fmt.Errorf("bucket %s, part %s has two slots %q", a.Bucket, a.Part, s.Name)
			}
			slots[s.Name] = Operand{Slots, int64(s.Offset), int64(s.Bytes)}
		}
		n.arenas[at] = slots
	}
	return n, nil
}

// Find resolves an operand of a step of that bucket and part in that layer (-1: the part runs once).
func (n *Names) Find(bucket, part string, layer int, name string) (Operand, bool) {
	if layer >= 0 {
		name = Name(name, layer)
	}
	if o, ok := n.shared[name]; ok {
		return o, true
	}
	o, ok := n.arenas[place{bucket, part}][name]
	return o, ok
}
