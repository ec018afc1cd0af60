// Package compiler turns a model text, a checkpoint and a target into an artifact.
//
//	models/x.yaml ─ parse ─ elaborate ─ lower ─ bucket ─ fuse ─ place ─► plan.go, kernels.hip, graph.txt ─ c++ ─► kernels.so
//	                 text     one graph   formats           launches  names, arena, formats to pack
//	checkpoint ─ pack, in the layouts that the plan names ─► weights-<layout>.bin
//
// The pipeline is the table below. ir.Verify runs after each pass, always. Everything up to place is a function of the
// text, the checkpoint's header and the target's row: the same inputs give the same bytes, on any machine, with or
// without a compiler. An artifact is written beside its place and put there in one step (folder.go).
package compiler

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"hipc/codegen"
	"hipc/fusion"
	"hipc/ir"
	"hipc/ir/syntax"
	"hipc/kernels"
	"hipc/runtime/plan"
	"hipc/runtime/weights"
)

// A compilation is what the passes work on.
type compilation struct {
	opts    Options
	passed  int // passes that are done
	target  *codegen.Target
	text    *Text
	ckpt    *weights.Checkpoint
	sources *sourceMap
	model   *ir.Model
	lowered *ir.Model
	buckets []*bucketGraph
	context int
	vocab   int
	plan    *plan.Plan
	costs   *plan.Prediction
	packed  *packList
	entries []codegen.Entry
	reals   []codegen.Real
	pack    packing
	twin    *compilation // one beside it that packs the same weights
}

// A bucketGraph is the model as one bucket runs it.
type bucketGraph struct {
	Bucket
	model  *ir.Model
	report *fusion.ModelReport
}

// A pass is a row of the pipeline: what it does, and why it stands where it stands.
type pass struct {
	name string
	why  string
	run  func(c *compilation) error
	dump func(c *compilation) []*ir.Model // the graphs after it, for -after
}

var passes = []pass{
	{"parse", "first of all: a mistake in the text is found before a checkpoint is opened",
		(*compilation).parse, nil},
	{"elaborate", "blocks are inlined once the checkpoint's dims and formats are known; constants fold as the graph is built",
		(*compilation).elaborate, func(c *compilation) []*ir.Model { return []*ir.Model{c.model} }},
	{"lower", "formats spell ops before anything is matched, so that rules speak of one matmul",
		(*compilation).lower, func(c *compilation) []*ir.Model { return []*ir.Model{c.lowered} }},
	{"bucket", "what a bucket doesn't need goes before fusion, which mustn't fuse it in; the tail comes, for it may fuse",
		(*compilation).specialise, bucketModels},
	{"fuse", "needs the rows of the bucket: kernels exist for some, and cost depends on them",
		(*compilation).fuse, bucketModels},
	{"place", "last: names and offsets are of the launches that are left",
		(*compilation).place, nil},
}

func bucketModels(c *compilation) []*ir.Model {
	var out []*ir.Model
	for _, b := range c.buckets {
		out = append(out, b.model)
	}
	return out
}

// Passes lists the pipeline, a line a pass: its name and why it stands there.
func Passes() []string {
	var out []string
	for _, p := range passes {
		out = append(out, fmt.Sprintf("%-10s %s", p.name, p.why))
	}
	return out
}

// run takes the compilation through what is left of the pipeline up to the pass called last; "" is all of it.
func (c *compilation) run(last string) error {
	for _, p := range passes[c.passed:] {
		c.passed++
		if err := p.run(c); err != nil {
			return err
		}
		if p.dump != nil {
			for _, m := range p.dump(c) {
				if err := m.Verify(); err != nil {
					return fmt.Errorf("after %s, a bug in hipc: %w", p.name, err)
				}
			}
		}
		if p.name == last {
			return nil
		}
	}
	return nil
}

