package plan

import (
	"fmt"
	"reflect"
	"slices"
)

// Fold leaves out what two buckets share: a bucket that runs parts of an earlier one names that as its Base and lists
// only the others. And a part that begins as an earlier one of its bucket does, as layers do that differ in what follows
// them, says so and lists only its other steps. A plan says each thing once that way. p stays as it is, and is folded nowhere.
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
	for i := range out.Buckets {
		foldParts(&out.Buckets[i])
	}
	out.Arena = nil
	for _, a := range p.Arena {
		if !gone[[2]string{a.Bucket, a.Part}] {
			out.Arena = append(out.Arena, a)
		}
	}
	return &out
}

// fewest is how many steps two parts have in common before it's worth to say it.
const fewest = 2

// foldParts gives each part of a bucket the base with which it has the most first steps in common, of those that have none.
func foldParts(b *Bucket) {
	whole := b.Parts
	b.Parts = slices.Clone(whole)
	for i := range b.Parts {
		part := &b.Parts[i]
		for k, base := range b.Parts[:i] {
			n := 0
			for n < len(base.Steps) && n < len(whole[i].Steps) && reflect.DeepEqual(base.Steps[n], whole[i].Steps[n]) {
				n++
			}
			if b.Parts[k].Base == "" && n >= fewest && n > part.Shared {
				part.Base, part.Shared, part.Steps = base.Name, n, slices.Clip(whole[i].Steps[n:])
			}
		}
		if len(part.Steps) == 0 {
			part.Steps = nil // as it is read
		}
	}
}

// unfoldParts gives each part all of its steps. shared counts those of all buckets that are copied.
func unfoldParts(b *Bucket, shared *int) error {
	b.Parts = slices.Clone(b.Parts)
	for i := range b.Parts {
		part := &b.Parts[i]
		if part.Base == "" && part.Shared == 0 {
			continue
		}
		k := slices.IndexFunc(b.Parts[:i], func(x Part) bool { return x.Name == part.Base })
		if k < 0 || part.Shared < 1 || part.Shared > len(b.Parts[k].Steps) {
			return fmt.Errorf("plan: bucket %q: part %q begins with %d steps of %q: want an earlier part that has so many", cut(b.Name), cut(part.Name), part.Shared, cut(part.Base))
		}
		if *shared += part.Shared; *shared > MaxShared {
			return fmt.Errorf("plan: parts have more than %d steps in common", MaxShared)
		}
		part.Steps = slices.Concat(b.Parts[k].Steps[:part.Shared], part.Steps)
		part.Base, part.Shared = "", 0
	}
	return nil
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

// Unfold is Fold's inverse: every bucket lists all its parts, and every part its steps; none has a Base. What can't be unfolded is an error.
func (p *Plan) Unfold() (*Plan, error) {
	out := *p
	out.Buckets = slices.Clone(p.Buckets)
	arena := slices.Clone(p.Arena)
	shared := 0
	for i := range out.Buckets {
		if err := unfoldParts(&out.Buckets[i], &shared); err != nil {
			return nil, err
		}
	}
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

// folded says whether there is something to unfold.
func (p *Plan) folded() bool {
	return slices.ContainsFunc(p.Buckets, func(b Bucket) bool {
		return b.Base != "" || slices.ContainsFunc(b.Parts, func(x Part) bool { return x.Base != "" || x.Shared != 0 })
	})
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
