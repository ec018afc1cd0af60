package compiler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"hipc/runtime/plan"
)

// A folder is an artifact being written: beside its place, under another name, until it's whole.
type folder struct {
	place string // where it will stand
	tmp   string
}

// newFolder begins an artifact at place. It refuses to replace anything but an artifact or an empty folder.
func newFolder(place string) (*folder, error) {
	place = filepath.Clean(place)
	if err := replaceable(place); err != nil {
		return nil, err
	}
	parent := filepath.Dir(place)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(place)+".tmp-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}
	return &folder{place, tmp}, nil
}

func replaceable(place string) error {
	entries, err := os.ReadDir(place)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(place, plan.ManifestName)); err != nil {
		return fmt.Errorf("%s is there and is no artifact (it has no %s): give another -o, or remove it", place, plan.ManifestName)
	}
	return nil
}

// write adds a member.
func (f *folder) write(name string, data []byte) error {
	p := filepath.Join(f.tmp, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return full(err, f.place)
	}
	return full(os.WriteFile(p, data, 0o644), f.place)
}

// full says in one line that the disk is full.
func full(err error, place string) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("the disk is full: nothing was left at %s; make room there, or give another -o", place)
	}
	return err
}

// commit puts the artifact in its place, in one step: a reader, or a kill at any moment, sees the old one or the new.
func (f *folder) commit() error {
	if err := syncTree(f.tmp); err != nil {
		return full(err, f.place)
	}
	err := unix.Renameat2(unix.AT_FDCWD, f.tmp, unix.AT_FDCWD, f.place, unix.RENAME_EXCHANGE)
	switch {
	case err == nil: // the old one has the temporary name now
		return os.RemoveAll(f.tmp)
	case errors.Is(err, unix.ENOENT):
		return os.Rename(f.tmp, f.place)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS): // a file system that can't exchange
		old := f.tmp + ".old"
		if err := os.Rename(f.place, old); err != nil {
			return err
		}
		if err := os.Rename(f.tmp, f.place); err != nil {
			return errors.Join(err, os.Rename(old, f.place))
		}
		return os.RemoveAll(old)
	}
	return err
}

// abandon leaves nothing behind.
func (f *folder) abandon() { os.RemoveAll(f.tmp) }

// syncTree brings the files to the disk before the rename does: without it a crash of the machine could leave a name
// with nothing behind it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fd, err := os.Open(p)
		if err != nil {
			return err
		}
		defer fd.Close()
		return fd.Sync()
	})
}
