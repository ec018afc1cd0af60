package text

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type hfMessage struct {
	Role, Content string
	Reasoning     string `json:"reasoning_content"`
	Name          string
	ToolCallID    string `json:"tool_call_id"`
	ToolCalls     []struct {
		ID       string
		Function struct {
			Name      string
			Arguments json.RawMessage
		}
	} `json:"tool_calls"`
}

func (h hfMessage) message() Message {
	m := Message{Role: h.Role, Content: h.Content, Reasoning: h.Reasoning, Name: h.Name, ToolCallID: h.ToolCallID}
	for _, c := range h.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: string(c.Function.Arguments)})
	}
	return m
}

// templateCases are templates with what Jinja2 makes of them; templates.py beside the file made it.
func templateCases(t testing.TB) (cases []struct {
	Name, Template, Want string
	Messages             []hfMessage
	Extra                map[string]json.RawMessage
	Generate             bool `json:"add_generation_prompt"`
	Now                  time.Time
}) {
	b, err := os.ReadFile("../../tests/testdata/text/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestTemplateAsJinja2(t *testing.T) {
	for _, c := range templateCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			tmpl, err := OpenTemplate(c.Template, nil)
			if err != nil {
				t.Fatal(err)
			}
			opts := RenderOptions{AddGenerationPrompt: c.Generate, Extra: map[string]any{}, Now: c.Now}
			for k, v := range c.Extra {
				opts.Extra[k] = v
			}
			var messages []Message
			for _, m := range c.Messages {
				messages = append(messages, m.message())
			}
			for range 2 { // a rendering leaves nothing behind for the next
				got, err := tmpl.Render(messages, opts)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.Want, got); diff != "" {
					t.Fatalf("other than Jinja2 (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTemplateValues(t *testing.T) {
	tmpl, err := OpenTemplate("{{ bos_token }}{{ o|tojson }}{{ messages[0].tool_calls[0].function.arguments|tojson }}", map[string]any{"bos_token": "<s>"})
	if err != nil {
		t.Fatal(err)
	}
	call := func(arguments string) []Message {
		return []Message{{Role: "assistant", ToolCalls: []ToolCall{{Name: "f", Arguments: arguments}}}}
	}
	for _, c := range []struct {
		value     any
		arguments string
		want      string
	}{
		{json.RawMessage(`{"b":1,"a":{"d":2,"c":3.0},"b":4}`), `{"y":1,"x":2}`, `<s>{"b": 4, "a": {"d": 2, "c": 3.0}}{"y": 1, "x": 2}`},
		{map[string]any{"b": 1, "a": "é"}, `not JSON`, `<s>{"a": "é", "b": 1}"not JSON"`},
		{struct {
			B int
			A []string `json:"a"`
		}{1, nil}, `[1]`, `<s>{"B": 1, "a": null}"[1]"`},
		{int32(7), ``, `<s>7""`},
	} {
		got, err := tmpl.Render(call(c.arguments), RenderOptions{Extra: map[string]any{"o": c.value}})
		if err != nil || got != c.want {
			t.Errorf("%v, %q: %q, %v, want %q", c.value, c.arguments, got, err, c.want)
		}
	}
	for _, bad := range []any{json.RawMessage(`{"a":1`), json.RawMessage(`1 2`), json.RawMessage(strings.Repeat("[", 100) + strings.Repeat("]", 100)), make(chan int)} {
		if got, err := tmpl.Render(call("{}"), RenderOptions{Extra: map[string]any{"o": bad}}); err == nil {
			t.Errorf("%v: %q, want an error", bad, got)
		}
	}
}

// TestTemplateHostile holds programs that no chat template is. Each must end, soon, with an error of one line.
func TestTemplateHostile(t *testing.T) {
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	double := "{% set ns = namespace(x='ab', l=[1]) %}{% for i in range(60) %}"
	for name, c := range map[string]struct{ template, want string }{
		"include":            {"{% include '" + secret + "' %}", "include"},
		"include ignored":    {"{% include '" + secret + "' ignore missing %}", "include"},
		"import":             {"{% import '" + secret + "' as x %}{{ x }}", "import"},
		"from":               {"{% from '" + secret + "' import x %}", "from"},
		"extends":            {"{% extends '" + secret + "' %}", "extends"},
		"block":              {"{% block a %}{{ self.a() }}{% endblock %}", "block"},
		"raise":              {"{{ raise_exception('roles must\nalternate') }}", "chat template: roles must alternate"},
		"raise swallowed":    {"{{ raise_exception('no')|default('x') }}", "chat template: no"},
		"raise in a test":    {"{% if raise_exception('no') is defined %}x{% endif %}", "chat template: no"},
		"loops":              {strings.Repeat("{% for i in range(1000) %}", 8) + strings.Repeat("{% endfor %}", 8), "takes"},
		"output":             {strings.Repeat("{% for i in range(1000) %}", 3) + strings.Repeat("x", 1000) + strings.Repeat("{% endfor %}", 3), "bytes"},
		"range":              {"{% for i in range(10000000000) %}{% endfor %}", "range"},
		"recursion":          {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "deeper than 64"},
		"recursive for":      {"{% for x in messages recursive %}{{ loop(messages) }}{% endfor %}", "recursive"},
		"doubling":           {double + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "more than"},
		"doubling list":      {double + "{% set ns.l = ns.l + ns.l %}{% endfor %}", "more than"},
		"doubling tree":      {double + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "more than"},
		"squaring":           {double + "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}", "too many"},
		"holds itself":       {"{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nested deeper"},
		"macro tree":         {"{% macro f(x, n) %}{% if n > 0 %}{{ f([x, x], n - 1) }}{% else %}{{ x }}{% endif %}{% endmacro %}{{ f('x', 60) }}", "more than"},
		"method chain":       {"{{ 'x'" + strings.Repeat(".strip()", 60) + " }}", "more than 16 methods"},
		"chain in brackets":  {"{{ " + strings.Repeat("(", 60) + "'x'" + strings.Repeat(".strip())", 60) + " }}", "more than 16 methods"},
		"chain of arguments": {"{{ 'x'" + strings.Repeat(".strip('y'", 60) + strings.Repeat(")", 60) + " }}", "more than 16 methods"},
		"method chains":      {"{% for i in range(100000) %}{{ 'x'" + strings.Repeat(".strip()", 16) + " }}{% endfor %}", "takes"},
		"indent":             {"{{ 'a\nb'|indent(1000000000) }}", "indent"},
		"center":             {"{{ 'a'|center(1000000000) }}", "center"},
		"ljust":              {"{{ 'a'.ljust(1000000000) }}", "ljust"},
		"lipsum":             {"{{ lipsum(1000000000) }}", "lipsum"},
		"attr":               {"{{ messages|attr('x') }}", "attr"},
		"modulo":             {"{{ 1 % 0 }}", "can't be evaluated"},
		"negative repeat":    {"{{ 'a' * -1 }}", "can't be evaluated"},
		"undefined":          {"{{ nobody.home.at.all }}", "nobody.home"},
		"unclosed":           {"{% for m in messages %}", "chat template"},
		"no such tag":        {"{% shell 'ls' %}", "shell"},
		"too long":           {strings.Repeat("x", maxTemplate+1), "bytes"},
		"deep parens":        {"{{ " + strings.Repeat("(", 40_000) + "1" + strings.Repeat(")", 40_000) + " }}", ""},
		"deep minus":         {"{{ " + strings.Repeat("- ", 60_000) + "1 }}", ""},
		"deep not":           {"{{ " + strings.Repeat("not ", 30_000) + "1 }}", ""},
		"deep if":            {strings.Repeat("{% if 1 %}", 5_000) + strings.Repeat("{% endif %}", 5_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && slices.Contains([]string{"loops", "method chains", "deep parens"}, name) {
				t.Skip("takes seconds")
			}
			start := time.Now()
			out := ""
			tmpl, err := OpenTemplate(c.template, nil)
			if err == nil {
				out, err = tmpl.Render([]Message{{Role: "user", Content: "x"}}, RenderOptions{})
			}
			if strings.Contains(out, "SECRET") {
				t.Error("read a file")
			}
			if took := time.Since(start); took > maxTime+5*time.Second {
				t.Errorf("took %v", took)
			}
			if c.want == "" {
				return // it needs only end
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
				t.Errorf("got %.80q and error %v, want one line with %q", out, err, c.want)
			}
		})
	}
}

func TestTemplateConcurrently(t *testing.T) {
	c := templateCases(t)[0]
	tmpl, err := OpenTemplate(c.Template, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := tmpl.Render([]Message{{Role: "user", Content: "Hi"}}, RenderOptions{})
				if want := "<|im_start|>user\nHi<|im_end|>\n"; err != nil || got != want {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTemplate(f *testing.F) {
	for _, c := range templateCases(f) {
		f.Add(c.Template)
	}
	f.Add("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "*") {
			t.Skip("repetition isn't bounded: package comment")
		}
		tmpl, err := OpenTemplate(s, nil)
		if err != nil {
			return
		}
		_, _ = tmpl.Render([]Message{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Ho"}}, RenderOptions{AddGenerationPrompt: true})
	})
}
