package codegen

import (
	"bytes"
	"strings"
	"testing"
)

// A disassembly made by hand, with each thing that's counted.
const assembly = `
kernels.so:     file format elf64-x86-64

Disassembly of section .plt:

0000000000000800 <memcpy@plt>:
     800:	jmp    *0x2fe2(%rip)        # 3fe8 <memcpy@GLIBC_2.14>

Disassembly of section .text:

0000000000001000 <leaf>:
    1000:	sub    $0x40,%rsp
    1004:	vmovups (%rdi),%zmm0
    1008:	vfmadd231ps 0x40(%rsp),%zmm1,%zmm0
    100c:	vmovaps %zmm0,0x80(%rsp)
    1010:	vcvtph2ps (%rsi),%zmm2
    1014:	vmovups %zmm2,(%rdx){%k1}
    1018:	jne    1004 <leaf+0x4>
    101c:	ret
    101d:	vaddps %zmm0,%zmm0,%zmm0

0000000000001020 <kernel>:
    1020:	push   %rbp
    1021:	mov    %rsp,%rbp
    1024:	add    $0xffffffffffffff80,%rsp
    1028:	vpermps %ymm1,%ymm2,%ymm3
    102c:	vextractf128 $0x1,%ymm3,%xmm3
    1030:	vaddss %xmm1,%xmm2,%xmm2
    1034:	vmovss -0x8(%rbp),%xmm2
    1038:	call   *0x2fe2(%rip)        # 3fe8 <expf@GLIBC_2.27>
    103c:	call   800 <memcpy@plt>
    1040:	cmp    $0x11,%esi
    1044:	jg     1050 <kernel+0x30>
    1048:	jmp    1000 <leaf>
    104c:	jmp    1000 <leaf>
    1050:	notrack jmp *%rax
    1053:	data16 cs nopw 0x0(%rax,%rax,1)
`

func TestDisassemble(t *testing.T) {
	leaf := &function{name: "leaf", start: 0x1000, size: 0x1d}
	kernel := &function{name: "kernel", kernel: true, start: 0x1020, size: 0x33}
	list := []*function{kernel, leaf}
	disassemble(assembly, list)
	byName := map[string]*function{"leaf": leaf, "kernel": kernel}
	if want := [classes]int{spill: 2, zmm: 5, fma: 1, convert: 1, load: 3, store: 2, branch: 1}; leaf.count != want {
		t.Errorf("leaf: %v, want %v", leaf.count, want)
	}
	sum := kernel.total(byName)
	want := [classes]int{spill: 3, zmm: 5, ymm: 2, xmm: 2, fma: 1, arith: 1, convert: 1, shuffle: 2, load: 4, store: 2, branch: 5, call: 2}
	if sum.count != want {
		t.Errorf("kernel: %v, want %v", sum.count, want)
	}
	if got := strings.Join(sum.extern, " "); got != "expf memcpy" {
		t.Errorf("calls %s", got)
	}
	if sum.size != 0x50 || kernel.frames(byName, nil) != 8+128+64 {
		t.Errorf("%d bytes, stack %d", sum.size, kernel.frames(byName, nil))
	}
}

func TestReport(t *testing.T) {
	target := named(t, "cpu_v3")
	dir := artifact(t, target, entries)
	build(t, target, dir)
	got, err := Report(target, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var kernels []string
	for l := range strings.Lines(string(got)) {
		if !strings.HasPrefix(l, "#") {
			kernels = append(kernels, strings.Fields(l)[2+classes])
		}
	}
	if strings.Join(kernels, " ") != "one two" {
		t.Errorf("kernels %v in\n%s", kernels, got)
	}
	again, err := Report(target, dir, nil)
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("reported twice, it differs: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	short, err := Report(target, dir, nil)
	if err != nil || !strings.Contains(string(short), "No objdump") || !strings.Contains(string(short), "  two\n") {
		t.Errorf("%v\n%s", err, short)
	}
	if _, err := Report(target, t.TempDir(), nil); err == nil {
		t.Error("reported on nothing")
	}
}

func TestDoctor(t *testing.T) {
	found := map[string]Finding{}
	for _, f := range Doctor() {
		found[f.Name] = f
		if strings.Count(f.String(), "\t") != 4 || strings.Contains(f.String(), "\n") {
			t.Errorf("%q has other columns", f)
		}
	}
	for _, target := range Targets {
		runs := len(target.Missing()) == 0
		for _, l := range libraries {
			runs = runs && l.device != target.Device // only its driver knows
		}
		if f := found[target.Name]; f.Kind != "target" || f.Runs != runs {
			t.Errorf("%s: %+v", target.Name, f)
		}
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CXX", "")
	for _, f := range Doctor() {
		if f.Kind == "program" && f.Found || f.Name == "cpu_v3" && (f.Found || !strings.Contains(f.Note, "apt install")) {
			t.Errorf("without programs: %+v", f)
		}
	}
}
