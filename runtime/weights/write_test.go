package weights

import (
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWriteSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.safetensors")
	for _, ts := range [][]Float32s{
		{},
		{{"logits", []int{2, 3}, []float32{1, 2, 3, 4, 5, -6.5}}},
		{{`z "quoted" ü`, []int{1}, []float32{7}}, {"scalar", nil, []float32{8}}, {"none", []int{0, 4}, nil}},
	} {
		if err := WriteSafetensors(path, ts); err != nil {
			t.Fatal(err)
		}
		c := open(t, path)
		if len(c.Tensors()) != len(ts) {
			t.Errorf("%d tensors, want %d", len(c.Tensors()), len(ts))
		}
		for _, want := range ts {
			x, ok := c.Tensor(want.Name)
			if !ok || x.Format.Name != "f32" || !slices.Equal(x.Dims, want.Dims) || !slices.Equal(values(t, x), want.Data) {
				t.Errorf("%q isn't what was written", want.Name)
			}
		}
		if b, _ := os.ReadFile(path); len(b)%4 != 0 || b[0]%8 != 0 {
			t.Error("the data isn't aligned to 8 bytes")
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.safetensors")
	one := []float32{1}
	for want, ts := range map[string][]Float32s{
		`1 values, want 6 for shape [2 3]`:  {{"a", []int{2, 3}, one}},
		`negative dimension`:                {{"a", []int{-1}, one}},
		`tensor "a" is in the header twice`: {{"a", []int{1}, one}, {"a", []int{1}, one}},
		`__metadata__`:                      {{"__metadata__", []int{1}, one}},
	} {
		err := WriteSafetensors(path, ts)
		oneLine(t, err, path, want)
	}
	nothingLeft(t, filepath.Dir(path))
	if err := WriteSafetensors(filepath.Join(path, "x", "y.safetensors"), nil); err == nil {
		t.Error("no error for a folder that isn't there")
	}
}

func nothingLeft(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("the folder holds %v, want %v", names, want)
	}
}

// TestWriteDiskFull limits the size of files for a moment, which fails as a full
// disk does: in the middle of the data.
func TestWriteDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.safetensors")
	old := []Float32s{{"old", []int{1}, []float32{1}}}
	if err := WriteSafetensors(path, old); err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 3 << 20, Max: was.Max}); err != nil {
		t.Skipf("can't limit file sizes: %v", err)
	}
	err := WriteSafetensors(path, []Float32s{{"new", []int{1 << 20}, make([]float32, 1<<20)}})
	if err2 := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err2 != nil {
		t.Fatal(err2)
	}
	oneLine(t, err, path, "file too large")
	if err != nil && !strings.Contains(err.Error(), "writing") {
		t.Errorf("error %v doesn't say what was being done", err)
	}
	nothingLeft(t, filepath.Dir(path), "out.safetensors")
	if _, ok := open(t, path).Tensor("old"); !ok {
		t.Error("the old file is gone")
	}
}
