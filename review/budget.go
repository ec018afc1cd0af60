package review

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"hipc/compiler"
)

// BudgetName is the budget's file.
const BudgetName = "hipc.budget.yaml"

// BudgetHelp says what a budget is, by an example that is one.
const BudgetHelp = `# What a change may cost: rows, each for the models, targets and buckets that its globs match. A limit with a sign is on the
# growth, per cent or absolute; one without is on what is there afterwards. Time is that of a replay with an empty context; memory
# is weights, state and buffers together; spills are counted in kernels.txt, which only what was compiled has.
budgets:
  - {bucket: decode_1, time: +2%, launches: +0}
  - {model: qwen3.6-*, target: gfx1100, bucket: decode_1, time: 6.5ms}
  - {target: gfx1151, memory: 24GiB, spills: +0}
`

// A Budget says what a change may cost, in rows: BudgetHelp.
type Budget struct {
	Budgets []Allowance `yaml:"budgets"`
}

// An Allowance is a row of a Budget.
type Allowance struct {
	Model    string `yaml:"model"`
	Target   string `yaml:"target"`
	Bucket   string `yaml:"bucket"`
	Time     string `yaml:"time"`
	Launches string `yaml:"launches"`
	Memory   string `yaml:"memory"`
	Spills   string `yaml:"spills"`
}

// ReadBudget reads a budget.
func ReadBudget(file string) (*Budget, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(src) > 1<<20 {
		return nil, fmt.Errorf("%s has %d bytes: a budget has at most %d", file, len(src), 1<<20)
	}
	d := yaml.NewDecoder(bytes.NewReader(src))
	d.KnownFields(true)
	b := &Budget{}
	if err := d.Decode(b); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s is empty: want %s", file, wants["review.Budget"])
		}
		text := strings.NewReplacer("yaml: ", "", "unmarshal errors:\n  ", "", " in type review.Allowance", " among model, target, bucket, time, launches, memory, spills",
			" in type review.Budget", ": want budgets", "\n  ", "; ").Replace(err.Error())
		return nil, fmt.Errorf("%s: %s", file, misfit.ReplaceAllStringFunc(text, func(s string) string {
			m := misfit.FindStringSubmatch(s)
			return fmt.Sprintf("here is %s, want %s", cmp.Or(kindsOfYAML[m[1]], "a value"), cmp.Or(wants[m[2]], "a value"))
		}))
	}
	if len(b.Budgets) == 0 {
		return nil, fmt.Errorf("%s has no rows: want %s", file, wants["review.Budget"])
	}
	for i, a := range b.Budgets {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("%s: row %d: %w", file, i+1, err)
		}
	}
	return b, nil
}

// misfit is how the library says that a value is of another kind than the field that it is for.
var (
	misfit      = regexp.MustCompile("cannot unmarshal !!(\\w+)(?: `[^`]*`)? into ([\\w.\\[\\]]+)")
	kindsOfYAML = map[string]string{"map": "a mapping", "seq": "a list"}
	wants       = map[string]string{
		"review.Budget":      "budgets: and a list of rows (hipc diff --help shows one)",
		"[]review.Allowance": "a list of rows: - {bucket: decode_1, time: +2%}",
		"review.Allowance":   "a row: {bucket: decode_1, time: +2%}",
	}
)

func (a *Allowance) check() error {
	limits := 0
	for _, g := range []string{a.Model, a.Target, a.Bucket} {
		if _, err := path.Match(g, ""); err != nil {
			return fmt.Errorf("%q: %w", g, err)
		}
	}
	for _, l := range []struct {
		text  string
		units map[string]float64
	}{{a.Time, times}, {a.Launches, counts}, {a.Memory, sizes}, {a.Spills, counts}} {
		if l.text == "" {
			continue
		}
		limits++
		if _, err := parseLimit(l.text, l.units); err != nil {
			return err
		}
	}
	if limits == 0 {
		return fmt.Errorf("it limits nothing: want time, launches, memory or spills")
	}
	var names []string
	for _, b := range compiler.Buckets {
		names = append(names, b.Name)
	}
	if !slices.ContainsFunc(names, func(n string) bool { return matches(a.Bucket, n) }) {
		return fmt.Errorf("no bucket is called %s: there are %s", a.Bucket, strings.Join(names, ", "))
	}
	return nil
}

