package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hipc/codegen"
	"hipc/compiler"
)

// TestHIPTrouble: what may be wrong with a machine is one line that says what to do, and the exit code of a device.
func TestHIPTrouble(t *testing.T) {
	env, dir := standinEnv(t), gfx1100Artifact(t, "llama")
	deep := gfx1100Artifact(t, "llama", "80") // more launches than a card's queue holds
	several := filepath.Dir(dir)
	target, err := codegen.TargetByName("cpu")
	if err != nil {
		t.Fatal(err)
	}
	cpu := compiler.Options{Model: familyText("llama"), Weights: "testdata/families/llama", Target: target.Name, Out: filepath.Join(several, target.Name)}
	if _, err := compiler.Compile(t.Context(), cpu); err != nil {
		t.Fatal(err)
	}
	only := t.TempDir() // code for one card, and none for the cpu
	if err := os.Symlink(dir, filepath.Join(only, "gfx1100")); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir() // a library that has no such calls
	libc, err := filepath.Glob("/lib*/*/libc.so.6")
	if err != nil || len(libc) == 0 {
		t.Skip("no libc.so.6 in /lib")
	}
	newer := t.TempDir() // the same, that is sought first
	for _, name := range []string{filepath.Join(other, "libamdhip64.so.6"), filepath.Join(newer, "libamdhip64.so.7")} {
		if err := os.Symlink(libc[0], name); err != nil {
			t.Fatal(err)
		}
	}
	bench := []string{"-p", "3", "-n", "1", "-r", "1"}
	for _, c := range []struct {
		name, env, dir string
		args           []string
		code           int
		want           string
	}{
		{"no library", "LD_LIBRARY_PATH=/none", dir, nil, 3, "no AMD driver: libamdhip64.so.7 isn't there; install the driver, or compile the model with --target cpu"},
		{"a library without a symbol", "LD_LIBRARY_PATH=" + other, dir, nil, 3, "the AMD driver doesn't fit: libamdhip64.so.6 has no hipInit, want that of ROCm 6 or 7"},
		{"a library without a symbol beside one that has all", env[0] + ":" + newer, dir, nil, 0, ""},
		{"an old version", "HIPSTANDIN_VERSION=50221153", dir, nil, 3, "is of HIP 5.2, want HIP 6 to 7"},
		{"a version to come", "HIPSTANDIN_VERSION=80000000", dir, nil, 3, "is of HIP 8.0, want HIP 6 to 7"},
		{"ROCm 7", "HIPSTANDIN_VERSION=70051831", dir, nil, 0, ""},
		{"no card", "HIPSTANDIN_CARDS=none", dir, nil, 3, "no AMD card: the driver is there and sees none (hipInit: hipErrorNoDevice"},
		{"gfx1101", "HIPSTANDIN_CARDS=gfx1101", dir, nil, 3, "no card here is gfx1100, but Stand-in GFX1101 (gfx1101): try --target gfx1100, at your own risk, or compile"},
		{"gfx1102", "HIPSTANDIN_CARDS=gfx1102", dir, nil, 3, "(gfx1102): try --target gfx1100, at your own risk"},
		{"gfx1103", "HIPSTANDIN_CARDS=gfx1103", dir, nil, 3, "(gfx1103): try --target gfx1100, at your own risk"},
		{"gfx1150", "HIPSTANDIN_CARDS=gfx1150", dir, nil, 3, "(gfx1150): try --target gfx1100, at your own risk"},
		{"gfx1200", "HIPSTANDIN_CARDS=gfx1200", dir, nil, 3, "no card here is gfx1100, but Stand-in GFX1200 (gfx1200): compile the model with --target cpu"},
		{"an unknown card", "HIPSTANDIN_CARDS=banana", dir, nil, 3, "in a way that isn't known"},
		{"forced", "HIPSTANDIN_CARDS=gfx1101", dir, []string{"--target", "gfx1100"}, 0, ""},
		{"forced on the second card, where ROCm doesn't let it pretend", "HIPSTANDIN_CARDS=gfx1200,gfx1101 HSA_OVERRIDE_GFX_VERSION=0", dir, []string{"--target", "gfx1100"}, 3, "hipErrorInvalidDevice"}, // of the stand-in, which plays no gfx1101
		{"forced on one of several", "HIPSTANDIN_CARDS=gfx1101", several, []string{"--target", "gfx1100"}, 0, ""},
		{"the second card", "HIPSTANDIN_CARDS=gfx1036,gfx1100", dir, nil, 0, ""},
		{"of several targets the card's", "", several, nil, 0, ""},
		{"of several targets the cpu's, for a neighbour", "HIPSTANDIN_CARDS=gfx1101", several, nil, 0, "warning: Stand-in GFX1101 (gfx1101) isn't gfx1100 (--target gfx1100 tries it there, at your own risk); taking the cpu"},
		{"of several targets the cpu's, for another version", "HIPSTANDIN_VERSION=50221153", several, nil, 0, "is of HIP 5.2, want HIP 6 to 7"},
		{"of several targets the cpu's, without a card", "HIPSTANDIN_CARDS=none", several, nil, 0, ""},
		{"of several targets none", "HIPSTANDIN_CARDS=gfx1200", only, nil, 3, "has code for gfx1100, but Stand-in GFX1200 (gfx1200) isn't gfx1100: compile the model with --target cpu too\n"},
		{"of several targets none but a neighbour's", "HIPSTANDIN_CARDS=gfx1101", only, nil, 3, "isn't gfx1100 (--target gfx1100 tries it there, at your own risk): compile the model with --target cpu too\n"},
		{"of several targets none, for another version", "HIPSTANDIN_VERSION=50221153", only, nil, 3, "want HIP 6 to 7: install another ROCm, or compile the model with --target cpu\n"},
		{"of several targets none, without a driver", "LD_LIBRARY_PATH=/none", only, nil, 3, "has code for gfx1100, but no AMD driver: libamdhip64.so.7 isn't there: compile the model with --target cpu too\n"},
		{"a device that isn't there, of several", "LD_LIBRARY_PATH=/none", several, []string{"--device", "hip"}, 3, "but no AMD driver: libamdhip64.so.7 isn't there: without --device hip that for " + target.Name + " is run\n"},
		{"a device that none of several is for", "", several, []string{"--device", "cuda"}, 3, "but none that cuda runs: without --device cuda that for gfx1100 is run\n"},
		{"a target that isn't there", "", several, []string{"--target", "sm_90"}, 3, "has no code for sm_90, only for"},
		{"a target that the artifact isn't for", "", dir, []string{"--target", "gfx1151"}, 3, "has no code for gfx1151, only for gfx1100"},
		{"a device that the artifact isn't for", "", dir, []string{"--device", "cpu"}, 2, "was compiled for hip; want auto, hip, sim or reference"},
		{"too little memory", "HIPSTANDIN_MEMORY=500000", dir, nil, 3, "are free"},
		{"a card that disappears", "HIPSTANDIN_LOST=120", dir, nil, 3, "hipErrorNoDevice"},
		{"a card that disappears in a run", "HIPSTANDIN_LOST=700", dir, nil, 3, "hipErrorNoDevice"},
		{"a kernel that never ends", "HIPSTANDIN_HANG=30", dir, []string{"--timeout", "1s"}, 3, "Stand-in GFX1100 (gfx1100) hasn't finished within 1s: given up"},
		{"the same launch by launch, until the queue is full", "HIPSTANDIN_QUEUE=300 HIPSTANDIN_HANG=5", deep, []string{"--timeout", "1s", "--graph", "off"}, 3, "hasn't finished within 1s: given up"},
		{"a graph that isn't what was asked for", "HIPSTANDIN_BEND=5", dir, nil, 3, "the driver's graphs can't be trusted, run with --graph off"},
		{"the same without graphs", "HIPSTANDIN_BEND=5", dir, []string{"--graph", "off"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runProgram(t, append(env[:1:1], strings.Fields(c.env)...), "hiprun", slices.Concat([]string{"bench", c.dir}, bench, c.args)...)
			if got.code != c.code || !strings.Contains(got.err, c.want) || c.want == "" && got.err != "" || strings.Count(got.err, "\n") > 1 || (c.code == 0) != (got.out != "") {
				t.Errorf("exit %d, %q; want exit %d and one line with %q", got.code, got.err, c.code, c.want)
			}
		})
	}
}

