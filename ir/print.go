package ir

import (
	"fmt"
	"strings"

	"hipc/ir/syntax"
)

// String prints the model in its language; Parse reads it again.
func (m *Model) String() string {
	var b strings.Builder
	for _, body := range m.Bodies {
		g := body.Graph
		fmt.Fprintf(&b, "block %s(%s) {\n", g.Name, nameList(g.Params))
		g.print(&b, "  ")
		b.WriteString(strings.TrimRight("  return "+operands(g.Results), " ") + "\n}\n")
	}
	m.Begin.print(&b, "")
	if len(m.Bodies) > 0 {
		params := m.BodyOf(0).Graph.Params
		for i, r := range m.Begin.Results {
			if r.Name != params[i].Name {
				fmt.Fprintf(&b, "%s = %s\n", params[i].Name, r.Name)
			}
		}
		carry := nameList(params)
		same := nameList(m.End.Params) == carry || len(m.End.Params) == 0
		var turns []string
		for _, body := range m.Bodies {
			turns = append(turns, fmt.Sprintf("%s in %q", body.Graph.Name, formatLayers(body.Layers)))
			same = same && nameList(body.Graph.Params) == carry
		}
		if !same {
			carry = strings.TrimSuffix(carry+" to "+nameList(m.End.Params), " to ")
		}
		fmt.Fprintf(&b, "repeat %s through layers[%d]: %s\n", carry, m.Layers, strings.Join(turns, ", "))
	}
	m.End.print(&b, "")
	return b.String()
}

// String prints the graph as a block.
func (g *Graph) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "block %s(%s) {\n", g.Name, nameList(g.Params))
	g.print(&b, "  ")
	b.WriteString(strings.TrimRight("  return "+operands(g.Results), " ") + "\n}\n")
	return b.String()
}

func (g *Graph) print(b *strings.Builder, indent string) {
	for i := 0; i < len(g.Nodes); i++ {
		n := g.Nodes[i]
		if n.Launch == 0 {
			fmt.Fprintf(b, "%s%s\n", indent, n)
			continue
		}
		fmt.Fprintf(b, "%slaunch {\n", indent)
		for j := i; j < len(g.Nodes) && g.Nodes[j].Launch == n.Launch; j++ {
			fmt.Fprintf(b, "%s  %s\n", indent, g.Nodes[j])
			i = j
		}
		fmt.Fprintf(b, "%s}\n", indent)
	}
}

// String prints n as a statement of the language.
func (n *Node) String() string { return nameList(n.Outs) + " = " + n.expr() }

func (n *Node) expr() string {
	if n.Op.Infix != "" {
		return n.Args[0].operand() + " " + n.Op.Infix + " " + n.Args[1].operand()
	}
	if n.Op.Name == "neg" {
		return "-" + n.Args[0].operand()
	}
	args := make([]string, 0, len(n.Args)+1)
	for _, a := range n.written() {
		args = append(args, a.text())
	}
	for _, s := range n.States() {
		args = append(args, "&"+s)
	}
	return n.Op.Name + "(" + strings.Join(args, ", ") + ")"
}

// written are n's operands without the last ones that have their default.
func (n *Node) written() []*Value {
	ps := n.Op.params()
	i := len(n.Args)
	for ; i > 0 && i <= len(ps) && ps[i-1].def != ""; i-- {
		def, _ := syntax.Number(ps[i-1].def)
		if a := n.Args[i-1]; a.Lit == nil || a.Lit.IsList || a.Lit.Num != def {
			break
		}
	}
	return n.Args[:i]
}

// text is v as it stands among operands.
func (v *Value) text() string {
	switch {
	case v.Lit != nil && v.Lit.IsList:
		s := make([]string, len(v.Lit.List))
		for i, x := range v.Lit.List {
			s[i] = formatNumber(x)
		}
		return "[" + strings.Join(s, ", ") + "]"
	case v.Lit != nil:
		return formatNumber(v.Lit.Num)
	case v.Weight != nil:
		return exprString(v)
	}
	return v.Name
}

// operand is v beside an infix operator.
func (v *Value) operand() string {
	s := v.text()
	if v.Weight != nil && v.Weight.Fold != nil && (v.Weight.Fold.Op.Infix != "" || v.Weight.Fold.Op.Name == "neg") || v.Lit != nil && v.Lit.Num < 0 {
		return "(" + s + ")"
	}
	return s
}

// exprString is a weight as the text that makes it again: its path and whole type, or what it's folded from.
func exprString(v *Value) string {
	if v.Weight.Fold != nil {
		return v.Weight.Fold.expr()
	}
	return "@" + v.Weight.Path + ":" + v.Type.String()
}

// FoldText says how a folded weight is made of tensors of the checkpoint, "" for one as it is: "1 + norm".
func (w *Weight) FoldText() string {
	if w.Fold == nil {
		return ""
	}
	s := w.Fold.expr()
	s = strings.ReplaceAll(s, "@", "")
	for {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			return s
		}
		j := strings.IndexByte(s[i:], ']')
		s = s[:i] + s[i+j+1:]
	}
}

func nameList(vs []*Value) string {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = v.Name
	}
	return strings.Join(s, ", ")
}

func operands(vs []*Value) string {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = v.text()
	}
	return strings.Join(s, ", ")
}
