package plan

// Caps. A plan is hostile input: whatever a runtime would allocate or loop over has a bound here, wide enough for any
// model that one machine can hold.
const (
	MaxSource  = 4 << 20 // bytes of plan.go
	MaxDepth   = 8       // levels of braces: Plan, Buckets, a bucket, Parts, a part, Steps, a step, In
	MaxTokens  = 1 << 20 // of plan.go: what the parser may build a tree of
	MaxName    = 512     // bytes of a name
	MaxText    = 4096    // bytes of any other string
	MaxLayers  = 1024
	MaxVocab   = 1 << 24
	MaxContext = 1 << 24 // tokens
	MaxPage    = 1 << 16 // tokens
	MaxRows    = 1 << 20 // Seqs * Rows of a bucket
	MaxGrid    = 1<<31 - 1
	MaxBlock   = 1024
	MaxLDS     = 1 << 18 // bytes
	MaxSlots   = 1 << 10 // of one arena
	MaxSteps   = 1 << 10 // of one part
	MaxShared  = 1 << 16 // steps that parts begin with as others do, of all buckets
	MaxNames   = 1 << 18 // cells, weights and states, one per layer
	MaxBinds   = 1 << 22 // launches and their operands of all buckets, layers unrolled
	MaxBlob    = 1 << 44 // bytes of the weights, of the state, of the arena, of the cells
)

// Alignments, in bytes. Kernels take for granted that each operand is aligned to Align.
const (
	Align      = 64   // of a weight, a cell and a slot in its block
	StateAlign = 4096 // of a state: slots are copied and freed by the page
	BlockAlign = 4096 // what the block of weights is padded to, so that it maps
)
