package compiler

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
	"hipc/ir/syntax"
)

// MaxText is the size up to which a model text is read: ours have 3 KB.
const MaxText = 1 << 20

// A Text is a model file, read but not yet elaborated: YAML holds the data, and one literal block holds the graph in
// the model language. Every part keeps its place in the file.
type Text struct {
	File   string
	Source string
	Name   string
	Dims   []Field // in the file's order
	Reals  []Field
	Expect []Expectation
	Prefix []string      // sought before a weight's path, in this order
	Format []FormatGuess // assumed without a checkpoint: the last match counts
	Skip   []string      // tensors that the model doesn't want, as globs
	From   map[string]Alias
	Graph  *syntax.File

	graphLine int // of "graph: |"
}

// A Field is a dim or a real: a field of the checkpoint's config, or an expression over some, and the published value,
// which holds only without a checkpoint.
type Field struct {
	Name         string
	Pos          syntax.Pos
	Alternatives []Alternative // the first whose fields are all there, and whose condition holds, counts
	Value        float64
	HasValue     bool
}

// An Expectation is a field that must have one of some values, where it's there: a checkpoint that says otherwise is
// another model's.
type Expectation struct {
	Field  string
	Values []string
	Pos    syntax.Pos
}

// A FormatGuess says which format the weights that match a glob have.
type FormatGuess struct {
	Glob, Format string
	Pos          syntax.Pos
}

// ReadText reads a model file.
func ReadText(file string) (*Text, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxText {
		return nil, fmt.Errorf("%s has %d bytes: a model text has at most %d", file, info.Size(), MaxText)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ParseText(file, string(src))
}

// ParseText reads a model text.
func ParseText(file, src string) (*Text, error) {
	if len(src) > MaxText {
		return nil, fmt.Errorf("%s has %d bytes: a model text has at most %d", file, len(src), MaxText)
	}
	t := &Text{File: file, Source: src, From: map[string]Alias{}}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(src), &doc); err != nil {
		return nil, yamlError(file, err)
	}
	if len(doc.Content) == 0 {
		return nil, syntax.Errorf(syntax.Pos{File: file, Line: 1, Col: 1}, "the file is empty: want model, dims, weights and graph")
	}
	r := &reader{t: t}
	r.document(doc.Content[0])
	if t.Graph == nil && len(r.errs) == 0 {
		r.errorf(doc.Content[0], "no graph: want graph: | and the model's text")
	}
	return t, r.errs.Err()
}

// repeat is where the graph runs its layers.
func (t *Text) repeat() syntax.Pos {
	for _, it := range t.Graph.Items {
		if it.Stmt != nil && it.Stmt.Repeat != nil {
			return syntax.At(it.Stmt.Repeat.Pos)
		}
	}
	return syntax.Pos{File: t.File, Line: t.graphLine, Col: 1}
}

// yamlError gives yaml's error, "yaml: line 3: did not find …", our form.
func yamlError(file string, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, _ := fmt.Sscanf(msg, "line %d:", &line); n == 1 {
		_, msg, _ = strings.Cut(msg, ": ")
	}
	return syntax.Errorf(syntax.Pos{File: file, Line: line, Col: 1}, "%s", msg)
}

// A reader turns YAML nodes into a Text and collects mistakes.
type reader struct {
	t    *Text
	errs syntax.Errors
}

func (r *reader) pos(n *yaml.Node) syntax.Pos {
	return syntax.Pos{File: r.t.File, Line: n.Line, Col: n.Column}
}

// inside is the place of a scalar's first letter, behind its quote if it has one.
func (r *reader) inside(n *yaml.Node) syntax.Pos {
	p := r.pos(n)
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		p.Col++
	}
	return p
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, syntax.Errorf(r.pos(n), format, args...))
}

// each calls f for the keys of a mapping, each once.
func (r *reader) each(n *yaml.Node, what string, f func(k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s is a mapping: want {name: value, …}", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if seen[k.Value] {
			r.errorf(k, "%s has %s twice", what, k.Value)
			continue
		}
		seen[k.Value] = true
		if v.Kind == yaml.AliasNode || v.Anchor != "" {
			r.errorf(v, "YAML anchors have no place in a model text")
			continue
		}
		f(k, v)
	}
}

var sections = []string{"model", "dims", "reals", "expect", "weights", "graph"}

