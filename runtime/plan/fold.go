package plan

import (
	"fmt"
	"reflect"
	"slices"
)

// Fold leaves out what two buckets share: a bucket that runs parts of an earlier one names that as its Base and lists
// only the others. A plan says each thing once that way. p stays as it is.
func (p *Plan) Fold() *Plan {
	out := *p
	out.Buckets = slices.Clone(p.Buckets)
	gone := map[[2]string]bool{}
	for i := range out.Buckets {
		b := &out.Buckets[i]
		for _, base := range out.Buckets[:i] {
			if base.Base != "" || base.Seqs != b.Seqs || base.Rows != b.Rows || base.Picks != b.Picks || !sameParts(base.Parts, b.Parts) {
				continue
			}
			var own []Part
			for k, part := range b.Parts {
				if reflect.DeepEqual(part, base.Parts[k]) && reflect.DeepEqual(p.slots(b.Name, part.Name), p.slots(base.Name, part.Name)) {
					gone[[2]string{b.Name, part.Name}] = true
				} else {
					own = append(own, part)
				}
			}
			if len(own) < len(b.Parts) {
				b.Base, b.Parts = base.Name, own
				break
			}
		}
	}
	out.Arena = nil
	for _, a := range p.Arena {
		if !gone[[2]string{a.Bucket, a.Part}] {
			out.Arena = append(out.Arena, a)
		}
	}
	return &out
}

// sameParts says that both lists have parts of the same names in the same order.
func sameParts(a, b []Part) bool {
	return slices.EqualFunc(a, b, func(x, y Part) bool { return x.Name == y.Name })
}

func (p *Plan) slots(bucket, part string) []Slot {
	for _, a := range p.Arena {
		if a.Bucket == bucket && a.Part == part {
			return a.Slots
		}
	}
	return nil
}

// Unfold is Fold's inverse: every bucket lists all its parts, and has no Base. What can't be unfolded is an error.
func (p *Plan) Unfold() (*Plan, error) {
	out := *p
	out.Buckets = slices.Clone(p.Buckets)
	arena := slices.Clone(p.Arena)
	for i := range out.Buckets {
		b := &out.Buckets[i]
		if b.Base == "" {
			continue
		}
		k := slices.IndexFunc(out.Buckets[:i], func(x Bucket) bool { return x.Name == b.Base && p.base(x.Name) == "" })
		if k < 0 {
			return nil, fmt.Errorf("plan: bucket %q has the base %q: want an earlier bucket that lists all its parts", cut(b.Name), cut(b.Base))
		}
		var parts []Part
		used := 0
		for _, part := range out.Buckets[k].Parts {
			own := slices.IndexFunc(b.Parts, func(x Part) bool { return x.Name == part.Name })
			if own >= 0 {
				parts = append(parts, b.Parts[own])
				used++
				continue
			}
			parts = append(parts, part)
			if s := p.slots(b.Base, part.Name); s != nil {
				arena = append(arena, Arena{Bucket: b.Name, Part: part.Name, Slots: s})
			}
		}
		if used != len(b.Parts) {
			return nil, fmt.Errorf("plan: bucket %q lists a part that its base %q doesn't have", cut(b.Name), cut(b.Base))
		}
		b.Parts, b.Base = parts, ""
	}
	out.Arena = nil // in the order of buckets and parts, as they are written
	for _, b := range out.Buckets {
		for _, part := range b.Parts {
			for _, a := range arena {
				if a.Bucket == b.Name && a.Part == part.Name {
					out.Arena = append(out.Arena, a)
				}
			}
		}
	}
	if len(out.Arena) != len(arena) {
		return nil, fmt.Errorf("plan: an arena belongs to no part of its bucket, or to two")
	}
	return &out, nil
}

// base is the base of a bucket as it is written.
func (p *Plan) base(name string) string {
	for _, b := range p.Buckets {
		if b.Name == name {
			return b.Base
		}
	}
	return ""
}
