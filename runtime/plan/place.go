package plan

// A Segment is where a weight, a state or a cell of one layer lies in the block of its kind. Places are derived from the
// plan, never stored in it: one order, one alignment. Of Weight, State and Cell one is set.
type Segment struct {
	Name   string // with the layer's number put in
	Weight *Weight
	State  *State
	Cell   *Cell
	Layer  int // -1: the model has one
	Offset int64
	Bytes  int64
}

// Segments places the packed weights, and returns the bytes of all, padded to BlockAlign: first what the model has once,
// then layer by layer (a layer's weights are read together), each in the plan's order and aligned to Align. The plan is
// one that Check accepts.
func (p *Plan) Segments() ([]Segment, int64) {
	items := make([]item, len(p.Weights))
	for i := range p.Weights {
		w := &p.Weights[i]
		items[i] = item{Segment{Name: w.Name, Weight: w, Bytes: int64(w.Bytes)}, w.Layers}
	}
	return p.lay(items, Align, BlockAlign)
}

// StateSegments places the state of one sequence slot, in the same order, aligned to StateAlign.
func (p *Plan) StateSegments() ([]Segment, int64) {
	items := make([]item, len(p.State))
	for i := range p.State {
		s := &p.State[i]
		items[i] = item{Segment{Name: s.Name, State: s, Bytes: int64(s.Bytes)}, s.Layers}
	}
	return p.lay(items, StateAlign, StateAlign)
}

// CellSegments places the cells, aligned to Align.
func (p *Plan) CellSegments() ([]Segment, int64) {
	items := make([]item, len(p.Cells))
	for i := range p.Cells {
		c := &p.Cells[i]
		items[i] = item{Segment{Name: c.Name, Cell: c, Bytes: int64(c.Bytes)}, ""}
	}
	return p.lay(items, Align, Align)
}

// WeightBytes is the size of the block of weights: the file weights-<layout>.bin.
func (p *Plan) WeightBytes() int64 { _, n := p.Segments(); return n }

// StateBytes is the size of the state of one sequence slot.
func (p *Plan) StateBytes() int64 { _, n := p.StateSegments(); return n }

// CellBytes is the size of the block of cells.
func (p *Plan) CellBytes() int64 { _, n := p.CellSegments(); return n }

// ArenaBytes is the size of the arena: buckets run one at a time, and parts share it, so it is that of the largest.
func (p *Plan) ArenaBytes() int64 {
	end := int64(0)
	for _, a := range p.Arena {
		for _, s := range a.Slots {
			end = max(end, int64(s.Offset)+int64(s.Bytes))
		}
	}
	return roundUp(end, Align)
}

// An item is a weight, state or cell before it is laid out.
type item struct {
	Segment
	layers string
}

func (p *Plan) lay(items []item, align, total int64) ([]Segment, int64) {
	layers := make([][]int, p.Layers) // which items each layer has
	var list []Segment
	offset := int64(0)
	put := func(s Segment, layer int) {
		s.Layer, s.Offset = layer, offset
		if layer >= 0 {
			s.Name = Name(s.Name, layer)
		}
		list = append(list, s)
		offset = roundUp(offset+s.Bytes, align)
	}
	for i, it := range items {
		if it.layers == "" {
			put(it.Segment, -1)
			continue
		}
		in, err := Ranges(it.layers)
		if err != nil {
			panic("plan: placed before it was checked: " + err.Error())
		}
		for _, l := range in {
			layers[l] = append(layers[l], i)
		}
	}
	for l, has := range layers {
		for _, i := range has {
			put(items[i].Segment, l)
		}
	}
	return list, roundUp(offset, total)
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// A Run is one run of a part: a layer's, or once where Layer is -1.
type Run struct {
	Part  *Part
	Layer int
}

// Runs is the order in which a replay of the bucket runs its parts: those before the loop, the loop's by layer, those
// after. The plan is one that Check accepts.
func (p *Plan) Runs(b *Bucket) []Run {
	of := make([]*Part, p.Layers)
	for i := range b.Parts {
		layers, _ := Ranges(b.Parts[i].Layers)
		for _, l := range layers {
			of[l] = &b.Parts[i]
		}
	}
	var runs []Run
	looped := false
	for i := range b.Parts {
		switch part := &b.Parts[i]; {
		case part.Layers == "":
			runs = append(runs, Run{part, -1})
		case !looped:
			looped = true
			for l, part := range of {
				if part != nil { // behind the last one that keeps a state nothing has to be done for a prompt
					runs = append(runs, Run{part, l})
				}
			}
		}
	}
	return runs
}
