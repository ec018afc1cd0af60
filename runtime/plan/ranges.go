package plan

import (
	"fmt"
	"strconv"
	"strings"
)

// Ranges spells out a list of layers: "0-2,5" is 0, 1, 2, 5, and "" is none. There is one spelling for a list, that of
// FormatRanges, so that a plan doesn't differ where nothing changed.
func Ranges(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > MaxText {
		return nil, fmt.Errorf("a list of layers of %d bytes, at most %d", len(s), MaxText)
	}
	var list []int
	for _, piece := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(piece, "-")
		if !isRange {
			last = first
		}
		a, err := layer(first)
		if err != nil {
			return nil, fmt.Errorf("layers %q: %w", s, err)
		}
		b, err := layer(last)
		if err != nil {
			return nil, fmt.Errorf("layers %q: %w", s, err)
		}
		if len(list) > 0 && a <= list[len(list)-1] || b < a {
			return nil, fmt.Errorf("layers %q: %s isn't in ascending order", s, piece)
		}
		for l := a; l <= b; l++ {
			list = append(list, l)
		}
	}
	if want := FormatRanges(list); want != s {
		return nil, fmt.Errorf("layers %q is written %q", s, want)
	}
	return list, nil
}

// layer reads a layer's number.
func layer(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n >= MaxLayers || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("%q is no layer (0 to %d, or a range such as 0-28)", s, MaxLayers-1)
	}
	return n, nil
}

// FormatRanges is the inverse of Ranges for ascending layers: 0, 1, 2, 5 is "0-2,5".
func FormatRanges(layers []int) string {
	var b strings.Builder
	for i := 0; i < len(layers); {
		j := i
		for j+1 < len(layers) && layers[j+1] == layers[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(layers[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(layers[j]))
		}
		i = j + 1
	}
	return b.String()
}

// Name puts the layer's number in: "layers.{l}.kv" of layer 3 is "layers.3.kv", and "{l+1}" is 4.
func Name(name string, layer int) string {
	if !strings.Contains(name, "{") {
		return name
	}
	name = strings.ReplaceAll(name, "{l}", strconv.Itoa(layer))
	return strings.ReplaceAll(name, "{l+1}", strconv.Itoa(layer+1))
}

// layered says whether a name has a layer's number to be put in.
func layered(name string) bool {
	return strings.Contains(name, "{l}") || strings.Contains(name, "{l+1}")
}
