package compiler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"hipc/runtime/plan"
)

// A folder is an artifact being written: beside its place, under another name, until it's whole.
type folder struct {
	place string   // where it will stand
	tmp   string   // .PLACE.tmp-NUMBER
	lock  *os.File // tmp itself, locked as long as this program lives
	made  []string // folders above place that weren't there, the outermost first
}

// newFolder begins an artifact at place. It refuses to replace anything but an artifact or an empty folder, and clears
// away what compilations of the same place have left that were killed.
func newFolder(place string) (*folder, error) {
	place = filepath.Clean(place)
	if err := replaceable(place); err != nil {
		return nil, err
	}
	f := &folder{place: place}
	parent := filepath.Dir(place)
	for p := parent; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || p == filepath.Dir(p) {
			break
		}
		f.made = append([]string{p}, f.made...)
	}
	err := os.MkdirAll(parent, 0o777)
	if err == nil {
		sweep(place)
		err = f.begin(parent)
	}
	if err != nil {
		f.abandon()
		return nil, full(err, place)
	}
	return f, nil
}

// begin makes the temporary folder and locks it. Another program's sweep may take it in between: then it makes another.
func (f *folder) begin(parent string) (err error) {
	for range 100 {
		if f.tmp, err = os.MkdirTemp(parent, "."+filepath.Base(f.place)+".tmp-"); err != nil {
			return err
		}
		if f.lock, err = os.Open(f.tmp); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		unix.Flock(int(f.lock.Fd()), unix.LOCK_EX) // where a file system has no locks, none is ever swept
		if err = os.Chmod(f.tmp, 0o755); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		f.lock.Close()
	}
	return err
}

// sweep clears away the temporary folders of place whose programs are gone: a lock dies with its owner. Where a program
// was killed between moving the old artifact aside and putting the new one there, the old one goes back.
func sweep(place string) {
	ours := regexp.MustCompile(`^` + regexp.QuoteMeta("."+filepath.Base(place)) + `\.tmp-[0-9]+(\.old)?$`)
	entries, _ := os.ReadDir(filepath.Dir(place)) // sorted: x.old comes after x
	for _, e := range entries {
		if !e.IsDir() || !ours.MatchString(e.Name()) {
			continue
		}
		p := filepath.Join(filepath.Dir(place), e.Name())
		if x, ok := strings.CutSuffix(p, ".old"); ok {
			if _, err := os.Lstat(x); err == nil {
				continue // its program lives
			}
			if _, err := os.Lstat(place); errors.Is(err, os.ErrNotExist) {
				os.Rename(p, place)
			} else {
				os.RemoveAll(p)
			}
			continue
		}
		d, err := os.OpenFile(p, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(p)
		}
		d.Close()
	}
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

// empty says that nothing is there.
func empty(place string) bool {
	entries, _ := os.ReadDir(place)
	return len(entries) == 0
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

// abandon leaves nothing behind. After commit there is nothing left to remove but the lock.
func (f *folder) abandon() {
	if f.tmp != "" {
		os.RemoveAll(f.tmp)
	}
	if f.lock != nil {
		f.lock.Close()
	}
	for _, p := range slices.Backward(f.made) {
		os.Remove(p) // refused where something is in it
	}
}

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
