package hip

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hipc/runtime"
)

// override is the variable by which ROCm's runtime takes every card for another one. It's read once, when the library begins: what
// the cards are, the library can't be asked before, and doesn't tell after.
const override = "HSA_OVERRIDE_GFX_VERSION"

// topology is where Linux says what the cards are, whatever ROCm takes them for. On WSL it isn't there.
const topology = "/sys/class/kfd/kfd/topology"

// pretend lets the cards say that they are the target: gfx1151 is version 11.5.1, the last two digits hexadecimal. All of them say it then, so
// it's refused where one of them is no neighbour, and needless where one is the target itself. Where nobody tells what the cards are
// the user is believed.
func pretend(target, root string) error {
	v, ok := strings.CutPrefix(target, "gfx")
	n := len(v)
	if !ok || n < 3 || os.Getenv(override) != "" {
		return nil
	}
	minor, err := strconv.ParseUint(v[n-2:n-1], 16, 8)
	step, err2 := strconv.ParseUint(v[n-1:], 16, 8)
	cards := visible(installed(root))
	if err != nil || err2 != nil || slices.Contains(cards, target) {
		return nil
	}
	if slices.ContainsFunc(cards, func(c string) bool { return familyOf(c) != familyOf(target) }) {
		remedy := "compile the model with --target cpu"
		if slices.ContainsFunc(cards, func(c string) bool { return familyOf(c) == familyOf(target) }) {
			remedy = "let HIP_VISIBLE_DEVICES leave only the one that is meant, by its number"
		}
		return &runtime.DeviceError{Err: fmt.Errorf("the cards here are %s, which can't all pass for %s: %s", strings.Join(cards, ", "), target, remedy)}
	}
	return os.Setenv(override, fmt.Sprintf("%s.%d.%d", v[:n-2], minor, step))
}

// installed lists what the cards are, in the driver's order. A processor is a node without a version, a card that isn't ours one that can't be read.
func installed(root string) (cards []string) {
	for i := range 64 {
		src, err := os.ReadFile(filepath.Join(root, "nodes", strconv.Itoa(i), "properties"))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(src)); lines.Scan(); {
			var v int // 110501 is gfx1151, 90010 gfx90a
			if _, err := fmt.Sscanf(lines.Text(), "gfx_target_version %d", &v); err == nil && v > 0 {
				cards = append(cards, fmt.Sprintf("gfx%d%x%x", v/10000, v/100%100, v%100))
			}
		}
	}
	return cards
}

// visible are those that the user lets the driver see. What isn't named by numbers isn't understood, and hides none.
func visible(cards []string) []string {
	for _, name := range []string{"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"} {
		var some []string
		for _, word := range strings.Split(os.Getenv(name), ",") {
			i, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil || i < 0 || i >= len(cards) {
				some = nil
				break
			}
			some = append(some, cards[i])
		}
		if some != nil {
			cards = some
		}
	}
	return cards
}
