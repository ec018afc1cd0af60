package sim

// A dpp moves source 0 between lanes before the instruction computes: data-parallel primitives.
type dpp struct {
	from  [lanes]int8 // the lane that each lane reads; -1: none
	write uint32      // lanes of the rows and banks that are written
	zero  bool        // a lane that reads none reads 0; else it isn't written
	idle  bool        // lanes that EXEC turns off are read too
}

// permute moves lanes. A lane that is off, or beyond its row, gives 0.
func (w *wave) permute(in *inst, x value) value {
	p := in.mod.dpp
	exec := w.exec()
	b := &w.buf[3]
	out := value{v: b}
	for i := range b {
		from := p.from[i]
		if from < 0 || !p.idle && exec>>from&1 == 0 {
			b[i] = 0
			continue
		}
		b[i] = x.v[from]
		out.lo |= x.lo >> from & 1 << i
		out.hi |= x.hi >> from & 1 << i
	}
	return out
}

// writes is the lanes that an instruction with DPP writes.
func (w *wave) writes(in *inst) uint32 {
	p := in.mod.dpp
	exec := w.exec()
	m := exec & p.write
	if p.zero {
		return m
	}
	for i, from := range p.from {
		if from < 0 || !p.idle && exec>>from&1 == 0 {
			m &^= 1 << i
		}
	}
	return m
}

// shuffle fills from by a control: rows have 16 lanes, quads 4.
func (p *dpp) shuffle(control string, n int) bool {
	for i := range lanes {
		row, at := i&^15, i&15
		to := -1
		switch control {
		case "row_shl":
			to = at + n
		case "row_shr":
			to = at - n
		case "row_ror":
			to = (at - n) & 15
		case "row_mirror":
			to = 15 - at
		case "row_half_mirror":
			to = at ^ 7
		case "row_share":
			to = n
		case "row_xmask":
			to = at ^ n
		default:
			return false
		}
		p.from[i] = -1
		if to >= 0 && to < 16 {
			p.from[i] = int8(row + to)
		}
	}
	return true
}

// masks turns row_mask and bank_mask, 4 bits each, into lanes: a bank is 4 lanes of each row.
func masks(rows, banks uint32) uint32 {
	var m uint32
	for i := range lanes {
		if rows>>(i/16)&1 != 0 && banks>>(i/4%4)&1 != 0 {
			m |= 1 << i
		}
	}
	return m
}
