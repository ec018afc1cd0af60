package ir

import "math"

var _ = define(Op{
	Name:   "l2norm",
	Params: "x eps:real=1e-6",
	Doc:    "y = x / √(Σx² + eps) over the last axis",
	Light:  true,
	Types:  func(c *Call) []Type { return []Type{c.Type(0)} },
	Eval: func(f *Frame) {
		d, eps := f.Args[0].Type.Last(), f.Num(1)
		for i := 0; i < len(f.Args[0].Data); i += d {
			x, y := f.Args[0].Data[i:i+d], f.Outs[0].Data[i:i+d]
			sum := 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			s := float32(1 / math.Sqrt(sum+eps))
			for j, v := range x {
				y[j] = v * s
			}
		}
	},
})

var _ = define(Op{
	Name:   "delta_rule",
	Params: "q k v beta g",
	Doc: `the gated delta rule (Yang et al. 2024), a linear attention. Each value head h keeps a matrix S[DK, DV] and reads key
head h / (HV/HK). Per token: S *= e^g; S += k (beta (v - Sᵀk))ᵀ; y = Sᵀq. S is 0 at position 0, and fp32 always`,
	State: "delta",
	StateType: func(n *Node) Type {
		q, v := n.Args[0].Type, n.Args[2].Type
		return Of(F32, v.Dims[0], q.Dims[1], v.Dims[1])
	},
	Types: func(c *Call) []Type {
		q, k, v := c.Type(0), c.Type(1), c.Type(2)
		if len(q.Dims) != 2 || len(v.Dims) != 2 {
			c.Errorf(0, "q is %s and v is %s, want [HK, DK] and [HV, DV]", q, v)
			return nil
		}
		if !q.Equal(k) {
			c.Errorf(1, "k is %s, want %s like q", k, q)
		}
		if v.Dims[0]%q.Dims[0] != 0 {
			c.Errorf(2, "%d value heads don't share %d key heads evenly", v.Dims[0], q.Dims[0])
		}
		c.Vector(3, v.Dims[0])
		c.Vector(4, v.Dims[0])
		return []Type{v}
	},
	Eval: func(f *Frame) {
		q, v := f.Args[0].Type, f.Args[2].Type
		heads, dk, dv := v.Dims[0], q.Dims[1], v.Dims[1]
		group := heads / q.Dims[0]
		s := f.State(func() any { return &Delta{S: make([]float32, heads*dk*dv)} }).(*Delta)
		if f.World.Pos == 0 {
			clear(s.S)
		}
		parallel(heads, func(h int) {
			S := s.S[h*dk*dv : (h+1)*dk*dv]
			kh := h / group * dk
			m := make([]float32, dv)
			for r := range f.Rows {
				q, k := f.Row(0, r)[kh:kh+dk], f.Row(1, r)[kh:kh+dk]
				v, y := f.Row(2, r)[h*dv:(h+1)*dv], f.Out(0, r)[h*dv:(h+1)*dv]
				decay, beta := float32(math.Exp(float64(f.Row(4, r)[h]))), f.Row(3, r)[h]
				clear(m)
				for i := range dk {
					row := S[i*dv : (i+1)*dv]
					for j := range row {
						row[j] *= decay
						m[j] += row[j] * k[i]
					}
				}
				for j := range m {
					m[j] = beta * (v[j] - m[j])
				}
				for i := range dk {
					row := S[i*dv : (i+1)*dv]
					for j := range row {
						row[j] += k[i] * m[j]
						y[j] += row[j] * q[i]
					}
				}
			}
		})
	},
})

// A Delta is the state of a delta_rule: S[HV, DK, DV].
type Delta struct{ S []float32 }
