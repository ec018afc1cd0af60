package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// openGGUF opens a GGUF and shows it as an HF checkpoint through the table of
// its architecture. Every tensor is shown, skipped with a reason, or an error.
func (c *Checkpoint) openGGUF(path string) error {
	m, err := mapFile(path)
	if err != nil {
		return err
	}
	c.maps = append(c.maps, m)
	g, err := parseGGUF(path, m.b)
	if err != nil {
		return err
	}
	c.gguf = g
	if n, ok := g.Int("split.count"); ok && n > 1 {
		return fmt.Errorf("%s: one of %d parts of a split GGUF, want a whole one; merge them with llama-gguf-split --merge", path, n)
	}
	if kind, ok := g.String("general.type"); ok && kind != "model" {
		return fmt.Errorf("%s: general.type is %q, want \"model\"", path, kind)
	}
	name, ok := g.String("general.architecture")
	if !ok {
		return fmt.Errorf("%s: no general.architecture, want one of %s", path, archNames())
	}
	i := slices.IndexFunc(archs, func(a arch) bool { return a.name == name })
	if i < 0 {
		return fmt.Errorf("%s: architecture %q isn't known, want one of %s", path, name, archNames())
	}
	if err := c.show(&archs[i]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func archNames() string {
	names := make([]string, len(archs))
	for i, a := range archs {
		names[i] = a.name
	}
	return strings.Join(names, ", ")
}

func (c *Checkpoint) show(a *arch) error {
	var err error
	if c.config, err = c.makeConfig(a); err != nil {
		return err
	}
	c.generation = c.gguf.generation()
	rows := map[string]row{}
	for _, r := range a.tensors {
		rows[r.gguf] = r
	}
	layers, _ := c.gguf.Int(a.name + ".block_count")
	for _, t := range c.gguf.list {
		pattern, l := t.Name, ""
		if rest, ok := strings.CutPrefix(t.Name, "blk."); ok {
			if l, rest, ok = strings.Cut(rest, "."); ok {
				pattern = block + rest
			}
			if n, err := strconv.Atoi(l); err != nil || strconv.Itoa(n) != l || n < 0 || int64(n) >= layers {
				return fmt.Errorf("tensor %q: no such layer, want 0 to %d (%s.block_count)", t.Name, layers-1, a.name)
			}
		}
		r, ok := rows[pattern]
		switch {
		case !ok:
			return fmt.Errorf("tensor %q: architecture %s is known without such a tensor, so it can't be left out safely", t.Name, a.name)
		case r.skip != "":
			c.skipped = append(c.skipped, Skip{t.Name, r.skip})
			continue
		}
		if err := c.showTensor(t, r, strings.ReplaceAll(r.hf, "{l}", l)); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

func (c *Checkpoint) showTensor(t *Tensor, r row, name string) error {
	hf := *t
	hf.Name = name
	if strings.Contains(name, "{e}") {
		return c.showSlices(&hf)
	}
	if r.heads != "" {
		if err := hf.deinterleave(c.config, headFields[r.heads]); err != nil {
			return err
		}
	}
	return c.add(&hf)
}

// headFields say which config field holds the number that a row's heads names.
var headFields = map[string]string{
	"attention.head_count":    "num_attention_heads",
	"attention.head_count_kv": "num_key_value_heads",
}

// deinterleave makes a tensor show the rows of each head in HF's order. A bias
// has one value a row; it is small and copied in order.
func (t *Tensor) deinterleave(config Config, field string) error {
	heads := config.whole(field)
	n := t.Rows()
	if len(t.Dims) == 1 {
		n = t.Cols()
	}
	if heads <= 0 || n%heads != 0 || n/heads%2 != 0 {
		return fmt.Errorf("%d rows for %d heads (%s), want an even number of rows a head", n, heads, field)
	}
	head := n / heads
	if len(t.Dims) > 1 {
		t.head = head
		return nil
	}
	if t.Format.Block != 1 {
		return fmt.Errorf("a vector in %s can't be put in HF's order, want one of single values", t.Format)
	}
	w, data := t.Format.Bytes, make([]byte, len(t.data))
	for i := range n {
		copy(data[i*w:], t.data[interleaved(i, head)*w:][:w])
	}
	t.data = data
	return nil
}

// showSlices shows each slice of the first dimension as a tensor.
func (c *Checkpoint) showSlices(t *Tensor) error {
	if len(t.Dims) != 3 || c.config.whole("num_experts") != t.Dims[0] {
		return fmt.Errorf("shape %v, want [%v experts, rows, columns]", t.Dims, c.config["num_experts"])
	}
	n := len(t.data) / t.Dims[0]
	for e := range t.Dims[0] {
		s := *t
		s.Name = strings.ReplaceAll(t.Name, "{e}", strconv.Itoa(e))
		s.Dims, s.data = t.Dims[1:], t.data[e*n:][:n:n]
		if err := c.add(&s); err != nil {
			return err
		}
	}
	return nil
}

// ropeFreqs is the tensor in which GGUF keeps what llama3's RoPE scaling
// divides each frequency by: f32[head_dim/2].
const ropeFreqs = "rope_freqs.weight"

// llama3Scaling gives the config's rope_scaling for such a tensor. The file
// doesn't keep the parameters; all models of Llama 3.1 to 3.3 have these but
// for the factor, which is what the lowest frequency is divided by. The
// formula must then give every number of the file.
func llama3Scaling(t *Tensor, theta float64) (map[string]any, error) {
	const low, high, original = 1, 4, 8192
	if t.Format.Name != "f32" || len(t.Dims) != 1 {
		return nil, fmt.Errorf("tensor %q: %s%v, want f32[head_dim/2]", t.Name, t.Format, t.Dims)
	}
	n := t.Cols()
	at := func(i int) float64 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.data[4*i:])))
	}
	factor := at(n - 1)
	for i := range n {
		wave := 2 * math.Pi * math.Pow(theta, float64(i)/float64(n))
		smooth := min(max((original/wave-low)/(high-low), 0), 1)
		want := 1 / ((1-smooth)/factor + smooth)
		if !(math.Abs(at(i)-want) <= 1e-3*want) {
			return nil, fmt.Errorf("tensor %q: element %d is %g, want %g as llama3's scaling by %g gives: the scaling isn't known", t.Name, i, at(i), want, factor)
		}
	}
	return map[string]any{
		"rope_type": "llama3", "factor": real64(factor), "low_freq_factor": number(low), "high_freq_factor": number(high),
		"original_max_position_embeddings": number(original),
	}, nil
}
