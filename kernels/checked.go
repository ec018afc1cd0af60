package kernels

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"hipc/kernels/checks"
)

// checkTables say how exact kernels were found to be, a file a target.
//
//go:embed checks/*.tsv
var checkTables embed.FS

// Checked is a target's table of checks; a target that nobody has run has none.
func Checked(target string) ([]checks.Check, error) {
	src, err := checkTables.ReadFile("checks/" + target + ".tsv")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := checks.Read(src)
	if err != nil {
		return nil, fmt.Errorf("kernels/checks/%s.tsv: %w", target, err)
	}
	return list, nil
}
