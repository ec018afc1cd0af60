package kernels

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	"hipc/ir"
	"hipc/runtime/weights"
)

// node makes a would-be node: operands and results are types ("act[9,64]"), or numbers.
func node(op, text string) *ir.Node {
	n := &ir.Node{Op: &ir.Op{Name: op}}
	in, out, _ := strings.Cut(text, "->")
	n.Args, n.Outs = values(in), values(out)
	return n
}

func values(text string) []*ir.Value {
	var out []*ir.Value
	for _, f := range strings.Fields(text) {
		elem, dims, isType := strings.Cut(strings.TrimSuffix(f, "]"), "[")
		if !isType {
			var x float64
			if _, err := fmt.Sscan(f, &x); err != nil {
				panic(err)
			}
			out = append(out, ir.Number(x))
			continue
		}
		v := &ir.Value{Type: ir.Of(ir.Elem(elem))}
		for _, d := range strings.Split(dims, ",") {
			if d != "" {
				n, err := strconv.Atoi(d)
				if err != nil {
					panic(err)
				}
				v.Type.Dims = append(v.Type.Dims, n)
			}
		}
		out = append(out, v)
	}
	return out
}

func TestFind(t *testing.T) {
	decode, prefill := Dims{T: 1, S: 1, C: 2048, P: 64}, Dims{T: 512, S: 1, C: 2048, P: 64}
	for _, c := range []struct {
		op, types string
		d         Dims
		inst      string // or the error
		grid      int
	}{
		{"rmsnorm", "act[576] f32[576] 1e-5 -> act[576]", decode, "rmsnorm<1, 576, r1em05, 1>", 1},
		{"rmsnorm", "act[9,64] f32[64] 1e-6 -> act[9,64]", prefill, "rmsnorm<9, 64, r1em06, 512>", 512},
		{"rmsnorm", "act[9,64] f32[9] 1e-6 -> act[9,64]", decode, "D is 64 and 9", 0},
		{"rmsnorm", "act[576] f32[576] act[1] -> act[576]", decode, "operand 3: act[1], want a number for eps", 0},
		{"rmsnorm", "act[576] f32[576] -> act[576]", decode, "it takes more operands, there are 2", 0},
		{"rmsnorm", "act[576] f32[576] 1 2 -> act[576]", decode, "it takes 3 operands, not 4", 0},
		{"embed", "i32[] q8_0[49152,576] -> act[576]", prefill, "embed<Q8_0, 49152, 576, 512>", 512},
		{"matmul", "act[9,64] q4_1[576,576] -> act[576]", decode, "matmul<Q4_1, 576, 576, 1>", 18},
		{"matmul", "act[576] f16[9,64,576] -> act[9,64]", prefill, "matmul<F16, 576, 576, 512>", 36},
		{"matmul", "act[576] q6_k[576,576] -> act[576]", decode,
			"no kernel of cpu_v4 computes matmul(act[576], q6_k[576,576]) -> act[576]: matmul<W, K, N, T>: operand 2: q6_k[576,576], want one of the formats f32 f16 bf16 q4_0 q4_1 q8_0 i4_64 i4_128", 0},
		{"matmul_add_norm", "act[1536] q4_1[576,1536] act[576] f32[576] 1e-5 -> act[576] act[576]", decode, "matmul_add_norm<Q4_1, 1536, 576, r1em05>", 18},
		{"matmul_add_norm", "act[1536] q4_1[576,1536] act[576] f32[576] 1e-5 -> act[576] act[576]", prefill, "only where T == 1", 0},
		{"swiglu", "act[576] q4_1[1536,576] q8_0[1536,576] -> act[1536]", decode, "swiglu<Q4_1, Q8_0, 576, 1536, 1>", 96},
		{"rope_append", "act[9,64] act[3,64] act[3,64] 1e5 64 1 1 1 0 0 1 -> act[9,64] kv[3,64]", decode, "rope_append<9, 3, 64, 64, r100000, 64, 1>", 3},
		{"rope_append", "act[9,64] act[3,64] act[3,64] 1e5 32 1 1 1 0 0 1 -> act[9,64] kv[3,64]", decode, "rope_append<9, 3, 64, 32, r100000, 64, 1>", 3},
		{"rope_append", "act[9,40] act[3,40] act[3,40] 1e5 32 1 1 1 0 0 1 -> act[9,40] kv[3,40]", decode, "only where D % 16 == 0", 0},
		{"rope", "act[9,64] 5e5 64 32 1 4 8192 0 1 -> act[9,64]", decode, "rope<9, 64, 64, slowed<r500000, r32, r1, r4, r8192, 0, r1>, 1>", 1},
		{"rmsnorm", "act[9,64] f32[9,64] 1e-6 -> act[9,64]", prefill, "rmsnorm<1, 576, r1em06, 512>", 512},
		{"rope", "act[9,64] 1e5 2.5 1 1 1 0 0 1 -> act[9,64]", decode, "width is 2.5, want a whole number", 0},
		{"silu", "act[4,1536] -> act[4,1536]", decode, "map1<silu, 6144, 1>", 2},
		{"div", "act[64] 8 -> act[64]", decode, "map1<right<div, r8>, 64, 1>", 1},
		{"sub", "-0.125 act[64] -> act[64]", decode, "map1<left<sub, rm0p125>, 64, 1>", 1},
		{"mul", "act[8] act[8,512] -> act[8,512]", decode, "map2<mul, 4096, 8, 4096, 1>", 1},
		{"mul", "act[8,512] act[8,1] -> act[8,512]", decode, "map2<mul, 4096, 4096, 8, 1>", 1},
		{"mul", "act[1] act[2048] -> act[2048]", decode, "map2<mul, 2048, 1, 2048, 1>", 1},
		{"add", "act[9,64] f32[9,64] -> act[9,64]", decode, "map2<add, 576, 576, 576, 1, 1, 0>", 1},
		{"mul", "act[1,8] act[4,8] -> act[4,8]", decode, "no kernel", 0}, // repeats along the first axis, which map2 can't
		{"matmull", "act[8] -> act[8]", decode, "no kernel of cpu_v4 computes matmull(act[8]) -> act[8]: it has matmul, mul", 0},
	} {
		got, err := Find("cpu_v4", node(c.op, c.types), c.d)
		switch {
		case err != nil && (c.grid != 0 || !strings.Contains(err.Error(), c.inst)):
			t.Errorf("%s(%s): %v, want %s", c.op, c.types, err, c.inst)
		case err != nil && !IsMissing(err):
			t.Errorf("%s: not a Missing: %v", c.op, err)
		case err == nil && (got.Inst != c.inst || got.Grid != c.grid):
			t.Errorf("%s(%s): %s in %d blocks, want %s in %d", c.op, c.types, got.Inst, got.Grid, c.inst, c.grid)
		}
	}
	made := node("mul", "act[64] f32[64] -> act[64]")
	made.Args[1].Node = made
	if _, err := Find("cpu_v4", made, decode); err == nil || !strings.Contains(err.Error(), "f32[64] is made by a step, want a weight") {
		t.Errorf("a row of f32 a token: %v", err)
	}
	if _, err := Find("abacus", node("silu", "act[8] -> act[8]"), decode); err == nil || !strings.HasSuffix(err.Error(), "silu is there on cpu_*, "+gpus) {
		t.Errorf("on another target: %v", err)
	}
}

