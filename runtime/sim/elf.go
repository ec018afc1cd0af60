package sim

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Facts of the format: LLVM's "User Guide for AMDGPU Backend", code object V3 to V6.
const (
	machineAMDGPU  = elf.Machine(224)
	noteMetadata   = 32       // NT_AMDGPU_METADATA
	maxImage       = 64 << 20 // bytes that a code object's segments may take
	relocRelative  = 13       // R_AMDGPU_RELATIVE64
	relocAbsolute  = 3        // R_AMDGPU_ABS64
	maxRelocations = 1 << 16
)

// machines are the processors that are simulated, by the ELF header's flags.
var machines = map[uint32]string{0x041: "gfx1100", 0x046: "gfx1101", 0x047: "gfx1102", 0x044: "gfx1103", 0x043: "gfx1150", 0x04a: "gfx1151"}

// An Arg is one argument in a kernel's kernarg segment.
type Arg struct {
	Name   string
	Offset int
	Size   int
	Kind   string // "global_buffer", "by_value", "hidden_block_count_x", …
}

// A Kernel is what a code object says about one of its kernels.
type Kernel struct {
	Name        string
	KernargSize int // bytes
	Args        []Arg
	LDS         int // bytes that are fixed; a launch may add to them
	Scratch     int // bytes per lane
	SGPRs       int
	VGPRs       int
	SGPRSpills  int
	VGPRSpills  int
	MaxBlock    int // threads

	entry uint64 // address of the first instruction within the object
	rsrc1 uint32
	rsrc2 uint32
	props uint16
	start int // index of that instruction
}

// An image is a code object as it lies in memory: its segments from address 0 on, and its kernels.
type image struct {
	target  string
	bytes   []byte
	written bool // it has data that may be written
	text    [2]uint64
	kernels map[string]*Kernel
	order   []*Kernel
	fixes   []fix
}

// A fix is a place in the image where the address that the image is loaded at has to be added.
type fix struct {
	at     uint64
	addend uint64
}

// readImage reads a code object. Nothing in it is trusted.
func readImage(code []byte) (*image, error) {
	if len(code) < 4 || string(code[:4]) != elf.ELFMAG {
		return nil, fmt.Errorf("no code object: %d bytes that don't begin as ELF does", len(code))
	}
	f, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return nil, fmt.Errorf("code object: %w", err)
	}
	if f.Machine != machineAMDGPU || f.Class != elf.ELFCLASS64 || len(code) < 52 {
		return nil, fmt.Errorf("no code object for an AMD GPU: machine %v", f.Machine)
	}
	im := &image{kernels: map[string]*Kernel{}}
	flags := binary.LittleEndian.Uint32(code[48:])
	im.target = machines[flags&0xff]
	if im.target == "" {
		return nil, fmt.Errorf("the code object is for a processor of number %#x, want gfx1100 or gfx1151", flags&0xff)
	}
	if err := im.segments(f); err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			if err := im.notes(p); err != nil {
				return nil, err
			}
		}
	}
	if len(im.kernels) == 0 {
		return nil, fmt.Errorf("the code object has no metadata of kernels")
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("code object: %w", err)
	}
	for _, s := range syms {
		if name, ok := strings.CutSuffix(s.Name, ".kd"); ok && im.kernels[name] != nil {
			if err := im.descriptor(im.kernels[name], s.Value); err != nil {
				return nil, err
			}
		}
	}
	for _, k := range im.order {
		if k.entry == 0 {
			return nil, fmt.Errorf("kernel %s: the code object has no descriptor %s.kd", k.Name, k.Name)
		}
	}
	return im, im.relocations(f)
}

func (im *image) segments(f *elf.File) error {
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Vaddr > maxImage || p.Memsz > maxImage-p.Vaddr || p.Filesz > p.Memsz {
			return fmt.Errorf("code object: a segment of %d bytes at %#x, want at most %d", p.Memsz, p.Vaddr, maxImage)
		}
		if end := p.Vaddr + p.Memsz; end > uint64(len(im.bytes)) {
			im.bytes = append(im.bytes, make([]byte, end-uint64(len(im.bytes)))...)
		}
		if _, err := io.ReadFull(p.Open(), im.bytes[p.Vaddr:p.Vaddr+p.Filesz]); err != nil {
			return fmt.Errorf("code object: a segment at %#x: %w", p.Vaddr, err)
		}
		if p.Flags&elf.PF_X != 0 {
			if im.text[1] != 0 {
				return fmt.Errorf("code object: two segments of instructions, want one")
			}
			im.text = [2]uint64{p.Vaddr, p.Vaddr + p.Memsz}
		}
		im.written = im.written || p.Flags&elf.PF_W != 0
	}
	return nil
}

// notes finds the metadata: name size, value size, type, then both, each padded to 4 bytes.
func (im *image) notes(p *elf.Prog) error {
	if p.Filesz > maxImage {
		return fmt.Errorf("code object: notes of %d bytes", p.Filesz)
	}
	b := make([]byte, p.Filesz)
	if _, err := io.ReadFull(p.Open(), b); err != nil {
		return fmt.Errorf("code object: its notes: %w", err)
	}
	for len(b) >= 12 {
		name, size, kind := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:])), binary.LittleEndian.Uint32(b[8:])
		b = b[12:]
		from := (name + 3) &^ 3
		if from > uint64(len(b)) || size > uint64(len(b))-from {
			return fmt.Errorf("code object: a note of %d bytes where %d are left", size, len(b))
		}
		if kind == noteMetadata && name == 7 && string(b[:6]) == "AMDGPU" {
			if err := im.metadata(b[from : from+size]); err != nil {
				return err
			}
		}
		b = b[min(uint64(len(b)), from+(size+3)&^3):]
	}
	return nil
}

