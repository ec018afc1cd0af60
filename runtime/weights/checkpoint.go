package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Checkpoint is an opened set of weights with its config. Everything but
// Close may be called by several goroutines at once.
type Checkpoint struct {
	Path string // as given to Open
	Kind string // "safetensors" or "gguf"

	maps       []*mapping // the weight files, in the order of their names
	dir        string     // where the other files lie; "" if a file stands alone
	config     Config
	generation map[string]any
	tensors    map[string]*Tensor
	names      []string
	skipped    []Skip
	gguf       *GGUF
}

// A Skip is something in a checkpoint that isn't shown, and why not.
type Skip struct{ Name, Reason string }

// Open opens a .safetensors file, a .gguf file, a model.safetensors.index.json,
// or a folder that holds config.json and safetensors, or one .gguf. All headers
// are checked here; weights are touched only when they are read.
//
// A .gguf file given by itself stands alone: what lies beside it may belong to
// another model.
func Open(path string) (*Checkpoint, error) {
	c := &Checkpoint{Path: path, Kind: "safetensors", dir: filepath.Dir(path), tensors: map[string]*Tensor{}}
	if err := c.open(path); err != nil {
		c.Close()
		return nil, err
	}
	c.names = slices.Sorted(maps.Keys(c.tensors))
	return c, nil
}

func (c *Checkpoint) open(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		c.dir = path
		if path, err = choose(path); err != nil {
			return err
		}
	} else if strings.HasSuffix(path, ".gguf") {
		c.dir = ""
	}
	switch {
	case strings.HasSuffix(path, ".gguf"):
		c.Kind = "gguf"
		return c.openGGUF(path)
	case strings.HasSuffix(path, ".safetensors"):
		err = c.openSafetensors(path)
	case strings.HasSuffix(path, ".index.json"):
		err = c.openShards(path)
	default:
		return fmt.Errorf("%s: unknown kind of file, want .safetensors, .gguf, .safetensors.index.json, or a folder", path)
	}
	if err != nil {
		return err
	}
	return c.readConfigs()
}

// choose finds the weights in a folder, in the order that transformers does,
// then whatever is the only one of its kind.
func choose(dir string) (string, error) {
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name), nil
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, ext := range []string{".safetensors.index.json", ".safetensors", ".gguf"} {
		var found []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ext) && !e.IsDir() {
				found = append(found, e.Name())
			}
		}
		switch {
		case len(found) == 1:
			return filepath.Join(dir, found[0]), nil
		case len(found) > 1:
			return "", fmt.Errorf("%s: holds %d files *%s (%s, %s, ...), name the one you mean", dir, len(found), ext, found[0], found[1])
		}
	}
	return "", fmt.Errorf("%s: holds no weights, want model.safetensors, model.safetensors.index.json or one .gguf", dir)
}

// readConfigs reads what lies beside safetensors. A lone file of tensors has no
// config, which is no error here: the compiler says which fields it misses.
func (c *Checkpoint) readConfigs() error {
	c.config, c.generation = Config{}, map[string]any{}
	if b, ok, err := c.read("config.json"); err != nil {
		return err
	} else if ok {
		if c.config, err = parseObject(filepath.Join(c.dir, "config.json"), b); err != nil {
			return err
		}
	}
	if b, ok, err := c.read("generation_config.json"); err != nil {
		return err
	} else if ok {
		c.generation, err = parseObject(filepath.Join(c.dir, "generation_config.json"), b)
		return err
	}
	for _, field := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} {
		if v, ok := c.config.Lookup(field); ok {
			c.generation[field] = v
		}
	}
	return nil
}

// Config gives config.json; for GGUF one made from its metadata. It is empty
// for a file of tensors without a config beside it.
func (c *Checkpoint) Config() Config { return c.config }

// Generation gives generation_config.json. Without one it gives the bos, eos
// and pad ids of the config, or of the GGUF's tokenizer. As in HF, eos_token_id
// is a number or a list of them.
func (c *Checkpoint) Generation() map[string]any { return c.generation }

// GGUF gives the metadata and the tensors of a GGUF as they stand in it; nil
// for safetensors.
func (c *Checkpoint) GGUF() *GGUF { return c.gguf }

// Tensors lists the HF names, sorted.
func (c *Checkpoint) Tensors() []string { return c.names }

// Tensor finds a tensor by its HF name.
func (c *Checkpoint) Tensor(name string) (*Tensor, bool) {
	t, ok := c.tensors[name]
	return t, ok
}

// Skipped lists what the checkpoint holds and doesn't show.
func (c *Checkpoint) Skipped() []Skip { return c.skipped }

// File reads a file that lies beside the weights, such as tokenizer.json or
// chat_template.jinja: a plain name, at most maxSide bytes. It gives nil and
// false if there is no such file, or if it can't be read.
func (c *Checkpoint) File(name string) ([]byte, bool) {
	b, ok, err := c.read(name)
	return b, ok && err == nil
}

// maxSide bounds the files beside the weights. The largest tokenizer.json known
// has some 35 MB.
const maxSide = 256 << 20

func (c *Checkpoint) read(name string) ([]byte, bool, error) {
	if c.dir == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return nil, false, nil
	}
	path := filepath.Join(c.dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSide {
		return nil, false, fmt.Errorf("%s: %s of %d bytes, want a regular file of at most %d", path, info.Mode().Type(), info.Size(), maxSide)
	}
	b, err := os.ReadFile(path)
	return b, err == nil, err
}

// add enters a tensor under its HF name.
func (c *Checkpoint) add(t *Tensor) error {
	if old, ok := c.tensors[t.Name]; ok {
		return fmt.Errorf("%s: tensor %q is in %s too, want it once", t.Source, t.Name, old.Source)
	}
	c.tensors[t.Name] = t
	return nil
}

// Bytes is the size of the weight files.
func (c *Checkpoint) Bytes() (n int64) {
	for _, m := range c.maps {
		n += int64(len(m.b))
	}
	return n
}

// Close gives the mappings back. Tensors and views must not be used after it.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, m := range c.maps {
		errs = append(errs, m.close())
	}
	c.maps = nil
	return errors.Join(errs...)
}
