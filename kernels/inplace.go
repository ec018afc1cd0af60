package kernels

import (
	"slices"
	"strings"

	"hipc/ir"
)

// InPlace are the promises of templates: result i may have the place of bound operand j, if their types are equal. Each is
// tested with every row that instantiates the template.
var InPlace = map[string][][2]int{
	"map1": {{0, 0}}, "map2": {{0, 0}, {0, 1}}, "rmsnorm": {{0, 0}},
	"matmul_add": {{0, 2}}, "matmul_add_norm": {{0, 2}}, "rope": {{0, 0}}, "rope_append": {{0, 0}},
	"norm_rope_append": {{0, 0}}, "attend_kv": {{0, 0}}, "flash": {{0, 0}}, "flash_gate": {{0, 0}, {0, 1}}, "flash_gate_rotate": {{0, 0}, {0, 1}}, "attend_any": {{0, 0}}, "add_norm": {{0, 0}, {0, 1}}, "norm_add": {{0, 0}, {0, 1}}, "norm_add_norm": {{0, 0}, {0, 1}},
	"rotate": {{0, 0}}, "gated_norm": {{0, 0}, {0, 2}}, "l2norm": {{0, 0}}, "softmax": {{0, 0}},
	"moe_sum": {{0, 4}, {0, 3}}, "experts_sum": {{0, 2}}, "moe_down": {{0, 7}}, "experts_down": {{0, 4}},
}

// Template is the name of the template that c instantiates.
func (c *Choice) Template() string {
	name, _, _ := strings.Cut(c.Inst, "<")
	return name
}

// InPlace says whether result i of n, which c computes, may lie where its bound operand j does.
func (c *Choice) InPlace(n *ir.Node, i, j int) bool {
	t := n.Bound()[j].Type
	return slices.Contains(InPlace[c.Template()], [2]int{i, j}) && t.Elem == ir.Act && t.Equal(n.Outs[i].Type)
}
