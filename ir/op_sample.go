package ir

var _ = define(Op{
	Name:   "argmax",
	Params: "logits",
	Doc:    "the token of the largest logit, the lowest of equals",
	Types:  func(c *Call) []Type { return []Type{Of(I32)} },
	Eval: func(f *Frame) {
		for r := range f.Rows {
			f.Outs[0].Ints[r] = int32(argmax(f.Row(0, r)))
		}
	},
})

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// Sampling is what sample draws with: a sequence's parameters and the state that it draws from.
type Sampling struct {
	Temperature float32 // 0: the largest logit
	TopK        int     // 0: all
	TopP        float32 // 1: all
	MinP        float32 // 0: all
	Penalty     float32 // repetition penalty (Keskar et al. 2019), 1: none
	RNG         uint64
	Counts      []int32 // how often each token stands in the context
}
