// Package plan holds the launch plan: the data that hipc writes as plan.go, that people review, and that hiprun
// replays. The types are plain so that a plan is one composite literal in Go syntax; Read accepts nothing else.
//
// Everything in a plan is named: buffers, weights, state, cells and kernels. A step lists its operands by name in
// the order in which its kernel takes them: In, then Out, then State. A name is resolved, in this order, as a cell,
// a weight, a state, and a slot of the arena of the step's part; hipc sees to it that no name means two things.
// Within a part that is run per layer, "{l}" stands for the layer's number and "{l+1}" for the next one's.
package plan

// Version is the format of plan.go that this package reads and writes.
const Version = 1

// A Plan is all that a runtime has to know to run one model on one target.
type Plan struct {
	Version int
	Model   string
	Target  string // a row of codegen's table of targets: cpu_v4, gfx1100, …
	Device  string // what runs it: cpu, hip, cuda
	Act     string // element of activations: f32, f16, bf16
	KV      string // element of the KV cache
	Layers  int
	Vocab   int
	Context int    // longest context in tokens
	Page    int    // tokens a KV page
	Fuse    string // what of the rules it was made without, as hipc compile --fuse has it: off, -swiglu,-rope_append; empty: nothing
	Weights []Weight
	State   []State
	Cells   []Cell
	Buckets []Bucket
	Arena   []Arena // the only place with offsets, and the last block: a diff above it reads without it
}

// A Weight is one packed tensor as the kernels read it, or one per layer where Layers isn't empty.
type Weight struct {
	Name   string // "norm", "layers.{l}.self_attn.q_proj"
	Type   string // "q4_1[576,576]"
	Layout string // how the values lie in memory: "rows", "x16"
	Bytes  int    // of one layer
	Layers string // "0-29", "0-2,4-6"; empty: the model has one
	Expr   string // how it's made of checkpoint tensors, where that isn't "as it is": "1 + norm"
}

// A State is memory that outlives a token: a KV cache, a recurrent state. One per sequence slot and layer.
type State struct {
	Name   string // "layers.{l}.self_attn.kv"
	Type   string // "kv[3,64]"
	Bytes  int    // of one layer: KV for all Context tokens, otherwise one slot
	Layers string
}

// A Cell is a small piece of device memory that the host, or a step, writes between replays: token ids, positions,
// live counts, block tables, sampling parameters. Grids are fixed; cells say how much of them is alive.
type Cell struct {
	Name  string // "tokens"
	Type  string // "i32[512]"
	Bytes int
}

// A Bucket is the plan of one shape of work: Rows consecutive tokens of each of Seqs sequences.
type Bucket struct {
	Name  string // "decode_1", "prefill_512"
	Seqs  int
	Rows  int
	Picks int    // rows of which logits are wanted: 0, or all Seqs*Rows
	Tail  string // what follows the logits: "argmax", "sample", or nothing
	Base  string // an earlier bucket, whose parts this one runs but for those that it lists itself
	Cost  Cost
	Parts []Part
}

// Cost is what the plan says of one replay of a bucket (whole context empty): read by people, and by hipc diff.
type Cost struct {
	Steps int // launches in one replay
	Bytes int // of weights and activations moved
	Ops   int // floating-point operations, a multiply-add being two
}

// A Part is a run of steps: before the layers, of a layer, after them. Parts are listed in the order in which they
// run; those with Layers form the loop over the layers, in which layer l runs the part that lists it.
type Part struct {
	Name   string // "begin", "layer", "layer.end", "end"
	Layers string // "0-28"; empty: runs once
	Base   string // an earlier part that the bucket lists, with whose first steps this one begins
	Shared int    // how many those are
	Steps  []Step // those that follow
}

// A Step is one launch. Grid blocks of Block threads (1 on a CPU), LDS bytes of block-shared memory.
type Step struct {
	Kernel string // its entry in the compiled object
	Inst   string // the template instance behind it, one per sibling, " | " between
	In     []string
	Out    []string
	State  []string
	Grid   int
	Block  int
	LDS    int
}

// An Arena places the buffers of one part of one bucket. Carried buffers have the same place in all parts.
type Arena struct {
	Bucket string
	Part   string
	Slots  []Slot
}

// A Slot is a buffer's place: Offset bytes from the arena's start.
type Slot struct {
	Name   string
	Type   string // "act[512,576]": rows first
	Offset int
	Bytes  int
}
