// Command hiprun runs a compiled model: it answers, chats, measures, and shows logits. It reads flags and prints; what
// it does is in the packages under hipc/runtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hipc/runtime"
)

// Exit codes. Scripts may rely on them.
const (
	exitInput       = 1 // the artifact, a file, a prompt
	exitUsage       = 2 // the command line
	exitDevice      = 3 // the machine: memory, driver, wrong target
	exitInterrupted = 128 + int(syscall.SIGINT)
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program at once
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	fmt.Fprintf(os.Stderr, "hiprun: %v\n", err)
	var usage usageError
	var device *runtime.DeviceError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &device):
		return exitDevice
	}
	return exitInput
}

// closing closes what a command has used. What goes wrong then is an error only if nothing did before.
func closing(err *error, c io.Closer) {
	if e := c.Close(); *err == nil {
		*err = e
	}
}

// A usageError is a mistake in the command line.
type usageError struct{ error }

// args makes an error of how many words there are a usageError.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, words []string) error {
		if err := check(cmd, words); err != nil {
			return usageError{fmt.Errorf("%w (%s --help shows examples)", err, cmd.CommandPath())}
		}
		return nil
	}
}

// newCommand is a command as all of ours are: one artifact, no usage text after an error.
func newCommand(c cobra.Command) *cobra.Command {
	c.Args = args(cobra.ExactArgs(1))
	c.SilenceUsage, c.SilenceErrors, c.DisableFlagsInUseLine = true, true, true
	c.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath())}
	})
	return &c
}
