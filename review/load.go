package review

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hipc/compiler"
	"hipc/runtime/plan"
)

// An opened spec is a model text, or the folders of some artifacts.
type opened struct {
	spec string
	text []byte // not nil: a model text
	tree tree
	dirs []string
}

// open reads what spec names: an artifact, a folder that holds one for each target, a model text, or REV:PATH for one of these
// in a git revision.
func open(spec string) (*opened, error) {
	t, err := locate(spec)
	if err != nil {
		return nil, err
	}
	o := &opened{spec: spec, tree: t}
	text, ok, err := t.read("")
	if ok {
		o.text = append([]byte{}, text...)
		return o, nil
	}
	if err == nil {
		o.dirs, err = artifactsIn(t)
	}
	if err == nil && len(o.dirs) == 0 {
		err = fmt.Errorf("neither it nor a folder in it has a %s: want an artifact, a folder of them, or a model text", planFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec, err)
	}
	return o, nil
}

// Folder is where the artifact is that dir names: dir itself or, where it holds one for each of several targets, that of the one that is asked for.
func Folder(dir, target string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: no such file or folder", dir)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is a file: want an artifact, a folder that hipc compile has written", dir)
	}
	o, err := open(dir)
	switch {
	case err != nil:
		return "", err
	case o.dirs[0] == "":
		return dir, nil
	case target == "" && len(o.dirs) > 1:
		return "", fmt.Errorf("%s has an artifact in each of %s: want one of these folders, or its --target", dir, list(o.dirs))
	case target != "" && !slices.Contains(o.dirs, target):
		return "", fmt.Errorf("%s has an artifact in %s, none for %s", dir, list(o.dirs), target)
	case target == "":
		target = o.dirs[0]
	}
	return filepath.Join(dir, target), nil
}

// artifacts reads those of the given targets; of all if there are none.
func (o *opened) artifacts(targets []string) ([]*Side, error) {
	var out []*Side
	var have []string
	for _, d := range o.dirs {
		s, err := openArtifact(o.tree, d)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(o.spec, d), err)
		}
		have = append(have, s.Target)
		if s.Name = o.spec; len(targets) == 0 || slices.Contains(targets, s.Target) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is compiled for %s, not for %s", o.spec, list(have), list(targets))
	}
	return out, nil
}

const (
	planFile  = "plan.go"
	factsFile = "kernels.txt"
)

// artifactsIn are the folders that hold a plan: t itself, or some in it.
func artifactsIn(t tree) ([]string, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if n == planFile {
			return []string{""}, nil
		}
		if dir, file := path.Split(n); file == planFile && strings.Count(dir, "/") == 1 {
			out = append(out, path.Clean(dir))
		}
	}
	return out, nil
}

// openArtifact reads what an artifact says about itself. Only the plan must be there.
func openArtifact(t tree, dir string) (*Side, error) {
	src, _, err := t.read(path.Join(dir, planFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", planFile, err)
	}
	p, err := plan.Read(src)
	if err == nil {
		err = p.Check()
	}
	if err == nil {
		p, err = p.Unfold()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", planFile, err)
	}
	s := &Side{Target: p.Target, Plan: p, Sources: func() (map[string][]byte, error) { return sources(t, dir) }}
	src, ok, err := t.read(path.Join(dir, plan.PredictionName))
	if ok && err == nil {
		s.Costs, err = plan.ReadPrediction(src)
	}
	if err != nil {
		return nil, err
	}
	s.Use = s.Costs.Use
	if src, ok, err = t.read(path.Join(dir, factsFile)); ok && err == nil {
		s.Facts, err = readFacts(src)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", factsFile, err)
	}
	return s, nil
}

// sources are an artifact's texts that a compiler reads.
func sources(t tree, dir string) (map[string][]byte, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, dir)
		if rest = strings.TrimPrefix(rest, "/"); !ok || path.Ext(n) != ".hip" && path.Ext(n) != ".h" {
			continue
		}
		if out[rest], _, err = t.read(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plans plans a model text for each target.
func (o *opened) plans(c compiler.Options, targets []string) ([]*Side, error) {
	c.Model, c.Text = o.spec, o.text
	drafts, err := compiler.Plan(c, targets)
	if err != nil {
		return nil, err
	}
	var out []*Side
	for _, d := range drafts {
		p, err := d.Plan.Unfold()
		if err != nil {
			return nil, err
		}
		out = append(out, &Side{Name: o.spec, Target: p.Target, Plan: p, Costs: d.Prediction, Use: d.Use, Sources: d.Sources})
	}
	return out, nil
}
