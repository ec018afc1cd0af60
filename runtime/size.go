package runtime

import "fmt"

// Size spells bytes as people do: 1.5 MiB.
func Size(bytes int64) string {
	const units = "KMGTP"
	if bytes < 1024 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	x, i := float64(bytes)/1024, 0
	for ; x >= 1023.95 && i < len(units)-1; i++ {
		x /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", x, units[i])
}
