package hsaco

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzMetadata(f *testing.F) {
	f.Add([]byte("\x81\xaeamdhsa.kernels\x91\x83\xa5.name\xa1k\xa5.args\x90\xaf.wavefront_size\x20"))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add(bytes.Repeat([]byte{0x91}, 100))
	f.Add([]byte("\xdf\x00\x00\x00\x01\xd9\x01a\xcb\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o := &Object{byName: map[string]*Kernel{}}
		if o.metadata(b) == nil {
			for _, k := range o.Kernels {
				if k.Name == "" || k.LDS > maxLDS || k.KernargSize > 1<<16 {
					t.Errorf("%+v", k)
				}
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01\x40"))
	f.Fuzz(func(t *testing.T, b []byte) { Read(b) })
}

// TestUnpack: each form of msgpack that there is, and each way to end too early.
func TestUnpack(t *testing.T) {
	good := "\x87\xa1a\xc0\xa1b\xc3\xa1c\xcd\x01\x00\xa1d\xd1\xff\xfe\xa1e\xdc\x00\x02\x01\xff\xa1f\xda\x00\x02hi\xa1g\xca\x3f\x80\x00\x00"
	v, err := unpack([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if field[int64](v, "c") != 256 || field[int64](v, "d") != -2 || field[string](v, "f") != "hi" || field[float64](v, "g") != 1 || !field[bool](v, "b") || len(field[[]any](v, "e")) != 2 {
		t.Errorf("%v", v)
	}
	for n := range len(good) {
		if _, err := unpack([]byte(good[:n])); err == nil {
			t.Errorf("%d bytes of %d were read", n, len(good))
		}
	}
	for _, bad := range []string{"\x82\xa1a\x01\xa1a\x02", "\x81\x01\x02", "\xc1", strings.Repeat("\x91", 20) + "\x01", "\x01\x01", "\xdd\xff\xff\xff\xff"} {
		if v, err := unpack([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}