var (
	times  = map[string]float64{"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
	sizes  = map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	counts = map[string]float64{"": 1}
)

// A limit is a number in a row.
type limit struct {
	value   float64
	percent bool
	growth  bool
}

func parseLimit(text string, units map[string]float64) (limit, error) {
	s := strings.TrimSpace(text)
	var l limit
	if rest, ok := strings.CutPrefix(s, "+"); ok {
		s, l.growth = rest, true
	}
	number := strings.TrimRight(s, "%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ ")
	unit := strings.TrimSpace(s[len(number):])
	x, err := strconv.ParseFloat(number, 64)
	scale, known := units[unit]
	if l.percent = unit == "%" && l.growth; l.percent {
		scale, known = 1, true
	}
	if x == 0 && unit == "" {
		scale, known = 1, true // +0 of anything
	}
	if err != nil || !known || !(x >= 0) || x > 1e15 {
		return l, fmt.Errorf("%q is no limit: want +2%%, +0, or a number with its unit (ns, µs, ms, s; KiB, MiB, GiB)", text)
	}
	l.value = x * scale
	return l, nil
}

// breaks says how a change breaks a limit, or "".
func (l limit) breaks(a, b float64) bool {
	switch {
	case l.percent:
		return b > a*(1+l.value/100)
	case l.growth:
		return b > a+l.value
	}
	return b > l.value
}

// Hold notes in the report which rows it breaks.
func (b *Budget) Hold(r *Report) {
	for _, a := range b.Budgets {
		if !matches(a.Model, r.Model) {
			continue
		}
		for _, d := range r.both() {
			if !matches(a.Target, d.Target) {
				continue
			}
			r.over(a.Memory, sizes, d.Target+": memory", d.Memory[0].Sum(), d.Memory[1].Sum(), 1<<20, "MiB")
			for _, k := range d.Buckets {
				if !matches(a.Bucket, k.Name) {
					continue
				}
				what := d.Target + ": " + k.Name
				r.over(a.Launches, counts, what, int64(k.A.Launches), int64(k.B.Launches), 1, "launches")
				if why := k.untimed(a.Time); why != "" {
					r.unchecked("%s: time %s isn't checked: %s", what, a.Time, why)
				} else {
					r.over(a.Time, times, what, int64(k.A.Time), int64(k.B.Time), 1e6, "ms")
				}
				if x, y, ok := k.spills(a.Spills); !ok {
					r.unchecked("%s: spills %s isn't checked: what isn't compiled has no kernels.txt, want artifacts or committed plans", d.Target, a.Spills)
				} else {
					r.over(a.Spills, counts, what, int64(x), int64(y), 1, "spills")
				}
			}
		}
	}
}

// untimed says why a limit on a bucket's time can't be checked, or "".
func (d *BucketDiff) untimed(text string) string {
	l, _ := parseLimit(text, times)
	switch {
	case text == "":
	case d.B.Unknown > 0 || l.growth && d.A.Unknown > 0:
		return "what some launches cost isn't known, for want of a prediction.tsv that speaks of them"
	case l.growth && d.Unlike:
		return "some launches are measured on one side alone"
	}
	return ""
}

// spills are those of both sides; ok says that what a limit needs of them is known.
func (d *BucketDiff) spills(text string) (a, b int, ok bool) {
	l, _ := parseLimit(text, counts)
	if d.A.Spills != nil {
		a = *d.A.Spills
	}
	if d.B.Spills != nil {
		b = *d.B.Spills
	}
	return a, b, text == "" || d.B.Spills != nil && (!l.growth || d.A.Spills != nil)
}

func (r *Report) unchecked(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(r.Unchecked, s) {
		r.Unchecked = append(r.Unchecked, s)
	}
}

func matches(glob, name string) bool {
	ok, _ := path.Match(glob, name)
	return ok || glob == ""
}

func (r *Report) over(text string, units map[string]float64, what string, a, b int64, unit float64, name string) {
	if text == "" {
		return
	}
	if l, err := parseLimit(text, units); err == nil && l.breaks(float64(a), float64(b)) {
		r.Over = append(r.Over, fmt.Sprintf("%s %.4g → %.4g %s, the budget allows %s", what, float64(a)/unit, float64(b)/unit, name, text))
	}
}
