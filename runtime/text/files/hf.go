package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// FromHF takes the text files from a Hugging Face checkpoint folder. tokenizer.json is passed on as it is; nil if there
// is none, as in a checkpoint that is only there to be held against another: its model can run, but not speak. The chat
// template is chat_template.jinja, else tokenizer_config.json's, of a list the one called default; nil if there is
// none. Where generation_config.json is absent or names no end of a sequence, the eos_token of tokenizer_config.json
// is it.
func FromHF(dir fs.FS) (tokenizerJSON, chatTemplate, generation []byte, err error) {
	if tokenizerJSON, err = read(dir, "tokenizer.json", maxJSONBytes); err != nil {
		return nil, nil, nil, err
	}
	config := map[string]json.RawMessage{}
	if b, err := read(dir, "tokenizer_config.json", maxConfig); err != nil {
		return nil, nil, nil, err
	} else if b != nil {
		if err := json.Unmarshal(b, &config); err != nil {
			return nil, nil, nil, fmt.Errorf("tokenizer_config.json: %w", err)
		}
	}
	if chatTemplate, err = read(dir, "chat_template.jinja", maxConfig); err != nil {
		return nil, nil, nil, err
	}
	if chatTemplate == nil {
		if chatTemplate, err = templateOf(config["chat_template"]); err != nil {
			return nil, nil, nil, err
		}
	}
	gen, err := generationOfHF(dir, config, tokenizerJSON)
	if err != nil {
		return nil, nil, nil, err
	}
	generation, err = marshal(gen)
	return tokenizerJSON, chatTemplate, generation, err
}

// templateOf reads chat_template: a string, or a list of named ones.
func templateOf(raw json.RawMessage) ([]byte, error) {
	var one string
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	if json.Unmarshal(raw, &one) == nil {
		return []byte(one), nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: chat_template: want a string or a list of name and template")
	}
	for _, t := range list {
		if t.Name == "default" {
			return []byte(t.Template), nil
		}
	}
	return nil, fmt.Errorf("tokenizer_config.json: none of the %d entries of chat_template is called default", len(list))
}

func generationOfHF(dir fs.FS, config map[string]json.RawMessage, tokenizerJSON []byte) (Generation, error) {
	var g Generation
	b, err := read(dir, "generation_config.json", maxConfig)
	if err != nil {
		return g, err
	}
	if b != nil {
		if g, err = ReadGeneration(b); err != nil {
			return g, err
		}
	}
	g.Tokens = map[string]string{}
	for _, name := range []string{"bos_token", "eos_token", "pad_token", "unk_token"} {
		if s, ok := tokenText(config[name]); ok {
			g.Tokens[name] = s
		}
	}
	if eos, ok := g.Tokens["eos_token"]; ok && len(g.EOS) == 0 && tokenizerJSON != nil {
		var t struct {
			AddedTokens []addedToken `json:"added_tokens"`
			Model       struct{ Vocab map[string]int32 }
		}
		if err := json.Unmarshal(tokenizerJSON, &t); err != nil {
			return g, fmt.Errorf("tokenizer.json: %w", err)
		}
		if id, ok := t.Model.Vocab[eos]; ok {
			g.EOS = IDs{id}
		}
		for _, a := range t.AddedTokens {
			if a.Content == eos {
				g.EOS = IDs{int32(a.ID)}
			}
		}
	}
	return g, nil
}

// tokenText reads a special token: a string, or an object with its content.
func tokenText(raw json.RawMessage) (string, bool) {
	var s string
	var o struct{ Content *string }
	switch {
	case raw == nil || string(raw) == "null":
		return "", false
	case json.Unmarshal(raw, &s) == nil:
		return s, true
	case json.Unmarshal(raw, &o) == nil && o.Content != nil:
		return *o.Content, true
	}
	return "", false
}

// read returns nil for a file that isn't there.
func read(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return b, nil
}
