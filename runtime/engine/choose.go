package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hipc/runtime"
	"hipc/runtime/gpu"
	"hipc/runtime/plan"
)

// Find opens the artifact in dir or, of several that stand side by side in it (hipc compile --target a,b), the one that this machine runs
// best: what was compiled for exactly a card that is there, an AMD card's before an NVIDIA card's, else for the cpu. What was compiled
// for a card's neighbour isn't taken, unless target asks for it. device and target narrow the choice, where they aren't "". said is what
// the user should know about it, a line each.
func Find(dir, device, target string) (a *runtime.Artifact, said []string, err error) {
	all, err := several(dir)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		if a, err = runtime.OpenArtifact(dir); err == nil && target != "" && target != a.Plan.Target {
			err = lacks(dir, target, []string{a.Plan.Target})
		}
		return a, nil, err
	}
	var targets []string
	for _, a := range all {
		targets = append(targets, a.Plan.Target)
	}
	if target != "" {
		i := slices.Index(targets, target)
		if i < 0 {
			return nil, nil, lacks(dir, target, targets)
		}
		return all[i], nil, nil
	}
	var lacking []string // why what there is code for isn't run, also where that goes without saying
	for i := range Devices {
		d := &Devices[i]
		if device == "" && d.StandsIn() || device != "" && device != d.Name {
			continue
		}
		var some []*runtime.Artifact
		for _, a := range all {
			if d.Runs(a.Plan) {
				some = append(some, a)
			}
		}
		switch {
		case len(some) == 0:
		case d.cards == nil:
			for i := range said {
				said[i] += "; taking the " + d.Name
			}
			return d.best(some), said, nil
		default:
			a, why, expected := matching(some, d.cards)
			if a != nil {
				return a, said, nil
			}
			if lacking = append(lacking, why); !expected {
				said = append(said, why)
			}
		}
	}
	why := strings.Join(lacking, "; ")
	if why == "" {
		why = "none that " + device + " runs"
	}
	remedy := ": compile the model with --target cpu too"
	if strings.Contains(why, "--target cpu") { // as a driver says that doesn't fit
		remedy = ""
	}
	if device != "" {
		if other, _, err := Find(dir, "", ""); err == nil {
			remedy = fmt.Sprintf(": without --device %s that for %s is run", device, other.Plan.Target)
		}
	}
	return nil, nil, &runtime.DeviceError{Err: fmt.Errorf("%s has code for %s, but %s", dir, strings.Join(targets, ", "), why+remedy)}
}

// several opens the artifacts in dir's folders that are named after their targets, as hipc compile names them; none if dir is one itself.
// What else lies there is nobody's business.
func several(dir string) (list []*runtime.Artifact, err error) {
	if _, err := os.Stat(filepath.Join(dir, plan.ManifestName)); err == nil {
		return nil, nil
	}
	found, err := filepath.Glob(filepath.Join(glob.Replace(dir), "*", plan.ManifestName))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		src, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if m, err := plan.ReadManifest(src); err != nil || m.Target != filepath.Base(filepath.Dir(f)) {
			continue
		}
		a, err := runtime.OpenArtifact(filepath.Dir(f))
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// glob is a path that a pattern takes as it is.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func lacks(dir, target string, has []string) error {
	return &runtime.DeviceError{Err: fmt.Errorf("%s has no code for %s, only for %s: compile the model with --target %s", dir, target, strings.Join(has, ", "), target)}
}

// matching finds the first artifact that is for exactly one of the cards, or says why there is none. That there is no card, or no driver,
// is expected: where another device is taken, it needs no words.
func matching(some []*runtime.Artifact, list func() ([]gpu.Card, error)) (a *runtime.Artifact, why string, expected bool) {
	found, err := list()
	var none *gpu.Absent
	if errors.As(err, &none) {
		return nil, none.What, true
	}
	if err != nil {
		return nil, err.Error(), false
	}
	var targets, names []string
	for _, c := range found {
		for _, a := range some {
			if a.Plan.Target == c.Target {
				return a, "", false
			}
		}
		names = append(names, c.String())
	}
	near := ""
	for _, a := range some {
		targets = append(targets, a.Plan.Target)
		for _, c := range found {
			if near == "" && c.Near(a.Plan.Target) {
				near = fmt.Sprintf(" (--target %s tries it there, at your own risk)", a.Plan.Target)
			}
		}
	}
	return nil, fmt.Sprintf("%s isn't %s%s", strings.Join(names, ", "), strings.Join(targets, " or "), near), false
}

// best is the one of several that this machine's device runs best.
func (d *Device) best(some []*runtime.Artifact) *runtime.Artifact {
	if d.open == nil {
		return some[0]
	}
	if x, err := d.open(Options{Threads: 1}, ""); err == nil {
		defer x.Close()
		for _, t := range x.Info().Targets {
			for _, a := range some {
				if a.Plan.Target == t {
					return a
				}
			}
		}
	}
	return some[0]
}
