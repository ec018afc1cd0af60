package tests

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hipc/compiler"
	"hipc/runtime/weights"
)

// TestPackedStyles: a packed checkpoint in groups of 64, and one whose shared expert is plain f16, give the logits of the same weights written
// out, which this file computes by itself; and what the text leaves out of a checkpoint is said.
func TestPackedStyles(t *testing.T) {
	said := runProgram(t, []string{"PATH="}, "hipc", "compile", qwen36Text, "--weights", "testdata/qwen35moe_b_paro", "--target", "cpu_v3", "-o", filepath.Join(t.TempDir(), "out")).out
	for _, want := range []string{`bits a value`, `i4_128 +x16 +33 +3\.277 M +\S+ MiB +4\.25\n`, `not used: 21 tensors model\.visual\.\*`} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("hipc compile says nothing of %s:\n%s", want, said)
		}
	}
	t.Setenv("PATH", "") // no compiler: the reference doesn't need one
	ids := ints(t, openGolden(t, "qwen35moe_b_paro", "golden"), "p1.ids")
	run := func(c *packedCheckpoint) ([]float32, *compiler.Result) {
		r, err := compiler.Compile(t.Context(), compiler.Options{Model: qwen36Text, Weights: c.write(t, t.TempDir()), Target: "cpu", Out: filepath.Join(t.TempDir(), "out")})
		if err != nil {
			t.Fatal(err)
		}
		var all []float32
		err = interpreted(t, r.Dir).Logits(t.Context(), ids, func(_ int, logits []float32) error {
			all = append(all, logits...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all, r
	}
	furthest := func(a, b []float32) (worst float64) {
		for i := range a {
			worst = max(worst, math.Abs(float64(a[i]-b[i])))
		}
		return worst
	}
	all := func(string) bool { return true }
	packed, r := run(readPacked(t))
	if want := "21 tensors model.visual.*, which this model leaves out"; !slices.Equal(r.Skipped, []string{want}) {
		t.Errorf("said to be left out: %q, want %q", r.Skipped, want)
	}

	halves := readPacked(t)
	halves.regroup(64)
	written := readPacked(t)
	written.regroup(64)
	written.writeOut(all, "F32", 64)
	got, _ := run(halves)
	want, _ := run(written)
	if d := furthest(got, want); !(d <= 1e-3) {
		t.Errorf("groups of 64: logits differ by up to %.3g from those of the weights written out", d)
	}
	if d := furthest(got, packed); d < 1e-1 {
		t.Errorf("groups of 64: other rotations change no logit by more than %.2g", d)
	}

	shared := func(module string) bool { return strings.Contains(module, ".shared_expert.") }
	mixed := readPacked(t)
	mixed.writeOut(shared, "F16", 128)
	got, r = run(mixed)
	if d := furthest(got, packed); !(d <= 2e-2) { // f16 has 11 bits
		t.Errorf("a shared expert in f16: logits differ by up to %.3g", d)
	}
	formats := map[string]int{}
	for _, w := range r.Plan.Weights {
		if strings.Contains(w.Name, "shared_expert.") || strings.Contains(w.Name, "experts.down_proj") {
			formats[w.Type]++
		}
	}
	if want := map[string]int{"f16[128,256]": 2, "f16[256,128]": 1, "rot_128[128]": 1, "i4_128[4,256,128]": 1}; !maps.Equal(formats, want) {
		t.Errorf("a shared expert in f16 has the formats %v, want %v", formats, want)
	}
}

// regroup halves the groups: two have the scales and zeros of one, and rotations become random ones within the new groups.
func (c *packedCheckpoint) regroup(group int) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range slices.Sorted(maps.Keys(c.tensors)) {
		x := c.tensors[name]
		switch part := name[strings.LastIndexAny(name, "._")+1:]; {
		case strings.HasSuffix(name, ".qzeros"), strings.HasSuffix(name, ".scales"):
			row := len(x.data) / x.Shape[0]
			var twice []byte
			for rows := range slices.Chunk(x.data, row) {
				twice = append(append(twice, rows...), rows...)
			}
			x.data, x.Shape = twice, []int{2 * x.Shape[0], x.Shape[1]}
		case part == "pairs":
			for at := 0; at < len(x.data); at += 2 * group {
				for i, channel := range r.Perm(group) {
					binary.LittleEndian.PutUint16(x.data[at+2*i:], uint16(channel))
				}
			}
		}
	}
	c.config["quantization_config"].(map[string]any)["group_size"] = group
}

// writeOut puts plain weights in the place of packed modules.
func (c *packedCheckpoint) writeOut(which func(module string) bool, dtype string, group int) {
	var rotations []string
	for _, name := range slices.Sorted(maps.Keys(c.tensors)) {
		module, ok := strings.CutSuffix(name, ".qweight")
		if !ok || !which(module) {
			continue
		}
		rotation := module + "."
		if before, after, ok := strings.Cut(module, ".experts."); ok {
			rotation = before + ".experts.gate_up_weight_"
			if strings.HasSuffix(after, "down_proj") {
				rotation = before + ".experts.down_weight_"
			}
		}
		rotations = append(rotations, rotation)
		rows, cols, w := c.written(module, rotation, group)
		x := &packedTensor{Dtype: dtype, Shape: []int{rows, cols}}
		for _, v := range w {
			if dtype == "F16" {
				x.data = binary.LittleEndian.AppendUint16(x.data, half(v))
			} else {
				x.data = binary.LittleEndian.AppendUint32(x.data, math.Float32bits(v))
			}
		}
		for _, part := range []string{"qweight", "qzeros", "scales"} {
			delete(c.tensors, module+"."+part)
		}
		c.tensors[module+".weight"] = x
	}
	for _, r := range rotations {
		for _, part := range []string{"theta", "pairs", "channel_scales"} {
			delete(c.tensors, r+part)
		}
	}
}

// written are the weights that a packed module multiplies its inputs by: (q - z) s in AutoAWQ's order of nibbles, and its rotation's transpose,
// the last stage first.
func (c *packedCheckpoint) written(module, rotation string, group int) (rows, cols int, out []float32) {
	get := func(name string) []byte { return c.tensors[name].data }
	q, z, s := get(module+".qweight"), get(module+".qzeros"), get(module+".scales")
	theta, pairs, scales := get(rotation+"theta"), get(rotation+"pairs"), get(rotation+"channel_scales")
	cols, rows = c.tensors[module+".qweight"].Shape[0], 8*c.tensors[module+".qweight"].Shape[1]
	f16 := func(b []byte, i int) float64 {
		f, _ := weights.FormatByName("f16")
		var v [1]float32
		f.Decode(v[:], b[2*i:2*i+2])
		return float64(v[0])
	}
	nibble := func(b []byte, row, n int) float64 {
		slot := []int{0, 4, 1, 5, 2, 6, 3, 7}[n%8]
		return float64(binary.LittleEndian.Uint32(b[4*(row*rows/8+n/8):]) >> (4 * slot) & 15)
	}
	w := make([]float64, cols)
	for n := range rows {
		for k := range w {
			w[k] = (nibble(q, k, n) - nibble(z, k/group, n)) * f16(s, k/group*rows+n)
		}
		for stage := 7; stage >= 0; stage-- {
			for p := range cols / 2 {
				at, first := 2*(stage*cols+2*p), 2*p/group*group
				i, j := first+int(binary.LittleEndian.Uint16(pairs[at:])), first+int(binary.LittleEndian.Uint16(pairs[at+2:]))
				sin, cos := math.Sincos(f16(theta, stage*cols/2+p))
				w[i], w[j] = cos*w[i]-sin*w[j], sin*w[i]+cos*w[j]
			}
		}
		for k, v := range w {
			out = append(out, float32(v*f16(scales, k)))
		}
	}
	return rows, cols, out
}

// half is x in f16, rounded to nearest, half up; x is a normal number there.
func half(x float32) uint16 {
	b := math.Float32bits(x) + 1<<12
	e := int(b>>23&255) - 112
	if e < 1 {
		return 0
	}
	return uint16(b>>16&0x8000 | uint32(e)<<10 | b>>13&1023)
}
