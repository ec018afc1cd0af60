package weights

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// makeConfig makes the HF config out of a GGUF's metadata and tensors. Numbers
// are json.Number, as in a config that was read; a float32 of the file becomes
// the shortest decimal that gives it back, so 1e-5 is 1e-05 again.
func (c *Checkpoint) makeConfig(a *arch) (Config, error) {
	g := c.gguf
	config := Config{}
	for k, v := range a.fixed {
		config[k] = v
	}
	from := map[string]string{} // config field: the key that gave it
	known := map[string]bool{}
	for _, f := range a.fields {
		key := a.name + "." + f.key
		known[key] = true
		switch {
		case !g.Has(key) && f.need && config[f.config] == nil:
			return nil, fmt.Errorf("no key %q, which gives %s", key, f.config)
		case !g.Has(key) || f.config == "":
			continue
		}
		v, err := g.scalar(key)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(json.Number); ok == f.text {
			return nil, fmt.Errorf("key %q is %.40q, want a %s", key, fmt.Sprint(v), map[bool]string{true: "string", false: "number"}[f.text])
		}
		if old := from[f.config]; old != "" && config[f.config] != v {
			return nil, fmt.Errorf("key %q says %v, but %q says %v; %s must be one", key, v, old, config[f.config], f.config)
		}
		from[f.config], config[f.config] = key, v
	}
	for _, key := range g.keys {
		if strings.HasPrefix(key, a.name+".") && !known[key] {
			c.skipped = append(c.skipped, Skip{key, "the architecture is known without such a key"})
		}
	}
	return config, c.derive(a, config)
}

// derive fills the fields that no key gives.
func (c *Checkpoint) derive(a *arch, config Config) error {
	g := c.gguf
	heads, err := g.count(a.name+".attention.head_count", 1<<16)
	if err != nil {
		return err
	}
	if _, err := g.count(a.name+".block_count", 1<<16); err != nil {
		return err
	}
	if config["num_key_value_heads"] == nil { // as many as query heads
		config["num_key_value_heads"] = number(heads)
	}
	if config["head_dim"] == nil {
		width, err := g.count(a.name+".embedding_length", 1<<24)
		if err != nil {
			return err
		}
		if width%heads != 0 {
			return fmt.Errorf("no key %q, and %d heads don't divide a width of %d", a.name+".attention.key_length", heads, width)
		}
		config["head_dim"] = number(width / heads)
	}
	if config["rope_theta"] == nil {
		config["rope_theta"] = number(10000)
	}
	embed, ok := g.Tensor("token_embd.weight")
	if !ok {
		return fmt.Errorf("no tensor \"token_embd.weight\", want one")
	}
	config["vocab_size"] = number(embed.Rows())
	_, head := g.Tensor("output.weight")
	config["tie_word_embeddings"] = !head
	_, bias := g.Tensor("blk.0.attn_q.bias")
	config["attention_bias"] = bias
	return c.ropeScaling(a, config)
}

// ropeScaling gathers the fields "rope_scaling.x" into an object, and reads
// what llama3's scaling left as a tensor.
func (c *Checkpoint) ropeScaling(a *arch, config Config) error {
	scaling := map[string]any{}
	for field, v := range config {
		if sub, ok := strings.CutPrefix(field, "rope_scaling."); ok {
			scaling[sub] = v
			delete(config, field)
		}
	}
	kind := scaling["rope_type"]
	if t, ok := c.gguf.Tensor(ropeFreqs); ok {
		if kind != nil && kind != "none" {
			return fmt.Errorf("rope scaling %q and the tensor %q, want one of them", kind, ropeFreqs)
		}
		theta, err := strconv.ParseFloat(fmt.Sprint(config["rope_theta"]), 64)
		if err != nil {
			return fmt.Errorf("key %q is %v, want a number", a.name+".rope.freq_base", config["rope_theta"])
		}
		if scaling, err = llama3Scaling(t, theta); err != nil {
			return err
		}
	} else if kind == nil || kind == "none" {
		return nil
	}
	config["rope_scaling"] = scaling
	return nil
}

// scalar gives a metadata value as JSON has it. Where a file keeps one number a
// layer, they must all be the same.
func (g *GGUF) scalar(key string) (any, error) {
	v := g.values[key]
	if v.kind == kindArray && v.elem != kindArray && v.n > 0 {
		r := &reader{b: v.raw}
		first := r.value(v.elem, "", 0)
		for range v.n - 1 {
			if next := r.value(v.elem, "", 0); string(next.raw) != string(first.raw) {
				return nil, fmt.Errorf("key %q differs from layer to layer, want one value for all", key)
			}
		}
		v = first
	}
	if v.kind == kindArray {
		return nil, fmt.Errorf("key %q is an array, want one value", key)
	}
	switch d := v.decode().(type) {
	case string, bool:
		return d, nil
	case float32:
		if f := float64(d); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("key %q is %v, want a finite number", key, f)
		}
		return json.Number(strconv.FormatFloat(float64(d), 'g', -1, 32)), nil
	case float64:
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return nil, fmt.Errorf("key %q is %v, want a finite number", key, d)
		}
		return real64(d), nil
	default:
		return json.Number(fmt.Sprint(d)), nil
	}
}

// count gives a whole number from 1 to limit.
func (g *GGUF) count(key string, limit int) (int, error) {
	v, err := g.scalar(key)
	if err != nil {
		return 0, err
	}
	text, _ := v.(json.Number)
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("key %q is %.40q, want a whole number from 1 to %d", key, fmt.Sprint(v), limit)
	}
	return n, nil
}

func number(n int) json.Number     { return json.Number(strconv.Itoa(n)) }
func real64(f float64) json.Number { return json.Number(strconv.FormatFloat(f, 'g', -1, 64)) }

// generation gives what generation_config.json would say about special tokens.
// A GGUF keeps the ends of a text, a turn and a message apart; each one stops.
func (g *GGUF) generation() map[string]any {
	m := map[string]any{}
	const t = "tokenizer.ggml."
	var stops []any
	for _, key := range []string{t + "eos_token_id", t + "eot_token_id", t + "eom_token_id"} {
		if id, ok := g.Int(key); ok {
			n := json.Number(strconv.FormatInt(id, 10))
			if len(stops) == 0 || stops[0] != n {
				stops = append(stops, n)
			}
		}
	}
	switch len(stops) {
	case 0:
	case 1:
		m["eos_token_id"] = stops[0]
	default:
		m["eos_token_id"] = stops
	}
	for key, field := range map[string]string{t + "bos_token_id": "bos_token_id", t + "padding_token_id": "pad_token_id"} {
		if id, ok := g.Int(key); ok {
			m[field] = json.Number(strconv.FormatInt(id, 10))
		}
	}
	return m
}