// TestDevices: hiprun devices opens the driver and says what it shows; hipc doctor, which doesn't, promises nothing of cards.
func TestDevices(t *testing.T) {
	env := standinEnv(t)
	for cards, want := range map[string]string{
		"HIPSTANDIN_CARDS=none":            `(?m)^hip +no AMD card: the driver is there and sees none `,
		"HIPSTANDIN_VERSION=50221153":      `(?m)^hip .* is of HIP 5\.2, want HIP 6 to 7`,
		"HIPSTANDIN_CARDS=gfx1101,gfx1100": `(?m)^hip +Stand-in GFX1101 +runs gfx1101\nhip +Stand-in GFX1100 +runs gfx1100\n(cuda .*\n)+cpu .* runs cpu_v`,
	} {
		got := runProgram(t, append(env[:1:1], cards), "hiprun", "devices")
		if got.code != 0 || got.err != "" || !regexp.MustCompile(want).MatchString(got.out) {
			t.Errorf("%s: exit %d, %s%s; want %s", cards, got.code, got.out, got.err, want)
		}
		got = runProgram(t, append(env[:1:1], cards), "hipc", "doctor")
		if !regexp.MustCompile(`(?m)^target +gfx1100 +(compiles here|no) .*libamdhip64\.so is here: hiprun devices says`).MatchString(got.out) {
			t.Errorf("%s: hipc doctor says\n%s", cards, got.out)
		}
	}
}
