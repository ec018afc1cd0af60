package sim

import (
	"fmt"
	"strings"
)

func decodeScalar(in *inst, ops []string) error {
	if n, ok := scalarLoads[in.name]; ok {
		return decodeScalarLoad(in, ops, n)
	}
	s := sops[in.name]
	if s == nil {
		cmp := scalarFloat(in.name)
		if cmp == nil {
			return errUnknown
		}
		s = &scalar{name: in.name, sig: "-11", sets: true, f: func(w *wave, a, b uint64) uint64 {
			if strings.HasSuffix(in.name, "f16") {
				a, b = a&0xffff, b&0xffff
			}
			w.scc = cmp(a, b)
			return 0
		}}
	}
	in.salu, in.class, in.run = s, ClassSALU, execScalar
	if s.run != nil {
		in.run = s.run
	}
	var list []operand
	for _, t := range ops {
		o, err := parseOperand(t)
		if err != nil {
			return err
		}
		if o.place == vgpr || o.place == none {
			return fmt.Errorf("operand %s of a scalar instruction isn't known", t)
		}
		list = append(list, o)
	}
	if s.sig[0] != '-' && len(list) > 0 {
		in.d, list = list[0], list[1:]
		if in.d.place != sgpr {
			return fmt.Errorf("a result in %s isn't known", ops[0])
		}
	}
	if s.accum {
		if strings.HasSuffix(in.name, "k_i32") {
			list = append([]operand{in.d}, list...)
		} else {
			list = append(list, in.d)
		}
	}
	if len(list) != len(s.sig)-1 {
		return fmt.Errorf("%d sources, want %d", len(list), len(s.sig)-1)
	}
	for k, o := range list {
		kind := byte('i')
		if width(s.sig[k+1]) == 2 {
			kind = 'q'
		} else if strings.HasSuffix(in.name, "_f16") && in.name != "s_cvt_pk_rtz_f16_f32" {
			kind = 'h'
		}
		if o.place == fixed {
			o.val = o.constant(kind)
		}
		in.src[k] = o
	}
	return nil
}

func decodeScalarLoad(in *inst, ops []string, n int) error {
	in.class, in.run, in.mem = ClassSMEM, scalarLoad, &access{bytes: 4 * n}
	if err := wants(ops, 3); err != nil {
		return err
	}
	var err error
	if in.d, err = parseOperand(ops[0]); err != nil {
		return err
	}
	if in.src[0], err = parseOperand(ops[1]); err != nil {
		return err
	}
	if in.d.count != n || in.d.place != sgpr || in.src[0].count != 2 {
		return fmt.Errorf("a load of %d registers to %s from %s isn't known", n, ops[0], ops[1])
	}
	off := ops[2]
	if strings.HasPrefix(off, "-0x") {
		var o operand
		o, err = parseOperand(off[1:])
		o.val = -o.val
		in.src[1] = o
		return err
	}
	in.src[1], err = parseOperand(off)
	return err
}

// parseAll parses operands into places; a place of nil is passed over.
func parseAll(ops []string, to ...*operand) error {
	if err := wants(ops, len(to)); err != nil {
		return err
	}
	for i, s := range ops {
		o, err := parseOperand(s)
		if err != nil {
			return err
		}
		if o.half != 0 || o.neg || o.abs {
			return fmt.Errorf("operand %s isn't known", s)
		}
		*to[i] = o
	}
	return nil
}

// runs says whether an operand is a run of VGPRs for that many bytes.
func (o *operand) runs(bytes int) bool { return o.place == vgpr && o.count == (bytes+3)/4 }

