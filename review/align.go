package review

// lcs is a longest common subsequence of two lists of which eq compares items: pairs of places, ascending. It takes n·m
// steps, and none at all where the lists begin or end alike.
func lcs(n, m int, eq func(i, j int) bool) [][2]int {
	var head, tail [][2]int
	for len(head) < min(n, m) && eq(len(head), len(head)) {
		head = append(head, [2]int{len(head), len(head)})
	}
	h := len(head)
	for n > h && m > h && eq(n-1, m-1) {
		n, m = n-1, m-1
		tail = append(tail, [2]int{n, m})
	}
	rows, cols := n-h, m-h
	if rows > 0 && cols > 0 && rows*cols <= maxCells {
		best := make([]int32, (rows+1)*(cols+1)) // of what begins at i, j
		at := func(i, j int) *int32 { return &best[i*(cols+1)+j] }
		for i := rows - 1; i >= 0; i-- {
			for j := cols - 1; j >= 0; j-- {
				if eq(h+i, h+j) {
					*at(i, j) = *at(i+1, j+1) + 1
				} else {
					*at(i, j) = max(*at(i+1, j), *at(i, j+1))
				}
			}
		}
		for i, j := 0, 0; i < rows && j < cols; {
			switch {
			case eq(h+i, h+j):
				head = append(head, [2]int{h + i, h + j})
				i, j = i+1, j+1
			case *at(i+1, j) >= *at(i, j+1):
				i++
			default:
				j++
			}
		}
	}
	for i := len(tail) - 1; i >= 0; i-- {
		head = append(head, tail[i])
	}
	return head
}

// maxCells bounds the tables of an alignment: 2,000 steps against 2,000.
const maxCells = 1 << 22

// alignLayers pairs the layers of two models such that the parts that they run differ least: -1 stands for no layer. cost says how
// much two parts differ, and gap what a layer without a partner costs.
func alignLayers(a, b []int, cost func(a, b int) int, gap func(side, part int) int) [][2]int {
	n, m := len(a), len(b)
	var out [][2]int
	if (n+1)*(m+1) > maxCells {
		for i := range max(n, m) {
			p := [2]int{-1, -1}
			if i < n {
				p[0] = i
			}
			if i < m {
				p[1] = i
			}
			out = append(out, p)
		}
		return out
	}
	best := make([]int, (n+1)*(m+1))
	at := func(i, j int) *int { return &best[i*(m+1)+j] }
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			switch {
			case i == n && j == m:
			case i == n:
				*at(i, j) = *at(i, j+1) + gap(1, b[j])
			case j == m:
				*at(i, j) = *at(i+1, j) + gap(0, a[i])
			default:
				*at(i, j) = min(*at(i+1, j+1)+cost(a[i], b[j]), *at(i, j+1)+gap(1, b[j]), *at(i+1, j)+gap(0, a[i]))
			}
		}
	}
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && *at(i, j) == *at(i+1, j+1)+cost(a[i], b[j]):
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case j < m && *at(i, j) == *at(i, j+1)+gap(1, b[j]):
			out = append(out, [2]int{-1, j})
			j++
		default:
			out = append(out, [2]int{i, -1})
			i++
		}
	}
	return out
}
