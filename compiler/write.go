package compiler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"hipc/codegen"
	"hipc/fusion"
	"hipc/kernels"
	"hipc/kernels/checks"
	"hipc/runtime/plan"
	"hipc/runtime/text/files"
)

// A Result says what Compile has made.
type Result struct {
	Dir     string
	Plan    *plan.Plan
	Missing *codegen.MissingTool // why there is no compiled object, if there is none
	Passed  []string             // compilers that were there and not used, and why
	Unfused int                  // steps of a token of decode_1 with -fuse=off
	Formats []FormatUse
	Skipped []string // what the checkpoint holds and the model doesn't use, a line each
	// NoWeights says that no checkpoint was given: the artifact can be read, not run.
	NoWeights bool
	// NoTokenizer says that the checkpoint has no tokenizer.json: the artifact takes ids, not words.
	NoTokenizer bool
	Stages      []Stage
}

// A Stage is how long a part of the work took.
type Stage struct {
	Name string
	Took time.Duration
}

// Names of an artifact's members.
const (
	planFile       = "plan.go"
	graphFile      = "graph.txt"
	reportFile     = "kernels.txt"
	tokenizerFile  = "tokenizer.json"
	templateFile   = "chat_template.jinja"
	generationFile = "generation.json"
)

// write fills the artifact's folder: text first, then the compiled object beside the packed weights.
func (c *compilation) write(ctx context.Context, f *folder, begun time.Time) (*Result, error) {
	members, err := c.members()
	if err != nil {
		return nil, err
	}
	if err := c.room(f); err != nil {
		return nil, err
	}
	r := &Result{Dir: c.opts.Out, Plan: c.plan, Unfused: c.buckets[0].report.Unfused, Formats: c.formats(), NoWeights: !c.packs()}
	if c.ckpt != nil {
		r.NoTokenizer = members[tokenizerFile] == nil
		for _, s := range c.ckpt.Skipped() {
			r.Skipped = append(r.Skipped, s.Name+": "+s.Reason)
		}
		r.Skipped = append(r.Skipped, c.sources.skips()...)
	}
	man := &plan.Manifest{Format: plan.FormatVersion, Model: c.plan.Model, Target: c.plan.Target,
		ModelText: plan.Digest("", []byte(c.text.Source)).SHA256,
		Compilers: []plan.Compiler{{Name: "hipc", Version: c.opts.Version}}}
	for name, data := range members {
		if err := f.write(name, data); err != nil {
			return nil, err
		}
	}
	r.Stages = append(r.Stages, Stage{"plan", time.Since(begun)})

	var object, weights Stage
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		object, err = c.object(gctx, f, man, r, members)
		return err
	})
	if c.packs() {
		g.Go(func() (err error) {
			weights, err = c.weights(gctx, f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	r.Stages = append(r.Stages, object, weights)
	man.Weights, man.Checkpoint = c.pack.file, c.pack.checkpoint
	for _, name := range sortedKeys(members) {
		man.Members = append(man.Members, plan.Digest(name, members[name]))
	}
	man.Plan = plan.Digest(planFile, members[planFile]).SHA256
	out, err := man.Write()
	if err != nil {
		return nil, err
	}
	return r, f.write(plan.ManifestName, out)
}

// members are the files that come of the passes and of the checkpoint's text: everything but what other programs make,
// and the weights.
func (c *compilation) members() (map[string][]byte, error) {
	src, err := codegen.PlanSource(c.plan)
	if err != nil {
		return nil, err
	}
	if err := c.plan.Check(); err != nil {
		return nil, fmt.Errorf("a bug in hipc: the folded plan doesn't hold: %w", err)
	}
	for _, b := range c.buckets {
		c.costs.Rules = append(c.costs.Rules, b.uses()...)
	}
	ownParts(c.costs, c.plan)
	costs, err := c.costs.Write()
	if err != nil {
		return nil, err
	}
	m := map[string][]byte{
		planFile:            src,
		graphFile:           []byte(c.graphText()),
		plan.PredictionName: costs,
		c.target.Source:     codegen.Source(c.target, c.plan.Model, c.entries, c.reals),
	}
	table, err := kernels.Checked(c.target.Name)
	if err != nil {
		return nil, err
	}
	if m[checks.RecordName], err = c.validation(table); err != nil {
		return nil, err
	}
	templates, err := codegen.Templates(c.target, kernels.Templates, c.entries)
	if err != nil {
		return nil, err
	}
	for name, data := range templates {
		m[name] = data
	}
	if c.ckpt == nil {
		return m, nil
	}
	tok, chat, gen, err := c.textFiles()
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{tokenizerFile: tok, templateFile: chat, generationFile: gen} {
		if len(data) > 0 {
			m[name] = data
		}
	}
	return m, nil
}

// textFiles are the tokenizer, the chat template and how a sequence stops.
func (c *compilation) textFiles() (tok, chat, gen []byte, err error) {
	if g := c.ckpt.GGUF(); g != nil {
		return files.FromGGUF(g)
	}
	dir := c.ckpt.Path
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	return files.FromHF(os.DirFS(dir))
}

// graphText is graph.txt: the lowered graph, each bucket's as it was fused, and the rules that say what the fused ops are.
func (c *compilation) graphText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# --- lowered\n%s", c.lowered)
	for _, g := range c.buckets {
		fmt.Fprintf(&b, "# --- %s\n%s", g.Name, g.model)
	}
	fmt.Fprintf(&b, "# --- rules\n%s", fusion.Text())
	return b.String()
}

// packs says that there are weights to pack: a checkpoint's, or random ones.
func (c *compilation) packs() bool { return c.ckpt != nil || c.sources.random != nil }

// room refuses before anything is written if the disk can't hold the weights.
func (c *compilation) room(f *folder) error {
	var st unix.Statfs_t
	if !c.packs() || c.twin != nil || unix.Statfs(f.tmp, &st) != nil {
		return nil
	}
	need, free := c.plan.WeightBytes()+64<<20, int64(st.Bavail)*st.Bsize
	if free < need {
		return fmt.Errorf("the disk is full: %s needs %d MiB and has %d MiB free; make room there, or give another -o", c.opts.Out, need>>20, free>>20)
	}
	return nil
}

// object compiles the kernels. A missing compiler is noted, not an error: plan and source are worth having.
func (c *compilation) object(ctx context.Context, f *folder, man *plan.Manifest, r *Result, members map[string][]byte) (Stage, error) {
	begun := time.Now()
	built, err := codegen.Build(ctx, c.target, f.tmp)
	var missing *codegen.MissingTool
	switch {
	case errors.As(err, &missing):
		r.Missing = missing
		return Stage{"kernels", time.Since(begun)}, nil
	case err != nil && strings.Contains(err.Error(), "No space left on device"): // the compiler's words
		return Stage{}, full(unix.ENOSPC, f.place)
	case err != nil:
		return Stage{}, full(err, f.place)
	}
	r.Passed = built.Passed
	man.Compilers = append(man.Compilers, built.Compiler)
	shared := map[string]int{}
	for _, b := range c.plan.Buckets {
		for _, part := range b.Parts {
			for _, s := range part.Steps {
				shared[s.Kernel] = s.LDS
			}
		}
	}
	report, err := codegen.Report(c.target, f.tmp, shared)
	if err != nil {
		return Stage{}, err
	}
	members[reportFile] = report
	if err := f.write(reportFile, report); err != nil {
		return Stage{}, err
	}
	members[c.target.Object], err = os.ReadFile(filepath.Join(f.tmp, c.target.Object))
	return Stage{"kernels", time.Since(begun)}, err
}

// A packing is a file of packed weights as the manifest names it, and what it was made of.
type packing struct {
	path       string // in the folder being written
	file       *plan.WeightsFile
	checkpoint []plan.Member
	done       chan struct{} // closed when all this is there
}

// weights packs the checkpoint, or takes the file that its twin packs.
func (c *compilation) weights(ctx context.Context, f *folder) (Stage, error) {
	begun := time.Now()
	if c.twin == nil {
		err := c.packInto(ctx, f)
		return Stage{"weights", time.Since(begun)}, err
	}
	select {
	case <-c.twin.pack.done:
	case <-ctx.Done():
		return Stage{}, ctx.Err()
	}
	theirs := c.twin.pack
	c.pack.file, c.pack.checkpoint, c.pack.path = theirs.file, theirs.checkpoint, filepath.Join(f.tmp, theirs.file.File)
	return Stage{"weights", time.Since(begun)}, full(link(theirs.path, c.pack.path), f.place)
}

// link makes a second name for a file, or a copy where the file system has no such names.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// packInto packs the checkpoint into the folder.
func (c *compilation) packInto(ctx context.Context, f *folder) error {
	total := c.plan.WeightBytes()
	name := "weights-" + c.packed.layout() + ".bin"
	c.pack.path = filepath.Join(f.tmp, name)
	file, err := os.OpenFile(c.pack.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return full(err, f.place)
	}
	defer file.Close()
	var sums plan.ChunkHash
	k := &packer{src: c.sources, values: c.packed.values()}
	progress := func(done int64) {
		if c.opts.Progress != nil {
			c.opts.Progress("packing", done, total)
		}
	}
	if err := k.pack(ctx, io.MultiWriter(file, &sums), c.plan, progress); err != nil {
		return full(err, f.place)
	}
	c.pack.file = &plan.WeightsFile{File: name, Bytes: total, Kinds: c.plan.Kinds(), Chunks: sums.Sums()}
	if c.sources.random != nil {
		c.pack.file.Random = c.opts.Weights
	} else {
		digest, err := c.ckpt.Digest(nil)
		if err != nil {
			return err
		}
		c.pack.checkpoint = []plan.Member{{Name: filepath.Base(c.ckpt.Path), Bytes: c.ckpt.Bytes(), SHA256: digest}}
	}
	if err := full(file.Close(), f.place); err != nil {
		return err
	}
	close(c.pack.done)
	return nil
}