func start(opts Options) (*compilation, error) {
	c := &compilation{opts: opts}
	if opts.Memo == nil {
		c.opts.Memo = &fusion.Memo{}
	}
	if opts.Context < 0 || opts.Context > plan.MaxContext {
		return nil, fmt.Errorf("--context %d: want 1 to %d tokens, or 0 for the checkpoint's", opts.Context, plan.MaxContext)
	}
	t, err := codegen.TargetByName(opts.Target)
	c.target = t
	return c, err
}

func (c *compilation) close() {
	if c.ckpt != nil {
		c.ckpt.Close()
	}
}

// After runs the pipeline up to a pass and prints the graph there in the model language, for one bucket where they
// differ. The text parses again.
func After(opts Options, name, bucket string) (string, error) {
	i := slices.IndexFunc(passes, func(p pass) bool { return p.name == name && p.dump != nil })
	if i < 0 {
		var names []string
		for _, p := range passes {
			if p.dump != nil {
				names = append(names, p.name)
			}
		}
		return "", fmt.Errorf("-after=%s: no graph is there to be seen; passes with one: %s", name, strings.Join(names, ", "))
	}
	c, err := start(opts)
	if err != nil {
		return "", err
	}
	defer c.close()
	if err := c.run(name); err != nil {
		return "", err
	}
	ms := passes[i].dump(c)
	if len(ms) == 1 {
		return ms[0].String(), nil
	}
	for j, b := range c.buckets {
		if b.Name == bucket {
			return ms[j].String(), nil
		}
	}
	return "", fmt.Errorf("no bucket is called %s: there are %s", bucket, strings.Join(bucketNames(), ", "))
}

func bucketNames() []string {
	var out []string
	for _, b := range Buckets {
		out = append(out, b.Name)
	}
	return out
}

func (c *compilation) parse() (err error) {
	if c.opts.Text != nil {
		c.text, err = ParseText(c.opts.Model, string(c.opts.Text))
	} else {
		c.text, err = ReadText(c.opts.Model)
	}
	return err
}

func (c *compilation) elaborate() (err error) {
	var random *uint64
	if seed, ok := strings.CutPrefix(c.opts.Weights, "random:"); ok {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return fmt.Errorf("--weights random:%s: want a seed, a whole number: random:1", seed)
		}
		random = &n
	} else if c.opts.Weights != "" {
		if c.ckpt, err = weights.Open(c.opts.Weights); err != nil {
			return err
		}
	}
	c.context = contextOf(c.ckpt, c.opts.Context)
	if c.model, c.sources, err = c.text.elaborate(c.ckpt, c.opts.Set, c.context); err != nil {
		return c.text.fitting(err, c.ckpt)
	}
	c.sources.random = random
	if n := c.model.Layers; n > plan.MaxLayers {
		return syntax.Errorf(c.text.repeat(), "%d layers: a plan has at most %d", n, plan.MaxLayers)
	}
	logits := c.model.End.Results[0].Type
	if len(logits.Dims) != 1 {
		return fmt.Errorf("logits are %s, want one axis, the vocabulary", logits)
	}
	c.vocab = logits.Dims[0]
	return nil
}

// contextOf is for how many tokens a checkpoint is compiled: as asked, or as it says, at most DefaultContext. One that has
// other frequencies for contexts beyond its original one (LongRoPE) is compiled for that: asking for more takes the others.
func contextOf(ckpt *weights.Checkpoint, asked int) int {
	context := DefaultContext
	switch {
	case asked != 0:
		return asked
	case ckpt == nil:
		return context
	}
	fields := []string{"max_position_embeddings"}
	if _, ok := ckpt.Config().Lookup("long_factor"); ok {
		fields = append(fields, "original_max_position_embeddings")
	}
	for _, f := range fields {
		if n, ok := number(ckpt.Config(), f); ok && n >= 1 {
			context = int(min(n, float64(context))) // in this order: there is no int of 1e30
		}
	}
	return context
}

func (c *compilation) lower() (err error) {
	c.lowered, err = fusion.LowerModel(c.model)
	return err
}

