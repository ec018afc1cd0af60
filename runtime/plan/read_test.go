package plan

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const good = Header + `package tiny

import "hipc/runtime/plan"

var Plan = plan.Plan{
	Version: 1,
	Model:   "a \"tiny\" one\\",
	Weights: []plan.Weight{
		{Name: "norm", Bytes: 128},
		{Name: "layers.{l}.q", Layers: "0-1"},
	},
	Buckets: []plan.Bucket{
		{Name: "decode_1", Cost: plan.Cost{Steps: 3}, Parts: []plan.Part{
			{Name: "begin", Steps: []plan.Step{
				{Kernel: "k", In: []string{"a", "b"}, Grid: 1},
			}},
		}},
	},
}
`

func TestRead(t *testing.T) {
	p, err := Read([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := &Plan{
		Version: 1, Model: `a "tiny" one\`,
		Weights: []Weight{{Name: "norm", Bytes: 128}, {Name: "layers.{l}.q", Layers: "0-1"}},
		Buckets: []Bucket{{Name: "decode_1", Cost: Cost{Steps: 3}, Parts: []Part{{Name: "begin", Steps: []Step{{Kernel: "k", In: []string{"a", "b"}, Grid: 1}}}}}},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
}

func TestReadRefuses(t *testing.T) {
	deep := func(open, shut string) string {
		return strings.Repeat(open, 1_000_000) + strings.Repeat(shut, 1_000_000)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"empty", good, "", "plan.go:1:1: no plan"},
		{"no header", Header, "", "plan.go:1:1: no plan"},
		{"other header", "DO NOT", "DO", "plan.go:1:1: no plan"},
		{"header only", good, Header, "expected 'package'"},
		{"byte order mark", good, "\ufeff" + good, "plan.go:1:1: no plan"},
		{"byte order mark within", "package", "\ufeffpackage", "plan.go:4:1: byte 0xef"},
		{"carriage return", "1,\n", "1,\r\n", "plan.go:9:13: byte 0x0d"},
		{"nul", "128", "\x00", "byte 0x00"},
		{"not ASCII", "norm", "nörm", "plan.go:12:12: byte 0xc3"},
		{"comment at the end", "Grid: 1}", "Grid: 1} // 1", "a comment"},
		{"comment in a line", "Grid: 1", "Grid: /* 2 */ 1", "plan.go:18:49: a comment"},
		{"build directive", "package", "//go:build ignore\n\npackage", "plan.go:4:1: a comment"},
		{"line directive", "var", "//line x.go:1\nvar", "plan.go:8:1: a comment"},
		{"embed directive", "var", "//go:embed x\nvar", "a comment"},
		{"semicolon", "package tiny", "package tiny;", "a semicolon"},
		{"no import", "import \"hipc/runtime/plan\"\n", "", "1 declarations"},
		{"other import", "hipc/runtime/plan", "os", `want import "hipc/runtime/plan"`},
		{"raw import", "\"hipc/runtime/plan\"", "`hipc/runtime/plan`", "want import"},
		{"renamed import", "import", "import plan", "want import"},
		{"dot import", "import", "import .", "after a dot"},
		{"blank import", "import", "import _", "want import"},
		{"import group", `"hipc/runtime/plan"`, `("hipc/runtime/plan")`, "(: a plan has only literals"},
		{"two imports", "import", "import \"os\"\nimport", "3 declarations"},
		{"cgo", `"hipc/runtime/plan"`, `"C"`, "want import"},
		{"other variable", "var Plan", "var plan", "want var Plan"},
		{"two variables", "var Plan", "var Plan, Q", "want var Plan"},
		{"two declarations", "var", "var x = 1\nvar", "3 declarations"},
		{"const", "var", "const", "const: a plan has only literals"},
		{"function", good, good + "func init() {}\n", "func: a plan has only literals"},
		{"typed variable", "Plan =", "Plan plan.Plan =", "after the name of a type"},
		{"no value", "Plan = plan.Plan{", "Plan plan.Plan\n{", "after the name of a type"},
		{"pointer", "= plan.Plan", "= &plan.Plan", "&: a plan has only literals"},
		{"call", `"norm"`, `string("norm")`, "(: a plan has only literals"},
		{"sum", "128", "100 + 28", "+: a plan has only literals"},
		{"concatenation", `"norm"`, `"no" + "rm"`, "+: a plan"},
		{"minus", "128", "-128", "-: a plan"},
		{"constant", "128", "iota", "the name iota, want a decimal number"},
		{"other name", `"norm"`, "name", "the name name, want a string"},
		{"nil", `[]string{"a", "b"}`, "nil", "the name nil, want []string{...}"},
		{"hexadecimal", "128", "0x80", "0x80, want a decimal number"},
		{"octal", "128", "0200", "want a decimal number"},
		{"underscore", "128", "1_28", "want a decimal number"},
		{"binary", "128", "0b1", "want a decimal number"},
		{"fraction", "128", "128.0", "128.0: a plan has only literals"},
		{"rune", "128", "'a'", "'a': a plan has only literals"},
		{"overflow", "128", "9223372036854775808", "want a decimal number"},
		{"raw string", `"norm"`, "`norm`", "want a string in double quotes"},
		{"escape", `"norm"`, `"n\x6frm"`, "want a string in double quotes"},
		{"newline escape", `"norm"`, `"n\n"`, "want a string in double quotes"},
		{"unicode escape", `"norm"`, `"n\u00f6rm"`, "want a string in double quotes"},
		{"open string", `"norm"`, `"norm`, "string literal not terminated"},
		{"number for string", `"norm"`, "1", "1, want a string"},
		{"string for number", "128", `"128"`, `"128", want a decimal number`},
		{"duplicate key", "Bytes: 128", "Bytes: 128, Bytes: 128", "Bytes of plan.Weight is set twice"},
		{"unknown key", "Bytes", "Byte", "plan.go:12:18: unknown field Byte of plan.Weight (Name, Type, Layout,"},
		{"key of another case", "Bytes", "bytes", "unknown field bytes"},
		{"no key", "Bytes: 128", "128", "a value without the name of its field"},
		{"string key", "Bytes:", `"Bytes":`, "want the name of a field"},
		{"indexed element", `{"a", "b"}`, `{0: "a", 1: "b"}`, "a keyed value, want a string"},
		{"indexed struct", `{Name: "norm", Bytes: 128}`, `0: {Name: "norm"}`, "a keyed value, want {...}"},
		{"typed element", `{Name: "norm"`, `plan.Weight{Name: "norm"`, "leave their type out"},
		{"other type", "plan.Cost", "plan.Part", "plan.Part{...}, want plan.Cost{...}"},
		{"elided type of a field", "plan.Cost", "", "want plan.Cost{...}"},
		{"other slice", "[]plan.Weight", "[]plan.State", "want []plan.Weight{...}"},
		{"other package", "plan.Cost", "os.Cost", "want plan.Cost"},
		{"array", "[]string", "[2]string", "2 after ["},
		{"dots array", "[]string", "[...]string", "...: a plan has only literals"},
		{"map", "[]string", "map[string]string", "map: a plan has only literals"},
		{"struct type", "plan.Cost", "struct{}", "struct: a plan"},
		{"function literal", "128", "func() int { return 1 }()", "func: a plan"},
		{"selector chain", "plan.Cost", "plan.a.b.Cost", ". after the name of a type"},
		{"index", `"norm"`, `"norm"[0]`, "0 after ["},
		{"literal after literal", "Grid: 1}", "Grid: 1}{}", "{ after }"},
		{"missing comma", "Grid: 1},\n", "Grid: 1}\n", "newline in composite literal"},
		{"missing brace", "\t},\n}\n", "\t},\n", "expected"},
		{"trailing brace", good, good + "}\n", "expected"},
		{"nine levels", `"a"`, `{"a"}`, "more than 8 levels"},
		{"deep braces", "plan.Plan{", "plan.Plan{" + deep("{", "}"), "more than 8 levels"},
		{"deep slices", "[]string", strings.Repeat("[]", 1_000_000) + "string", "[ after []"},
		{"deep brackets", "[]string", deep("[", "]") + "string", "[ after ["},
		{"deep selectors", "plan.Cost", "plan" + strings.Repeat(".a", 1_000_000), ". after the name of a type"},
		{"deep keys", "128", strings.Repeat("a:", 100_000) + "1", "plan.go:12:26: missing"},
		{"many words", `"a"`, strings.Repeat(`"",`, 600_000) + `"a"`, "more than 1048576 words"},
		{"too long", "tiny", strings.Repeat("t", MaxSource), "plan.go:1:1: 4194"},
		{"import path not a string", `"hipc/runtime/plan"`, "plan", "plan.go:6:12: missing import path"},
		{"no package", "package tiny\n", "", "expected 'package'"},
		{"package by keyword", "package tiny", "package var", "expected 'IDENT'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(good, c.old, c.new, 1)
			if src == good {
				t.Fatalf("%q isn't in the source", c.old)
			}
			p, err := Read([]byte(src))
			if err == nil {
				t.Fatalf("accepted: %+v", p)
			}
			msg := err.Error()
			if !strings.Contains(msg, c.want) || strings.Contains(msg, "\n") || len(msg) > 300 {
				t.Errorf("got %q, want %q in one line", msg, c.want)
			}
			e, ok := err.(*SyntaxError)
			if !ok || e.Line < 1 || e.Col < 1 || !strings.HasPrefix(msg, fmt.Sprintf("plan.go:%d:%d: ", e.Line, e.Col)) {
				t.Errorf("%q doesn't begin with its place", msg)
			}
		})
	}
}

// Whatever is accepted means the same when it is read again, and Check doesn't fall over it.
func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(Header + "package a\nimport \"hipc/runtime/plan\"\nvar Plan = plan.Plan{Arena: []plan.Arena{{Slots: []plan.Slot{{Offset: 64}}}}}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Read(src)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has two lines", err)
			}
			return
		}
		q, err := Read(src)
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("read twice: %+v, %+v, %v", p, q, err)
		}
		if p.Check() == nil {
			p.Segments()
			p.StateSegments()
			p.ArenaBytes()
		}
	})
}
