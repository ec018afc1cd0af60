package text

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// stringMethods are Python's methods of strings that chat templates call. gonja has them too, but its split counts
// otherwise, its lstrip wants an argument and its find gives bytes.
var stringMethods = map[string]func(s string, a arguments) (any, error){
	"strip":  func(s string, a arguments) (any, error) { return strip(s, a, true, true) },
	"lstrip": func(s string, a arguments) (any, error) { return strip(s, a, true, false) },
	"rstrip": func(s string, a arguments) (any, error) { return strip(s, a, false, true) },
	"split":  func(s string, a arguments) (any, error) { return split(s, a, false) },
	"rsplit": func(s string, a arguments) (any, error) { return split(s, a, true) },
	"splitlines": func(s string, a arguments) (any, error) {
		l := list{}
		for line := range strings.Lines(strings.ReplaceAll(s, "\r\n", "\n")) {
			l = append(l, strings.TrimSuffix(line, "\n"))
		}
		return l, nil
	},
	"startswith": func(s string, a arguments) (any, error) { return affix(s, a, strings.HasPrefix) },
	"endswith":   func(s string, a arguments) (any, error) { return affix(s, a, strings.HasSuffix) },
	"replace": func(s string, a arguments) (any, error) {
		from, err := a.text(0, "old")
		if err != nil {
			return nil, err
		}
		to, err := a.text(1, "new")
		if err != nil {
			return nil, err
		}
		return strings.Replace(s, from, to, a.number(2, "count", -1)), nil
	},
	"find":  func(s string, a arguments) (any, error) { return find(s, a, strings.Index) },
	"rfind": func(s string, a arguments) (any, error) { return find(s, a, strings.LastIndex) },
	"count": func(s string, a arguments) (any, error) {
		sub, err := a.text(0, "sub")
		return strings.Count(s, sub), err
	},
	"join": func(s string, a arguments) (any, error) {
		v := a.at(0, "iterable")
		if v == nil || !v.IsIterable() {
			return nil, errors.New("join: want something to join")
		}
		var parts []string
		v.Iterate(func(_, _ int, k, _ *exec.Value) bool { parts = append(parts, k.String()); return true }, func() {})
		return strings.Join(parts, s), nil
	},
	"lower": func(s string, a arguments) (any, error) { return strings.ToLower(s), nil },
	"upper": func(s string, a arguments) (any, error) { return strings.ToUpper(s), nil },
	"capitalize": func(s string, a arguments) (any, error) {
		_, n := utf8.DecodeRuneInString(s)
		return strings.ToUpper(s[:n]) + strings.ToLower(s[n:]), nil
	},
	"title": func(s string, a arguments) (any, error) {
		before := ' '
		return strings.Map(func(r rune) rune {
			defer func() { before = r }()
			if unicode.IsLetter(before) {
				return unicode.ToLower(r)
			}
			return unicode.ToTitle(r)
		}, s), nil
	},
	"removeprefix": func(s string, a arguments) (any, error) {
		p, err := a.text(0, "prefix")
		return strings.TrimPrefix(s, p), err
	},
	"removesuffix": func(s string, a arguments) (any, error) {
		p, err := a.text(0, "suffix")
		return strings.TrimSuffix(s, p), err
	},
	"partition": func(s string, a arguments) (any, error) {
		sep, err := a.text(0, "sep")
		if i := strings.Index(s, sep); i >= 0 {
			return list{s[:i], sep, s[i+len(sep):]}, err
		}
		return list{s, "", ""}, err
	},
	"rpartition": func(s string, a arguments) (any, error) {
		sep, err := a.text(0, "sep")
		if i := strings.LastIndex(s, sep); i >= 0 {
			return list{s[:i], sep, s[i+len(sep):]}, err
		}
		return list{"", "", s}, err
	},
	"isdigit": func(s string, a arguments) (any, error) { return all(s, unicode.IsDigit), nil },
	"isalpha": func(s string, a arguments) (any, error) { return all(s, unicode.IsLetter), nil },
	"isspace": func(s string, a arguments) (any, error) { return all(s, isSpace), nil },
	"isalnum": func(s string, a arguments) (any, error) {
		return all(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }), nil
	},
	"isupper": func(s string, a arguments) (any, error) {
		return s != strings.ToLower(s) && s == strings.ToUpper(s), nil
	},
	"islower": func(s string, a arguments) (any, error) {
		return s != strings.ToUpper(s) && s == strings.ToLower(s), nil
	},
}

