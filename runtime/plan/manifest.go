package plan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FormatVersion is the format of an artifact's folder that this package reads and writes.
const FormatVersion = 1

// ChunkBytes is how many bytes of the weights have a digest of their own, so that they can be checked on all cores while
// they are placed.
const ChunkBytes = 16 << 20

// ManifestName is the manifest's own name in the folder.
const ManifestName = "manifest.json"

const (
	maxManifest = 16 << 20 // bytes
	maxMembers  = 1024
	maxMember   = 1 << 31 // bytes: members are read into memory, but for the weights
)

// A Manifest is manifest.json: what an artifact consists of and what it was made of. All digests are SHA-256, in hex.
type Manifest struct {
	Format     int          `json:"format"`
	Model      string       `json:"model"`
	Target     string       `json:"target"`
	Plan       string       `json:"plan"`                 // digest of plan.go
	ModelText  string       `json:"model_text"`           // digest of the model text
	Checkpoint []Member     `json:"checkpoint,omitempty"` // the files that the weights come from; none without a checkpoint
	Compilers  []Compiler   `json:"compilers"`            // hipc first
	Members    []Member     `json:"members"`              // all files but the weights and this one, by name
	Weights    *WeightsFile `json:"weights,omitempty"`
}

// A Member is a file, its size and its digest.
type Member struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// A Compiler is a program that made part of the artifact.
type Compiler struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Command string `json:"command,omitempty"` // as it was run in the artifact's folder
}

// WeightsFile is the file of packed weights.
type WeightsFile struct {
	File   string   `json:"file"`
	Bytes  int64    `json:"bytes"`
	Kinds  []Kind   `json:"kinds"`
	Random string   `json:"random,omitempty"` // "random:SEED" where no checkpoint was read: figures of speed only
	Chunks []string `json:"chunks"`           // digests of each ChunkBytes; the last may be shorter
}

// A Kind is a format and a layout that segments of the weights have.
type Kind struct {
	Format   string `json:"format"` // q4_1
	Layout   string `json:"layout"` // x16
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
}

// Kinds sums up the plan's weights by format and layout.
func (p *Plan) Kinds() []Kind {
	var kinds []Kind
	segments, _ := p.Segments()
	for _, s := range segments {
		format, _, _ := strings.Cut(s.Weight.Type, "[")
		i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Format == format && k.Layout == s.Weight.Layout })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, Kind{Format: format, Layout: s.Weight.Layout})
		}
		kinds[i].Segments++
		kinds[i].Bytes += s.Bytes
	}
	slices.SortFunc(kinds, func(a, b Kind) int {
		return strings.Compare(a.Format+" "+a.Layout, b.Format+" "+b.Layout)
	})
	return kinds
}

// ReadManifest reads manifest.json. It takes the very bytes that Write gives and nothing else, so no key can be there
// twice or in another case, and nothing can hide in it.
func ReadManifest(src []byte) (*Manifest, error) {
	if len(src) > maxManifest {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", ManifestName, len(src), maxManifest)
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	m := new(Manifest)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %s", ManifestName, strings.TrimPrefix(err.Error(), "json: "))
	}
	want, err := m.Write()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(src, want) {
		line := 1
		for i := range min(len(src), len(want)) {
			if src[i] != want[i] {
				break
			}
			if src[i] == '\n' {
				line++
			}
		}
		return nil, fmt.Errorf("%s:%d: not as hipc writes it: compile the model again", ManifestName, line)
	}
	return m, nil
}

// Write gives the manifest's bytes: the same for the same manifest. A manifest that ReadManifest would refuse is an error.
func (m *Manifest) Write() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return b.Bytes(), nil
}

func (m *Manifest) check() error {
	if m.Format != FormatVersion {
		return fmt.Errorf("format %d, this program reads %d: compile the model again", m.Format, FormatVersion)
	}
	if err := first(word("model", m.Model), word("target", m.Target), digest("plan", m.Plan), digest("model_text", m.ModelText)); err != nil {
		return err
	}
	if len(m.Checkpoint) > maxMembers || len(m.Members) > maxMembers || len(m.Compilers) > maxMembers {
		return fmt.Errorf("more than %d files or compilers", maxMembers)
	}
	for _, f := range m.Checkpoint {
		if err := first(line("checkpoint", f.Name), digest(f.Name, f.SHA256), size(f.Name, f.Bytes, MaxBlob)); err != nil {
			return err
		}
	}
	for _, c := range m.Compilers {
		if err := first(line("compiler", c.Name), line("version", c.Version), line("command", c.Command)); err != nil {
			return err
		}
	}
	planned := false
	for i, f := range m.Members {
		if err := first(memberName(f.Name), digest(f.Name, f.SHA256), size(f.Name, f.Bytes, maxMember)); err != nil {
			return err
		}
		if i > 0 && m.Members[i-1].Name >= f.Name {
			return fmt.Errorf("member %s: members are sorted by name, each there once", f.Name)
		}
		if f.Name == "plan.go" {
			if planned = true; f.SHA256 != m.Plan {
				return fmt.Errorf("the plan's digest isn't that of plan.go")
			}
		}
	}
	if !planned {
		return fmt.Errorf("no member plan.go")
	}
	return m.checkWeights()
}

func (m *Manifest) checkWeights() error {
	w := m.Weights
	if w == nil {
		return nil
	}
	if err := first(memberName(w.File), size(w.File, w.Bytes, MaxBlob)); err != nil {
		return err
	}
	if slices.ContainsFunc(m.Members, func(f Member) bool { return f.Name == w.File }) {
		return fmt.Errorf("%s is a member and the weights", w.File)
	}
	if n := (w.Bytes + ChunkBytes - 1) / ChunkBytes; int64(len(w.Chunks)) != n {
		return fmt.Errorf("%s: %d digests for %d bytes, want %d", w.File, len(w.Chunks), w.Bytes, n)
	}
	for i, c := range w.Chunks {
		if err := digest(fmt.Sprintf("%s, chunk %d", w.File, i), c); err != nil {
			return err
		}
	}
	if len(w.Kinds) > maxMembers {
		return fmt.Errorf("%s: more than %d kinds", w.File, maxMembers)
	}
	for _, k := range w.Kinds {
		if err := first(word("format", k.Format), word("layout", k.Layout), within("segments", k.Segments, 1, MaxNames), size(k.Format, k.Bytes, w.Bytes)); err != nil {
			return err
		}
	}
	return nil
}

// memberName wants a plain name, or one in the folder templates: nothing that leads out of the artifact.
func memberName(name string) error {
	base := strings.TrimPrefix(name, "templates/")
	ok := base != "" && base[0] != '.' && base[0] != '-' && len(name) <= MaxName && name != ManifestName && name != "templates"
	for _, c := range base {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("member %q: want a file's name in the artifact's folder, or in templates/", cut(name))
	}
	return nil
}

func digest(what, s string) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 || s != strings.ToLower(s) {
		return fmt.Errorf("%s: %q is no SHA-256", cut(what), cut(s))
	}
	return nil
}

func size(what string, n, most int64) error {
	if n < 0 || n > most {
		return fmt.Errorf("%s: %d bytes, want at most %d", cut(what), n, most)
	}
	return nil
}

// line wants one line of text: file names and compilers' words need not be ASCII.
func line(what, s string) error {
	if len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s %q, want at most %d bytes of one line", what, cut(s), MaxText)
	}
	return nil
}
