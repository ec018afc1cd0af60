package runtime

import "time"

// A Device runs recorded launches. A folder beside this file fills it for each kind of machine; nothing else may know
// a driver's name. A Device is used by one goroutine at a time.
type Device interface {
	Info() Info
	// Alloc gives zeroed memory, aligned to 4096 bytes. What doesn't fit is refused before it is asked for.
	Alloc(bytes int64) (Ptr, error)
	// Place makes read-only bytes readable for kernels: uploaded, or used where they lie. b begins at a page, and
	// stays as it is until Free.
	Place(b []byte) (Ptr, error)
	Write(to Ptr, b []byte) error
	Read(b []byte, from Ptr) error
	Copy(to, from Ptr, bytes int64) error
	// Free gives back what Alloc or Place returned.
	Free(Ptr) error
	// Load takes a compiled object: the artifact's kernels.so, .hsaco or .ptx.
	Load(code []byte) (Module, error)
	// Record makes a graph of launches that run one after the other. Kernels are looked up here, so a missing one is an
	// error here and never later. The memory that the launches name must outlive the graph.
	Record(code Module, steps []Launch) (Graph, error)
	Sync() error
	// Close gives all memory back. Modules and graphs must not be used after it.
	Close() error
}

// A Module is loaded code.
type Module interface{ Close() error }

// A Graph is a list of launches that one call runs.
type Graph interface {
	// Replay runs all launches in order and returns when the results can be read.
	Replay() error
	// Time replays, and says how long each launch took.
	Time() ([]time.Duration, error)
	Close() error
}

// A Queue is a Graph that runs behind the host's back, on devices that have a queue of their own. What a bucket leaves for the next replay,
// it leaves on the device, so replays may be queued before it is known what they will give.
type Queue interface {
	Graph
	// Queue starts all launches behind those queued before. When they're done, an int32 is fetched from result.
	Queue(result Ptr) error
	// Result waits for the oldest queued replay whose result wasn't handed out, and gives it.
	Result() (int32, error)
}

// A Launch is one step with all its operands found: Grid blocks of Block threads that share LDS bytes. Args are in the
// order of the plan's step: In, Out, State.
type Launch struct {
	Kernel string
	Grid   int
	Block  int
	LDS    int
	Args   []Ptr
}

// A Ptr is a place in a device's memory. Only the device that made it knows what it means; 0 is no place.
type Ptr uint64

// Add is the place that lies n bytes further.
func (p Ptr) Add(n int64) Ptr { return p + Ptr(n) }

// Info says what a device is and what memory it has.
type Info struct {
	Name    string   // "AMD EPYC 9R14"
	Targets []string // those whose code it runs, best first: "cpu_v4", "cpu_v3"
	Total   int64    // bytes that this process may have
	Free    int64    // bytes of it that are free now
	Counted int64    // bytes that Alloc and Place have given out
	Err     error    // why Total and Free aren't known
	Graphs  bool     // a Replay isn't the launches that Time makes: a model that is loaded holds one against the other

	Threads         int // of a processor, that are used
	Multiprocessors int // of a card, as its vendor counts them
}
