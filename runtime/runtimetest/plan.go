package runtimetest

import (
	"fmt"

	"hipc/runtime/plan"
)

// Plan is the model's plan.
func Plan() *plan.Plan {
	p := planner{&plan.Plan{
		Version: plan.Version, Model: "toy", Target: "cpu_v3", Device: "cpu", Act: "f32", KV: "f32",
		Layers: Layers, Vocab: Vocab, Context: Context, Page: Page,
		Weights: []plan.Weight{
			{Name: "embed", Type: fmt.Sprintf("f32[%d,%d]", Vocab, Width), Layout: "rows", Bytes: 4 * Vocab * Width},
			{Name: "layers.{l}.w", Type: fmt.Sprintf("f32[%d]", Width), Layout: "rows", Bytes: 4 * Width, Layers: "0-1"},
		},
		State: []plan.State{{Name: "layers.{l}.kv", Type: "kv[1,1]", Bytes: 4 * Context, Layers: "0-1"}},
		Cells: []plan.Cell{
			{Name: "token", Type: fmt.Sprintf("i32[%d]", Rows), Bytes: 4 * Rows},
			{Name: "pos", Type: "i32[1]", Bytes: 4},
			{Name: "live", Type: "i32[1]", Bytes: 4},
			{Name: "table", Type: fmt.Sprintf("i32[%d]", Context/Page), Bytes: 4 * Context / Page},
			{Name: "params", Type: "f32[8]", Bytes: 32},
			{Name: "rng", Type: "i32[2]", Bytes: 8},
			{Name: "counts", Type: fmt.Sprintf("i32[%d]", Vocab), Bytes: 4 * Vocab},
		},
	}}
	p.bucket("decode_1", 1, 1, "argmax")
	p.bucket("decode_1_sample", 1, 1, "sample")
	p.bucket(fmt.Sprintf("prefill_%d", Rows), Rows, 0, "")
	p.bucket(fmt.Sprintf("score_%d", Rows), Rows, Rows, "")
	return p.Plan
}

type planner struct{ *plan.Plan }

// bucket adds one with its arena: h is carried from part to part.
func (p planner) bucket(name string, rows, picks int, tail string) {
	act := fmt.Sprintf("act[%d,%d]", rows, Width)
	bytes := 4 * rows * Width
	h := plan.Slot{Name: "h", Type: act, Bytes: bytes}
	behind := (bytes + 63) / 64 * 64
	b := plan.Bucket{Name: name, Seqs: 1, Rows: rows, Picks: picks, Tail: tail, Parts: []plan.Part{
		{Name: "begin", Steps: []plan.Step{
			{Kernel: "toy_embed", In: []string{"token", "embed", "live"}, Out: []string{"h"}, Grid: rows, Block: 1},
		}},
		{Name: "layer", Layers: "0-1", Steps: []plan.Step{
			{Kernel: "toy_remember", In: []string{"h", "pos", "live", "table"}, State: []string{"layers.{l}.kv"}, Grid: 1, Block: 1},
			{Kernel: "toy_layer", In: []string{"h", "layers.{l}.w", "pos", "live", "table"}, Out: []string{"h"}, State: []string{"layers.{l}.kv"}, Grid: rows, Block: 1},
		}},
	}}
	slots := []plan.Slot{h}
	if picks > 0 {
		end := plan.Part{Name: "end", Steps: []plan.Step{
			{Kernel: "toy_head", In: []string{"h", "embed"}, Out: []string{"logits"}, Grid: picks * Vocab, Block: 1},
		}}
		logits := plan.Slot{Name: "logits", Type: fmt.Sprintf("f32[%d,%d]", picks, Vocab), Offset: behind, Bytes: 4 * picks * Vocab}
		slots = append(slots, logits)
		switch tail {
		case "argmax":
			end.Steps = append(end.Steps, plan.Step{Kernel: "toy_argmax", In: []string{"logits", "pos"}, Out: []string{"token"}, Grid: 1, Block: 1})
		case "sample":
			end.Steps = append(end.Steps, plan.Step{Kernel: "toy_sample", In: []string{"logits", "pos", "params", "rng", "counts"}, Out: []string{"token"}, Grid: 1, Block: 1})
		}
		b.Parts = append(b.Parts, end)
	}
	for _, part := range b.Parts {
		n := 1
		if part.Layers != "" {
			n = Layers
		}
		b.Cost.Steps += n * len(part.Steps)
		list := []plan.Slot{h}
		if part.Name == "end" {
			list = slots
		}
		p.Arena = append(p.Arena, plan.Arena{Bucket: name, Part: part.Name, Slots: list})
	}
	p.Buckets = append(p.Buckets, b)
}
