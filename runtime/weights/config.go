package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Config is a Hugging Face config.json: strings, bools, json.Number, lists
// and maps, as they stand there.
type Config map[string]any

// Lookup seeks a field in text_config, at the top level, then in
// rope_parameters (or rope_scaling, its older name) of either. A name with dots
// goes down: rope_parameters.full_attention.rope_theta. A field that is null
// counts as absent.
func (c Config) Lookup(field string) (any, bool) {
	path := strings.Split(field, ".")
	var levels []map[string]any
	if text, ok := c["text_config"].(map[string]any); ok {
		levels = append(levels, text)
	}
	levels = append(levels, c)
	for _, sub := range []string{"", "rope_parameters", "rope_scaling"} {
		for _, m := range levels {
			if sub != "" {
				m, _ = m[sub].(map[string]any)
			}
			var v any = m
			for _, f := range path {
				m, _ := v.(map[string]any)
				v = m[f]
			}
			if v != nil {
				return v, true
			}
		}
	}
	return nil, false
}

// whole gives a top-level field that is a whole number, or 0.
func (c Config) whole(field string) int {
	text, _ := c[field].(json.Number)
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0
	}
	return n
}

// parseObject parses one JSON object and nothing behind it, numbers kept.
func parseObject(path string, b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %v, want a JSON object", path, err)
	}
	if m == nil {
		return nil, fmt.Errorf("%s: null, want a JSON object", path)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the JSON object, want the end of the file", path)
	}
	return m, nil
}
