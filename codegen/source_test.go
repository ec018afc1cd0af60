package codegen

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSource(t *testing.T) {
	target := named(t, "cpu_v4")
	got := Source(target, "tiny-2", entries, reals)
	golden(t, "kernels.hip", got)
	golden(t, "kernels_gpu.hip", Source(named(t, "sm_90"), "tiny-2", entries, reals))
	again, r := slices.Clone(entries), slices.Clone(reals)
	slices.Reverse(again)
	slices.Reverse(r)
	if !bytes.Equal(got, Source(target, "tiny-2", again, r)) {
		t.Error("the source depends on the order of the entries")
	}
}

func TestTemplates(t *testing.T) {
	target := &Target{Source: "kernels.hip", Templates: "x", Prelude: []string{"a.h"}}
	fsys := fstest.MapFS{}
	add := func(name, text string) { fsys["templates/x/"+name] = &fstest.MapFile{Data: []byte(text)} }
	add("a.h", "#include <math.h>\n#include \"b.h\" // why\n")
	add("b.h", "\t#\tinclude \"a.h\"\n#include \"c.h\"")
	add("c.h", "// #include \"absent.h\"\n")
	add("empty.h", "")
	add("up.h", "#include \"../c.h\"\n")
	add("deep.h", "#include \"y/c.h\"\n")
	add("gone.h", "#include \"absent.h\"\n")
	use := func(header string) []Entry { return []Entry{{Name: "k", Parts: []EntryPart{{Header: header}}}} }
	for _, c := range []struct{ header, want, wrong string }{
		{"a.h", "templates/a.h templates/b.h templates/c.h", ""},
		{"empty.h", "templates/a.h templates/b.h templates/c.h templates/empty.h", ""},
		{"absent.h", "", `kernels.hip includes "absent.h"`},
		{"gone.h", "", `gone.h includes "absent.h"`},
		{"up.h", "", `up.h includes "../c.h": templates are in one folder`},
		{"deep.h", "", "one folder"},
		{"..", "", "one folder"},
		{"/etc/passwd", "", "one folder"},
	} {
		got, err := Templates(target, fsys, use(c.header))
		if names := strings.Join(slices.Sorted(maps.Keys(got)), " "); names != c.want {
			t.Errorf("%s: %s, want %s", c.header, names, c.want)
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.header, err, c.wrong)
		}
	}
}

func TestTargetByName(t *testing.T) {
	for _, name := range []string{"cpu_v3", "cpu_v4", "reference"} {
		if got := named(t, name); got.Name != name {
			t.Errorf("%s is %s", name, got.Name)
		}
	}
	if got := named(t, "cpu"); got.Device != "cpu" {
		t.Errorf("cpu is %+v", got)
	}
	if _, err := TargetByName("gfx9"); err == nil || err.Error() != `no target "gfx9", want one of cpu_v4, cpu_v3, gfx1100, gfx1151, sm_90, sm_86, reference, cpu` {
		t.Error(err)
	}
	before := maps.Clone(features)
	defer func() { features = before }()
	for missing, want := range map[string]string{"": "cpu_v4", "avx512f": "cpu_v3", "avx2": "cpu_v3"} {
		for f := range features {
			features[f] = f != missing
		}
		if got := named(t, "cpu"); got.Name != want {
			t.Errorf("without %q: %s, want %s", missing, got.Name, want)
		}
	}
}

// A row is complete: what the code asks of it is there, and the command can give the same bytes on any machine.
func TestTargets(t *testing.T) {
	seen := map[string]bool{}
	for _, target := range Targets {
		if seen[target.Name] || target.Name == target.Alias {
			t.Errorf("%s: named twice", target.Name)
		}
		seen[target.Name] = true
		if target.ActBytes() == 0 || target.KVBytes() == 0 || target.Page <= 0 {
			t.Errorf("%s: act %s, kv %s, page %d", target.Name, target.Act, target.KV, target.Page)
		}
		for _, f := range target.Needs {
			if _, ok := features[f]; !ok {
				t.Errorf("%s needs %s, which nothing tells", target.Name, f)
			}
		}
		for _, c := range target.Compilers {
			for _, a := range target.command(c) {
				if strings.ContainsAny(a, "{}") || strings.Contains(a, "native") || strings.HasPrefix(a, "/") {
					t.Errorf("%s: argument %s", target.Name, a)
				}
			}
			if (c.Program == "") == (c.Env == "") || c.Install == "" {
				t.Errorf("%s: %+v", target.Name, c)
			}
		}
	}
}