func (im *image) metadata(b []byte) error {
	v, err := unpack(b)
	if err != nil {
		return err
	}
	for _, m := range field[[]any](v, "amdhsa.kernels") {
		num := func(name string) int { return int(field[int64](m, name)) }
		k := &Kernel{Name: field[string](m, ".name"), KernargSize: num(".kernarg_segment_size"), LDS: num(".group_segment_fixed_size"),
			Scratch: num(".private_segment_fixed_size"), SGPRs: num(".sgpr_count"), VGPRs: num(".vgpr_count"),
			SGPRSpills: num(".sgpr_spill_count"), VGPRSpills: num(".vgpr_spill_count"), MaxBlock: num(".max_flat_workgroup_size")}
		switch {
		case k.Name == "" || im.kernels[k.Name] != nil:
			return fmt.Errorf("metadata: a kernel named %q: no name, or one that another has", k.Name)
		case num(".wavefront_size") != 32:
			return fmt.Errorf("kernel %s: waves of %d lanes, want 32: compile with -mwavefrontsize32", k.Name, num(".wavefront_size"))
		case k.KernargSize < 0 || k.KernargSize > 1<<16 || k.LDS < 0 || k.LDS > maxLDS:
			return fmt.Errorf("kernel %s: %d bytes of arguments, %d of LDS: more than there may be", k.Name, k.KernargSize, k.LDS)
		case k.VGPRs < 0 || k.VGPRs > 256:
			return fmt.Errorf("kernel %s: %d VGPRs, want at most 256", k.Name, k.VGPRs)
		}
		for _, a := range field[[]any](m, ".args") {
			arg := Arg{Name: field[string](a, ".name"), Offset: int(field[int64](a, ".offset")), Size: int(field[int64](a, ".size")), Kind: field[string](a, ".value_kind")}
			if arg.Offset < 0 || arg.Size < 0 || arg.Offset > k.KernargSize || arg.Size > k.KernargSize-arg.Offset {
				return fmt.Errorf("kernel %s: an argument of %d bytes at %d of %d", k.Name, arg.Size, arg.Offset, k.KernargSize)
			}
			k.Args = append(k.Args, arg)
		}
		im.kernels[k.Name] = k
		im.order = append(im.order, k)
	}
	return nil
}

// descriptor reads the 64 bytes at NAME.kd.
func (im *image) descriptor(k *Kernel, at uint64) error {
	if at > uint64(len(im.bytes)) || uint64(len(im.bytes))-at < 64 {
		return fmt.Errorf("kernel %s: its descriptor at %#x is outside of the code object", k.Name, at)
	}
	d := im.bytes[at:]
	le := binary.LittleEndian
	k.entry = at + le.Uint64(d[16:])
	k.rsrc1, k.rsrc2, k.props = le.Uint32(d[48:]), le.Uint32(d[52:]), le.Uint16(d[56:])
	if k.entry < im.text[0] || k.entry >= im.text[1] {
		return fmt.Errorf("kernel %s: its code at %#x is outside of the code object's", k.Name, k.entry)
	}
	if k.props&(1<<10) == 0 {
		return fmt.Errorf("kernel %s: its descriptor doesn't ask for waves of 32 lanes", k.Name)
	}
	if le.Uint16(d[58:])&0x7f != 0 {
		return fmt.Errorf("kernel %s: preloaded arguments aren't simulated: compile without -amdgpu-kernarg-preload-count", k.Name)
	}
	return nil
}

// relocations reads those against the load address; others would name symbols of other objects, which there are none of.
func (im *image) relocations(f *elf.File) error {
	s := f.Section(".rela.dyn")
	if s == nil {
		return nil
	}
	b, err := s.Data()
	if err != nil || len(b) > 24*maxRelocations {
		return fmt.Errorf("code object: its %d bytes of relocations can't be read", s.Size)
	}
	syms, _ := f.DynamicSymbols()
	for ; len(b) >= 24; b = b[24:] {
		le := binary.LittleEndian
		at, info, add := le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
		switch uint32(info) {
		case relocRelative:
		case relocAbsolute:
			i := int(info >> 32)
			if i < 1 || i > len(syms) || syms[i-1].Section == elf.SHN_UNDEF {
				return fmt.Errorf("code object: a relocation names a symbol that the object lacks")
			}
			add += syms[i-1].Value
		default:
			return fmt.Errorf("code object: a relocation of type %d, want %d or %d", uint32(info), relocRelative, relocAbsolute)
		}
		if at > uint64(len(im.bytes)) || uint64(len(im.bytes))-at < 8 {
			return fmt.Errorf("code object: a relocation at %#x, outside of it", at)
		}
		im.fixes = append(im.fixes, fix{at, add})
	}
	return nil
}
