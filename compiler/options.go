package compiler

import (
	"fmt"
	"slices"
	"strings"

	"hipc/fusion"
	"hipc/ir/syntax"
)

// Options say what to compile.
type Options struct {
	Model   string            // the model text's file
	Text    []byte            // the text itself, where it isn't to be read from Model: that is its name in errors then
	Weights string            // a checkpoint, random:SEED, or nothing
	Target  string            // a row of codegen's table, or cpu
	Out     string            // the artifact's folder
	NoFuse  bool              // primitive ops only: what every fusion is measured and checked against
	Without []string          // fuse rules that are left out: what one fusion is measured against
	Set     map[string]string // dims and reals that override the checkpoint's and the text's
	Context int               // longest context in tokens; 0: the checkpoint's, at most DefaultContext
	Version string            // hipc's own, for the manifest
	Memo    *Memo             // plans of graphs that other compilations have made, or nil
	// Progress sees how far a stage is, in bytes.
	Progress func(stage string, done, total int64)
}

// A Memo remembers plans for compilations that have graphs in common.
type Memo = fusion.Memo

// DefaultContext bounds the context unless --context says otherwise: SmolLM2's KV cache takes 45 KiB a token in fp32.
const DefaultContext = 8192

// SetFuse takes what --fuse says: on, off, or rules to leave out, as in -swiglu,-rope_append. Nothing is on.
func (o *Options) SetFuse(s string) error {
	switch {
	case s == "on" || s == "":
	case s == "off":
		o.NoFuse = true
	case strings.HasPrefix(s, "-"):
		for _, r := range strings.Split(s, ",") {
			o.Without = append(o.Without, strings.TrimPrefix(strings.TrimSpace(r), "-"))
		}
	default:
		return fmt.Errorf("-fuse=%s: want on, off, or rules to leave out: -fuse=-swiglu", s)
	}
	return nil
}

// fuse is what SetFuse would take, empty where no rule is left out: plan.Plan has it so.
func (o *Options) fuse() string {
	if o.NoFuse {
		return "off"
	}
	var rules []string
	for _, r := range o.Without {
		rules = append(rules, "-"+r)
	}
	return strings.Join(rules, ",")
}

// without leaves rules out, by name.
func without(rules []*fusion.Rule, names []string) ([]*fusion.Rule, error) {
	var all []string
	for _, r := range rules {
		all = append(all, r.Name)
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no fuse rule is called %s%s", n, syntax.DidYouMean(n, all))
		}
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r *fusion.Rule) bool { return slices.Contains(names, r.Name) }), nil
}
