package compiler

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"time"
)

// Compile makes the artifact. If the machine lacks the target's compiler, everything but the compiled object is
// written, and the result names the *codegen.MissingTool that says what to install.
func Compile(ctx context.Context, opts Options) (*Result, error) {
	r, err := compileAll(ctx, []Options{opts})
	if err != nil {
		return nil, err
	}
	return r[0], nil
}

// CompileAll makes an artifact for each of the targets, all at once, each in the folder of opts.Out that has the target's name. Targets
// whose plans want the same weights in the same layouts have one packed file between them, under several names. Nothing is put in its
// place before all are whole.
func CompileAll(ctx context.Context, opts Options, targets []string) ([]*Result, error) {
	if err := replaceable(opts.Out); err == nil && !empty(opts.Out) {
		return nil, fmt.Errorf("%s is an artifact, of one target: give another -o for several, or remove it", opts.Out)
	}
	var all []Options
	seen := map[string]bool{}
	for _, name := range targets {
		o := opts
		o.Target = name
		c, err := start(o)
		if err != nil {
			return nil, err
		}
		if o.Target = c.target.Name; seen[o.Target] {
			continue // cpu may be another name of one that is there
		}
		seen[o.Target] = true
		o.Out = filepath.Join(opts.Out, o.Target)
		all = append(all, o)
	}
	if opts.Progress != nil {
		p := &totals{show: opts.Progress, done: make([]int64, len(all)), total: make([]int64, len(all))}
		for i := range all {
			all[i].Progress = func(stage string, done, total int64) { p.add(i, stage, done, total) }
		}
	}
	return compileAll(ctx, all)
}

// totals adds up what several compilations say of their progress.
type totals struct {
	sync.Mutex
	show        func(stage string, done, total int64)
	done, total []int64
}

func (p *totals) add(i int, stage string, done, total int64) {
	p.Lock()
	defer p.Unlock()
	p.done[i], p.total[i] = done, total
	var d, t int64
	for i := range p.done {
		d, t = d+p.done[i], t+p.total[i]
	}
	p.show(stage, d, t)
}

func compileAll(ctx context.Context, all []Options) ([]*Result, error) {
	begun := time.Now()
	cs, fs, results := make([]*compilation, len(all)), make([]*folder, len(all)), make([]*Result, len(all))
	for i, o := range all {
		c, err := start(o)
		if err != nil {
			return nil, err
		}
		if c.target.Object == "" {
			return nil, fmt.Errorf("%s is nothing to compile for: it interprets the graph of any artifact (hiprun DIR --device %s)", c.target.Name, c.target.Name)
		}
		c.pack.done = make(chan struct{})
		cs[i] = c
		defer c.close()
	}
	if err := together(ctx, cs, func(_ context.Context, i int) error { return cs[i].run("") }); err != nil {
		return nil, err
	}
	for i, c := range cs {
		for _, d := range cs[:i] {
			if c.packs() && d.twin == nil && reflect.DeepEqual(c.plan.Weights, d.plan.Weights) {
				c.twin = d
				break
			}
		}
		f, err := newFolder(c.opts.Out)
		if err != nil {
			return nil, err
		}
		fs[i] = f
		defer f.abandon()
	}
	err := together(ctx, cs, func(ctx context.Context, i int) (err error) {
		results[i], err = cs[i].write(ctx, fs[i], begun)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range fs {
		if err := f.commit(); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// together does the work of all compilations at once. When one fails the others are stopped; the error is that of the first in the list
// that failed by itself, and names its target where that matters.
func together(ctx context.Context, cs []*compilation, work func(ctx context.Context, i int) error) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(cs))
	var wg sync.WaitGroup
	for i := range cs {
		wg.Go(func() {
			if errs[i] = work(inner, i); errs[i] != nil {
				stop()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("stopped: nothing was left at %s", cs[0].opts.Out)
	}
	for i, err := range errs {
		if err == nil || errors.Is(err, context.Canceled) {
			continue
		}
		for j := range errs {
			if errs[j] == nil || errs[j].Error() != err.Error() {
				return fmt.Errorf("%s: %w", cs[i].target.Name, err)
			}
		}
		return err
	}
	return nil
}