// A signature with a variable number of operands.
func TestVariadic(t *testing.T) {
	tab := table{}
	for _, k := range []Kernel{
		{Op: "norm_rotate", Sig: "act[K], f32[K], rot[K,G]×N -> act[K], act[K]×N", Inst: "norm_rotate<K, G, N>", Header: "x.h", Grid: "N", Where: "N <= 3", Targets: "*"},
		{Op: "alike", Sig: "act[K], W[N,K], W[N,K] -> act[N]", Formats: "f16 q4_1", Layout: "x16", Inst: "alike<W, K>", Header: "x.h", Grid: "1", Targets: "*"},
		{Op: "pairs", Sig: "act[K], rot[K,G]×N, q4[N2,K]×N, eps:real -> act[N2]×N", Inst: "pairs<K, N>", Header: "x.h", Grid: "1", Targets: "*"},
	} {
		tab[k.Op] = append(tab[k.Op], newRow(&k))
	}
	for _, c := range []struct{ op, types, want string }{
		{"norm_rotate", "act[64] f32[64] rot[64,8] -> act[64] act[64]", "norm_rotate<64, 8, 1>"},
		{"norm_rotate", "act[64] f32[64] rot[64,8] rot[64,8] -> act[64] act[64] act[64]", "norm_rotate<64, 8, 2>"},
		{"norm_rotate", "act[64] f32[64] rot[64,8] rot[64,8] -> act[64] act[64]", "result"},
		{"norm_rotate", "act[64] f32[64] rot[64,8] rot[64,4] -> act[64] act[64] act[64]", "G is 8 and 4"},
		{"norm_rotate", "act[64] f32[64] -> act[64]", "it takes more operands"},
		{"norm_rotate", "act[64] f32[64] rot[64,8] rot[64,8] rot[64,8] rot[64,8] -> act[64] act[64] act[64] act[64] act[64]", "only where N <= 3"},
		{"alike", "act[64] q4_1[8,64] q4_1[8,64] -> act[8]", "alike<Q4_1, 64>"},
		{"alike", "act[64] q4_1[8,64] f16[8,64] -> act[8]", "operand 3: f16[8,64], but W is q4_1"},
		{"pairs", "act[64] rot[64,8] rot[64,8] q4[9,64] q4[9,64] 1e-5 -> act[9] act[9]", "pairs<64, 2>"},
	} {
		got, err := tab.find("any", node(c.op, c.types), Dims{T: 1})
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.Inst != c.want {
			t.Errorf("%s(%s): %v, %v, want %s", c.op, c.types, got, err, c.want)
		}
	}
}

