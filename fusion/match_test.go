package fusion

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	norm := `fuse add_norm(h, y, w, eps) { s = h + y  return s, rmsnorm(s, w, eps) }`
	outer := `fuse outer(x, y) { e = exp(x)  return e, e * exp(y) }`
	for _, c := range []struct{ name, rules, in, want string }{
		{"an inner value is returned", norm,
			`a act[8]; b act[8]:: s = a + b  n = rmsnorm(s, @w:f32[8], 1e-5)  return s, n`,
			"s, n = add_norm(a, b, @w:f32[8], 1e-05)\nreturn s, n"},
		{"nobody reads the inner value", norm,
			`a act[8]; b act[8]:: s = a + b  n = rmsnorm(s, @w:f32[8], 1e-5)  return n`,
			"s, n = add_norm(a, b, @w:f32[8], 1e-05)\nreturn n"},
		{"operands commute", `fuse matmul_add(x, w, h) = h + matmul(x, w)`,
			`a act[8]; b act[8]:: y = matmul(a, @w:f16[8,8]) + b  return y`,
			"y = matmul_add(a, @w:f16[8,8], b)\nreturn y"},
		{"operands that don't commute", `fuse neg_sub(x, y) = x - neg(y)`,
			`a act[8]; b act[8]:: p = neg(a)  y = p - b  return y`,
			"p = -a\ny = p - b\nreturn y"},
		{"both orders are tried deep down", `fuse swiglu(x, wg, wu) = silu(matmul(x, wg)) * matmul(x, wu)`,
			`a act[8]:: u = matmul(a, @u:f16[8,8])  y = u * silu(matmul(a, @g:f16[8,8]))  return y`,
			"y = swiglu(a, @g:f16[8,8], @u:f16[8,8])\nreturn y"},
		{"a repeated parameter is one value", `fuse swiglu(x, wg, wu) = silu(matmul(x, wg)) * matmul(x, wu)`,
			`a act[8]; b act[8]:: u = matmul(b, @u:f16[8,8])  y = u * silu(matmul(a, @g:f16[8,8]))  return y`,
			"u = matmul(b, @u:f16[8,8])\ng = matmul(a, @g:f16[8,8])\ng_silu = silu(g)\ny = u * g_silu\nreturn y"},
		{"a repeated number is one number", `fuse two(a, b, w, v, eps) = rmsnorm(a, w, eps) + rmsnorm(b, v, eps)`,
			`a act[8]; b act[8]:: y = rmsnorm(a, @w:f32[8], 1e-5) + rmsnorm(b, @v:f32[8], 1e-6)  z = rmsnorm(a, @w:f32[8], 1e-6) + rmsnorm(b, @v:f32[8], 1e-6)  return y, z`,
			"w = rmsnorm(a, @w:f32[8], 1e-05)\nv = rmsnorm(b, @v:f32[8], 1e-06)\ny = w + v\nz = two(a, b, @w:f32[8], @v:f32[8], 1e-06)\nreturn y, z"},
		{"a fixed number", `fuse half(x) = silu(x * 0.5)`,
			`a act[8]:: y = silu(a * 0.5)  z = silu(a * 0.25)  return y, z`,
			"y = half(a)\na_mul_2 = a * 0.25\nz = silu(a_mul_2)\nreturn y, z"},
		{"a default", `fuse twist(q, theta) = exp(rope(q, theta))`,
			`q act[2,8]:: y = exp(rope(q, 100, width=8))  return y`,
			"q_rope = rope(q, 100, 8)\ny = exp(q_rope)\nreturn y"},
		{"nodes are taken once", `fuse twice(x, y) = silu(x) * silu(y)`,
			`a act[8]:: s = silu(a)  y = s * s  return y`,
			"s = silu(a)\ny = s * s\nreturn y"},
		{"a value escapes", `fuse silu_mul(g, u) = silu(g) * u`,
			`a act[8]; b act[8]:: s = silu(a)  y = s * b  return y, s`,
			"s = silu(a)\ny = s * b\nreturn y, s"},
		{"a value is read outside", `fuse silu_mul(g, u) = silu(g) * u`,
			`a act[8]; b act[8]:: s = silu(a)  y = s * b  z = exp(s)  return y, z`,
			"s = silu(a)\ny = s * b\nz = exp(s)\nreturn y, z"},
		{"a cycle", outer, // exp(a) -> sqrt -> exp: one step would need what it makes
			`a act[8]:: e = exp(a)  f = exp(sqrt(e))  y = e * f  return y`,
			"e = exp(a)\ne_sqrt = sqrt(e)\nf = exp(e_sqrt)\ny = e * f\nreturn y"},
		{"unconnected parts", `fuse pair(x, y) { return exp(x), sqrt(y) }`,
			`a act[8]; b act[8]:: p = exp(a)  q = sqrt(b)  return p, q`,
			"p, q = pair(a, b)\nreturn p, q"},
		{"unconnected parts of which one needs the other", `fuse pair(x, y) { return exp(x), sqrt(y) }`,
			`a act[8]:: p = exp(a)  q = sqrt(-p)  return p, q`,
			"p = exp(a)\np_neg = -p\nq = sqrt(p_neg)\nreturn p, q"},
		{"several operands", `fuse many(x, y...) { e = exp(x)  return e, mul(e, y)... }`,
			`x act[8]; a act[8]; b act[8]; c act[8]:: e = exp(x)  p = e * a  q = b * e  r = e * c  return p, q, r`,
			"e, p, q, r = many(x, a, b, c)\nreturn p, q, r"},
		{"one operand", `fuse many(x, y...) { e = exp(x)  return e, mul(e, y)... }`,
			`x act[8]; a act[8]:: p = exp(x) * a  return p`,
			"x_exp, p = many(x, a)\nreturn p"},
		{"a step may read what follows from another of its kind", `fuse silu_mul(g, u) = silu(g) * u`,
			`a act[8]; b act[8]:: y = silu(a) * b  z = silu(y) * a  return z`,
			"y = silu_mul(a, b)\nz = silu_mul(y, a)\nreturn z"},
		{"several results of one op", `fuse halves(x, p, r) { a, b = split(x, p, r)  return silu(a) * b }`,
			`x act[16]:: a, b = split(x, [8], [8])  y = silu(a) * b  return y`,
			"y = halves(x, [8], [8])\nreturn y"},
		{"the wrong half", `fuse halves(x, p, r) { a, b = split(x, p, r)  return silu(a) - b }`,
			`x act[16]:: a, b = split(x, [8], [8])  y = silu(b) - a  return y`,
			"a, b = split(x, [8], [8])\nb_silu = silu(b)\ny = b_silu - a\nreturn y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{cost: map[string]float64{}}
			o := f.options(t, c.rules)
			f.cost[o.Rules[0].Name] = 1
			g := graph(t, c.in)
			before := g.String()
			p, r, err := Plan(g, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(); err != nil {
				t.Error(err)
			}
			if legal := newSite(g, &o).matches(o.Rules[0], &o, nil); len(r.Fired) == 0 && len(legal) > 0 {
				t.Errorf("%d matches count as legal", len(legal))
			}
			if got := statements(p); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if g.String() != before {
				t.Errorf("Plan changed its graph to\n%s", g)
			}
		})
	}
}

