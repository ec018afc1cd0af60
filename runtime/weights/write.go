package weights

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// A Float32s is a tensor to be written: its values in row-major order.
type Float32s struct {
	Name string
	Dims []int
	Data []float32
}

// WriteSafetensors writes tensors as F32, in the given order. The file appears
// under its name only when it is whole; on an error, such as a full disk,
// nothing is left behind and what was there before stays.
func WriteSafetensors(path string, tensors []Float32s) (err error) {
	header, err := makeHeader(tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("%s: writing: %w", path, err)
		}
	}()
	if err = writeTensors(f, header, tensors); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeTensors(to io.Writer, header []byte, tensors []Float32s) error {
	w := bufio.NewWriterSize(to, 1<<20)
	w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) // a bufio.Writer keeps its first error for Flush
	w.Write(header)
	var b [4]byte
	for _, t := range tensors {
		for _, v := range t.Data {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
			if _, err := w.Write(b[:]); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// makeHeader gives the JSON header, padded with spaces so that the data begins
// at a multiple of 8, and refuses what a reader would refuse.
func makeHeader(tensors []Float32s) ([]byte, error) {
	f32, _ := FormatByName("f32")
	var h strings.Builder
	at, sep := 0, '{'
	for _, t := range tensors {
		n, err := storedBytes(f32, t.Dims)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if n != 4*len(t.Data) {
			return nil, fmt.Errorf("tensor %q: %d values, want %d for shape %v", t.Name, len(t.Data), n/4, t.Dims)
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		dims, err := json.Marshal(append([]int{}, t.Dims...))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&h, `%c%s:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, sep, name, dims, at, at+n)
		at, sep = at+n, ','
	}
	if sep == '{' {
		h.WriteByte('{')
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	if h.Len() > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, want at most %d", h.Len(), maxHeader)
	}
	if _, err := parseHeader("header", []byte(h.String())); err != nil {
		return nil, err
	}
	return []byte(h.String()), nil
}