// Rows with a mistake are refused with the reason.
func TestBadLines(t *testing.T) {
	good := Kernel{Op: "f", Sig: "act[K], W[N,K] -> act[N]", Formats: "f16", Layout: "x16", Inst: "f<W, K, N>", Header: "f.h", Grid: "N", Targets: "*"}
	if _, err := parseLine(&good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(k *Kernel)
		want   string
	}{
		{func(k *Kernel) { k.Sig = "act[K] ->" }, "signature"},
		{func(k *Kernel) { k.Sig = "act[K], W[T,K] -> act[T]" }, "T is the bucket's dim"},
		{func(k *Kernel) { k.Sig = "act[K], W[N,..K] -> act[N]" }, ".. stands before the first dim"},
		{func(k *Kernel) { k.Inst = "f<W, M>" }, "M is bound by no operand"},
		{func(k *Kernel) { k.Inst = "f<W, g<M>>" }, "M is bound by no operand"},
		{func(k *Kernel) { k.Grid = "X/2" }, "X is bound by no operand"},
		{func(k *Kernel) { k.Where = "Y == 1" }, "Y is bound by no operand"},
		{func(k *Kernel) { k.Where = "K = 1" }, "condition"},
		{func(k *Kernel) { k.Grid = "" }, "grid, header and targets are wanted"},
		{func(k *Kernel) { k.Formats = "q9_9" }, "format q9_9 has no C++ trait"},
		{func(k *Kernel) { k.Layout = "" }, "formats and layout"},
		{func(k *Kernel) { k.Targets = "[" }, "targets"},
	} {
		k := good
		c.change(&k)
		if _, err := parseLine(&k); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", k, err, c.want)
		}
	}
}

// Every row of the registry reads, its template is there, and its formats and layouts are those that weights know.
func TestRegistry(t *testing.T) {
	for i := range Registry {
		k := &Registry[i]
		l, err := parseLine(k)
		if err != nil {
			t.Errorf("%s: %v", k.Op, err)
			continue
		}
		folder := map[string]string{".h": "cpu/", ".hip": "gpu/"}[path.Ext(k.Header)]
		text, err := Templates.ReadFile("templates/" + folder + k.Header)
		if err != nil {
			t.Errorf("%s: %v", k.Op, err)
		} else if !strings.Contains(string(text), " "+l.inst.Name+"(") {
			t.Errorf("%s: %s has no template %s", k.Op, k.Header, l.inst.Name)
		}
		for _, name := range l.inst.types() {
			if !strings.Contains(string(text), "struct "+name+" ") {
				t.Errorf("%s: %s has no type %s", k.Op, k.Header, name)
			}
		}
		for _, f := range l.formats {
			if _, ok := weights.FormatByName(f); !ok {
				t.Errorf("%s: runtime/weights knows no format %s", k.Op, f)
			}
		}
		if _, ok := weights.LayoutByName(k.Layout); k.Layout != "" && !ok {
			t.Errorf("%s: runtime/weights knows no layout %s", k.Op, k.Layout)
		}
	}
}

