package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A safetensors file is the length of its header (8 bytes, little endian), the
// header (a JSON object: name to dtype, shape, data_offsets; spaces may pad
// it), and the data, which the tensors cover without hole or overlap.

const (
	maxHeader = 100_000_000 // the format's own limit
	maxRank   = 16
)

// dtypes of safetensors that are read. The rest (BOOL, F64, F8_*, U16, ...) is
// refused by name.
var dtypes = map[string]string{
	"F32": "f32", "F16": "f16", "BF16": "bf16",
	"I8": "i8", "U8": "u8", "I16": "i16", "I32": "i32", "I64": "i64",
}

func (c *Checkpoint) openSafetensors(path string) error {
	ts, err := c.mapSafetensors(path)
	if err != nil {
		return err
	}
	for _, t := range ts {
		if err := c.add(t); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checkpoint) mapSafetensors(path string) ([]*Tensor, error) {
	m, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	c.maps = append(c.maps, m)
	return parseSafetensors(path, m.b)
}

// An entry is a tensor of the header with its range of the data.
type entry struct {
	*Tensor
	begin, end int
}

// parseSafetensors checks a whole file and gives its tensors, in the order of
// their data. Sizes are held against len(b) before anything is allocated.
func parseSafetensors(path string, b []byte) ([]*Tensor, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%s: %d bytes, want at least the 8 of a safetensors header length", path, len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader {
		return nil, fmt.Errorf("%s: header of %d bytes, want at most %d: is it a safetensors file?", path, n, maxHeader)
	}
	if n > uint64(len(b)-8) {
		return nil, fmt.Errorf("%s: header of %d bytes, but only %d follow: the file is cut short", path, n, len(b)-8)
	}
	header, data := b[8:8+n], b[8+n:]
	entries, err := parseHeader(path, header)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end
	})
	at, last := 0, "the start"
	ts := make([]*Tensor, len(entries))
	for i, e := range entries {
		switch {
		case e.end > len(data):
			return nil, fmt.Errorf("%s: tensor %q: data ends at byte %d, but the file has %d bytes of data: it is cut short", path, e.Name, e.end, len(data))
		case e.begin < at:
			return nil, fmt.Errorf("%s: tensor %q: data begins at byte %d inside %s, which ends at %d", path, e.Name, e.begin, last, at)
		case e.begin > at:
			return nil, fmt.Errorf("%s: tensor %q: data begins at byte %d, want %d right behind %s", path, e.Name, e.begin, at, last)
		}
		e.data = data[e.begin:e.end:e.end]
		at, last = e.end, strconv.Quote(e.Name)
		ts[i] = e.Tensor
	}
	if at != len(data) {
		return nil, fmt.Errorf("%s: %d bytes follow the last tensor %s, want none", path, len(data)-at, last)
	}
	return ts, nil
}

func parseHeader(path string, header []byte) ([]entry, error) {
	if !utf8.Valid(header) || !json.Valid(header) || header[0] != '{' {
		return nil, fmt.Errorf("%s: the header of %d bytes isn't a JSON object in UTF-8: is it a safetensors file?", path, len(header))
	}
	d := json.NewDecoder(bytes.NewReader(header))
	d.UseNumber()
	d.Token() // the object's brace; json.Valid vouches for all of the syntax
	var entries []entry
	seen := map[string]bool{}
	source := filepath.Base(path)
	for d.More() {
		name := token(d).(string)
		if seen[name] {
			return nil, fmt.Errorf("%s: tensor %q is in the header twice, want it once", path, name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if _, err := parseStrings(d); err != nil {
				return nil, fmt.Errorf("%s: __metadata__: %v", path, err)
			}
			continue
		}
		e := entry{Tensor: &Tensor{Name: name, Source: source}}
		if err := e.parse(d); err != nil {
			return nil, fmt.Errorf("%s: tensor %q: %v", path, name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parse reads {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}.
func (e *entry) parse(d *json.Decoder) error {
	if token(d) != json.Delim('{') {
		return fmt.Errorf("no object, want dtype, shape and data_offsets")
	}
	var dtype, shape, offsets bool
	for d.More() {
		var err error
		switch key := token(d); {
		case key == "dtype" && !dtype:
			dtype = true
			name, _ := token(d).(string)
			if e.Format, dtype = FormatByName(dtypes[name]); !dtype {
				return fmt.Errorf("dtype %q isn't read, want one of F32 F16 BF16 I8 U8 I16 I32 I64", name)
			}
		case key == "shape" && !shape:
			shape = true
			e.Dims, err = parseInts(d, maxRank)
		case key == "data_offsets" && !offsets:
			offsets = true
			var r []int
			if r, err = parseInts(d, 2); err == nil && (len(r) != 2 || r[0] > r[1]) {
				err = fmt.Errorf("%v, want [begin, end]", r)
			} else if err == nil {
				e.begin, e.end = r[0], r[1]
			}
		default:
			return fmt.Errorf("field %q, want dtype, shape and data_offsets, each once", key)
		}
		if err != nil {
			return err
		}
	}
	token(d)
	if !dtype || !shape || !offsets {
		return fmt.Errorf("a field is missing, want dtype, shape and data_offsets")
	}
	n, err := storedBytes(e.Format, e.Dims)
	if err != nil {
		return err
	}
	if n != e.end-e.begin {
		return fmt.Errorf("data_offsets %d to %d hold %d bytes, want %d for %s%v", e.begin, e.end, e.end-e.begin, n, e.Format, e.Dims)
	}
	return nil
}

// token reads the next token of JSON that json.Valid has accepted.
func token(d *json.Decoder) json.Token {
	t, err := d.Token()
	if err != nil {
		panic("weights: valid JSON ended early: " + err.Error())
	}
	return t
}

// parseInts reads a list of at most limit plain decimal numbers.
func parseInts(d *json.Decoder, limit int) ([]int, error) {
	if token(d) != json.Delim('[') {
		return nil, fmt.Errorf("no list, want one of whole numbers")
	}
	ints := []int{}
	for d.More() {
		if len(ints) == limit {
			return nil, fmt.Errorf("more than %d numbers in a list", limit)
		}
		t := token(d)
		text, _ := t.(json.Number)
		v, err := strconv.ParseUint(string(text), 10, strconv.IntSize-1)
		if err != nil {
			return nil, fmt.Errorf("%v in a list, want a whole number from 0 to 2^%d", t, strconv.IntSize-1)
		}
		ints = append(ints, int(v))
	}
	token(d)
	return ints, nil
}

// parseStrings reads an object of strings, each key once, in its order.
func parseStrings(d *json.Decoder) ([][2]string, error) {
	if token(d) != json.Delim('{') {
		return nil, fmt.Errorf("no object, want one of strings")
	}
	var pairs [][2]string
	seen := map[string]bool{}
	for d.More() {
		key := token(d).(string)
		value, ok := token(d).(string)
		if !ok {
			return nil, fmt.Errorf("%q isn't a string", key)
		}
		if seen[key] {
			return nil, fmt.Errorf("%q is there twice, want it once", key)
		}
		seen[key] = true
		pairs = append(pairs, [2]string{key, value})
	}
	token(d)
	return pairs, nil
}
