package codegen

// A unit is what a GPU gives to the blocks that it runs at once: the workgroup processor of AMD, the multiprocessor of NVIDIA. Both have
// four SIMDs of 32 lanes.
type unit struct {
	registers int // 32-bit ones of a lane, on each SIMD
	granule   int // registers are given to a thread by so many
	waves     int // that a SIMD keeps, at most
	shared    int // bytes of memory that the blocks share out
	reserved  int // bytes of it that each block takes beside its own
	blocks    int // at most
}

// From AMD's RDNA 3 Instruction Set Architecture, 3.3, and NVIDIA's CUDA programming guide, technical specifications per compute capability.
var (
	rdna3  = &unit{registers: 1536, granule: 24, waves: 16, shared: 128 << 10, blocks: 32}
	hopper = &unit{registers: 512, granule: 8, waves: 16, shared: 228 << 10, reserved: 1 << 10, blocks: 32}
	ga10x  = &unit{registers: 512, granule: 8, waves: 12, shared: 100 << 10, reserved: 1 << 10, blocks: 16}
)

// occupancy is how many waves of a kernel a unit keeps, in percent of what it can: blocks of so many threads, registers a thread and
// bytes of shared memory. 0: not one block fits.
func (u *unit) occupancy(threads, registers, shared int) int {
	const simds, lanes = 4, 32
	up := func(n, by int) int { return (n + by - 1) / by * by }
	wave := up(max(threads, 1), lanes) / lanes
	blocks := min(u.blocks, simds*min(u.waves, u.registers/up(max(registers, 1), u.granule))/wave)
	if bytes := up(shared, 512) + u.reserved; bytes > 0 {
		blocks = min(blocks, u.shared/bytes)
	}
	return 100 * blocks * wave / (simds * u.waves)
}
