package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// openShards opens the files that an index names, each once, and holds the
// index and the headers against each other in both directions.
func (c *Checkpoint) openShards(path string) error {
	b, ok, err := c.read(filepath.Base(path))
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s: can't be read", path)
	}
	where, err := parseIndex(path, b)
	if err != nil {
		return err
	}
	files := map[string]bool{}
	for _, file := range where {
		files[file] = true
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		ts, err := c.mapSafetensors(filepath.Join(c.dir, file))
		if err != nil {
			return fmt.Errorf("%w (named by %s)", err, filepath.Base(path))
		}
		for _, t := range ts {
			if err := c.add(t); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if where[t.Name] != file {
				return fmt.Errorf("%s: tensor %q is in %s, but the index says %q", path, t.Name, file, where[t.Name])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		if _, ok := c.tensors[name]; !ok {
			return fmt.Errorf("%s: tensor %q isn't in %s, where the index says it is", path, name, where[name])
		}
	}
	return nil
}

// parseIndex reads {"metadata": {...}, "weight_map": {tensor: file}}.
func parseIndex(path string, b []byte) (map[string]string, error) {
	if !utf8.Valid(b) || !json.Valid(b) || !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return nil, fmt.Errorf("%s: isn't a JSON object in UTF-8, want {\"weight_map\": {tensor: file}}", path)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	token(d)
	var where map[string]string
	for d.More() {
		if key := token(d); key != "weight_map" {
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return nil, fmt.Errorf("%s: %q: %v", path, key, err)
			}
			continue
		}
		if where != nil {
			return nil, fmt.Errorf("%s: weight_map is there twice, want it once", path)
		}
		pairs, err := parseStrings(d)
		if err != nil {
			return nil, fmt.Errorf("%s: weight_map: %v", path, err)
		}
		where = make(map[string]string, len(pairs))
		for _, p := range pairs {
			if p[1] != filepath.Base(p[1]) || !strings.HasSuffix(p[1], ".safetensors") {
				return nil, fmt.Errorf("%s: tensor %q: file %q, want the plain name of a .safetensors file beside the index", path, p[0], p[1])
			}
			where[p[0]] = p[1]
		}
	}
	if len(where) == 0 {
		return nil, fmt.Errorf("%s: no tensors in weight_map, want {\"weight_map\": {tensor: file}}", path)
	}
	return where, nil
}