func decodeShared(in *inst, ops, mods []string) (err error) {
	if in.mod, err = parseModifiers(mods, 0); err != nil {
		return err
	}
	in.class = ClassLDS
	bad := fmt.Errorf("operands that aren't known")
	switch in.name {
	case "ds_bpermute_b32", "ds_permute_b32":
		in.run = bpermute
		if in.name == "ds_permute_b32" {
			in.run = permute
		}
		if err := parseAll(ops, &in.d, &in.src[0], &in.src[1]); err != nil {
			return err
		}
		if !in.d.runs(4) || !in.src[0].runs(4) || !in.src[1].runs(4) {
			return bad
		}
		return nil
	case "ds_swizzle_b32":
		in.run = swizzle
		if err := parseAll(ops, &in.d, &in.src[0]); err != nil {
			return err
		}
		if !in.d.runs(4) || !in.src[0].runs(4) {
			return bad
		}
		return nil
	}
	if t := atomicAccess(in.name); t != nil {
		in.mem, in.run = t, atomicLanes
		to := []*operand{&in.src[0], &in.src[2]}
		if t.rtn {
			to = append([]*operand{&in.d}, to...)
		}
		if t.atomic.two {
			to = append(to, &in.src[3])
		}
		if err := parseAll(ops, to...); err != nil {
			return err
		}
		if !in.src[0].runs(4) || !in.src[2].runs(t.bytes) || t.rtn && !in.d.runs(t.bytes) || t.atomic.two && !in.src[3].runs(t.bytes) {
			return bad
		}
		return nil
	}
	var t access
	rest, load := strings.CutPrefix(in.name, "ds_load_")
	if !load {
		var ok bool
		if rest, ok = strings.CutPrefix(in.name, "ds_store_"); !ok {
			return errUnknown
		}
	}
	unit := 1
	if r, ok := strings.CutPrefix(rest, "2addr_"); ok {
		rest, unit = r, 0
		if r, ok := strings.CutPrefix(rest, "stride64_"); ok {
			rest, unit = r, -64
		}
	}
	kinds := storeKinds
	if load {
		kinds = loadKinds
	}
	t, ok := kinds[rest]
	if !ok || strings.HasPrefix(rest, "d16") {
		return errUnknown
	}
	switch unit {
	case 0:
		t.two = t.bytes
	case -64:
		t.two = 64 * t.bytes
	}
	t.lds, t.load = true, load
	in.mem = &t
	if load {
		in.run = ldsLoad
		if err := parseAll(ops, &in.d, &in.src[0]); err != nil {
			return err
		}
		if n := t.bytes * (1 + int(bit(t.two != 0))); !in.d.runs(n) || !in.src[0].runs(4) {
			return bad
		}
		return nil
	}
	in.run = ldsStore
	to := []*operand{&in.src[0], &in.src[1]}
	if t.two != 0 {
		to = append(to, &in.src[2])
	}
	if err := parseAll(ops, to...); err != nil {
		return err
	}
	if !in.src[0].runs(4) || !in.src[1].runs(t.bytes) || t.two != 0 && !in.src[2].runs(t.bytes) {
		return bad
	}
	return nil
}

func decodeMemory(in *inst, ops, mods []string) (err error) {
	if in.mod, err = parseModifiers(mods, 0); err != nil {
		return err
	}
	in.class = ClassVMEM
	flat := strings.HasPrefix(in.name, "flat_")
	rest := strings.TrimPrefix(strings.TrimPrefix(in.name, "flat_"), "global_")
	if flat { // no base
		ops = append(ops[:len(ops):len(ops)], "off")
	}
	var to []*operand
	if a := atomicAccess(in.name); a != nil {
		a.rtn = in.mod.glc
		in.mem, in.run = a, atomicLanes
		to = []*operand{&in.src[0], &in.src[2], &in.src[1]}
		if a.rtn {
			to = append([]*operand{&in.d}, to...)
		}
	} else if r, ok := strings.CutPrefix(rest, "load_"); ok {
		t, ok := loadKinds[r]
		if !ok || strings.Contains(r, "_d16") {
			return errUnknown
		}
		t.load = true
		in.mem, in.run = &t, vectorLoad
		to = []*operand{&in.d, &in.src[0], &in.src[1]}
	} else if r, ok := strings.CutPrefix(rest, "store_"); ok {
		t, ok := storeKinds[r]
		if !ok || strings.Contains(r, "_d16") {
			return errUnknown
		}
		in.mem, in.run = &t, vectorStore
		to = []*operand{&in.src[0], &in.src[2], &in.src[1]}
	} else {
		return errUnknown
	}
	in.mem.flat = flat
	if err := parseAll(ops, to...); err != nil {
		return err
	}
	base := in.src[1].place == sgpr && in.src[1].reg != regNull
	n := in.mem.bytes
	data := n
	if in.mem.atomic != nil && in.mem.atomic.two {
		data = 2 * n
	}
	switch {
	case base && in.src[1].count != 2,
		!(base && in.src[0].runs(4)) && !(!base && in.src[0].runs(8)),
		in.d.place != none && !in.d.runs(n),
		in.src[2].place != none && !in.src[2].runs(data):
		return fmt.Errorf("operands that aren't known")
	}
	return nil
}
