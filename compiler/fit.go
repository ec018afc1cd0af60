package compiler

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hipc/ir/syntax"
	"hipc/runtime/weights"
)

// fitting adds to the error that a checkpoint is another model's which of the texts beside t fits it. Each is tried: it
// fits if it says for which model types it is, the checkpoint's is one of them, and every tensor is read.
func (t *Text) fitting(err error, ckpt *weights.Checkpoint) error {
	if ckpt == nil || len(ckpt.Config()) == 0 {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(t.File), "*.yaml"))
	if len(files) > 100 {
		return err // no folder of models
	}
	var fits []string
	for _, f := range files {
		other, bad := ReadText(f)
		if bad != nil || other.Name == t.Name || !other.names(ckpt.Config()) {
			continue
		}
		if _, _, bad := other.elaborate(ckpt, nil, contextOf(ckpt, 0)); bad == nil {
			fits = append(fits, f)
		}
	}
	if len(fits) == 0 {
		return err
	}
	hint := "; it fits " + strings.Join(fits, " and ")
	var list syntax.Errors
	var first *syntax.Error
	if errors.As(err, &list) && len(list) > 0 {
		first = list[0] // the others have the same cause
	} else if !errors.As(err, &first) {
		return fmt.Errorf("%w%s", err, hint)
	}
	hinted := *first
	hinted.Msg += hint
	return &hinted
}

// names says whether the text is for the checkpoint's model type.
func (t *Text) names(config weights.Config) bool {
	v, _ := config.Lookup("model_type")
	return slices.ContainsFunc(t.Expect, func(e Expectation) bool {
		return e.Field == "model_type" && slices.Contains(e.Values, fmt.Sprint(v))
	})
}
