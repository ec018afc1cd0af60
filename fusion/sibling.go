package fusion

import (
	"slices"

	"hipc/kernels"
)

// A step is what stands for a piece in a plan.
type step struct {
	*piece
	kernels.Step
	launch int // steps with the same number share a launch; every step has one
}

// share lets steps that don't need each other share a launch, where that saves something: again and again the two
// launches that save most, the first of equals. Which steps may stand beside each other: none needs the other, directly
// or not (steps that touch one state always do); their blocks are alike; there are no more of them than a launch has
// tickets.
func (s *site) share(steps []*step, o *Options) (saved int64) {
	groups := make([][]*step, len(steps))
	for i, st := range steps {
		groups[i] = []*step{st}
	}
	cost := make([]int64, len(groups))
	for i, g := range groups {
		cost[i] = o.cost(g)
	}
	for {
		var a, b int
		var best, joint int64
		needs := s.groupNeeds(groups)
		for i := range groups {
			for j := i + 1; j < len(groups); j++ {
				if needs[i].has(j) || needs[j].has(i) || !beside(groups[i], groups[j]) {
					continue
				}
				c := o.cost(append(slices.Clone(groups[i]), groups[j]...))
				if gain := cost[i] + cost[j] - c; gain > best {
					a, b, best, joint = i, j, gain, c
				}
			}
		}
		if best <= 0 {
			break
		}
		groups[a], cost[a] = append(groups[a], groups[b]...), joint
		groups, cost = slices.Delete(groups, b, b+1), slices.Delete(cost, b, b+1)
		saved += best
	}
	for i, g := range groups {
		for _, st := range g {
			st.launch = i
		}
	}
	return saved
}

// groupNeeds says which groups each group needs, directly or not.
func (s *site) groupNeeds(groups [][]*step) []bitset {
	owner := make([]int, len(s.graph.Nodes))
	for k, g := range groups {
		for _, st := range g {
			for _, i := range st.nodes.members() {
				owner[i] = k
			}
		}
	}
	needs := make([]bitset, len(groups))
	for k, g := range groups {
		needs[k] = newBitset(len(groups))
		for _, st := range g {
			for _, i := range st.nodes.members() {
				for _, j := range s.needs[i].members() {
					if owner[j] != k {
						needs[k].add(owner[j])
					}
				}
			}
		}
	}
	for k := range groups { // close it: a group may need another only through a third
		for i := range groups {
			if needs[i].has(k) {
				needs[i].addAll(needs[k])
			}
		}
	}
	return needs
}

func beside(a, b []*step) bool {
	if len(a)+len(b) > kernels.MostParts {
		return false
	}
	for _, x := range a {
		for _, y := range b {
			if x.Choice == nil || y.Choice == nil || x.Choice.Block != y.Choice.Block {
				return false
			}
		}
	}
	return true
}
