package cpu

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A processor without one of a target's features, and be it only that of 16-bit floats, isn't given that target's code.
func TestTargetsByFeatures(t *testing.T) {
	all := map[string]bool{}
	for _, n := range Needs {
		for _, f := range n.Features {
			if _, known := features[f]; !known {
				t.Errorf("%s needs %s, which nothing tells", n.Target, f)
			}
			all[f] = true
		}
	}
	for f := range maps.Keys(all) {
		less := maps.Clone(all)
		less[f] = false
		want := ""
		if strings.HasPrefix(f, "avx512") {
			want = "cpu_v3"
		}
		if got := strings.Join(targets(less), " "); got != want {
			t.Errorf("without %s it runs %q, want %q", f, got, want)
		}
	}
	if got := targets(all); !slices.Equal(got, []string{"cpu_v4", "cpu_v3"}) || targets(nil) != nil {
		t.Errorf("with all it runs %v, with none %v", got, targets(nil))
	}
}
