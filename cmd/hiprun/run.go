package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hipc/runtime"
	"hipc/runtime/chat"
	"hipc/runtime/engine"
)

func rootCommand() *cobra.Command {
	var o answerOptions
	cmd := newCommand(cobra.Command{
		Use:   "hiprun DIR [-p PROMPT] [flags]",
		Short: "Run a model that hipc has compiled",
		Long: `Runs a model that hipc has compiled into the folder DIR: answers a prompt, or chats.

Without -p it chats if it's at a terminal (/reset forgets, /exit or Ctrl-D ends, Ctrl-C stops an
answer), and otherwise answers what it reads from its standard input. Answers are greedy, so they
are always the same, unless --temp is given. The last line, on standard error, says what an answer
took. A folder that is called like a command is written ./bench.

A folder may have code for several targets, each in a folder of its own (hipc compile --target a,b): the
one is run that a card here is exactly, an AMD card's before an NVIDIA card's, and otherwise the cpu's, with
a warning that names the card. Code for gfx1100 may run on its neighbours (gfx1101, gfx1102, gfx1103,
gfx1150): --target gfx1100 tries it, and refuses cards of other families, as far as Linux tells them (not on
WSL). HIP_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES say which cards there are.

Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 trouble with the device or its memory, 130 Ctrl-C.`,
		Example: `  hiprun out/smollm2 -p "What is gravity? Answer in one sentence."
  hiprun out/smollm2                                     # chat
  hiprun out/smollm2 --temp 0.7 --top-p 0.9 --seed 7 -p "Tell me a story."
  hiprun out/smollm2 --raw -n 40 -p "The capital of France is"
  git diff | hiprun out/smollm2 --system "You write commit messages."`,
		RunE: func(cmd *cobra.Command, words []string) error {
			o.prompted = cmd.Flags().Changed("prompt")
			o.seeded = cmd.Flags().Changed("seed")
			return o.run(cmd.Context(), words[0])
		},
	})
	f := cmd.Flags()
	f.StringVarP(&o.prompt, "prompt", "p", "", "what to answer")
	f.BoolVar(&o.raw, "raw", false, "continue the prompt as it is, without the chat template")
	f.StringVar(&o.system, "system", "", "what the model is told before the conversation; default: its template's own words")
	f.IntVarP(&o.params.MaxTokens, "max-tokens", "n", 0, "most tokens of an answer; 0: until the context is full")
	f.Float64Var(&o.params.Temperature, "temp", 0, "temperature; 0: the likeliest token, always")
	f.IntVar(&o.params.TopK, "top-k", 0, "draw from the k likeliest tokens; 0: from all")
	f.Float64Var(&o.params.TopP, "top-p", 1, "draw from the fewest tokens that have this probability together")
	f.Float64Var(&o.params.MinP, "min-p", 0, "draw from tokens at least this times as likely as the likeliest")
	f.Float64Var(&o.params.RepetitionPenalty, "repeat-penalty", 1, "makes tokens that were there already less likely; 1: doesn't")
	f.Uint64Var(&o.params.Seed, "seed", 0, "of what is drawn; default: another one each time")
	o.machine.flags(cmd)
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(benchCommand(), devicesCommand(), evalCommand(), logitsCommand(), profileCommand(), verifyCommand())
	return cmd
}

type answerOptions struct {
	machine
	prompt, system        string
	raw, prompted, seeded bool
	params                engine.SamplingParams
}

func (o *answerOptions) run(ctx context.Context, dir string) (err error) {
	if !o.seeded {
		o.params.Seed = rand.Uint64()
	}
	talk := !o.prompted && term.IsTerminal(int(os.Stdin.Fd()))
	if talk && o.raw {
		return usageError{fmt.Errorf("--raw wants a prompt: -p, or a text on standard input")}
	}
	if !o.prompted && !talk {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, maxText+1))
		if err != nil {
			return err
		}
		if len(b) > maxText {
			return fmt.Errorf("the text on standard input has more than %s", runtime.Size(maxText))
		}
		o.prompt = strings.TrimSuffix(string(b), "\n")
		if o.raw {
			o.prompt = string(b) // as it is
		}
	}
	if !talk && o.prompt == "" {
		return usageError{fmt.Errorf("an empty prompt: give one with -p or on standard input")}
	}
	a, err := o.artifact(dir)
	if err != nil {
		return err
	}
	c, err := chat.Open(a, func() (*engine.LLM, error) { return o.model(a) })
	if err != nil {
		return err
	}
	defer closing(&err, c)
	c.System = o.system
	if talk {
		return o.talk(ctx, c, a.Plan.Model)
	}
	ask := c.Ask
	if o.raw || !c.HasTemplate() {
		ask = c.Continue
	}
	out := &screen{w: os.Stdout, safe: term.IsTerminal(int(os.Stdout.Fd()))}
	u, err := ask(ctx, o.prompt, o.params, out)
	if u.Tokens > 0 {
		out.end()
		summary(os.Stderr, u)
	}
	return err
}

// maxText bounds what is read as a prompt or a text to evaluate.
const maxText = 256 << 20

// summary is the line after an answer.
func summary(w io.Writer, u engine.Usage) {
	cached := ""
	if u.Cached > 0 {
		cached = fmt.Sprintf(" (%d cached)", u.Cached)
	}
	note := ""
	switch u.Reason {
	case "context":
		note = ", the context is full"
	case "length":
		note = ", cut at --max-tokens"
	case "":
		note = ", stopped"
	}
	fmt.Fprintf(w, "[%d prompt tokens%s, %d answered%s | prefill %.1f tok/s, decode %.1f tok/s | peak memory %s]\n",
		u.Prompt, cached, u.Tokens, note, u.PrefillRate(), u.DecodeRate(), runtime.Size(u.Peak))
}

// A screen is where an answer goes. At a terminal it leaves out control characters: what a model says is no command to
// the terminal.
type screen struct {
	w    io.Writer
	safe bool
	last byte
}

func (s *screen) Write(b []byte) (int, error) {
	n := len(b)
	if s.safe {
		b = []byte(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
				return -1
			}
			return r
		}, string(b)))
	}
	if len(b) > 0 {
		s.last = b[len(b)-1]
	}
	if _, err := s.w.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

// end ends the last line.
func (s *screen) end() {
	if s.last != '\n' {
		io.WriteString(s.w, "\n")
	}
	s.last = '\n'
}

// interrupted says that an error is Ctrl-C's.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }
