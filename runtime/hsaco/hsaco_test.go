package hsaco

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
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

// TestCompressed: an ELF file one of whose sections is compressed is refused before that is read.
func TestCompressed(t *testing.T) {
	le := binary.LittleEndian
	b := make([]byte, 64+3*64+32)
	copy(b, "\x7fELF\x02\x01\x01\x40")
	le.PutUint16(b[16:], uint16(elf.ET_DYN))
	le.PutUint16(b[18:], uint16(machineAMDGPU))
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[40:], 64) // section headers
	le.PutUint32(b[48:], 0x041)
	for at, n := range map[int]uint16{52: 64, 58: 64, 60: 3, 62: 1} {
		le.PutUint16(b[at:], n)
	}
	names, dyn := b[64+64:], b[64+2*64:]
	le.PutUint32(names[4:], uint32(elf.SHT_STRTAB))
	le.PutUint64(names[24:], 64+3*64+4) // a zero
	le.PutUint64(names[32:], 1)
	le.PutUint32(dyn[4:], uint32(elf.SHT_DYNSYM))
	le.PutUint64(dyn[8:], uint64(elf.SHF_COMPRESSED))
	le.PutUint64(dyn[24:], 64+3*64)
	le.PutUint64(dyn[32:], 24)
	le.PutUint32(b[64+3*64:], uint32(elf.COMPRESS_ZLIB))
	le.PutUint64(b[64+3*64+8:], 1<<40)
	if _, err := Read(b); err == nil || !strings.Contains(err.Error(), "is compressed") {
		t.Errorf("%v, want it refused", err)
	}
}