// A match without a kernel is reported and changes nothing; how many operands a kernel takes is its own affair.
func TestNoKernel(t *testing.T) {
	f := &fake{lacks: map[string]bool{"silu_mul": true}}
	p, r, err := Plan(graph(t, `a act[8]; b act[8]:: y = silu(a) * b  return y`), f.options(t, `fuse silu_mul(g, u) = silu(g) * u`))
	if err != nil {
		t.Fatal(err)
	}
	if got := statements(p); got != "a_silu = silu(a)\ny = a_silu * b\nreturn y" {
		t.Error(got)
	}
	if len(r.Lacking) != 1 || r.Lacking[0].Rule != "silu_mul" || r.Lacking[0].At != "y" || len(r.Fired) != 0 {
		t.Errorf("%+v", r)
	}
	f.lacks = map[string]bool{"silu": true}
	if p, _, err = Plan(graph(t, `a act[8]; b act[8]:: y = silu(a) * b  return y`), f.options(t, `fuse silu_mul(g, u) = silu(g) * u`)); err != nil {
		t.Fatal(err)
	}
	if got := statements(p); got != "y = silu_mul(a, b)\nreturn y" {
		t.Error("a fused kernel makes up for a primitive one: " + got)
	}
	f.lacks["silu_mul"] = true
	_, _, err = Plan(graph(t, `a act[8]; b act[8]:: y = silu(a) * b  return y`), f.options(t, `fuse silu_mul(g, u) = silu(g) * u`))
	if err == nil || !strings.Contains(err.Error(), "no kernel of fake computes silu") {
		t.Error(err)
	}
}

