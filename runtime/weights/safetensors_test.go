package weights

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// st makes a safetensors file of a header and n bytes of data.
func st(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

// oneLine checks that an error is one line that names the file and has want.
func oneLine(t *testing.T, err error, file, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", want)
	} else if s := err.Error(); !strings.Contains(s, want) || !strings.Contains(s, file) || strings.Contains(s, "\n") || len(s) > 400 {
		t.Errorf("error %q, want one line with %q", s, want)
	}
}

func TestSafetensorsRefuses(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"short", []byte("1234567"), "7 bytes, want at least the 8"},
		{"header too long", append(binary.LittleEndian.AppendUint64(nil, 1<<40), "{}"...), "header of 1099511627776 bytes, want at most 100000000"},
		{"negative header", binary.LittleEndian.AppendUint64(nil, 1<<63), "want at most 100000000"},
		{"header cut short", append(binary.LittleEndian.AppendUint64(nil, 90_000_000), "{}"...), "header of 90000000 bytes, but only 2 follow"},
		{"no header", st("", 0), "isn't a JSON object"},
		{"no JSON", st(`{"a":`, 0), "isn't a JSON object"},
		{"no object", st(`[]`, 0), "isn't a JSON object"},
		{"space before", st(` {}`, 0), "isn't a JSON object"},
		{"two objects", st(`{}{}`, 0), "isn't a JSON object"},
		{"trailing comma", st(`{`+a+`,}`, 8), "isn't a JSON object"},
		{"no UTF-8", st("{\"\xff\":{}}", 0), "isn't a JSON object in UTF-8"},
		{"deep", st(strings.Repeat(`{"a":`, 20000)+"1"+strings.Repeat("}", 20000), 0), "isn't a JSON object"},
		{"twice", st(`{`+a+`,`+a+`}`, 8), `tensor "a" is in the header twice`},
		{"twice by escape", st(`{`+a+`,`+strings.Replace(a, `"a"`, `"\u0061"`, 1)+`}`, 8), `tensor "a" is in the header twice`},
		{"metadata twice", st(`{"__metadata__":{},"__metadata__":{}}`, 0), "in the header twice"},
		{"metadata number", st(`{"__metadata__":{"x":1}}`, 0), `"x" isn't a string`},
		{"metadata list", st(`{"__metadata__":[]}`, 0), "no object"},
		{"metadata key twice", st(`{"__metadata__":{"x":"","x":""}}`, 0), `"x" is there twice`},
		{"no entry", st(`{"a":3}`, 0), `tensor "a": no object`},
		{"dtype", st(`{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}`, 2), `tensor "a": dtype "F8_E4M3" isn't read`},
		{"dtype number", st(`{"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}}`, 8), `dtype "" isn't read`},
		{"dtype object", st(`{"a":{"dtype":{"x":1},"shape":[2],"data_offsets":[0,8]}}`, 8), `dtype "" isn't read`},
		{"dtype in lower case", st(`{"a":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}`, 8), `dtype "f32" isn't read`},
		{"field twice", st(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `field "dtype", want`},
		{"unknown field", st(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), `field "x", want`},
		{"no offsets", st(`{"a":{"dtype":"F32","shape":[2]}}`, 8), "a field is missing"},
		{"no dtype", st(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), "a field is missing"},
		{"negative", st(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), "-2 in a list, want a whole number"},
		{"fraction", st(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8), "2.0 in a list"},
		{"exponent", st(`{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}`, 8), "2e0 in a list"},
		{"text", st(`{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, 8), "2 in a list"},
		{"nested", st(`{"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}}`, 8), "in a list"},
		{"shape number", st(`{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}`, 8), "no list"},
		{"2^63", st(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}}`, 8), "9223372036854775808 in a list"},
		{"overflow", st(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "more values than any file"},
		{"overflow behind zero", st(`{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "more values than any file"},
		{"rank", st(`{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, 4), "more than 16"},
		{"size", st(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}`, 8), `tensor "a": data_offsets 0 to 8 hold 8 bytes, want 4 for f16[2]`},
		{"one offset", st(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, 8), "want [begin, end]"},
		{"three offsets", st(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, 8), "more than 2"},
		{"backwards", st(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), "want [begin, end]"},
		{"beyond", st(`{`+a+`}`, 7), `tensor "a": data ends at byte 8, but the file has 7 bytes of data`},
		{"overlap", st(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `tensor "b": data begins at byte 4 inside "a"`},
		{"hole", st(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16), `tensor "b": data begins at byte 12, want 8 right behind "a"`},
		{"hole before", st(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `want 0 right behind the start`},
		{"trailing", st(`{`+a+`}`, 9), `1 bytes follow the last tensor "a", want none`},
		{"trailing alone", st(`{}`, 1), "1 bytes follow the last tensor the start"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := os.WriteFile(path, c.b, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			oneLine(t, err, path, c.want)
		})
	}
}

func TestSafetensorsAccepts(t *testing.T) {
	header := `{"z":{"dtype":"I64","shape":[0,3],"data_offsets":[4,4]},"__metadata__":{"format":"pt"},` +
		`"s":{"shape":[],"data_offsets":[0,4],"dtype":"I32"},"q":{"dtype":"U8","shape":[2,1,3],"data_offsets":[4,10]}}   `
	path := filepath.Join(t.TempDir(), "x.safetensors")
	b := st(header, 10)
	b[len(b)-1] = 9
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	if !slices.Equal(c.Tensors(), []string{"q", "s", "z"}) {
		t.Fatalf("tensors %v", c.Tensors())
	}
	for name, want := range map[string]string{"z": "i64[0 3] 0x3 0", "s": "i32[] 1x1 4", "q": "u8[2 1 3] 2x3 6"} {
		x, _ := c.Tensor(name)
		if got := fmt.Sprintf("%s%v %dx%d %d", x.Format, x.Dims, x.Rows(), x.Cols(), x.Bytes()); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	q, _ := c.Tensor("q")
	if r := q.Raw(1); len(r) != 3 || r[2] != 9 {
		t.Errorf("row 1 of q is %v", r)
	}
	if err := q.Row(0, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "integers") {
		t.Errorf("Row of integers: %v", err)
	}
	if len(c.Config()) != 0 || len(c.Generation()) != 0 || c.GGUF() != nil {
		t.Error("a lone file has a config")
	}
}

// writeShards writes two shards and an index that says what weightMap says.
func writeShards(t *testing.T, weightMap string) string {
	dir := t.TempDir()
	for file, ts := range map[string][]Float32s{
		"model-00001-of-00002.safetensors": {{"a", []int{2, 2}, []float32{1, 2, 3, 4}}, {"b", []int{1}, []float32{5}}},
		"model-00002-of-00002.safetensors": {{"c", []int{2}, []float32{6, 7}}},
	} {
		if err := WriteSafetensors(filepath.Join(dir, file), ts); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "model.safetensors.index.json")
	if err := os.WriteFile(path, []byte(weightMap), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	mapAB = `"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors"`
	mapC  = `"c":"model-00002-of-00002.safetensors"`
)

func TestShards(t *testing.T) {
	path := writeShards(t, `{"metadata":{"total_size":28},"weight_map":{`+mapAB+`,`+mapC+`}}`)
	for _, at := range []string{path, filepath.Dir(path)} {
		c := open(t, at)
		if len(c.maps) != 2 || !slices.Equal(c.Tensors(), []string{"a", "b", "c"}) {
			t.Fatalf("%d files with %v", len(c.maps), c.Tensors())
		}
		a, _ := c.Tensor("a")
		x, _ := c.Tensor("c")
		if !slices.Equal(values(t, a), []float32{1, 2, 3, 4}) || !slices.Equal(values(t, x), []float32{6, 7}) || x.Source != "model-00002-of-00002.safetensors" {
			t.Errorf("a is %v, c is %v from %s", values(t, a), values(t, x), x.Source)
		}
	}
}

func TestShardsRefuse(t *testing.T) {
	for _, c := range []struct{ name, index, want string }{
		{"absent tensor", `{"weight_map":{` + mapAB + `,` + mapC + `,"d":"model-00002-of-00002.safetensors"}}`, `tensor "d" isn't in model-00002-of-00002.safetensors`},
		{"absent file", `{"weight_map":{` + mapAB + `,"c":"model-00003-of-00002.safetensors"}}`, "no such file"},
		{"other file", `{"weight_map":{"a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors",` + mapC + `}}`, `tensor "a" is in model-00001-of-00002.safetensors, but the index says "model-00002-of-00002.safetensors"`},
		{"unlisted", `{"weight_map":{"a":"model-00001-of-00002.safetensors",` + mapC + `}}`, `tensor "b" is in model-00001-of-00002.safetensors, but the index says ""`},
		{"listed twice", `{"weight_map":{` + mapAB + `,"a":"model-00002-of-00002.safetensors"}}`, `"a" is there twice`},
		{"map twice", `{"weight_map":{` + mapC + `},"weight_map":{` + mapAB + `}}`, "weight_map is there twice"},
		{"way out", `{"weight_map":{"a":"../model-00001-of-00002.safetensors"}}`, "want the plain name"},
		{"itself", `{"weight_map":{"a":"model.safetensors.index.json"}}`, "want the plain name"},
		{"number", `{"weight_map":{"a":1}}`, `"a" isn't a string`},
		{"no map", `{"metadata":{}}`, "no tensors in weight_map"},
		{"empty map", `{"weight_map":{}}`, "no tensors in weight_map"},
		{"list", `[]`, "isn't a JSON object"},
		{"cut short", `{"weight_map":{`, "isn't a JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(writeShards(t, c.index))
			oneLine(t, err, "model", c.want)
		})
	}
	path := writeShards(t, `{"weight_map":{`+mapAB+`,`+mapC+`}}`)
	second := []Float32s{{"c", []int{2}, []float32{6, 7}}, {"a", []int{1}, []float32{0}}}
	if err := WriteSafetensors(filepath.Join(filepath.Dir(path), "model-00002-of-00002.safetensors"), second); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	oneLine(t, err, path, `tensor "a" is in model-00001-of-00002.safetensors too`)
}

// allocated gives the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLyingHeaders: what a header claims is not what is allocated.
func TestLyingHeaders(t *testing.T) {
	u64 := binary.LittleEndian.AppendUint64
	ggufHead := append([]byte("GGUF"), 3, 0, 0, 0)
	arrayOf := func(elem byte) []byte { // one key, an array of 2^40 elements
		b := u64(u64(ggufHead, 0), 1)
		b = append(u64(b, 1), 'k', 9, 0, 0, 0, elem, 0, 0, 0)
		return append(u64(b, 1<<40), make([]byte, 64)...)
	}
	for name, b := range map[string][]byte{
		"safetensors length": u64(nil, maxHeader),
		"safetensors shape":  st(`{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`, 4),
		"gguf keys":          append(u64(u64(ggufHead, 0), maxKeys), make([]byte, 64)...),
		"gguf tensors":       append(u64(u64(ggufHead, maxTensors), 0), make([]byte, 64)...),
		"gguf key name":      append(u64(u64(u64(ggufHead, 0), 1), 1<<15), make([]byte, 64)...),
		"gguf string":        append(u64(append(u64(u64(u64(ggufHead, 0), 1), 1), 'k', 8, 0, 0, 0), maxString), make([]byte, 64)...),
		"gguf array of u8":   arrayOf(0), "gguf array of f64": arrayOf(12), "gguf array of strings": arrayOf(8), "gguf array of arrays": arrayOf(9),
		"gguf shape": hostile(func(f *fake) { f.tensors[0].dims, f.data = []uint64{1 << 28, 1 << 28}, 64 }),
	} {
		path := filepath.Join(t.TempDir(), "x."+strings.Fields(name)[0])
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		n := allocated(func() { _, err = Open(path) })
		if err == nil || n > 64<<10 {
			t.Errorf("%s: %d bytes allocated, error %v; want an error for at most 64 KiB", name, n, err)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(st(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"x":"y"}}  `, 8))
	f.Add(st(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},"b":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}`, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := parseSafetensors("x.safetensors", b)
		if err == nil {
			readAll(t, ts, len(b))
		}
	})
}

// readAll touches every byte of tensors that were accepted.
func readAll(t *testing.T, ts []*Tensor, limit int) {
	n := 0
	for _, x := range ts {
		n += x.Bytes()
		if x.Bytes() == 0 {
			continue // such a tensor may claim any number of rows
		}
		dst := make([]float32, x.Cols())
		for i := range x.Rows() {
			x.Raw(i)
			if err := x.Row(i, dst); err != nil && x.Format.Float() {
				t.Fatal(err)
			}
		}
	}
	if n > limit {
		t.Fatalf("tensors of %d bytes in a file of %d", n, limit)
	}
}
