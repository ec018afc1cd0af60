package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A line is one instruction as llvm-objdump prints it.
type line struct {
	pc   uint64
	text string
	size uint64 // bytes
}

var (
	listings = map[[32]byte][]line{}
	listing  sync.Mutex
)

// Disassembler is the path of an llvm-objdump that knows gfx11: that of $LLVM_OBJDUMP, else the newest on the path.
func Disassembler() (string, error) {
	if p := os.Getenv("LLVM_OBJDUMP"); p != "" {
		return exec.LookPath(p)
	}
	for v := 26; v >= 19; v-- {
		if p, err := exec.LookPath(fmt.Sprintf("llvm-objdump-%d", v)); err == nil {
			return p, nil
		}
	}
	for _, p := range []string{"llvm-objdump", "/opt/rocm/llvm/bin/llvm-objdump"} {
		if p, err := exec.LookPath(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no llvm-objdump (19 or newer), with which the simulator decodes: install llvm-22 or make gpu-tools, or name it in LLVM_OBJDUMP")
}

// disassemble lists the instructions of a code object, once per object and process.
func disassemble(code []byte) ([]line, error) {
	listing.Lock()
	defer listing.Unlock()
	key := sha256.Sum256(code)
	if l, ok := listings[key]; ok {
		return l, nil
	}
	l, err := printed(code)
	for range 16 {
		mended := mend(code, l)
		if err != nil || mended == nil {
			break
		}
		code = mended
		l, err = printed(code)
	}
	if err == nil {
		listings[key] = l
	}
	return l, err
}

// mend clears bits that clang before 19 sets in v_permlane16 and v_permlanex16 with fi or bound_ctrl: of modifiers that these
// don't have. A card ignores them, llvm-objdump doesn't know the instruction with them. It gives nil where there are none.
func mend(code []byte, list []line) []byte {
	var out []byte
	f, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return nil
	}
	for _, l := range list {
		var w uint32
		if n, _ := fmt.Sscanf(l.text, ".long 0x%x", &w); n != 1 || w>>16 != 0xd65b && w>>16 != 0xd65c {
			continue
		}
		for _, p := range f.Progs {
			if at := l.pc - p.Vaddr + p.Off; p.Type == elf.PT_LOAD && l.pc >= p.Vaddr && l.pc-p.Vaddr+8 <= p.Filesz && at+8 <= uint64(len(code)) {
				if out == nil {
					out = bytes.Clone(code)
				}
				b := out[at:]
				binary.LittleEndian.PutUint32(b, w&^0x4700)
				binary.LittleEndian.PutUint32(b[4:], binary.LittleEndian.Uint32(b[4:])&0x07ffffff)
			}
		}
	}
	return out
}

// printed runs llvm-objdump.
func printed(code []byte) ([]line, error) {
	tool, err := Disassembler()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hipc-sim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kernels.hsaco")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "--disassemble", path)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s can't read the code, want that of llvm 19 or newer (make gpu-tools fetches it, LLVM_OBJDUMP names it): %v: %.100s", tool, err, strings.Join(strings.Fields(errs.String()), " "))
	}
	return readListing(string(out))
}

// readListing takes lines of the form "\tTEXT // PC: WORD WORD <label>"; others are headings.
func readListing(out string) ([]line, error) {
	var list []line
	for s := range strings.Lines(out) {
		if !strings.HasPrefix(s, "\t") {
			continue
		}
		text, rest, ok := strings.Cut(s, "//")
		if !ok {
			return nil, fmt.Errorf("llvm-objdump printed %q, want an instruction with its address", strings.TrimSpace(s))
		}
		at, words, ok := strings.Cut(rest, ":")
		pc, err := strconv.ParseUint(strings.TrimSpace(at), 16, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("llvm-objdump printed %q, want an instruction with its address", strings.TrimSpace(s))
		}
		words, _, _ = strings.Cut(words, "<")
		list = append(list, line{pc, strings.Join(strings.Fields(text), " "), 4 * uint64(len(strings.Fields(words)))})
	}
	return list, nil
}
