package weights

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A mapping is a file in memory, read only.
type mapping struct {
	path string
	b    []byte
}

// mapFile maps a whole regular file. It looks before it opens: opening a pipe
// or a device would wait for a writer, or worse.
func mapFile(path string) (*mapping, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is %s, want a regular file", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	if info.Size() != int64(int(info.Size())) {
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can address", path, info.Size())
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: mapping %d bytes: %w", path, info.Size(), err)
	}
	return &mapping{path, b}, nil
}

func (m *mapping) close() error {
	if m.b == nil {
		return nil
	}
	b := m.b
	m.b = nil
	return unix.Munmap(b)
}
