package text

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// toJSON is Hugging Face's tojson: json.dumps without escaping what HTML would mind.
func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	w := jsonWriter{item: ", ", key: ": "}
	arguments := []string{"ensure_ascii", "indent", "separators", "sort_keys"}
	given := map[string]*exec.Value{}
	for i, a := range params.Args {
		if i >= len(arguments) {
			return exec.AsValue(errors.New("tojson: takes at most four arguments"))
		}
		given[arguments[i]] = a
	}
	for name, a := range params.KwArgs {
		given[name] = a
	}
	for name, a := range given {
		if a.IsNil() {
			continue
		}
		switch name {
		case "ensure_ascii":
			w.ascii = a.IsTrue()
		case "sort_keys":
			w.sorted = a.IsTrue()
		case "indent":
			w.broken, w.item = true, ","
			if a.IsString() {
				w.indent = a.String()
			} else {
				w.indent = strings.Repeat(" ", min(max(a.Integer(), 0), 64))
			}
		case "separators":
		default:
			return exec.AsValue(fmt.Errorf("tojson: has no argument %s", name))
		}
	}
	if s := given["separators"]; s != nil && s.IsList() && s.Len() == 2 { // after indent, which they override
		w.item, w.key = s.Index(0).String(), s.Index(1).String()
	}
	if err := w.write(in, 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(w.b.String())
}

// itemsOf is the filter items: pairs in the object's order.
func itemsOf(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if !in.IsNil() && !in.IsDict() {
		return exec.AsValue(errors.New("items: want a mapping"))
	}
	return exec.AsValue(pairs(in))
}

func pairs(v *exec.Value) list {
	keys, values := members(v)
	l := make(list, len(keys))
	for i := range keys {
		l[i] = list{keys[i].Interface(), values[i].Interface()}
	}
	return l
}

// sortedItems is dictsort: pairs by key, or by="value".
func sortedItems(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if !in.IsDict() {
		return exec.AsValue(errors.New("dictsort: want a mapping"))
	}
	a, l, place := arguments{params}, pairs(in), 0
	if by := a.at(1, "by"); by != nil && by.String() == "value" {
		place = 1
	}
	key := func(i int) *exec.Value { return exec.AsValue(l[i].(list)[place]) }
	sort.SliceStable(l, func(i, j int) bool {
		x, y := key(i), key(j)
		if x.IsNumber() && y.IsNumber() {
			return x.Float() < y.Float()
		}
		if cased := a.at(0, "case_sensitive"); cased != nil && cased.IsTrue() {
			return x.String() < y.String()
		}
		return strings.ToLower(x.String()) < strings.ToLower(y.String())
	})
	if reverse := a.at(2, "reverse"); reverse != nil && reverse.IsTrue() {
		slices.Reverse(l)
	}
	return exec.AsValue(l)
}

// dictMethods read an object in its order; gonja's own sort a copy that lost it.
var dictMethods = map[string]exec.Method[map[string]any]{
	"items": func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) { return pairs(v), nil },
	"keys": func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
		keys, _ := members(v)
		return interfaces(keys), nil
	},
	"values": func(_ map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
		_, values := members(v)
		return interfaces(values), nil
	},
	"get": func(_ map[string]any, v *exec.Value, params *exec.VarArgs) (any, error) {
		if len(params.Args) < 1 || len(params.Args) > 2 {
			return nil, errors.New("get: want a key and perhaps a default")
		}
		if item, ok := v.GetItem(params.Args[0].Interface()); ok {
			return item, nil
		}
		if len(params.Args) == 2 {
			return params.Args[1], nil
		}
		return nil, nil
	},
}

func interfaces(values []*exec.Value) list {
	l := make(list, len(values))
	for i, v := range values {
		l[i] = v.Interface()
	}
	return l
}

// eachFilter is put behind what a for runs over; no template can write its name.
const eachFilter = "for each"

// each makes a list of what a for runs over: of a string its characters, where gonja has its bytes.
func each(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if in.IsError() || !in.IsString() {
		return in
	}
	l := list{}
	for _, r := range in.String() {
		l = append(l, string(r))
	}
	return exec.AsValue(l)
}

// dictOf is dict(a=1): with the keys sorted, as gonja has lost their order.
func dictOf(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	m := make(map[string]any, len(params.KwArgs))
	for name, v := range params.KwArgs {
		m[name] = v.Interface()
	}
	d := object()
	for _, k := range exec.AsValue(m).Keys() {
		set(d, k.String(), m[k.String()])
	}
	return exec.AsValue(d)
}

// rangeOf is range: a list, where gonja starts a goroutine that ends only if all is read.
func (b *budget) rangeOf(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	n := []int{}
	for _, a := range params.Args {
		if !a.IsInteger() {
			return exec.AsValue(errors.New("range: want integers"))
		}
		n = append(n, a.Integer())
	}
	from, to, by := 0, 0, 1
	switch len(n) {
	case 1:
		to = n[0]
	case 2:
		from, to = n[0], n[1]
	case 3:
		from, to, by = n[0], n[1], n[2]
	default:
		return exec.AsValue(errors.New("range: want one to three integers"))
	}
	if by == 0 {
		return exec.AsValue(errors.New("range: the step is 0"))
	}
	l := list{}
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if len(l) == maxRange {
			return exec.AsValue(b.fail("range: has more than %d elements", maxRange))
		}
		l = append(l, i)
	}
	return exec.AsValue(l)
}

// raise is raise_exception(message).
func (b *budget) raise(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	return exec.AsValue(b.fail("%s", oneLine(params.First().String())))
}

// strftimeNow is strftime_now(format).
func (b *budget) strftimeNow(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	s, err := strftime(b.now, params.First().String())
	if err != nil {
		return exec.AsValue(b.fail("%s", err))
	}
	return exec.AsValue(s)
}

// strftime formats a time by C's letters, in the C locale. A minus, as in %-d, drops the padding.
func strftime(t time.Time, format string) (string, error) {
	layouts := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'y': "06", 'B': "January", 'b': "Jan",
		'h': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04",
		'D': "01/02/06", 'e': "_2", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05", 'j': "002"}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		switch c := format[i]; {
		case c == '%':
			out.WriteByte('%')
		case c == 'f':
			fmt.Fprintf(&out, "%06d", t.Nanosecond()/1000)
		case c == 's':
			fmt.Fprint(&out, t.Unix())
		case layouts[c] == "":
			return "", fmt.Errorf("strftime_now: %%%c is not supported", c)
		default:
			s := t.Format(layouts[c])
			if bare {
				if s = strings.TrimLeft(s, "0 "); s == "" {
					s = "0"
				}
			}
			out.WriteString(s)
		}
	}
	return out.String(), nil
}
