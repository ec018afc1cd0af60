// Package hsaco reads code objects: ELF files of gfx11 instructions with a note, packed as msgpack, that says what kernels there are
// and what they take. The format is that of LLVM's "User Guide for AMDGPU Backend", code objects V3 to V6.
//
// Nothing in an object is trusted: offsets and counts are checked before they are used, and what an object may make us hold is
// bounded. The simulator runs what Read gives; runtime/hip asks it before the driver sees the object, so that a launch that doesn't
// match its kernel is refused when the model is loaded.
package hsaco

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Facts of the format.
const (
	machineAMDGPU  = elf.Machine(224)
	noteMetadata   = 32       // NT_AMDGPU_METADATA
	maxImage       = 64 << 20 // bytes that a code object's segments may take
	relocRelative  = 13       // R_AMDGPU_RELATIVE64
	relocAbsolute  = 3        // R_AMDGPU_ABS64
	maxRelocations = 1 << 16
	maxLDS         = 64 << 10 // bytes that a workgroup can have
)

// machines are the processors that we know, by the ELF header's flags.
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

	Entry uint64 // address of the first instruction within the object
	Rsrc1 uint32 // of its descriptor: registers, modes
	Rsrc2 uint32 // what is in registers at the start
	Props uint16 // that too
}

// Explicit is the arguments that a launch gives: the others are hidden, and the driver's.
func (k *Kernel) Explicit() []Arg {
	return slices.DeleteFunc(slices.Clone(k.Args), func(a Arg) bool { return strings.HasPrefix(a.Kind, "hidden_") })
}

// An Object is a code object as it lies in memory: its segments from address 0 on, and its kernels.
type Object struct {
	Target  string
	Image   []byte
	Written bool // it has data that may be written
	Kernels []*Kernel
	Fixes   []Fix

	text   [2]uint64
	byName map[string]*Kernel
}

// A Fix is a place in the image where the address that the image is loaded at has to be added.
type Fix struct{ At, Addend uint64 }

// Read reads a code object.
func Read(code []byte) (*Object, error) {
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
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_COMPRESSED != 0 { // of a few bytes many would be made
			return nil, fmt.Errorf("code object: section %q is compressed", s.Name)
		}
	}
	o := &Object{byName: map[string]*Kernel{}}
	flags := binary.LittleEndian.Uint32(code[48:])
	o.Target = machines[flags&0xff]
	if o.Target == "" {
		return nil, fmt.Errorf("the code object is for a processor of number %#x, want gfx1100 or gfx1151", flags&0xff)
	}
	if err := o.segments(f); err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			if err := o.notes(p); err != nil {
				return nil, err
			}
		}
	}
	if len(o.byName) == 0 {
		return nil, fmt.Errorf("the code object has no metadata of kernels")
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("code object: %w", err)
	}
	for _, s := range syms {
		if name, ok := strings.CutSuffix(s.Name, ".kd"); ok && o.byName[name] != nil {
			if err := o.descriptor(o.byName[name], s.Value); err != nil {
				return nil, err
			}
		}
	}
	for _, k := range o.Kernels {
		if k.Entry == 0 {
			return nil, fmt.Errorf("kernel %s: the code object has no descriptor %s.kd", k.Name, k.Name)
		}
	}
	return o, o.relocations(f)
}

func (o *Object) segments(f *elf.File) error {
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Vaddr > maxImage || p.Memsz > maxImage-p.Vaddr || p.Filesz > p.Memsz {
			return fmt.Errorf("code object: a segment of %d bytes at %#x, want at most %d", p.Memsz, p.Vaddr, maxImage)
		}
		if end := p.Vaddr + p.Memsz; end > uint64(len(o.Image)) {
			o.Image = append(o.Image, make([]byte, end-uint64(len(o.Image)))...)
		}
		if _, err := io.ReadFull(p.Open(), o.Image[p.Vaddr:p.Vaddr+p.Filesz]); err != nil {
			return fmt.Errorf("code object: a segment at %#x: %w", p.Vaddr, err)
		}
		if p.Flags&elf.PF_X != 0 {
			if o.text[1] != 0 {
				return fmt.Errorf("code object: two segments of instructions, want one")
			}
			o.text = [2]uint64{p.Vaddr, p.Vaddr + p.Memsz}
		}
		o.Written = o.Written || p.Flags&elf.PF_W != 0
	}
	return nil
}

// notes finds the metadata: name size, value size, type, then both, each padded to 4 bytes.
func (o *Object) notes(p *elf.Prog) error {
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
			if err := o.metadata(b[from : from+size]); err != nil {
				return err
			}
		}
		b = b[min(uint64(len(b)), from+(size+3)&^3):]
	}
	return nil
}

func (o *Object) metadata(b []byte) error {
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
		case k.Name == "" || o.byName[k.Name] != nil:
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
		o.byName[k.Name] = k
		o.Kernels = append(o.Kernels, k)
	}
	return nil
}

// descriptor reads the 64 bytes at NAME.kd.
func (o *Object) descriptor(k *Kernel, at uint64) error {
	if at > uint64(len(o.Image)) || uint64(len(o.Image))-at < 64 {
		return fmt.Errorf("kernel %s: its descriptor at %#x is outside of the code object", k.Name, at)
	}
	d := o.Image[at:]
	le := binary.LittleEndian
	k.Entry = at + le.Uint64(d[16:])
	k.Rsrc1, k.Rsrc2, k.Props = le.Uint32(d[48:]), le.Uint32(d[52:]), le.Uint16(d[56:])
	if k.Entry < o.text[0] || k.Entry >= o.text[1] {
		return fmt.Errorf("kernel %s: its code at %#x is outside of the code object's", k.Name, k.Entry)
	}
	if k.Props&(1<<10) == 0 {
		return fmt.Errorf("kernel %s: its descriptor doesn't ask for waves of 32 lanes", k.Name)
	}
	if le.Uint16(d[58:])&0x7f != 0 {
		return fmt.Errorf("kernel %s: it wants preloaded arguments, which older cards don't have: compile without -amdgpu-kernarg-preload-count", k.Name)
	}
	return nil
}

// relocations reads those against the load address; others would name symbols of other objects, which there are none of.
func (o *Object) relocations(f *elf.File) error {
	s := f.Section(".rela.dyn")
	if s == nil {
		return nil
	}
	if s.Size > 24*maxRelocations {
		return fmt.Errorf("code object: %d bytes of relocations, want at most %d", s.Size, 24*maxRelocations)
	}
	b, err := s.Data()
	if err != nil {
		return fmt.Errorf("code object: its relocations: %w", err)
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
		if at > uint64(len(o.Image)) || uint64(len(o.Image))-at < 8 {
			return fmt.Errorf("code object: a relocation at %#x, outside of it", at)
		}
		o.Fixes = append(o.Fixes, Fix{at, add})
	}
	return nil
}
