package runtime_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hipc/runtime"
	"hipc/runtime/cpu"
	"hipc/runtime/plan"
	toy "hipc/runtime/runtimetest"
)

func device(opts cpu.Options) func(string) (runtime.Device, error) {
	return func(kind string) (runtime.Device, error) {
		if kind != "cpu" {
			return nil, errors.New("no device " + kind)
		}
		return cpu.Open(opts)
	}
}

func open(t testing.TB, context int) *runtime.Model {
	t.Helper()
	m, err := runtime.Open(toy.Write(t, nil), runtime.Options{Device: device(cpu.Options{Threads: 2}), Context: context})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func someIds(n int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(toy.Vocab))
	}
	return ids
}

// TestGreedy holds a prompt in every split into prefill and decode, and what follows it, against the model's meaning.
func TestGreedy(t *testing.T) {
	m := open(t, 0)
	for _, n := range []int{1, 2, toy.Rows, toy.Rows + 1, 3*toy.Rows + 2, 40} {
		ids := someIds(n, uint64(n))
		want, gap := toy.Greedy(ids, 20)
		if gap < 1e-4 {
			t.Fatalf("%d tokens: the toy decides by %g: choose other ids", n, gap)
		}
		for _, fed := range []int{n - 1, n / 2, 0} {
			if _, err := m.Keep(nil); err != nil {
				t.Fatal(err)
			}
			if err := m.Feed(context.Background(), ids[:fed]); err != nil {
				t.Fatal(err)
			}
			got := follow(t, m, ids[fed:], 20)
			if !slices.Equal(got, want) {
				t.Errorf("%d tokens, %d of them by prefill: %v, want %v", n, fed, got, want)
			}
		}
	}
}

// follow decodes ids one by one, and then n tokens.
func follow(t *testing.T, m *runtime.Model, ids []int32, n int) []int32 {
	t.Helper()
	var next int32
	var out []int32
	for i := range len(ids) + n - 1 {
		id := next
		if i < len(ids) {
			id = ids[i]
		}
		var err error
		if next, err = m.Next(id); err != nil {
			t.Fatal(err)
		}
		if i >= len(ids)-1 {
			out = append(out, next)
		}
	}
	return out
}

