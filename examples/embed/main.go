// Command embed is a program with a model in it: the plan is a package that it imports, all else of the artifact lies in its binary.
// Only the weights stay a file, beside the program or in the folder that HIPC_WEIGHTS names.
package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strings"

	model "example.org/embed/model" // hipc compile MODEL --weights CHECKPOINT -o model
	"hipc/runtime"
	"hipc/runtime/chat"
	"hipc/runtime/engine"
)

//go:embed model/[^w]*
var files embed.FS

func main() {
	members, _ := fs.Sub(files, "model")
	a, err := runtime.OpenEmbedded(members, os.Getenv("HIPC_WEIGHTS"))
	if err != nil {
		log.Fatal(err)
	}
	c, err := chat.Open(a, func() (*engine.LLM, error) { return engine.OpenArtifact(a, engine.Options{}) })
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Printf("%s, %d layers, %d tokens of context:\n", model.Plan.Model, model.Plan.Layers, model.Plan.Context)
	if _, err := c.Ask(context.Background(), strings.Join(os.Args[1:], " "), engine.SamplingParams{MaxTokens: 64}, os.Stdout); err != nil {
		log.Fatal(err)
	}
	fmt.Println()
}
