package runtime

import (
	"fmt"
	"strings"

	"hipc/runtime/plan"
)

// Memory is what a model takes, in bytes: all of it is known before any of it is asked for.
type Memory struct{ Weights, State, Arena, Cells int64 }

// Total is the sum.
func (m Memory) Total() int64 { return m.Weights + m.State + m.Arena + m.Cells }

func (m Memory) String() string {
	return fmt.Sprintf("%s: weights %s, state %s, arena %s, cells %s", Size(m.Total()), Size(m.Weights), Size(m.State), Size(m.Arena), Size(m.Cells))
}

// Need is what the artifact takes with a context of so many tokens.
func (a *Artifact) Need(context int) Memory {
	_, state := a.states(context)
	p := a.Plan
	return Memory{Weights: p.WeightBytes(), State: state, Arena: p.ArenaBytes(), Cells: p.CellBytes()}
}

// states places the states for a context that may be shorter than the plan's: a KV cache is cut after its last page.
// The map is from a state's offset in the plan to its place.
func (a *Artifact) states(context int) (map[int64]plan.Operand, int64) {
	p := a.Plan
	list, _ := p.StateSegments()
	all, some := pages(p.Context, p.Page), pages(context, p.Page)
	at := make(map[int64]plan.Operand, len(list))
	end := int64(0)
	for _, s := range list {
		bytes := s.Bytes
		if isKV(s.State) && bytes%all == 0 {
			bytes = bytes / all * some
		}
		at[s.Offset] = plan.Operand{Block: plan.States, Offset: end, Bytes: bytes}
		end += (bytes + plan.StateAlign - 1) / plan.StateAlign * plan.StateAlign
	}
	return at, end
}

func pages(context, page int) int64 { return int64(context+page-1) / int64(page) }

// isKV says that a state is a cache of keys and values: it can be rolled back by forgetting its last tokens.
func isKV(s *plan.State) bool { return strings.HasPrefix(s.Type, "kv") }

// fits refuses what the device has no room for, and says which context would fit.
func (a *Artifact) fits(context int, info Info) error {
	need := a.Need(context)
	if need.Total() <= info.Free {
		return nil
	}
	msg := fmt.Sprintf("needs %s with a context of %d tokens; %s of %s are free", need, context, Size(info.Free), Size(info.Total))
	best := 0
	for low, high := 1, context-1; low <= high; {
		c := (low + high) / 2
		if a.Need(c).Total() <= info.Free {
			best, low = c, c+1
		} else {
			high = c - 1
		}
	}
	if best = best / a.Plan.Page * a.Plan.Page; best > 0 {
		return fmt.Errorf("%s: ask for a shorter one, --context %d", msg, best)
	}
	return fmt.Errorf("%s, too few for any context", msg)
}
