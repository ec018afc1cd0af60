package compiler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// numbers gives every dim and real its value: what --set says, else the checkpoint's config, else what is published.
func (t *Text) numbers(config weights.Config, set map[string]string) (map[string]float64, error) {
	nums := map[string]float64{}
	var errs syntax.Errors
	left := maps.Clone(set)
	var names []string
	for _, f := range slices.Concat(t.Dims, t.Reals) {
		names = append(names, f.Name)
		if _, twice := nums[f.Name]; twice {
			errs.Add(syntax.Errorf(f.Pos, "%s is both a dim and a real", f.Name))
		}
		x, err := f.value(config, nums, left)
		errs.Add(err)
		nums[f.Name] = x
		delete(left, f.Name)
	}
	for _, f := range t.Dims {
		if x := nums[f.Name]; len(errs) == 0 && (x != float64(int(x)) || x < 0) {
			errs.Add(syntax.Errorf(f.Pos, "%s is %v: a dim is a whole number", f.Name, x))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(left)) {
		errs.Add(fmt.Errorf("--set %s=%s: the model has no dim or real %s%s", n, left[n], n, syntax.DidYouMean(n, names)))
	}
	return nums, errs.Err()
}

// value evaluates the first alternative whose names are all there: dims and reals that stand above, or fields.
func (f *Field) value(config weights.Config, above map[string]float64, set map[string]string) (float64, error) {
	if s, ok := set[f.Name]; ok {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 1, fmt.Errorf("--set %s=%s: want a number", f.Name, s)
		}
		return x, nil
	}
	if len(f.Alternatives) == 0 || config == nil {
		if !f.HasValue {
			return 1, syntax.Errorf(f.Pos, "%s has no published value: give --weights, --set %s=… or write = VALUE", f.Name, f.Name)
		}
		return f.Value, nil
	}
	var missing []string
	for _, e := range f.Alternatives {
		absent := ""
		x, err := arithmetic(e, func(name string) (float64, bool) {
			v, ok := above[name]
			if !ok {
				v, ok = number(config, name)
			}
			if !ok {
				absent = name
			}
			return v, ok
		})
		if err == nil {
			return x, nil
		}
		if absent == "" {
			return 1, err
		}
		missing = append(missing, absent)
	}
	return 1, syntax.Errorf(f.Pos, "the checkpoint's config has no %s, which %s is read from: it's no model of this family, or give --set %s=…",
		strings.Join(missing, " and no "), f.Name, f.Name)
}

// number is a numeric field of a config.
func number(c weights.Config, field string) (float64, bool) {
	v, ok := c.Lookup(field)
	if !ok {
		return 0, false
	}
	switch x := v.(type) {
	case json.Number:
		f, err := x.Float64()
		return f, err == nil
	case float64:
		return x, true
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	}
	return 0, false
}

// names is a list of strings in a config, nil where there's none.
func names(c weights.Config, field string) []string {
	v, _ := c.Lookup(field)
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = fmt.Sprint(x)
	}
	return out
}

// expect compares the fields that the model insists on.
func (t *Text) expect(config weights.Config) error {
	var errs syntax.Errors
	for _, e := range t.Expect {
		v, ok := config.Lookup(e.Field)
		if ok && !slices.Contains(e.Values, fmt.Sprint(v)) {
			err := syntax.Errorf(e.Pos, "the checkpoint says %s: %s, this model wants %s", e.Field, short(v), strings.Join(e.Values, " or "))
			if e.Field == "model_type" {
				return err // and no wonder that others differ, too
			}
			errs.Add(err)
		}
	}
	return errs.Err()
}

// short is a value of a config as far as it fits on a line.
func short(v any) string {
	s := []rune(fmt.Sprint(v))
	if len(s) > 120 {
		return string(s[:100]) + " …"
	}
	return string(s)
}

// arithmetic evaluates an expression of numbers and names.
func arithmetic(e *syntax.Expr, name func(string) (float64, bool)) (float64, error) {
	x, err := product(e.Left, name)
	for _, r := range e.Rest {
		y, err2 := product(r.Term, name)
		if err == nil {
			err = err2
		}
		if r.Op == "-" {
			y = -y
		}
		x += y
	}
	return x, err
}

func product(t *syntax.Term, name func(string) (float64, bool)) (float64, error) {
	x, err := factor(t.Left, name)
	for _, r := range t.Rest {
		y, err2 := factor(r.Unary, name)
		if err == nil {
			err = err2
		}
		if r.Op == "/" {
			if y == 0 && err == nil {
				err = syntax.Errorf(syntax.At(r.Pos), "division by zero")
			}
			x /= y
		} else {
			x *= y
		}
	}
	return x, err
}

func factor(u *syntax.Unary, name func(string) (float64, bool)) (float64, error) {
	p := u.Primary
	var x float64
	var err error
	switch {
	case p.Name != "":
		field := strings.Join(append([]string{p.Name}, p.Member...), ".")
		var ok bool
		if x, ok = name(field); !ok {
			err = syntax.Errorf(syntax.At(p.Pos), "no field is called %s", field)
		}
	case p.Number != "":
		x, err = syntax.Number(p.Number)
	case p.Paren != nil:
		x, err = arithmetic(p.Paren, name)
	default:
		err = syntax.Errorf(syntax.At(p.Pos), "want fields of the config, numbers, + - * / and parentheses")
	}
	if u.Minus {
		x = -x
	}
	return x, err
}
