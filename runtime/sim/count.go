package sim

// A Class is a kind of instruction, as they are counted.
type Class uint8

const (
	ClassVALU   Class = iota // vector arithmetic other than the next three; a dual instruction counts once
	ClassTrans               // exp, log, rcp, rsq, sqrt, sin, cos
	ClassDot                 // v_dot…
	ClassWMMA                // matrix products
	ClassSALU                // scalar arithmetic
	ClassSMEM                // scalar loads
	ClassVMEM                // global memory
	ClassLDS                 // LDS, permutes included
	ClassBranch              // branches, barriers, ends
	ClassWait                // waits, delays, hints
	classes
)

var classNames = [classes]string{"valu", "trans", "dot", "wmma", "salu", "smem", "vmem", "lds", "branch", "wait"}

func (c Class) String() string { return classNames[c] }

// Counts is what waves executed: instructions by class, bytes moved.
type Counts struct {
	Launches, Blocks, Waves int64
	Class                   [classes]int64
	Read, Written           int64 // bytes of global memory, by the active lanes; a scalar load once
	LDSRead, LDSWritten     int64
	steps                   int64
}

// Instructions is all that were executed, but for waits.
func (c *Counts) Instructions() (n int64) {
	for i, k := range c.Class {
		if Class(i) != ClassWait {
			n += k
		}
	}
	return n
}

// ByClass is Class with names.
func (c *Counts) ByClass() map[string]int64 {
	m := map[string]int64{}
	for i, n := range c.Class {
		m[Class(i).String()] = n
	}
	return m
}

func (c *Counts) add(d *Counts) {
	c.Launches += d.Launches
	c.Blocks += d.Blocks
	c.Waves += d.Waves
	for i := range c.Class {
		c.Class[i] += d.Class[i]
	}
	c.Read, c.Written = c.Read+d.Read, c.Written+d.Written
	c.LDSRead, c.LDSWritten = c.LDSRead+d.LDSRead, c.LDSWritten+d.LDSWritten
}

// Counts gives what each kernel executed since the device was opened, or since ResetCounts.
func (d *Device) Counts() map[string]Counts {
	m := map[string]Counts{}
	for name, c := range d.counts {
		m[name] = *c
	}
	return m
}

// ResetCounts begins anew.
func (d *Device) ResetCounts() { d.counts = map[string]*Counts{} }
