package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hipc/runtime"
	"hipc/runtime/chat"
	"hipc/runtime/engine"
)

func evalCommand() *cobra.Command {
	var m machine
	var file, against string
	var window, tokens int
	var asJSON bool
	cmd := newCommand(cobra.Command{
		Use:   "eval DIR --text FILE [flags]",
		Short: "Perplexity of a text, and distance from the reference",
		Long: `Lets the model predict a text, in windows that begin with an empty context each, and prints the mean
negative log-likelihood of a token (natural logarithm) and its exponential, the perplexity. The first
token of a window isn't predicted. With --against reference the same graph is interpreted in fp32
beside it, and the Kullback-Leibler divergence from that, its mean and its largest, and how often
both agree on the likeliest token are printed: that is slow, so --tokens cuts the text.`,
		Example: `  hiprun eval out/smollm2 --text prose.txt
  hiprun eval out/smollm2 --text wiki.test.raw --window 512 --tokens 20000
  hiprun eval out/smollm2 --text prose.txt --tokens 128 --against reference`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			if file == "" {
				return usageError{fmt.Errorf("no text: want --text FILE")}
			}
			if against != "" && against != "reference" {
				return usageError{fmt.Errorf("--against %s: want reference", against)}
			}
			body, err := readText(file)
			if err != nil {
				return err
			}
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			tok, err := chat.Tokenizer(a)
			if err != nil {
				return err
			}
			ids := tok.EncodePrompt(string(body))
			tok.Close()
			if tokens > 0 && tokens < len(ids) {
				ids = ids[:tokens]
			}
			if !cmd.Flags().Changed("window") {
				window = min(window, llm.Context())
			}
			var other engine.Model
			if against != "" {
				if other, err = m.run(a, against); err != nil {
					return err
				}
				defer other.Close()
			}
			var progress func(done, of int)
			if term.IsTerminal(int(os.Stderr.Fd())) {
				progress = func(done, of int) { fmt.Fprintf(os.Stderr, "\r\x1b[K%d of %d tokens", done, of) }
			}
			s, err := engine.Evaluate(cmd.Context(), llm.Model, other, ids, window, progress)
			if progress != nil {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			fmt.Fprintf(out, "perplexity %.4f, mean NLL %.5f over %d tokens in %d windows of %d\n", s.Perplexity, s.MeanNLL, s.Tokens, s.Windows, window)
			if d := s.Distance; d != nil {
				fmt.Fprintf(out, "against %s: mean KL %.3g, max KL %.3g, top-1 agreement %.2f %%, its mean NLL %.5f\n", against, d.MeanKL, d.MaxKL, 100*d.Top1, d.RefNLL)
			}
			return nil
		},
	})
	f := cmd.Flags()
	f.StringVar(&file, "text", "", "the text, in UTF-8")
	f.IntVar(&window, "window", 1024, "tokens of a window, at most the context")
	f.IntVar(&tokens, "tokens", 0, "take only so many tokens of the text; 0: all")
	f.StringVar(&against, "against", "", "compare with: reference")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	m.flags(cmd)
	return cmd
}

// readText reads a file of a size that fits.
func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxText {
		return nil, fmt.Errorf("%s: want a regular file of at most %s", path, runtime.Size(maxText))
	}
	return os.ReadFile(path)
}
