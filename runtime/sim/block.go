package sim

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// A block is a workgroup that runs: its waves and their LDS.
type block struct {
	launch *launch
	id     int // x + grid.x·(y + grid.y·z)
	vgprs  int
	waves  []*wave
	lds    []byte
	ldsBad []uint8

	history         // of LDS
	serial   uint32 // for that
	tick     uint32
	epoch    uint32   // the tick after the last barrier
	released []uint32 // by wave, as of the last barrier
	acquired []after
	taken    []after
}

// garbage is what registers hold that were never written, where a check doesn't see them: as float32 a NaN.
const garbage = 0x7fdeadbe

func (d *Device) runBlocks(l *launch) (Counts, error) {
	n := l.x.Grid[0] * l.x.Grid[1] * l.x.Grid[2]
	if l.x.Only != nil {
		n = len(l.x.Only)
	}
	threads := 1
	if !l.races {
		threads = d.opts.Threads
		if threads == 0 {
			threads = goruntime.GOMAXPROCS(0)
		}
		threads = min(threads, n)
	}
	if threads == 1 {
		b := newBlock(l, d.pool)
		for i := range n {
			d.blocks++
			if err := b.run(l.block(i, n), d.blocks); err != nil {
				return b.total(), err
			}
		}
		d.pool = b.waves
		return b.total(), nil
	}
	var (
		total Counts
		first error
		next  atomic.Int64
		lock  sync.Mutex
		wg    sync.WaitGroup
	)
	for range threads {
		wg.Go(func() {
			b := newBlock(l, nil)
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					break
				}
				if err := b.run(l.block(i, n), 0); err != nil {
					next.Store(int64(n))
					lock.Lock()
					if first == nil {
						first = err
					}
					lock.Unlock()
					break
				}
			}
			lock.Lock()
			c := b.total()
			total.add(&c)
			lock.Unlock()
		})
	}
	wg.Wait()
	return total, first
}

// block is the i-th of n that are run.
func (l *launch) block(i, n int) int {
	if l.reverse {
		i = n - 1 - i
	}
	if l.x.Only != nil {
		return l.x.Only[i]
	}
	return i
}

// newBlock makes room for a launch's blocks, which run in it one after the other.
func newBlock(l *launch, pool []*wave) *block {
	threads := l.x.Block[0] * l.x.Block[1] * l.x.Block[2]
	b := &block{launch: l, vgprs: l.kernel.VGPRs, waves: pool}
	waves := (threads + lanes - 1) / lanes
	for len(b.waves) < waves {
		b.waves = append(b.waves, &wave{})
	}
	b.waves = b.waves[:waves]
	for _, w := range b.waves {
		w.count = Counts{}
	}
	b.released = make([]uint32, waves)
	b.lds = make([]byte, l.kernel.LDS+l.x.LDS)
	b.ldsBad = make([]uint8, len(b.lds))
	return b
}

func (b *block) total() (c Counts) {
	for _, w := range b.waves {
		c.add(&w.count)
	}
	return c
}

// run executes block i.
func (b *block) run(i int, serial uint32) error {
	l := b.launch
	b.id, b.serial, b.tick, b.epoch = i, serial, 1, 1
	b.acquired, b.taken = nil, nil
	b.split = nil
	for p := range b.pages {
		for c := range b.pages[p] {
			b.pages[p][c].split = false
		}
	}
	for k := range b.ldsBad {
		b.lds[k], b.ldsBad[k] = 0xcd, 1
	}
	for k := range b.released {
		b.released[k] = 0
	}
	for k, w := range b.waves {
		w.start(b, k)
	}
	b.waves[0].count.Blocks++
	for {
		live := 0
		for k := range b.waves {
			if l.reverse {
				k = len(b.waves) - 1 - k
			}
			w := b.waves[k]
			if w.done {
				continue
			}
			if err := w.run(l.module.code); err != nil {
				return err
			}
			if !w.done {
				live++
			}
		}
		if live == 0 {
			return nil
		}
		b.meet()
		for _, w := range b.waves {
			w.waiting = false
		}
	}
}

// start sets a wave's registers as the descriptor asks for them.
func (w *wave) start(b *block, id int) {
	l, k := b.launch, b.launch.kernel
	w.block, w.id, w.pc, w.err, w.in = b, id, k.start, nil, nil
	w.done, w.waiting, w.last, w.order = false, false, nil, order{}
	w.scc, w.sccBad = false, true
	w.private(k.Scratch)
	w.count.steps = 0
	w.count.Waves++
	w.mode = k.Rsrc1 >> 12 & 0xff
	w.flush, w.flushH = w.mode>>4&3 != 3, w.mode>>6&3 != 3
	for r := range w.v {
		if r < b.vgprs || r == regStage {
			for i := range w.v[r] {
				w.v[r][i] = garbage
			}
		}
		w.plo[r], w.phi[r] = all, all
	}
	for r := range w.s {
		w.s[r], w.sp[r] = garbage, all
	}
	for r := regTTMP; r <= regNull; r++ {
		w.s[r], w.sp[r] = 0, 0
	}
	r := 0
	user := func(bitAt uint, v uint64, n int) {
		if k.Props>>bitAt&1 == 0 {
			return
		}
		for i := range n {
			w.s[r+i], w.sp[r+i] = uint32(v>>(32*i)), 0
		}
		r += n
	}
	user(0, 0, 4) // the private segment's buffer: of older cards
	user(1, l.packet, 2)
	user(2, 0, 2) // the queue
	user(3, l.kernarg, 2)
	user(4, uint64(l.serial), 2)
	user(5, 0, 2)
	user(6, 0, 1)
	r = int(k.Rsrc2 >> 1 & 31) // user SGPRs, those that fill up included
	at := [3]int{b.id % l.x.Grid[0], b.id / l.x.Grid[0] % l.x.Grid[1], b.id / l.x.Grid[0] / l.x.Grid[1]}
	for i := range 3 {
		if k.Rsrc2>>(7+i)&1 != 0 {
			w.s[r], w.sp[r] = uint32(at[i]), 0
			r++
		}
	}
	threads := l.x.Block[0] * l.x.Block[1] * l.x.Block[2]
	w.s[regExec], w.sp[regExec] = all, 0
	w.s[regExec+1], w.sp[regExec+1] = 0, 0
	if n := threads - id*lanes; n < lanes {
		w.s[regExec] = 1<<n - 1
	}
	for i := range lanes {
		t := id*lanes + i
		x, y, z := t%l.x.Block[0], t/l.x.Block[0]%l.x.Block[1], t/l.x.Block[0]/l.x.Block[1]
		w.v[0][i] = uint32(x | y<<10 | z<<20)
	}
	w.plo[0], w.phi[0] = 0, 0
}
