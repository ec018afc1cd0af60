// Package times reads and writes kernels/<target>.tsv: how long kernels took on a device that somebody had. It is a
// format and nothing else, so that hipc, which plans by it, and hiprun, which measures, share it and nothing more.
//
// A file has a line for each launch that was timed: the instances of the kernel as plan.go names them, the shape of the
// work, the grid, the median and the spread of its times in microseconds, and when, on what and with which commit that
// was. Whole tokens are timed, so a launch finds its weights in no cache if a token reads more than that holds. Fields
// stand between tabs, lines in the order of their keys, so that a new measurement is a change of one line.
package times

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Header begins each file.
const Header = "# How long kernels took: written by hiprun profile --update, read by hipc (CONTRIBUTING.md). µs of a launch among all of a token's, in their order.\n" +
	"# instance\tshape\tgrid\tmedian\tspread\tdate\tdevice\tcommit\n"

const (
	// MaxBytes is the size up to which a file is read: a model has some twenty kernels, a line takes 150 bytes.
	MaxBytes = 4 << 20
	maxField = 1 << 10
	// maxTime is ten minutes, beyond which nothing is a launch.
	maxTime = 600e6
)

// A Key says what was timed.
type Key struct {
	Inst  string // of the kernel, as in plan.Step: "matmul<BF16, 2048, 512, 1, 8>", siblings with " | " between
	Shape string // sequences x rows @ position of the first row: "1x1@0". Only what reads a KV cache depends on the position
	Grid  int    // blocks
}

// Shape spells a shape.
func Shape(seqs, rows, pos int) string { return fmt.Sprintf("%dx%d@%d", seqs, rows, pos) }

// A Time is a line.
type Time struct {
	Key
	Median float64 // µs
	Spread float64 // µs, from the first to the third quartile
	Date   string  // 2026-11-23
	Device string  // "NVIDIA H100 80GB HBM3"
	Commit string  // of the hiprun that measured
}

// String says that the figure is measured, when and on what.
func (t Time) String() string { return "measured " + t.Date + " on " + t.Device }

// Read reads a file. Lines must be as Write writes them.
func Read(src []byte) ([]Time, error) {
	if len(src) > MaxBytes {
		return nil, fmt.Errorf("%d bytes: a table of times has at most %d", len(src), MaxBytes)
	}
	var list []Time
	n := 0
	for line := range strings.Lines(string(src)) {
		n++
		text, whole := strings.CutSuffix(line, "\n")
		if strings.HasPrefix(text, "#") {
			continue
		}
		t, err := parse(text)
		if err == nil && !whole {
			err = fmt.Errorf("the line has no end")
		}
		if err == nil && len(list) > 0 && compare(list[len(list)-1].Key, t.Key) >= 0 {
			err = fmt.Errorf("%s isn't in order, or is there twice: instance, shape and grid ascend", t.Inst)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, t)
	}
	return list, nil
}

func parse(text string) (Time, error) {
	f := strings.Split(text, "\t")
	if len(f) != 8 {
		return Time{}, fmt.Errorf("%d fields, want 8 between tabs: instance, shape, grid, median, spread, date, device, commit", len(f))
	}
	t := Time{Key: Key{Inst: f[0], Shape: f[1]}, Date: f[5], Device: f[6], Commit: f[7]}
	var err error
	if t.Grid, err = strconv.Atoi(f[2]); err != nil {
		return t, fmt.Errorf("grid %q, want a number of blocks", f[2])
	}
	if t.Median, err = strconv.ParseFloat(f[3], 64); err != nil {
		return t, fmt.Errorf("median %q, want microseconds", f[3])
	}
	if t.Spread, err = strconv.ParseFloat(f[4], 64); err != nil {
		return t, fmt.Errorf("spread %q, want microseconds", f[4])
	}
	if err := t.check(); err != nil {
		return t, err
	}
	if t.line() != text+"\n" {
		return t, fmt.Errorf("not as it's written: want %q", strings.TrimSuffix(t.line(), "\n"))
	}
	return t, nil
}

// check refuses what no measurement is.
func (t Time) check() error {
	for _, s := range []string{t.Inst, t.Shape, t.Device, t.Commit} {
		if s == "" || len(s) > maxField || !utf8.ValidString(s) || s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("field %q, want some printable text of at most %d bytes", s[:min(len(s), 80)], maxField)
		}
	}
	if strings.HasPrefix(t.Inst, "#") {
		return fmt.Errorf("instance %q: it would be a comment", t.Inst)
	}
	if t.Grid < 1 {
		return fmt.Errorf("a grid of %d blocks", t.Grid)
	}
	for _, x := range []float64{t.Median, t.Spread} {
		if math.IsNaN(x) || x < 0 || x > maxTime {
			return fmt.Errorf("%v µs is no time of a launch", x)
		}
	}
	if t.Median < 0.001 {
		return fmt.Errorf("a median of %v µs is no time of a launch", t.Median)
	}
	if _, err := time.Parse(time.DateOnly, t.Date); err != nil {
		return fmt.Errorf("date %q, want it as 2026-11-23", t.Date)
	}
	return nil
}

func (t Time) line() string {
	return fmt.Sprintf("%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", t.Inst, t.Shape, t.Grid, micro(t.Median), micro(t.Spread), t.Date, t.Device, t.Commit)
}

// micro is a time in microseconds, to a nanosecond.
func micro(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

func compare(a, b Key) int {
	if c := strings.Compare(a.Inst, b.Inst); c != 0 {
		return c
	}
	if c := strings.Compare(a.Shape, b.Shape); c != 0 {
		return c
	}
	return a.Grid - b.Grid
}

// Write writes a file of the given times, in order. What Read would refuse is an error.
func Write(list []Time) ([]byte, error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Time) int { return compare(a.Key, b.Key) })
	var b bytes.Buffer
	b.WriteString(Header)
	for i, t := range list {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Inst, err)
		}
		if i > 0 && list[i-1].Key == t.Key {
			return nil, fmt.Errorf("%s on %d blocks at %s was timed twice", t.Inst, t.Grid, t.Shape)
		}
		b.WriteString(t.line())
	}
	if b.Len() > MaxBytes {
		return nil, fmt.Errorf("%d bytes: a table of times has at most %d", b.Len(), MaxBytes)
	}
	return b.Bytes(), nil
}

// Update puts new times in the place of old ones with the same key.
func Update(old, new []Time) []Time {
	out := slices.Clone(new)
	for _, t := range old {
		if !slices.ContainsFunc(new, func(n Time) bool { return n.Key == t.Key }) {
			out = append(out, t)
		}
	}
	return out
}
