package review

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// maxFile bounds what is read of a model text, a plan, a prediction or a source; maxFiles, how many of them a folder has.
const (
	maxFile  = 8 << 20
	maxFiles = 4096
)

// A tree is what a spec names: a file, or the files in and below a folder.
type tree interface {
	// read gives a file by its name within the tree, "" being the tree itself, if that's a file. ok says that it is there.
	read(name string) (data []byte, ok bool, err error)
	// names are the files, in order.
	names() ([]string, error)
}

// locate finds what a spec names: a path, or where there is no such path, a path in a git revision.
func locate(spec string) (tree, error) {
	if _, err := os.Stat(spec); err == nil {
		return disk(spec), nil
	}
	rev, name, ok := strings.Cut(spec, ":")
	if !ok || rev == "" || name == "" || strings.HasPrefix(rev, "-") || strings.ContainsAny(rev, " \n\x00") || path.IsAbs(name) {
		return nil, fmt.Errorf("%s: no such file, and no REVISION:PATH either", spec)
	}
	t, err := atRevision(rev, path.Clean(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec, err)
	}
	return t, nil
}

// disk is a path.
type disk string

func (d disk) read(name string) ([]byte, bool, error) {
	file := filepath.Join(string(d), name)
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case info.IsDir():
		return nil, false, nil
	case info.Size() > maxFile:
		return nil, false, fmt.Errorf("%d bytes: want at most %d", info.Size(), maxFile)
	}
	b, err := os.ReadFile(file)
	return b, err == nil, err
}

func (d disk) names() ([]string, error) {
	var out []string
	err := filepath.WalkDir(string(d), func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(string(d), p)
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.Count(filepath.ToSlash(rel), "/") > 2: // TARGET/templates/gpu
			return filepath.SkipDir
		case !e.IsDir():
			out = append(out, filepath.ToSlash(rel))
		}
		if len(out) > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
	return out, err
}

// A revision is what stands at a path in a git revision. Files larger than anything that is read, weights and code objects,
// are left out.
type revision struct {
	list []string
	data map[string][]byte
}

func (r *revision) read(name string) ([]byte, bool, error) {
	b, ok := r.data[name]
	return b, ok, nil
}

func (r *revision) names() ([]string, error) { return r.list, nil }

// atRevision reads name, relative to the working directory, in two calls of git however many files there are.
func atRevision(rev, name string) (*revision, error) {
	list, err := git(nil, "ls-tree", "-r", "-l", "-z", "--end-of-options", rev, "--", name)
	if err != nil {
		return nil, err
	}
	r := &revision{data: map[string][]byte{}}
	var ids bytes.Buffer
	for _, line := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		info, file, ok := strings.Cut(line, "\t")
		f := strings.Fields(info)
		if !ok || len(f) != 4 || f[1] != "blob" {
			continue
		}
		if size, err := strconv.Atoi(f[3]); err == nil && size <= maxFile {
			r.list = append(r.list, strings.TrimPrefix(strings.TrimPrefix(file, name), "/"))
			fmt.Fprintln(&ids, f[2])
		}
	}
	switch {
	case len(r.list) == 0:
		return nil, fmt.Errorf("revision %s has no such file: want a path relative to this folder", rev)
	case len(r.list) > maxFiles:
		return nil, fmt.Errorf("%d files: want at most %d", len(r.list), maxFiles)
	}
	data, err := git(&ids, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(bytes.NewReader(data))
	for _, file := range r.list { // "ID blob SIZE\n", the bytes, and a line's end
		head, err := in.ReadString('\n')
		f := strings.Fields(head)
		if err != nil || len(f) != 3 {
			return nil, fmt.Errorf("git cat-file answers %q", strings.TrimSpace(head))
		}
		n, err := strconv.Atoi(f[2])
		if err != nil || n < 0 || n > maxFile {
			return nil, fmt.Errorf("git cat-file answers %q", strings.TrimSpace(head))
		}
		b := make([]byte, n+1)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, fmt.Errorf("git cat-file: %w", err)
		}
		r.data[file] = b[:n:n]
	}
	return r, nil
}

// git runs git here and gives what it prints.
func git(in io.Reader, args ...string) ([]byte, error) {
	c := exec.Command("git", args...)
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = in, &stderr
	out, err := c.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("no such file; to read it from a revision git is needed (apt install git)")
	case err != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("git %s: %s", args[0], strings.TrimPrefix(first, "fatal: "))
	}
	return out, nil
}
