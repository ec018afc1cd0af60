package compiler

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// An Alternative is what a dim or a real may be read from: an expression over fields of the config, the dims and reals above
// it, and context, the number of tokens that is compiled for; or whether a field has one of some values, 1 or 0.
type Alternative struct {
	Expr *syntax.Expr
	Is   []string        // "rope_type is yarn or su": the values that give 1
	If   [2]*syntax.Expr // "… if context > original": it counts only where this holds
}

// parseAlternative reads EXPR, EXPR if EXPR > EXPR, or FIELD is VALUE or VALUE.
func parseAlternative(text string, pos syntax.Pos) (a Alternative, err error) {
	text, condition, two := strings.Cut(text, " if ")
	field, values, is := strings.Cut(text, " is ")
	if a.Expr, err = syntax.ParseExpr(field, pos); err != nil {
		return a, err
	}
	if is {
		for _, v := range strings.Split(values, " or ") {
			a.Is = append(a.Is, strings.TrimSpace(v))
		}
		if fieldOf(a.Expr) == "" || slices.ContainsFunc(a.Is, func(v string) bool { return v == "" || strings.Contains(v, " ") }) {
			return a, syntax.Errorf(pos, "%q: want FIELD is VALUE, or FIELD is VALUE or VALUE", strings.TrimSpace(text))
		}
	}
	if two {
		pos.Col += len(text) + len(" if ")
		left, right, ok := strings.Cut(condition, ">")
		if !ok {
			return a, syntax.Errorf(pos, "if %s: want a comparison, A > B", strings.TrimSpace(condition))
		}
		if a.If[0], err = syntax.ParseExpr(left, pos); err != nil {
			return a, err
		}
		pos.Col += len(left) + 1
		a.If[1], err = syntax.ParseExpr(right, pos)
	}
	return a, err
}

// fieldOf is the field that e consists of, if it's nothing else.
func fieldOf(e *syntax.Expr) string {
	if u := e.Left.Left; len(e.Rest) == 0 && len(e.Left.Rest) == 0 && !u.Minus && u.Primary.Name != "" {
		return strings.Join(append([]string{u.Primary.Name}, u.Primary.Member...), ".")
	}
	return ""
}

// numbers gives every dim and real its value: what --set says, else the checkpoint's config, else what is published. A
// real whose field is a list is one.
func (t *Text) numbers(config weights.Config, set map[string]string, context int) (map[string]float64, map[string][]float64, error) {
	nums, lists := map[string]float64{}, map[string][]float64{}
	var errs syntax.Errors
	left := maps.Clone(set)
	var names []string
	for _, f := range slices.Concat(t.Dims, t.Reals) {
		if slices.Contains(names, f.Name) {
			errs.Add(syntax.Errorf(f.Pos, "%s is both a dim and a real", f.Name))
		}
		names = append(names, f.Name)
		x, list, err := f.value(config, func(name string) (float64, bool) {
			v, ok := nums[name]
			if !ok && name == "context" {
				return float64(context), true
			}
			if !ok {
				v, ok = number(config, name)
			}
			return v, ok
		}, left)
		errs.Add(err)
		if nums[f.Name] = x; list != nil {
			delete(nums, f.Name)
			lists[f.Name] = list
		}
		delete(left, f.Name)
	}
	for _, f := range t.Dims {
		if x := nums[f.Name]; len(errs) == 0 && (x != float64(int(x)) || x < 0 || x > 1<<31 || lists[f.Name] != nil) {
			errs.Add(syntax.Errorf(f.Pos, "%s is %v: a dim is a whole number, at most 2³¹", f.Name, x))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(left)) {
		errs.Add(fmt.Errorf("--set %s=%s: the model has no dim or real %s%s", n, left[n], n, syntax.DidYouMean(n, names)))
	}
	return nums, lists, errs.Err()
}

// value evaluates the first alternative whose names are all there: dims and reals that stand above, or fields.
func (f *Field) value(config weights.Config, named func(string) (float64, bool), set map[string]string) (float64, []float64, error) {
	if s, ok := set[f.Name]; ok {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 1, nil, fmt.Errorf("--set %s=%s: want a number", f.Name, s)
		}
		return x, nil, nil
	}
	if len(f.Alternatives) == 0 || config == nil {
		if !f.HasValue {
			return 1, nil, syntax.Errorf(f.Pos, "%s has no published value: give --weights, --set %s=… or write = VALUE", f.Name, f.Name)
		}
		return f.Value, nil, nil
	}
	var missing []string
	for _, a := range f.Alternatives {
		absent := ""
		x, list, err := a.value(config, func(name string) (float64, bool) {
			v, ok := named(name)
			if !ok {
				absent = name
			}
			return v, ok
		})
		switch {
		case err == nil:
			return x, list, nil
		case err == errNot && absent == "":
			continue
		case absent == "":
			return 1, nil, err
		}
		missing = append(missing, absent)
	}
	return 1, nil, syntax.Errorf(f.Pos, "the checkpoint's config has no %s, which %s is read from: it's no model of this family, or give --set %s=…",
		strings.Join(missing, " and no "), f.Name, f.Name)
}

// errNot is that an alternative's condition doesn't hold.
var errNot = errors.New("the condition doesn't hold")

func (a Alternative) value(config weights.Config, named func(string) (float64, bool)) (float64, []float64, error) {
	field := fieldOf(a.Expr)
	if a.Is != nil {
		v, ok := config.Lookup(field)
		if !ok {
			named(field) // which says that it's absent
			return 0, nil, errNot
		}
		if slices.Contains(a.Is, fmt.Sprint(v)) {
			return 1, nil, nil
		}
		return 0, nil, nil
	}
	if a.If[0] != nil {
		x, err := arithmetic(a.If[0], named)
		y, err2 := arithmetic(a.If[1], named)
		if err != nil || err2 != nil {
			return 0, nil, cmp.Or(err, err2)
		}
		if x <= y {
			return 0, nil, errNot
		}
	}
	if list := reals(config, field); field != "" && list != nil {
		return 0, list, nil
	}
	x, err := arithmetic(a.Expr, named)
	return x, nil, err
}

// reals is a list of numbers in a config, nil where there's none.
func reals(c weights.Config, field string) []float64 {
	v, _ := c.Lookup(field)
	list, _ := v.([]any)
	var out []float64
	for _, x := range list {
		n, ok := numeric(x)
		if !ok {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// number is a numeric field of a config.
func number(c weights.Config, field string) (float64, bool) {
	v, _ := c.Lookup(field)
	return numeric(v)
}

func numeric(v any) (float64, bool) {
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

var functions = map[string]func(float64) float64{"log": math.Log, "sqrt": math.Sqrt}

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
	case p.Call != nil && functions[p.Call.Name] != nil && len(p.Call.Args) == 1:
		if x, err = arithmetic(p.Call.Args[0].Expr, name); err == nil {
			x = functions[p.Call.Name](x)
		}
	default:
		err = syntax.Errorf(syntax.At(p.Pos), "want fields of the config, numbers, + - * /, parentheses, log and sqrt")
	}
	if u.Minus {
		x = -x
	}
	return x, err
}