func (r *reader) document(n *yaml.Node) {
	t := r.t
	r.each(n, "a model text", func(k, v *yaml.Node) {
		switch k.Value {
		case "model":
			t.Name = r.name(v)
		case "dims":
			t.Dims = r.fields(v, "dims")
		case "reals":
			t.Reals = r.fields(v, "reals")
		case "expect":
			r.each(v, "expect", func(k, v *yaml.Node) {
				values := []string{v.Value}
				if v.Kind != yaml.ScalarNode {
					values = r.list(v, k.Value)
				}
				t.Expect = append(t.Expect, Expectation{k.Value, values, r.pos(k)})
			})
		case "weights":
			r.weights(v)
		case "graph":
			r.graph(v)
		default:
			r.errorf(k, "a model text has no %s%s", k.Value, syntax.DidYouMean(k.Value, sections))
		}
	})
	if t.Name == "" && len(r.errs) == 0 {
		r.errorf(n, "the model has no name: want model: NAME")
	}
}

// name reads the model's name, which becomes a folder and a Go package.
func (r *reader) name(v *yaml.Node) string {
	ok := v.Value != "" && len(v.Value) <= 80
	for i, c := range v.Value {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_')) {
			ok = false
		}
	}
	if !ok {
		r.errorf(v, "model %q: want a name of a–z, 0–9, - . _ that begins with a letter", v.Value)
	}
	return v.Value
}

// fields reads dims or reals: name: field | alternative = value.
func (r *reader) fields(n *yaml.Node, what string) []Field {
	var out []Field
	r.each(n, what, func(k, v *yaml.Node) {
		f := Field{Name: k.Value, Pos: r.pos(k)}
		text := v.Value
		if i := strings.LastIndexByte(text, '='); i >= 0 {
			x, err := syntax.Number(strings.TrimSpace(text[i+1:]))
			if err != nil {
				r.errorf(v, "%s: %q is no number", k.Value, strings.TrimSpace(text[i+1:]))
				return
			}
			f.Value, f.HasValue = x, true
			text = text[:i]
		} else if x, err := syntax.Number(strings.TrimSpace(text)); err == nil {
			f.Value, f.HasValue = x, true // a number alone isn't the checkpoint's to say
			text = ""
		}
		pos := r.inside(v)
		for _, alt := range strings.Split(text, "|") {
			if strings.TrimSpace(alt) != "" {
				a, err := parseAlternative(alt, pos)
				if err != nil {
					r.errs.Add(err)
					return
				}
				f.Alternatives = append(f.Alternatives, a)
			}
			pos.Col += len(alt) + 1
		}
		if len(f.Alternatives) == 0 && !f.HasValue {
			r.errorf(v, "%s: want a field of the config and its published value: hidden_size = 2048", k.Value)
		}
		out = append(out, f)
	})
	return out
}

var weightKeys = []string{"prefix", "formats", "skip", "from"}

func (r *reader) weights(n *yaml.Node) {
	t := r.t
	r.each(n, "weights", func(k, v *yaml.Node) {
		switch k.Value {
		case "prefix":
			t.Prefix = r.list(v, "prefix")
		case "skip":
			t.Skip = r.list(v, "skip")
		case "formats":
			r.each(v, "formats", func(k, v *yaml.Node) {
				t.Format = append(t.Format, FormatGuess{k.Value, v.Value, r.pos(v)})
			})
		case "from":
			r.each(v, "from", func(k, v *yaml.Node) {
				a, err := parseAlias(v.Value, r.inside(v))
				r.errs.Add(err)
				t.From[k.Value] = a
			})
		default:
			r.errorf(k, "weights has no %s%s", k.Value, syntax.DidYouMean(k.Value, weightKeys))
		}
	})
}

func (r *reader) list(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "%s is a list: want [a, b]", what)
		return nil
	}
	var out []string
	for _, c := range n.Content {
		out = append(out, c.Value)
	}
	return out
}

// graph parses the literal block in place: its first line is the one below "graph: |", and its indentation is lost.
func (r *reader) graph(v *yaml.Node) {
	if v.Kind != yaml.ScalarNode || v.Style&yaml.LiteralStyle == 0 {
		r.errorf(v, "the graph is a literal block: want graph: | and indented lines")
		return
	}
	lines := strings.Split(r.t.Source, "\n")
	start, indent := v.Line, 0
	r.t.graphLine = v.Line
	for i := v.Line; i < len(lines); i++ {
		if l := strings.TrimLeft(lines[i], " "); strings.TrimSpace(l) != "" {
			indent = len(lines[i]) - len(l)
			break
		}
	}
	f, err := syntax.Parse(r.t.File, v.Value, syntax.Pos{File: r.t.File, Line: start + 1, Col: indent + 1})
	r.errs.Add(err)
	r.t.Graph = f
}