func TestBadRules(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"fuse", "fuse f(x) = silu(y)", "r:1:18: nothing is called y here"},
		{"fuse", "fuse f(x, y) = silu(x)", "r:1:11: y is read nowhere in f"},
		{"fuse", "fuse f(x) = sillu(x)", "r:1:13: no op is called sillu; did you mean silu"},
		{"fuse", "fuse f(x) = silu(x, x)", "r:1:13: silu(x) takes 1 operands, not 2"},
		{"fuse", "fuse f(x) = rope(x)", "lacks its operand theta"},
		{"fuse", "fuse f(x) = rope(x, theta=2, wide=3)", "rope takes no operand wide"},
		{"fuse", "fuse f(x) = x", "f does nothing"},
		{"fuse", "fuse f(x) { y = silu(x)  return x, y }", "f returns what it was given"},
		{"fuse", "fuse f(x) { y = silu(x)  z = exp(x)  return y }", "r:1:30: what exp makes here is read nowhere"},
		{"fuse", "fuse f(x) { y = silu(x) }", "f returns nothing"},
		{"fuse", "fuse f(x) { return silu(x)  y = exp(x) }", "nothing may follow return"},
		{"fuse", "fuse f(x) { a, b = silu(x) + x  return a }", ""},
		{"fuse", "fuse f(x, x) = x + x", "two parameters are called x"},
		{"fuse", "fuse f(r..., x) = silu(x) + x", "r... must be the last parameter"},
		{"fuse", "fuse f(x, r...) = silu(x) + r", "r stands for several operands: want r..."},
		{"fuse", "fuse f(x) = mul(x, x)...", "no parameter that stands for several"},
		{"fuse", "fuse f(x) = x * @w", "speaks of its parameters, numbers and ops"},
		{"fuse", "fuse f(x: f16) = silu(x)", "holds for every format"},
		{"fuse", "fuse matmul(x, w) = silu(matmul(x, w))", "matmul is an op already"},
		{"fuse", "fuse f(x) = silu(x) fuse f(x) = exp(x)", "f is declared twice"},
		{"fuse", "fuse f(x, w) = rmsnorm(silu(x), w, 1)", "f returns what rmsnorm makes here, and not what that is made of"},
		{"fuse", "fuse f(x, w) = silu(rmsnorm(rmsnorm(x, w, 1), w, 1))", "rmsnorm of a rmsnorm"},
		{"fuse", "block f(x) = silu(x)", "f is a block, want a fuse rule"},
		{"fuse", "h = silu(x)", "a statement stands alone"},
		{"fuse", "fuse f(x) = ", "r:1:1"},
		{"lower", "lower linnear(x, w) = matmul(x, w)", "no op is called linnear; did you mean linear"},
		{"lower", "lower linear(x) = silu(x)", "linear(x, w) takes 2 operands, not 1"},
	} {
		_, err := ParseRules(c.kind, "r", c.text)
		if c.want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}
