// Package checks reads and writes how exact kernels were found to be: a table of runs against the oracle, kernels/checks/<target>.tsv,
// and validation.tsv, what an artifact says of its fused steps. It is two formats and nothing else, shared by hipc, which copies what the
// table knows into the artifact, the tests and hiprun, which write the table, and hiprun, which holds a new run against it.
//
// A check is one run of one instance: on how many rows, with operands made of which seed, how large the normalised mean square
// error against Eval was, and how large it was allowed to be. It is of a source: a digest of what the kernel was built from and of what it's to
// compute (compiler.Source). A kernel whose source is another one hasn't been checked, however alike its name is. The compiler that made the
// object isn't part of the source, nor is Eval: the tests hold each of both to the other.
package checks

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Header begins each table.
const Header = "# How exact kernels are: written by make checks and hiprun verify --update, read by hipc (CONTRIBUTING.md). Runs, and what was checked in each.\n" +
	"# run\tdevice\tdate\tcommit\n# source\tinstance\tlive/rows@position\tseed\tNMSE\tbar\n"

const (
	// MaxBytes is the size up to which a file is read: a target has some hundred kernels, a line takes 110 bytes.
	MaxBytes = 4 << 20
	maxField = 1 << 10
)

// A Run is when, on what and with which commit kernels were checked.
type Run struct {
	Device string // "simulated gfx1100"
	Date   string // 2026-11-23
	Commit string
}

func (r Run) String() string { return fmt.Sprintf("%s on %s, commit %s", r.Date, r.Device, r.Commit) }

// A Check is the furthest that one instance of a kernel was from the oracle in a run.
type Check struct {
	Source string  // Digest of what the kernel is built from: 12 hex digits
	Inst   string  // that was run: "norm_rotate<2048, r1em05, 2, 8>"
	Shape  string  // as Shape spells it
	Seed   string  // of the operands: a number in hex of the tests', "random:1" or "checkpoint" where a model's weights were read
	NMSE   float64 // the worst of any row of any result
	Bar    float64 // that it was held to
	Run
}

// Shape spells how many of so many rows were alive, and at which position the first one was: "5/8@62".
func Shape(live, rows, pos int) string { return fmt.Sprintf("%d/%d@%d", live, rows, pos) }

// Text is an error as it's written: two digits.
func Text(nmse float64) string { return strconv.FormatFloat(nmse, 'g', 2, 64) }

// What two runs of a kernel may differ by without anything being wrong. Floor is the NMSE that its weights' format, its shape and the order of its
// sums make: those of a run with f32 weights are 1e-14, with nibbles 1e-10. StateFloor is that of a kernel which reads, on a device with 16-bit
// caches and matrix units, what earlier launches have left: the oracle's own cache isn't rounded.
const (
	Floor      = 1e-10
	StateFloor = 1e-7
)

// Drift is how many times further from the oracle a kernel is now than it was then; errors up to the floor are all alike.
func Drift(now, then, floor float64) float64 { return max(now, floor) / max(then, floor) }

// Find is the check of a kernel with this source: of the instance itself, or else the worst of others.
func Find(list []Check, source, inst string) (Check, bool) {
	var best Check
	for _, c := range list {
		if c.Source == source && (best.Source == "" || c.Inst == inst || best.Inst != inst && c.NMSE > best.NMSE) {
			best = c
		}
	}
	return best, best.Source != ""
}

