package checks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// RecordName is the record's name in the artifact's folder.
const RecordName = "validation.tsv"

const (
	sourceBytes = 6
	notChecked  = "not checked: "
	recordHead  = "# What checked each fused step: runs of its kernel against the oracle (hiprun verify repeats it with this model's weights).\n" +
		"# instance\trule\tunfused\tsource\tchecked instance\tlive/rows@position\tseed\tNMSE\tbar\tdevice\tdate\tcommit\n"
)

// Digest is that of a source: of all of its texts, each by itself.
func Digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d\n%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil)[:sourceBytes])
}

// A Step is a line of an artifact's record: a distinct fused instance, which rule of fuse.rules it computes, of which primitive ops that
// consists (the unfused twin, in the order in which -fuse=off runs them), and the run that checked it, or why there is none.
type Step struct {
	Inst   string
	Rule   string
	Twin   string // "rmsnorm rotate rotate"
	Source string
	Check  *Check
	Why    string // with Check nil: what is lacking
}

// WriteRecord writes validation.tsv, in the order given. What ReadRecord would refuse is an error.
func WriteRecord(steps []Step) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(recordHead)
	for _, s := range steps {
		b.WriteString(strings.Join([]string{s.Inst, s.Rule, s.Twin, s.Source}, "\t"))
		if c := s.Check; c != nil {
			fmt.Fprintf(&b, "\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Inst, c.Shape, c.Seed, Text(c.NMSE), Text(c.Bar), c.Device, c.Date, c.Commit)
		} else {
			fmt.Fprintf(&b, "\t%s%s\n", notChecked, s.Why)
		}
	}
	_, err := ReadRecord(b.Bytes())
	return b.Bytes(), err
}

// ReadRecord reads validation.tsv.
func ReadRecord(src []byte) ([]Step, error) {
	if len(src) > MaxBytes {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", RecordName, len(src), MaxBytes)
	}
	var steps []Step
	seen := map[[2]string]bool{}
	n := 0
	for line := range strings.Lines(string(src)) {
		if n++; strings.HasPrefix(line, "#") {
			continue
		}
		s, err := step(strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		if key := [2]string{s.Inst, s.Rule}; err == nil && seen[key] {
			err = fmt.Errorf("%s is there twice", short(s.Inst))
		} else {
			seen[key] = true
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", RecordName, n, err)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// step reads a line of 5 or 12 fields.
func step(f []string) (s Step, err error) {
	if len(f) != 5 && len(f) != 12 {
		return s, fmt.Errorf("%d fields, want 12 between tabs, or 5 where nothing was checked", len(f))
	}
	s = Step{Inst: f[0], Rule: f[1], Twin: f[2], Source: f[3]}
	if err := text(f...); err != nil {
		return s, err
	}
	if len(f) == 5 {
		var ok bool
		if s.Why, ok = strings.CutPrefix(f[4], notChecked); !ok {
			return s, fmt.Errorf("%q, want %swhy", short(f[4]), notChecked)
		}
		return s, nil
	}
	c, err := parse([]string{f[3], f[4], f[5], f[6], f[7], f[8]}, Run{f[9], f[10], f[11]})
	s.Check = &c
	return s, err
}

// Recorded is the line of an instance that computes a rule, nil if there is none.
func Recorded(steps []Step, inst, rule string) *Step {
	for i := range steps {
		if steps[i].Inst == inst && steps[i].Rule == rule {
			return &steps[i]
		}
	}
	return nil
}
