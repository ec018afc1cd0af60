package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"hipc/runtime"
	"hipc/runtime/weights"
)

func logitsCommand() *cobra.Command {
	var m machine
	var file, out string
	cmd := newCommand(cobra.Command{
		Use:   "logits DIR --ids FILE.json -o OUT.safetensors [flags]",
		Short: "Write the logits after each token",
		Long: `Reads token ids, a JSON list of whole numbers, as one sequence, and writes the logits after each of
them: a safetensors file with one tensor, logits, fp32 [ids, vocabulary]. Any engine can be held
against that.`,
		Example: `  echo '[504, 3575, 282, 4649, 314]' > ids.json
  hiprun logits out/smollm2 --ids ids.json -o logits.safetensors
  hiprun logits out/smollm2 --ids ids.json -o oracle.safetensors --device reference`,
		RunE: func(cmd *cobra.Command, words []string) (err error) {
			if file == "" || out == "" {
				return usageError{fmt.Errorf("want --ids FILE.json and -o OUT.safetensors")}
			}
			ids, err := readIDs(file)
			if err != nil {
				return err
			}
			llm, a, err := m.open(words[0])
			if err != nil {
				return err
			}
			defer closing(&err, llm)
			v := llm.Vocab()
			for i, id := range ids {
				if id < 0 || int(id) >= v {
					return fmt.Errorf("%s: id %d is %d, want 0 to %d", file, i, id, v-1)
				}
			}
			if len(ids) > llm.Context() {
				return fmt.Errorf("%s: %w", file, &runtime.ContextError{Tokens: len(ids), Context: llm.Context(), Compiled: a.Plan.Context})
			}
			data := make([]float32, 0, len(ids)*v)
			err = llm.Logits(cmd.Context(), ids, func(_ int, row []float32) error {
				data = append(data, row...)
				return nil
			})
			if err != nil {
				return err
			}
			return weights.WriteSafetensors(out, []weights.Float32s{{Name: "logits", Dims: []int{len(ids), v}, Data: data}})
		},
	})
	f := cmd.Flags()
	f.StringVar(&file, "ids", "", "a JSON list of token ids")
	f.StringVarP(&out, "output", "o", "", "the safetensors file to write")
	m.flags(cmd)
	return cmd
}

func readIDs(path string) ([]int32, error) {
	b, err := readText(path)
	if err != nil {
		return nil, err
	}
	var ids []int32
	if err := json.Unmarshal(b, &ids); err != nil {
		return nil, fmt.Errorf("%s: want a JSON list of token ids such as [1, 2, 3]: %w", path, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s: no ids, want at least one", path)
	}
	return ids, nil
}