// An example of each row, in each format, is found again: by that row, or by one before it.
func TestExamples(t *testing.T) {
	for i := range Registry {
		k := &Registry[i]
		names, elems, reals := k.Vars()
		dims, els, rs := map[string]int{}, map[string]string{}, map[string]float64{}
		for _, n := range names {
			dims[n] = 32
		}
		for _, n := range reals {
			rs[n] = 0.5
		}
		formats := strings.Fields(k.Formats)
		if len(elems) == 0 {
			formats = []string{""}
		}
		for _, f := range formats {
			for _, n := range elems {
				els[n] = f
			}
			n, err := k.Example(dims, els, rs)
			if err != nil {
				t.Errorf("%s: %v", k.Op, err)
				continue
			}
			target := "cpu_v3"
			if k.Targets == gpus {
				target = "sm_90"
			}
			c, err := Find(target, n, Dims{T: 1, S: 1, C: 64, P: 32})
			if IsMissing(err) { // of several rows only
				c, err = Find(target, n, Dims{T: 64, S: 1, C: 64, P: 32})
			}
			if err != nil {
				t.Errorf("%s", err)
			} else if c.Kernel.Op != k.Op {
				t.Errorf("%s found as %s", k.Op, c.Inst)
			}
			if b, f := Work(n, 2, 4); b <= 0 || f < 0 {
				t.Errorf("%s moves %d bytes in %d operations", k.Op, b, f)
			}
		}
		if _, err := k.Example(nil, nil, nil); err == nil && len(names) > 0 {
			t.Errorf("%s: an example without dims", k.Op)
		}
	}
}

// What a product costs: its weights once, its rows per row; and fuller grids are better.
func TestCost(t *testing.T) {
	m := Machine{Bandwidth: 1e9, Flops: 1e12, Node: 1e-6, Units: 4, Act: 4}
	n := node("matmul", "act[64] q4_1[128,64] -> act[128]")
	bytes, flops := Work(n, 3, 4)
	if want := 128*64/32*20 + 3*4*(64+128); bytes != want || flops != 3*2*128*64 {
		t.Errorf("%d bytes, %d operations, want %d, %d", bytes, flops, want, 3*2*128*64)
	}
	if b, _ := Work(node("embed", "i32[] f16[1000,8] -> act[8]"), 2, 4); b != 2*4+2*16+2*8*4 {
		t.Errorf("an embedding of two rows moves %d bytes", b)
	}
	step := m.Load(Step{n, &Choice{Grid: 2}, 3})
	alone, both := m.Launch(step), m.Launch(step, step)
	if want := float64(bytes)/1e9*2 + 1e-6; abs(alone-want) > 1e-15 {
		t.Errorf("half of the machine costs %g, want %g", alone, want)
	}
	if want := 2*float64(bytes)/1e9 + 1e-6; abs(both-want) > 1e-15 {
		t.Errorf("two side by side cost %g, want %g", both, want)
	}
}

func abs(x float64) float64 { return max(x, -x) }

// types lists the C++ types that an instance names. Parameters in small letters are values of literals.
func (i *instance) types() []string {
	var out []string
	for _, a := range i.Args {
		switch {
		case a.Inst != nil:
			out = append(append(out, a.Inst.Name), a.Inst.types()...)
		case isType(a.Sum.name()) && !strings.Contains(" c eps eps2 taps theta width scale window factor low high original ramp gain ", " "+a.Sum.name()+" "):
			out = append(out, a.Sum.name())
		}
	}
	return out
}

func TestExpressions(t *testing.T) {
	dims := map[string]int{"A": 7, "B": 2}
	for text, want := range map[string]int{"A/B": 3, "(B-A)/2": -3, "(B-A)%2": 1, "A+B*3": 13, "(A+B-1)/B*B": 8, "A-B-1": 4, "A%B": 1, "8/2/2": 2} {
		e, err := sums.read(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := e.eval(dims); got != want || err != nil {
			t.Errorf("%s = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]bool{"A == 7": true, "A != 7": false, "A > B and B > 1": true, "A < B": false, "A <= 7 and A >= 8": false, "A % 2 == 1": true, "B": true, "B-2": false} {
		c, err := conditions.read(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := c.holds(dims); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	if e, _ := sums.read("A/(B-2)"); e != nil {
		if _, err := e.eval(dims); err == nil {
			t.Error("division by zero gives no error")
		}
	}
}