// TestKeep goes on from prefixes, as a chat does, and holds it against a fresh start.
func TestKeep(t *testing.T) {
	m := open(t, 0)
	a := someIds(30, 1)
	if err := m.Feed(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	for _, same := range []int{30, 17, 3, 0} {
		b := append(slices.Clone(a[:same]), (a[min(same, 29)]+1)%toy.Vocab, 7)
		kept, err := m.Keep(b)
		if err != nil || kept != same || m.Len() != same {
			t.Fatalf("kept %d, %v, the sequence has %d, want %d", kept, err, m.Len(), same)
		}
		want, _ := toy.Greedy(b, 5)
		if got := follow(t, m, b[kept:], 5); !slices.Equal(got, want) {
			t.Errorf("after %d kept tokens: %v, want %v", same, got, want)
		}
		m.Keep(a[:same])
	}
}

// TestLogits holds all rows of a text against the model's meaning, in a shorter context than was compiled too.
func TestLogits(t *testing.T) {
	for _, context := range []int{0, 33} {
		m := open(t, context)
		ids := someIds(33, 5)
		want := toy.Logits(ids)
		rows := 0
		err := m.Logits(t.Context(), ids, func(i int, got []float32) error {
			if rows++; rows != i+1 {
				t.Fatalf("row %d after %d rows", i, rows-1)
			}
			for v := range got {
				if math.Abs(float64(got[v])-want[i][v]) > 1e-4 {
					t.Fatalf("row %d, logit %d: %g, want %g", i, v, got[v], want[i][v])
				}
			}
			return nil
		})
		if err != nil || rows != len(ids) {
			t.Fatalf("%d rows, %v", rows, err)
		}
	}
}

func TestDraw(t *testing.T) {
	m := open(t, 0)
	if err := m.Sample(runtime.Sampling{Temperature: 1, TopP: 1, Penalty: 1, Seed: 100}); err != nil {
		t.Fatal(err)
	}
	i := 0
	if err := m.Decode(1, 5, true, func(got int32) bool {
		if int(got) != (100+7*i)%toy.Vocab {
			t.Fatalf("draw %d: %d, want %d", i, got, (100+7*i)%toy.Vocab)
		}
		i++
		return true
	}); err != nil || i != 5 || m.Len() != 5 {
		t.Fatalf("%d draws, %d tokens kept, %v", i, m.Len(), err)
	}
}

func TestContextOverflow(t *testing.T) {
	m := open(t, 20)
	var full *runtime.ContextError
	if err := m.Feed(t.Context(), someIds(21, 1)); !errors.As(err, &full) || full.Tokens != 21 || full.Context != 20 || full.Compiled != toy.Context {
		t.Errorf("21 tokens in a context of 20: %v", err)
	}
	if err := m.Feed(t.Context(), someIds(20, 1)); err != nil {
		t.Error(err)
	}
	if _, err := m.Next(1); !errors.As(err, &full) {
		t.Errorf("one token more: %v", err)
	}
	m.Keep(nil)
	for _, id := range []int32{-1, toy.Vocab, math.MaxInt32} {
		if _, err := m.Next(id); err == nil || !strings.Contains(err.Error(), "want 0 to 47") {
			t.Errorf("token %d: %v", id, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Feed(ctx, someIds(3, 1)); !errors.Is(err, context.Canceled) || m.Len() != 0 {
		t.Errorf("fed %d tokens after the end, %v", m.Len(), err)
	}
}

// TestNoAllocation: a token costs the garbage collector nothing.
func TestNoAllocation(t *testing.T) {
	m := open(t, 0)
	allocs := func(tokens int) float64 {
		return testing.AllocsPerRun(10, func() {
			m.Keep(nil)
			if err := m.Decode(3, tokens, false, func(int32) bool { return true }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, many := allocs(1), allocs(40); one != many {
		t.Errorf("%v allocations for one token, %v for 40: want none for each", one, many)
	}
}

func TestTime(t *testing.T) {
	m := open(t, 0)
	times, err := m.Time(1)
	if err != nil || len(times) != 7 || m.Len() != 0 {
		t.Fatalf("%d steps, %v, %d tokens in the sequence", len(times), err, m.Len())
	}
	for _, s := range times {
		if s.Time < 0 || s.Step.Kernel == "toy_head" && s.Bytes != 4*toy.Vocab*toy.Width || s.Step.Kernel == "toy_embed" && s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// TestRefused changes artifacts: each is refused with one line that says what is wrong, and no memory was taken.
func TestRefused(t *testing.T) {
	flip := func(name string, at int64) func(dir string) error {
		return func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			b := []byte{0}
			f.ReadAt(b, at)
			b[0] ^= 1
			_, err = f.WriteAt(b, at)
			return err
		}
	}
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	for _, c := range []struct {
		name   string
		plan   func(p *plan.Plan)
		folder func(dir string) error
		opts   runtime.Options
		memory int64
		want   string
	}{
		{name: "changed kernels", folder: flip("kernels.so", 100), want: "changed member: kernels.so"},
		{name: "changed plan", folder: flip("plan.go", 200), want: "changed member: plan.go"},
		{name: "changed generation", folder: flip("generation.json", 3), want: "changed member: generation.json"},
		{name: "changed weights", folder: flip("weights.bin", 8), want: "changed weights: weights.bin, chunk 0"},
		{name: "short weights", folder: func(dir string) error { return os.Truncate(filepath.Join(dir, "weights.bin"), 4095) }, want: "has 4095 bytes, want a file of"},
		{name: "missing weights", folder: remove("weights.bin"), want: "missing weights: weights.bin"},
		{name: "missing kernels", folder: remove("kernels.so"), want: "missing member: kernels.so"},
		{name: "missing manifest", folder: remove("manifest.json"), want: "has no manifest.json"},
		{name: "a folder as weights", folder: func(dir string) error {
			os.Remove(filepath.Join(dir, "weights.bin"))
			return os.Mkdir(filepath.Join(dir, "weights.bin"), 0o755)
		}, want: "changed weights"},
		{name: "wrong target", plan: func(p *plan.Plan) { p.Target = "cpu_v9" }, want: "compiled for cpu_v9, but"},
		{name: "wrong device", plan: func(p *plan.Plan) { p.Device = "hip" }, want: "no device hip"},
		{name: "unknown kernel", plan: func(p *plan.Plan) { p.Buckets[0].Parts[0].Steps[0].Kernel = "toy_nothing" }, want: "no kernel toy_nothing"},
		{name: "unknown operand", plan: func(p *plan.Plan) { p.Buckets[0].Parts[0].Steps[0].In[1] = "nothing" }, want: `"nothing" is no cell`},
		{name: "more weights than there are", plan: func(p *plan.Plan) { p.Weights[0].Bytes = 1 << 40 }, want: "bytes by the manifest, the plan wants"},
		{name: "more state than memory", plan: func(p *plan.Plan) { p.State[0].Bytes = 1 << 42 }, want: "needs 8.0 TiB: weights"},
		{name: "small cell", plan: func(p *plan.Plan) { p.Cells[3] = plan.Cell{Name: "table", Type: "i32[1]", Bytes: 4} }, want: "cell table has 4 bytes, want 16"},
		{name: "no cell", plan: func(p *plan.Plan) { p.Cells[1].Name = "position" }, want: "plan:"},
		{name: "small logits", plan: func(p *plan.Plan) {
			for i, s := range p.Arena[2].Slots {
				if s.Name == "logits" {
					p.Arena[2].Slots[i].Bytes, p.Arena[2].Slots[i].Type = 64, "f32[16]"
				}
			}
		}, want: "logits has 64 bytes, want 192"},
		{name: "sequences", plan: func(p *plan.Plan) { p.Buckets[0].Seqs = 2 }, want: "works on 2 sequences"},
		{name: "context", opts: runtime.Options{Context: 65}, want: "a context of 65 tokens, want 1 to 64 as compiled"},
		{name: "little memory", memory: 12 << 10, want: "too few for any context"},
		{name: "memory for less", plan: func(p *plan.Plan) { p.State[0].Bytes = 1 << 20 }, memory: 1 << 20, want: "ask for a shorter one, --context 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := toy.Write(t, c.plan)
			if c.folder != nil {
				if err := c.folder(dir); err != nil {
					t.Fatal(err)
				}
			}
			var dev runtime.Device
			c.opts.Device = func(kind string) (runtime.Device, error) {
				var err error
				dev, err = device(cpu.Options{Threads: 2, Memory: c.memory})(kind)
				return &watched{dev, t}, err
			}
			m, err := runtime.Open(dir, c.opts)
			if err == nil {
				m.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), dir+": ") {
				t.Errorf("%v, want one line with %q", err, c.want)
			}
			if dev != nil && dev.Info().Counted != 0 {
				t.Errorf("%d bytes are still taken", dev.Info().Counted)
			}
		})
	}
}

// watched fails the test when memory is asked for that there isn't.
type watched struct {
	runtime.Device
	t *testing.T
}

func (w *watched) Alloc(bytes int64) (runtime.Ptr, error) {
	p, err := w.Device.Alloc(bytes)
	if err != nil {
		w.t.Errorf("asked for %d bytes: %v", bytes, err)
	}
	return p, err
}

func TestRecurrentState(t *testing.T) {
	// Not a cache by its type, so going back begins anew: with zeros.
	dir := toy.Write(t, func(p *plan.Plan) { p.State[0].Type = "f32[64]" })
	m, err := runtime.Open(dir, runtime.Options{Device: device(cpu.Options{Threads: 1})})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := someIds(9, 2)
	if err := m.Feed(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Keep(ids); n != 9 || err != nil {
		t.Errorf("the same sequence kept %d, %v", n, err)
	}
	if n, err := m.Keep(ids[:4]); n != 0 || err != nil {
		t.Errorf("a shorter sequence kept %d, %v", n, err)
	}
}

func FuzzArtifact(f *testing.F) {
	dir := toy.Write(f, nil)
	manifest, err := os.ReadFile(filepath.Join(dir, plan.ManifestName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest)
	f.Add(binary.LittleEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, plan.ManifestName), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if a, err := runtime.OpenArtifact(dir); err == nil && a.Plan == nil {
			t.Error("no plan and no error")
		}
	})
}