// arguments are those of a call, by place or by name.
type arguments struct{ *exec.VarArgs }

// at returns nil for an argument that is absent or None.
func (a arguments) at(i int, name string) *exec.Value {
	v := a.KwArgs[name]
	if i < len(a.Args) {
		v = a.Args[i]
	}
	if v == nil || v.IsNil() {
		return nil
	}
	return v
}

func (a arguments) text(i int, name string) (string, error) {
	v := a.at(i, name)
	if v == nil || !v.IsString() {
		return "", fmt.Errorf("the argument %s isn't a string", name)
	}
	return v.String(), nil
}

func (a arguments) number(i int, name string, absent int) int {
	if v := a.at(i, name); v != nil && v.IsInteger() {
		return v.Integer()
	}
	return absent
}

// isSpace is Python's str.isspace: Unicode's white space and the four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1C && r <= 0x1F }

func all(s string, is func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
}

func strip(s string, a arguments, left, right bool) (any, error) {
	cut := isSpace
	if a.at(0, "chars") != nil {
		chars, err := a.text(0, "chars")
		if err != nil {
			return nil, err
		}
		cut = func(r rune) bool { return strings.ContainsRune(chars, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s, nil
}

// split cuts at most maxsplit times, from the left or from the right; without sep at runs of white space.
func split(s string, a arguments, fromRight bool) (any, error) {
	most := a.number(1, "maxsplit", -1)
	var parts []string
	if a.at(0, "sep") == nil {
		parts = splitSpace(s, most, fromRight)
	} else {
		sep, err := a.text(0, "sep")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errors.New("split: the separator is empty")
		}
		switch {
		case most < 0:
			parts = strings.Split(s, sep)
		case fromRight:
			for ; most > 0; most-- {
				i := strings.LastIndex(s, sep)
				if i < 0 {
					break
				}
				parts = append(parts, s[i+len(sep):])
				s = s[:i]
			}
			parts = append(parts, s)
			slices.Reverse(parts)
		default:
			parts = strings.SplitN(s, sep, most+1)
		}
	}
	l := make(list, len(parts))
	for i, p := range parts {
		l[i] = p
	}
	return l, nil
}

func splitSpace(s string, most int, fromRight bool) (parts []string) {
	if fromRight && most >= 0 {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
			i := strings.LastIndexFunc(s, isSpace)
			if most == 0 || i < 0 {
				parts = append(parts, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			parts, s, most = append(parts, s[i+n:]), s[:i], most-1
		}
		slices.Reverse(parts)
		return parts
	}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		i := strings.IndexFunc(s, isSpace)
		if most == 0 {
			return append(parts, s)
		}
		if i < 0 {
			i = len(s)
		}
		parts, s, most = append(parts, s[:i]), s[i:], most-1
	}
	return parts
}

// affix is startswith and endswith: of one string, or of any of a tuple.
func affix(s string, a arguments, has func(s, affix string) bool) (any, error) {
	v := a.at(0, "prefix")
	if v != nil && v.IsList() {
		for i := range v.Len() {
			if has(s, v.Index(i).String()) {
				return true, nil
			}
		}
		return false, nil
	}
	if v == nil || !v.IsString() {
		return nil, errors.New("startswith and endswith want a string or a tuple of strings")
	}
	return has(s, v.String()), nil
}

// find counts in characters.
func find(s string, a arguments, index func(s, sub string) int) (any, error) {
	sub, err := a.text(0, "sub")
	i := index(s, sub)
	if i > 0 {
		i = utf8.RuneCountInString(s[:i])
	}
	return i, err
}
