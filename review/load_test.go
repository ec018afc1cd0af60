package review

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolder: an artifact's folder, or of several the one that is asked for; else the error names them.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one/gfx1100/plan.go", "two/gfx1100/plan.go", "two/cpu_v4/plan.go", "none/a"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, target, want, wrong string }{
		{"one", "", "one/gfx1100", ""},
		{"one", "gfx1100", "one/gfx1100", ""},
		{"one/gfx1100", "sm_90", "one/gfx1100", ""}, // to be planned for another target
		{"one", "sm_90", "", "one has an artifact in gfx1100, none for sm_90"},
		{"two", "cpu_v4", "two/cpu_v4", ""},
		{"two", "", "", "two has an artifact in each of cpu_v4, gfx1100: want one of these folders, or its --target"},
		{"none", "", "", "none: neither it nor a folder in it has a plan.go"},
		{"none/a", "", "", "none/a is a file"},
		{"nowhere", "", "", "nowhere: no such file or folder"},
	} {
		got, err := Folder(filepath.Join(dir, c.name), c.target)
		if c.wrong == "" && (err != nil || got != filepath.Join(dir, c.want)) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s, %q: %s, %v; want %s%s", c.name, c.target, got, err, c.want, c.wrong)
		}
	}
}
