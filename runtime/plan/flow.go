package plan

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// checkSteps goes through each replay as it will run: every operand resolves, to something of the kind that its list may
// hold, and every slot that a step reads holds what a step before it wrote there.
func (p *Plan) checkSteps() error {
	names, err := p.Names()
	if err != nil {
		return err
	}
	binds := 0
	for i := range p.Buckets {
		b := &p.Buckets[i]
		f := flow{names: names, bucket: b.Name, live: map[string]Operand{}, ran: map[*Part]passage{}}
		for _, run := range p.Runs(b) {
			for j := range run.Part.Steps {
				s := &run.Part.Steps[j]
				if binds += 1 + len(s.In) + len(s.Out) + len(s.State); binds > MaxBinds {
					return fmt.Errorf("bucket %s: more than %d launches and operands in all, layers unrolled", b.Name, MaxBinds)
				}
			}
			if err := f.run(run); err != nil {
				return err
			}
		}
	}
	return nil
}

// A flow follows the slots through one replay.
type flow struct {
	names  *Names
	bucket string
	live   map[string]Operand // slots that hold what their name says
	ran    map[*Part]passage  // the last time that each part ran
}

// A passage is what live was before and after a part.
type passage struct{ before, after map[string]Operand }

// run goes through one run. Of a part that has run from the same slots only the names that vary by layer are looked at again.
func (f *flow) run(r Run) error {
	before := f.live
	last, again := f.ran[r.Part]
	if again = again && maps.Equal(last.before, before); again {
		f.live = last.after
	} else {
		// A slot is carried from part to part where its name, place and size are the same in both.
		slots := f.names.arenas[place{f.bucket, r.Part.Name}]
		f.live = map[string]Operand{}
		for name, o := range before {
			if slots[name] == o {
				f.live[name] = o
			}
		}
	}
	for i := range r.Part.Steps {
		if err := f.step(r, &r.Part.Steps[i], again); err != nil {
			at := ""
			if r.Layer >= 0 {
				at = fmt.Sprintf(" (layer %d)", r.Layer)
			}
			return fmt.Errorf("bucket %s, part %s%s, step %d %s: %w", f.bucket, r.Part.Name, at, i+1, strconv.Quote(cut(r.Part.Steps[i].Kernel)), err)
		}
	}
	f.ran[r.Part] = passage{before, f.live}
	return nil
}

// may says which blocks an operand of each list may lie in: weights are read only, state is named as such.
var may = map[string][4]bool{
	"In":    {Cells: true, Weights: true, Slots: true},
	"Out":   {Cells: true, Slots: true},
	"State": {States: true},
}

func (f *flow) step(r Run, s *Step, again bool) error {
	if !again {
		if !identifier(s.Kernel) {
			return fmt.Errorf("the kernel's name is no name in C")
		}
		if err := first(text("inst", s.Inst), within("grid", s.Grid, 1, MaxGrid), within("block", s.Block, 1, MaxBlock), within("lds", s.LDS, 0, MaxLDS)); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		name     string
		operands []string
	}{{"In", s.In}, {"Out", s.Out}, {"State", s.State}} {
		for _, name := range list.operands {
			if again && !strings.Contains(name, "{") {
				continue
			}
			if !again {
				if err := word("operand", name); err != nil {
					return err
				}
			}
			o, ok := f.names.Find(f.bucket, r.Part.Name, r.Layer, name)
			switch {
			case !ok && r.Layer < 0 && layered(name):
				return fmt.Errorf("%q: {l} in a part that runs once", name)
			case !ok:
				return fmt.Errorf("%q is no cell, weight, state or slot", name)
			case layered(name) && o.Block != Weights && o.Block != States:
				return fmt.Errorf("%q is a %s, which no layer has its own of", name, o.Block)
			case !may[list.name][o.Block]:
				return fmt.Errorf("%q is a %s, which can't be in %s", name, o.Block, list.name)
			case list.name == "In" && o.Block == Slots:
				if _, ok := f.live[name]; !ok {
					return fmt.Errorf("reads slot %q, which holds nothing then: not written, or overwritten", name)
				}
			}
		}
	}
	if !again {
		return f.write(r, s)
	}
	return nil
}

// write lets a step's outputs take their places; what lay there is gone.
func (f *flow) write(r Run, s *Step) error {
	out := map[string]Operand{}
	for _, name := range s.Out {
		o, _ := f.names.Find(f.bucket, r.Part.Name, r.Layer, name)
		if o.Block != Slots {
			continue
		}
		for other, p := range out {
			if overlap(o, p) {
				return fmt.Errorf("outputs %q and %q overlap", other, name)
			}
		}
		for other, p := range f.live {
			if overlap(o, p) {
				delete(f.live, other)
			}
		}
		out[name] = o
	}
	maps.Copy(f.live, out)
	return nil
}

func overlap(a, b Operand) bool { return a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes }

// identifier says whether s can be looked up in an object.
func identifier(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}
