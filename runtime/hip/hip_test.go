package hip

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"hipc/runtime/gpu"
)

// realLibrary finds AMD's own library, of whatever version: what HIPC_LIBAMDHIP64 names, what is installed, or what make gpu-tools has
// fetched with hipcc. What that one needs lies beside it, where the dynamic linker looks only if a process begins so: the test is run in one
// that does, and "" is given here.
func realLibrary(t *testing.T) string {
	t.Helper()
	if name := os.Getenv("HIPC_LIBAMDHIP64"); name != "" {
		return name
	}
	for _, pattern := range []string{"/usr/lib/*/libamdhip64.so.[5-9]", "/opt/rocm*/lib/libamdhip64.so.[5-9]"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	fetched, err := filepath.Glob("../../.cache/gpu-tools/root/usr/lib/*/libamdhip64.so.[5-9]")
	if err != nil || len(fetched) == 0 {
		t.Skip("no libamdhip64 is installed (make gpu-tools fetches one), and HIPC_LIBAMDHIP64 names none")
	}
	path, err := filepath.Abs(fetched[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "HIPC_LIBAMDHIP64="+path, "LD_LIBRARY_PATH="+filepath.Dir(path))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("with %s: %v", path, err)
	}
	t.Logf("%s", out)
	return ""
}

// TestRealLibrary: AMD's library has each call that we make, and says by its own name that there's no card; where there is one, it is a
// card, or the library is of a version that is refused.
func TestRealLibrary(t *testing.T) {
	library := realLibrary(t)
	if library == "" {
		return
	}
	real := driver
	real.Libraries = []string{library}
	cards, err := gpu.Cards(&real) // finds all symbols first
	switch {
	case err == nil:
		for _, c := range cards {
			if !strings.HasPrefix(c.Target, "gfx") || c.Name == "" || c.Multiprocessors < 1 {
				t.Errorf("a card is described as %+v", c)
			}
		}
	case strings.HasPrefix(err.Error(), "no AMD card: the driver is there and sees none (hipInit: hipError"):
	case strings.Contains(err.Error(), "want HIP 6 to 7"):
	default:
		t.Error(err)
	}
	t.Logf("%s: %v %v", real.Libraries[0], cards, err)
}

// TestNode: hipKernelNodeParams has its members where hip_runtime_api.h has them.
func TestNode(t *testing.T) {
	b := unsafe.Slice((*byte)(node(&gpu.Node{Function: 0x11, Grid: 0x22, Block: 0x33, Shared: 0x44, Params: 0x55})), 64)
	for at, want := range map[int]byte{0: 0x33, 4: 1, 8: 1, 24: 0x11, 32: 0x22, 36: 1, 40: 1, 48: 0x55, 56: 0x44} {
		if b[at] != want {
			t.Errorf("byte %d is %#x, want %#x", at, b[at], want)
		}
		b[at] = 0
	}
	for i, c := range b {
		if c != 0 {
			t.Errorf("byte %d is %#x, want 0", i, c)
		}
	}
}

// TestPretend: which version of the instructions a target is, as ROCm's variable says it, and which cards may pass for it. The nodes are as
// Linux has them: a processor's has version 0.
func TestPretend(t *testing.T) {
	const none = "" // the variable isn't set
	for _, c := range []struct{ cards, visible, target, want, refused string }{
		{"", "", "gfx1100", "11.0.0", ""}, // nobody tells
		{"", "", "gfx1151", "11.5.1", ""},
		{"", "", "gfx90a", "9.0.10", ""},
		{"", "", "sm_90", none, ""},
		{"110001", "", "gfx1100", "11.0.0", ""},
		{"110501 110000", "", "gfx1100", none, ""},
		{"100306 110000", "", "gfx1100", none, ""},
		{"120000", "", "gfx1100", none, "the cards here are gfx1200, which can't all pass for gfx1100: compile the model with --target cpu"},
		{"90010", "", "gfx1100", none, "the cards here are gfx90a, "},
		{"110001 100306", "", "gfx1100", none, "the cards here are gfx1101, gfx1036, which can't all pass for gfx1100: let HIP_VISIBLE_DEVICES leave only"},
		{"110001 100306", "0", "gfx1100", "11.0.0", ""},
		{"110001 100306", "1", "gfx1100", none, "gfx1036, which"},
		{"110001 100306", "GPU-1", "gfx1100", none, "gfx1101, gfx1036, which"},
	} {
		root := t.TempDir()
		for i, version := range strings.Fields("0 " + c.cards) {
			dir := filepath.Join(root, "nodes", strconv.Itoa(i))
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "properties"), []byte("simd_count 64\ngfx_target_version "+version+"\nvendor_id 4098\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv(override, "")
		t.Setenv("HIP_VISIBLE_DEVICES", c.visible)
		err := pretend(c.target, root)
		if got := os.Getenv(override); got != c.want || (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s on %s: %q, %v; want %q, %q", c.target, c.cards, got, err, c.want, c.refused)
		}
	}
	t.Setenv(override, "10.3.0")
	if err := pretend("gfx1100", t.TempDir()); err != nil || os.Getenv(override) != "10.3.0" {
		t.Error("what the user has set is gone")
	}
}

func TestNoLibrary(t *testing.T) {
	absent := driver
	for name, want := range map[string]string{
		"libhipc-absent.so.6": "no AMD driver: libhipc-absent.so.6 isn't there; install the driver, or compile the model with --target cpu",
		"libc.so.6":           "the AMD driver doesn't fit: libc.so.6 has no hipInit, want that of ROCm 6 or 7",
	} {
		absent.Libraries = []string{name}
		if _, err := gpu.Open(&absent, gpu.Options{}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCode(t *testing.T) {
	for _, b := range []string{"", "\x7fELF", "//\n.version 8.0\n.target sm_90\n"} {
		if _, err := code([]byte(b)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line", b, err)
		}
	}
}