func (c *compilation) specialise() error {
	keeps := func(n *ir.Node) bool { return len(n.States()) > 0 }
	if !slices.ContainsFunc(c.lowered.Bodies, func(b *ir.Body) bool { return slices.ContainsFunc(b.Graph.Nodes, keeps) }) {
		return syntax.Errorf(c.text.repeat(), "no layer keeps a state: a token would know nothing of those before it; want attend, conv1d or delta_rule in a block")
	}
	for _, b := range Buckets {
		m, err := b.specialise(c.lowered)
		if err != nil {
			return err
		}
		c.buckets = append(c.buckets, &bucketGraph{Bucket: b, model: m})
	}
	return nil
}

func (c *compilation) fuse() error {
	var g errgroup.Group
	for _, b := range c.buckets {
		g.Go(func() error { return c.fuseBucket(b) })
	}
	return g.Wait()
}

func (c *compilation) fuseBucket(b *bucketGraph) error {
	o, err := fusion.For(c.target.Name, b.dims(c.target, c.context), b.Picks)
	if err != nil {
		return err
	}
	o.Off, o.Memo = c.opts.NoFuse, c.opts.Memo
	if o.Rules, err = without(o.Rules, c.opts.Without); err != nil {
		return err
	}
	if b.model, b.report, err = fusion.PlanModel(b.model, o); err == nil {
		err = c.settle(b)
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.Name, err)
	}
	return nil
}

func (c *compilation) place() error {
	c.packed = &packList{target: c.target, context: c.context}
	entries, reals := map[string]codegen.Entry{}, map[string]codegen.Real{}
	p := &plan.Plan{
		Version: plan.Version, Model: c.text.Name, Target: c.target.Name, Device: c.target.Device, Act: c.target.Act, KV: c.target.KV,
		Layers: c.model.Layers, Vocab: c.vocab, Context: c.context, Page: c.target.Page, Fuse: c.opts.fuse(),
	}
	prices, err := kernels.Prices(c.target.Name)
	if err != nil {
		return err
	}
	c.costs = &plan.Prediction{Target: c.target.Name, Machine: prices.String()}
	rows := 1
	reserved := c.reserved()
	for _, b := range c.buckets {
		pl := &placer{taken: reserved, target: c.target, bucket: b.Bucket, context: c.context, entries: entries, reals: reals, packed: c.packed, prices: prices,
			kernels: c.opts.Memo.Kernels(c.target.Name, b.dims(c.target, c.context))}
		if err := pl.place(b.model); err != nil {
			return fmt.Errorf("bucket %s: %w", b.Name, err)
		}
		p.Buckets = append(p.Buckets, pl.out)
		p.Arena = append(p.Arena, pl.arenas...)
		c.costs.Steps = append(c.costs.Steps, pl.costs...)
		rows = max(rows, b.rows())
	}
	if p.Weights, p.State, err = c.packed.plan(); err != nil {
		return err
	}
	p.Cells = cells(c.context, c.target.Page, rows, c.vocab)
	for _, name := range sortedKeys(entries) {
		c.entries = append(c.entries, entries[name])
	}
	for _, name := range sortedKeys(reals) {
		c.reals = append(c.reals, reals[name])
	}
	if err := p.Check(); err != nil {
		return fmt.Errorf("a bug in hipc: the plan doesn't hold: %w", err)
	}
	c.plan = p.Fold()
	ownParts(c.costs, c.plan)
	return nil
}

// reserved are the names of cells and weights, of all buckets: no buffer may have one.
func (c *compilation) reserved() map[string]bool {
	taken := map[string]bool{}
	for _, cell := range cells(c.context, 1, 1, 1) {
		taken[cell.Name] = true
	}
	for _, g := range c.lowered.Graphs() {
		for _, n := range g.Nodes {
			for _, a := range n.Args {
				if a.Weight != nil {
					taken[a.Weight.Path] = true
				}
			}
		}
	}
	return taken
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Source gives a file's text for errors that point into it.
func Source(file string) (string, bool) {
	b, err := os.ReadFile(file)
	return string(b), err == nil
}
