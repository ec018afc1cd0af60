package fusion

import (
	"cmp"
	"slices"
)

// ways are the cheapest ways found, by the nodes that they have done. A search keeps some thousands of them, and a compile makes
// some hundred searches: so they, their sets and their launches are cut from large pieces of memory, and found without a key of their own.
type ways struct {
	table  []*way // by hash; a power of two
	count  int
	room   []way
	sets   []uint64
	pieces []*piece
}

// keep copies w, unless a way to the same nodes is as cheap: then it gives nil.
func (t *ways) keep(w way) *way {
	if t.count >= len(t.table) {
		t.grow()
	}
	at := &t.table[w.done.hash()&uint64(len(t.table)-1)]
	for ; *at != nil; at = &(*at).next {
		if old := *at; slices.Equal(old.done, w.done) {
			if w.cost.compare(old.cost) >= 0 {
				return nil
			}
			old.stale = true
			*at = old.next
			t.count--
			break
		}
	}
	w.count, w.next = w.done.count(), *at
	w.done, w.last = cutFrom(&t.sets, w.done), cutFrom(&t.pieces, w.last)
	*at = &cutFrom(&t.room, []way{w})[0]
	t.count++
	return *at
}

func (t *ways) grow() {
	old := t.table
	t.table = make([]*way, max(256, 4*len(old)))
	for _, w := range old {
		for w != nil {
			at := &t.table[w.done.hash()&uint64(len(t.table)-1)]
			next := w.next
			w.next, *at = *at, w
			w = next
		}
	}
}

// cutFrom copies list into what is left of a large piece of memory.
func cutFrom[T any](room *[]T, list []T) []T {
	if len(*room) < len(list) {
		*room = make([]T, max(128, len(list)))
	}
	n := copy(*room, list)
	out := (*room)[:n:n]
	*room = (*room)[n:]
	return out
}

// A heap gives the most promising way first; of those that promise the same, the one that is farther.
type heap []*way

func (h heap) before(i, j int) bool {
	v, w := h[i], h[j]
	if v.least != w.least {
		return v.least < w.least
	}
	if v.count != w.count {
		return v.count > w.count
	}
	return cmp.Or(v.cost.compare(w.cost), v.done.compare(w.done)) < 0
}

func (h *heap) push(w *way) {
	*h = append(*h, w)
	for i := len(*h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		(*h)[i], (*h)[(i-1)/2] = (*h)[(i-1)/2], (*h)[i]
	}
}

func (h *heap) pop() *way {
	list := *h
	w, n := list[0], len(list)-1
	list[0], list[n] = list[n], nil
	*h = list[:n]
	for i := 0; ; {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < n; k++ {
			if h.before(k, least) {
				least = k
			}
		}
		if least == i {
			return w
		}
		list[i], list[least] = list[least], list[i]
		i = least
	}
}
