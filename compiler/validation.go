package compiler

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/kernels"
	"hipc/kernels/checks"
)

// validation is the artifact's record: a line for each distinct fused instance, in the order in which the buckets launch them, with the run
// in table, the target's, that checked its kernel as it is now. A step that no such run has checked is there all the same, and says so.
func (c *compilation) validation(table []checks.Check) ([]byte, error) {
	why := "no run of this kernel as it is now is recorded for " + c.target.Name
	if len(table) == 0 {
		why = "no run on " + c.target.Name + " is recorded"
	}
	var steps []checks.Step
	for _, b := range c.buckets {
		for _, g := range b.model.Graphs() {
			for _, n := range g.Nodes {
				if n.Body == nil {
					continue
				}
				choice, err := kernels.Find(c.target.Name, n, b.dims(c.target, c.context))
				if err != nil {
					return nil, err
				}
				if checks.Recorded(steps, choice.Inst, n.Op.Name) != nil {
					continue
				}
				s := checks.Step{Inst: choice.Inst, Rule: n.Op.Name}
				if s.Twin, err = twin(n); err != nil {
					return nil, err
				}
				if s.Source, err = KernelSource(c.target, choice.Kernel, kernels.Templates); err != nil {
					return nil, err
				}
				if found, ok := checks.Find(table, s.Source, s.Inst); ok {
					s.Check = &found
				} else {
					s.Why = why
				}
				steps = append(steps, s)
			}
		}
	}
	return checks.WriteRecord(steps)
}

// twin lists the primitive ops of a fused step's rule, in the order of its body: what -fuse=off launches instead.
func twin(n *ir.Node) (string, error) {
	rules := fusion.Rules()
	body, err := rules[slices.IndexFunc(rules, func(r *fusion.Rule) bool { return r.Name == n.Op.Name })].Body(n.Args)
	if err != nil {
		return "", err
	}
	var ops []string
	for _, m := range body.Nodes {
		ops = append(ops, m.Op.Name)
	}
	return strings.Join(ops, " "), nil
}

// KernelSource is a digest of what a kernel of the registry is built from and of what it's to compute: its row, but for where it's taken, the
// templates that it includes, comments aside, and its rule. A check is worth something as long as this is the same.
func KernelSource(t *codegen.Target, k *kernels.Kernel, templates fs.FS) (string, error) {
	files, err := codegen.Templates(t, templates, []codegen.Entry{{Parts: []codegen.EntryPart{{Header: k.Header}}}})
	if err != nil {
		return "", err
	}
	texts := []string{k.Op, k.Sig, k.Formats, k.Layout, k.Cells, k.Inst, k.Header, k.Grid, k.Block, k.LDS, k.Scratch, fmt.Sprint(k.Rounds, k.Lean != ""), ruleText(k.Op)}
	for _, name := range sortedKeys(files) {
		texts = append(texts, name, bare(string(files[name]), "//"))
	}
	return checks.Digest(texts...), nil
}

var ruleHead = regexp.MustCompile(`(?m)^fuse (\w+)\(`)

// ruleText is a rule's declaration in fuse.rules, comments aside; "" of an op.
func ruleText(name string) string {
	text := bare(fusion.Text(), "#")
	heads := ruleHead.FindAllStringSubmatchIndex(text, -1)
	i := slices.IndexFunc(heads, func(h []int) bool { return text[h[2]:h[3]] == name })
	if i < 0 {
		return ""
	}
	if text = text[heads[i][0]:]; i+1 < len(heads) {
		text = text[:heads[i+1][0]-heads[i][0]]
	}
	return text
}

// bare leaves out comments, empty lines and what stands at lines' ends and beginnings without being seen. Neither language has a string
// in which a comment's sign could stand (TestBare looks).
func bare(text, comment string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, comment)
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
