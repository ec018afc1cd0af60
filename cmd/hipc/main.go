// Command hipc compiles a model text into an artifact, shows what an artifact holds, and says what a machine can build.
// This folder has flags and words; the work is done in hipc/compiler and hipc/codegen.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"hipc/compiler"
	"hipc/ir/syntax"
)

func main() {
	debug.SetGCPercent(400) // a plan is made of some 50 MB of small things that soon go: collecting less often halves the time
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := &cobra.Command{
		Use:   "hipc",
		Short: "compile a language model, from a page of text, to kernels and a launch plan",
		Long: `hipc turns a model text into an artifact: kernels specialised to that model's shapes, and a launch plan
(plan.go) that a person can read and review. hiprun runs the artifact.`,
		Example: `  hipc compile models/smollm2-135m-instruct.yaml --weights SmolLM2-135M-Instruct.Q4_1.gguf -o out/smollm2
  hipc compile models/qwen3.yaml -after=fuse
  hipc inspect out/smollm2
  hipc doctor`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			return usage{fmt.Errorf("hipc has no command %s%s (hipc --help lists them)", args[0], syntax.DidYouMean(args[0], names))}
		},
		RunE:          func(c *cobra.Command, args []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.AddCommand(compileCommand(), inspectCommand(), explainCommand(), diffCommand(), fmtCommand(), lintCommand(), doctorCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage{err} })
	args := longFlags(os.Args[1:])
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	stop()
	var e exit
	if errors.As(err, &e) {
		os.Exit(int(e))
	}
	if err != nil {
		fmt.Fprint(os.Stderr, syntax.Render(err, compiler.Source))
		var u usage
		if errors.As(err, &u) && !slices.Contains(args, "--detailed-exitcode") { // where 2 says that a plan has changed
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// A usage error is about the command line, not about the work.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// longFlags lets -fuse=off and -after=PASS be written with one dash, as Go programs do.
func longFlags(args []string) []string {
	out := append([]string(nil), args...)
	for i, a := range out {
		for _, name := range []string{"fuse", "after", "set", "weights", "target", "bucket", "context", "json", "markdown", "source", "detailed-exitcode"} {
			if a == "-"+name || strings.HasPrefix(a, "-"+name+"=") {
				out[i] = "-" + a
			}
		}
	}
	return out
}

// commit is what the Makefile links in; go's own build information is often switched off.
var commit string

// version is the commit that this program was built from, where the build knows it.
func version() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "devel"
}