// Read reads a table. It takes the very bytes that Write gives.
func Read(src []byte) ([]Check, error) {
	if len(src) > MaxBytes {
		return nil, fmt.Errorf("%d bytes: a table of checks has at most %d", len(src), MaxBytes)
	}
	var list []Check
	var run Run
	n := 0
	for line := range strings.Lines(string(src)) {
		n++
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		var err error
		switch {
		case f[0] == "run" && len(f) == 4:
			run = Run{f[1], f[2], f[3]}
			err = run.check()
		case len(f) == 6:
			var c Check
			if c, err = parse(f, run); err == nil {
				list = append(list, c)
			}
		default:
			err = fmt.Errorf("%d fields, want run, device, date and commit, or source, instance, shape, seed, NMSE and bar, between tabs", len(f))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	want, err := Write(list)
	if err != nil {
		return nil, err
	}
	if len(src) > 0 && !bytes.Equal(src, want) {
		return nil, fmt.Errorf("line %d: not as it's written: lines ascend, each is there once", 1+bytes.Count(common(src, want), []byte("\n")))
	}
	return list, nil
}

// common is what a and b begin with.
func common(a, b []byte) []byte {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// parse reads the six fields of a check.
func parse(f []string, run Run) (Check, error) {
	c := Check{Source: f[0], Inst: f[1], Shape: f[2], Seed: f[3], Run: run}
	var err error
	if c.NMSE, err = strconv.ParseFloat(f[4], 64); err != nil {
		return c, fmt.Errorf("NMSE %q, want a number", short(f[4]))
	}
	if c.Bar, err = strconv.ParseFloat(f[5], 64); err != nil {
		return c, fmt.Errorf("bar %q, want a number", short(f[5]))
	}
	return c, c.check()
}

func (c Check) fields() string {
	return strings.Join([]string{c.Source, c.Inst, c.Shape, c.Seed, Text(c.NMSE), Text(c.Bar)}, "\t")
}

// check refuses what no run has found.
func (c Check) check() error {
	if err := text(c.Inst, c.Shape, c.Seed); err != nil {
		return err
	}
	if b, err := hex.DecodeString(c.Source); err != nil || len(b) != sourceBytes || c.Source != strings.ToLower(c.Source) {
		return fmt.Errorf("source %q, want %d hex digits", short(c.Source), 2*sourceBytes)
	}
	var live, rows, pos int
	if n, _ := fmt.Sscanf(c.Shape, "%d/%d@%d", &live, &rows, &pos); n < 3 || Shape(live, rows, pos) != c.Shape || live < 1 || live > rows || pos < 0 {
		return fmt.Errorf("shape %q, want live rows/rows@position of the first", short(c.Shape))
	}
	if math.IsNaN(c.NMSE) || c.NMSE < 0 || !(c.NMSE <= c.Bar) || c.Bar > 1 {
		return fmt.Errorf("an NMSE of %g with a bar of %g isn't one of a check that was passed", c.NMSE, c.Bar)
	}
	return c.Run.check()
}

func (r Run) check() error {
	if err := text(r.Device, r.Commit); err != nil {
		return err
	}
	if _, err := time.Parse(time.DateOnly, r.Date); err != nil {
		return fmt.Errorf("date %q, want it as 2026-11-23", short(r.Date))
	}
	return nil
}

func text(fields ...string) error {
	for _, s := range fields {
		if s == "" || s == "-" || len(s) > maxField || !utf8.ValidString(s) || s != strings.TrimSpace(s) || s[0] == '#' ||
			strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("field %q, want some printable text of at most %d bytes", short(s), maxField)
		}
	}
	return nil
}

func short(s string) string { return s[:min(len(s), 80)] }

// Write writes a table, by run, instance and source. What Read would refuse is an error.
func Write(list []Check) ([]byte, error) {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	var b bytes.Buffer
	b.WriteString(Header)
	seen := map[[2]string]bool{}
	for i, c := range list {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", short(c.Inst), err)
		}
		key := [2]string{c.Source, c.Inst}
		if seen[key] {
			return nil, fmt.Errorf("%s was checked twice", c.Inst)
		}
		seen[key] = true
		if i == 0 || c.Run != list[i-1].Run {
			fmt.Fprintf(&b, "run\t%s\t%s\t%s\n", c.Device, c.Date, c.Commit)
		}
		b.WriteString(c.fields() + "\n")
	}
	if b.Len() > MaxBytes {
		return nil, fmt.Errorf("%d bytes: a table of checks has at most %d", b.Len(), MaxBytes)
	}
	return b.Bytes(), nil
}

func compare(a, b Check) int {
	return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Inst, b.Inst), cmp.Compare(a.Source, b.Source))
}

// Update puts new checks in the place of old ones of the same instance and source.
func Update(old, new []Check) []Check {
	out := slices.Clone(new)
	for _, c := range old {
		if !slices.ContainsFunc(new, func(n Check) bool { return n.Source == c.Source && n.Inst == c.Inst }) {
			out = append(out, c)
		}
	}
	return out
}
