package text

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// Template is an open chat template. It may be used from several goroutines at once.
type Template struct {
	source string
	extra  map[string]any
	ready  sync.Pool // of *program: a parsed template is bound to its budget
}

// RenderOptions are what one rendering may differ in.
type RenderOptions struct {
	AddGenerationPrompt bool           // end with the words that make the assistant speak
	Extra               map[string]any // tools, enable_thinking, ...: as the template calls them; json.RawMessage keeps its order
	Now                 time.Time      // what strftime_now tells; zero: the time it is
}

// OpenTemplate parses a Jinja chat template. extra are variables of every rendering: bos_token and its like.
func OpenTemplate(jinja string, extra map[string]any) (*Template, error) {
	t := &Template{source: jinja, extra: maps.Clone(extra)}
	if len(jinja) > maxTemplate {
		return nil, fmt.Errorf("chat template: has %d bytes, want at most %d", len(jinja), maxTemplate)
	}
	p, err := t.parse()
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	t.ready.Put(p)
	return t, nil
}

// Render gives the prompt of a conversation. A template that calls raise_exception (on roles that don't alternate, say)
// makes an error with its words.
func (t *Template) Render(messages []Message, opts RenderOptions) (string, error) {
	turns := make(list, len(messages))
	for i, m := range messages {
		turns[i] = m.value()
	}
	data := map[string]any{}
	for _, extra := range []map[string]any{t.extra, opts.Extra} {
		for name, v := range extra {
			v, err := templateValue(v)
			if err != nil {
				return "", fmt.Errorf("chat template: %s: %w", name, err)
			}
			data[name] = v
		}
	}
	data["messages"], data["add_generation_prompt"] = turns, opts.AddGenerationPrompt

	p, _ := t.ready.Get().(*program)
	if p == nil {
		var err error
		if p, err = t.parse(); err != nil {
			return "", fmt.Errorf("chat template: %w", err)
		}
	}
	defer t.ready.Put(p)
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	p.budget.reset(opts.Now)
	err := p.run(data)
	if p.budget.err != nil { // what gonja returned then says less
		err = p.budget.err
	}
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return p.budget.out.String(), nil
}

// program is a parsed template with the budget that its functions count on.
type program struct {
	template *exec.Template
	budget   *budget
}

func (t *Template) parse() (p *program, err error) {
	defer recoverTo(&err)
	if err := checkChains(t.source); err != nil {
		return nil, err
	}
	b := &budget{}
	template, err := exec.NewTemplate(root, config(), only(t.source), environment(b))
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil { // the outer one quotes the whole template
			err = inner
		}
		return nil, errors.New(oneLine(err.Error()))
	}
	return &program{template, b}, nil
}

// only is a loader that has one template, whose name is root.
type only string

const root = "chat_template"

func (o only) Read(name string) (io.Reader, error) {
	if name != root {
		return nil, fmt.Errorf("a chat template can't read %q", name)
	}
	return strings.NewReader(string(o)), nil
}

func (o only) Resolve(name string) (string, error)    { return name, nil }
func (o only) Inherit(string) (loaders.Loader, error) { return o, nil }

func (p *program) run(data map[string]any) (err error) {
	defer recoverTo(&err)
	if err := p.template.Execute(p.budget, exec.NewContext(data)); err != nil {
		return errors.New(innermost(err.Error()))
	}
	return nil
}

// recoverTo makes an error of a panic: gonja divides by zero and calls methods of nil if a template does.
func recoverTo(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("can't be evaluated: %s", oneLine(fmt.Sprint(r)))
	}
}

// innermost shortens gonja's chain of errors, which begins with a piece of its tree at every level.
func innermost(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > 300 {
		return "..." + string(r[len(r)-300:])
	}
	return string(r)
}
