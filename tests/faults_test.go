package tests

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"hipc/codegen"
	"hipc/kernels"
	"hipc/runtime/sim"
)

// planted are mistakes that a person makes: each is one change of one template of ours. Instances that begin so are compiled and run;
// the simulator, or the comparison with Eval, must say so. What isn't there any more in the template is to be planted elsewhere.
var planted = []struct {
	name     string
	file     string
	from, to string
	instance string
	want     string // of what is said
}{
	{"a load out of bounds", "tail.hip",
		"i < N; i += 1024) {\n    u64 r = ranked(logits[i], i);", "i < N + 64; i += 1024) {\n    u64 r = ranked(logits[i], i);",
		"argmax<", "beyond the end of allocation"},
	{"no barrier between writing and reading", "device.h",
		"part[warp()] = x;\n  barrier();\n", "part[warp()] = x;\n",
		"rmsnorm<", "a race: writes LDS"},
	{"no barrier between reading and writing", "device.h",
		"x += part[i];\n  barrier();\n", "x += part[i];\n",
		"norm_add_norm<", "a race: reads LDS"},
	// On gfx11 the first fence alone can be left out: what comes of the barrier waits for the stores as well.
	{"a split-K reduction without a fence", "device.h",
		"    last = take(ticket) == blocks - 1;\n    if (last) *ticket = 0;\n  }\n  barrier();\n  if (last) taken();\n",
		"    last = atomic_add(ticket, 1) == blocks - 1;\n    if (last) *ticket = 0;\n  }\n  barrier();\n",
		"matmul_add_norm<", "a race: reads memory"},
	{"a split-K reduction without a fence after the ticket", "device.h",
		"  if (last) taken();\n", "",
		"attend_kv_split<", "a race: reads memory"},
	{"a WMMA operand that lanes 16 to 31 lack", "matrix.hip",
		"Rows<E> load_rows(const E *p, int stride) { return {load_line(p + lane() % 16 * stride)}; }",
		"Rows<E> load_rows(const E *p, int stride) { return {load_line(p + lane() / 2 * stride)}; }",
		"matmul_tiles<", "both halves of a wave"},
	{"a WMMA sum taken for another lane's", "matrix.hip",
		"static constexpr int col0(int i) { return 2 * i; }\n  static DEVICE u32 lane_col() { return lane() / 16; }",
		"static constexpr int col0(int i) { return i; }\n  static DEVICE u32 lane_col() { return lane() / 16 * 8; }",
		"matmul_tiles<", "NMSE"},
	{"a swapped nibble", "device.h",
		"return (w >> 4 * i & 0x000f000fu) | 0x43004300u;", "return (w >> 4 * (i ^ 1) & 0x000f000fu) | 0x43004300u;",
		"matmul<", "NMSE"},
}

// TestPlantedFaults: each of the mistakes is caught, in gfx1100 code.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of short runs")
	}
	if _, err := sim.Disassembler(); err != nil {
		t.Skip(err)
	}
	target, err := codegen.TargetByName("gfx1100")
	if err != nil {
		t.Fatal(err)
	}
	withClang(t)
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			path := "templates/gpu/" + p.file
			text, err := kernels.Templates.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), p.from); n != 1 {
				t.Fatalf("%s has %q %d times, want once: plant the fault elsewhere", p.file, p.from, n)
			}
			changed := changedFS{kernels.Templates, fstest.MapFS{path: {Data: []byte(strings.Replace(string(text), p.from, p.to, 1))}}}
			var all []*kernelCase
			for i := range kernels.Registry {
				row := &kernels.Registry[i]
				if ok, _ := filepath.Match(row.Targets, target.Name); !ok || !strings.HasPrefix(row.Inst, p.instance) {
					continue
				}
				cases, err := casesOf(row, target, map[string]bool{}, eachFormat)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, cases...)
			}
			dir := t.TempDir()
			entries, reals := entriesOf(all)
			err = compileObject(t.Context(), changed, target, dir, entries, reals)
			var missing *codegen.MissingTool
			if errors.As(err, &missing) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			code, err := os.ReadFile(filepath.Join(dir, target.Object))
			if err != nil {
				t.Fatal(err)
			}
			device, err := sim.Open(sim.Options{Target: target.Name})
			if err != nil {
				t.Fatal(err)
			}
			defer device.Close()
			b := newBench(t, target, device, []kernelObject{{dir, code, entries}})
			var others []string
			for _, c := range all {
				if _, err := c.check(b, nil); err != nil && strings.Contains(err.Error(), p.want) {
					t.Logf("caught: %s: %v", c, err)
					return
				} else if err != nil {
					others = append(others, err.Error())
				}
			}
			t.Errorf("nothing of %d cases says %q; what they say: %q", len(all), p.want, others)
		})
	}
}

// A changedFS has some files that are other than those below.
type changedFS struct {
	fs.FS
	changed fs.FS
}

func (c changedFS) Open(name string) (fs.File, error) {
	if f, err := c.changed.Open(name); err == nil {
		return f, nil
	}
	return c.FS.Open(name)
}
