package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hipc/runtime/plan"
)

// An Artifact is a compiled model's folder, all of whose members but the weights have been checked against the manifest.
type Artifact struct {
	Dir      string // for messages; and where the weights lie
	Manifest *plan.Manifest
	Plan     *plan.Plan

	files      fs.FS
	substitute func() (b []byte, free func() error, err error)
	origin     string
}

// Substitute gives the artifact other weights than those in its folder, which may have none. origin says what they are: it stands
// beside each figure that comes of them.
func (a *Artifact) Substitute(origin string, make func() (b []byte, free func() error, err error)) {
	a.origin, a.substitute = origin, make
}

// Origin says where the weights come from, if that is no checkpoint: "random:1". Otherwise it's empty.
func (a *Artifact) Origin() string {
	if a.substitute == nil && a.Manifest.Weights != nil {
		return a.Manifest.Weights.Random
	}
	return a.origin
}

// OpenArtifact reads the manifest and the plan. A member that is missing or changed, and a plan that can't be run, are
// errors of one line; nothing but the small members is read, and nothing is allocated for the model.
func OpenArtifact(dir string) (*Artifact, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, plain(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: is a file, want the folder that hipc compile has written", dir)
	}
	return OpenEmbedded(os.DirFS(dir), dir)
}

// OpenEmbedded is OpenArtifact for a program that has the artifact's members in itself, by go:embed. The weights, which are mapped, not
// read, stay a file in dir.
func OpenEmbedded(members fs.FS, dir string) (*Artifact, error) {
	a := &Artifact{Dir: dir, files: members}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return a, nil
}

var errNoWeights = errors.New("has no weights: compile the model with --weights, or run it with --weights random:1 to measure")

// maxManifest bounds what is read before anything is known.
const maxManifest = 16 << 20

func (a *Artifact) open() error {
	info, err := fs.Stat(a.files, plan.ManifestName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("has no %s: is it a folder that hipc compile has written?", plan.ManifestName)
	case err != nil:
		return plain(err)
	case !info.Mode().IsRegular() || info.Size() > maxManifest:
		return fmt.Errorf("%s of %d bytes, want a file of at most %d", plan.ManifestName, info.Size(), maxManifest)
	}
	src, err := fs.ReadFile(a.files, plan.ManifestName)
	if err != nil {
		return plain(err)
	}
	if a.Manifest, err = plan.ReadManifest(src); err != nil {
		return err
	}
	if err := a.Manifest.Verify(a.files, true); err != nil {
		return err
	}
	text, err := a.Manifest.Open(a.files, "plan.go")
	if err != nil {
		return err
	}
	if a.Plan, err = plan.Read(text); err != nil {
		return err
	}
	if err := a.Plan.Check(); err != nil {
		return err
	}
	if a.Plan, err = a.Plan.Unfold(); err != nil {
		return err
	}
	if m, p := a.Manifest, a.Plan; m.Model != p.Model || m.Target != p.Target {
		return fmt.Errorf("the manifest is of %s for %s, the plan of %s for %s: compile the model again", m.Model, m.Target, p.Model, p.Target)
	}
	if w := a.Manifest.Weights; w != nil && w.Bytes != a.Plan.WeightBytes() {
		return fmt.Errorf("%s has %d bytes by the manifest, the plan wants %d", w.File, w.Bytes, a.Plan.WeightBytes())
	}
	return nil
}

// plain takes the path out of a file's error, which our messages begin with.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// Has says whether the artifact has a member of that name.
func (a *Artifact) Has(name string) bool {
	for _, m := range a.Manifest.Members {
		if m.Name == name {
			return true
		}
	}
	return false
}

// File reads a member and checks what it has read.
func (a *Artifact) File(name string) ([]byte, error) {
	b, err := a.Manifest.Open(a.files, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Dir, err)
	}
	return b, nil
}

// MapWeights maps the packed weights, read-only, and checks all of their bytes on all cores before it returns them.
// unmap gives them back.
func (a *Artifact) MapWeights() (b []byte, unmap func() error, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", a.Dir, err)
		}
	}()
	if a.substitute != nil {
		return a.substitute()
	}
	w := a.Manifest.Weights
	if w == nil {
		return nil, nil, errNoWeights
	}
	path := filepath.Join(a.Dir, w.File)
	info, err := os.Stat(path) // before opening: a pipe would wait for a writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("missing weights: %s", w.File)
	case err != nil:
		return nil, nil, plain(err)
	case !info.Mode().IsRegular() || info.Size() != w.Bytes:
		return nil, nil, fmt.Errorf("changed weights: %s has %d bytes, want a file of %d", w.File, info.Size(), w.Bytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, plain(err)
	}
	defer f.Close()
	if b, err = unix.Mmap(int(f.Fd()), 0, int(w.Bytes), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, nil, fmt.Errorf("mapping %s of %s: %w", Size(w.Bytes), w.File, err)
	}
	if err := a.Manifest.VerifyWeights(b); err != nil {
		unix.Munmap(b)
		return nil, nil, err
	}
	return b, func() error { return unix.Munmap(b) }, nil
}
