package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// Digest describes a member by its bytes.
func Digest(name string, data []byte) Member {
	return Member{name, int64(len(data)), sum(data)}
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// Verify checks every member of the folder against the manifest, on all cores, and the weights too unless they are skipped. Its
// error is one line that names what is missing or changed, in the manifest's order.
func (m *Manifest) Verify(folder fs.FS, skipWeights bool) error {
	bad := make([]error, len(m.Members), len(m.Members)+1)
	each(len(m.Members), func(i int) { bad[i] = m.Members[i].verify(folder) })
	if m.Weights != nil && !skipWeights {
		bad = append(bad, m.Weights.verifyFile(folder))
	}
	var lines []string
	for _, err := range bad {
		if err != nil {
			lines = append(lines, err.Error())
		}
	}
	if len(lines) > 0 {
		return errors.New(strings.Join(lines, "; "))
	}
	return nil
}

func (f Member) verify(folder fs.FS) error {
	file, err := regular(folder, f.Name, f.Bytes)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := sumOf(file, f.Bytes)
	if err != nil {
		return fmt.Errorf("member %s: %w", f.Name, err)
	}
	if got != f.SHA256 {
		return fmt.Errorf("changed member: %s", f.Name)
	}
	return nil
}

func sumOf(r io.Reader, bytes int64) (string, error) {
	h := sha256.New()
	_, err := io.CopyN(h, r, bytes)
	return hex.EncodeToString(h.Sum(nil)), err
}

// Open reads a member and checks the very bytes that it returns, so that nothing can change in between.
func (m *Manifest) Open(folder fs.FS, name string) ([]byte, error) {
	for _, f := range m.Members {
		if f.Name == name {
			return f.read(folder)
		}
	}
	return nil, fmt.Errorf("no member %s in %s", name, ManifestName)
}

func (f Member) read(folder fs.FS) ([]byte, error) {
	file, err := regular(folder, f.Name, f.Bytes)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, f.Bytes)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("member %s: %w", f.Name, err)
	}
	if sum(data) != f.SHA256 {
		return nil, fmt.Errorf("changed member: %s", f.Name)
	}
	return data, nil
}

// regular opens a file of the size that the manifest tells: nothing is read of another, and a pipe, which would wait for a writer, isn't
// opened.
func regular(folder fs.FS, name string, bytes int64) (fs.File, error) {
	if err := memberName(name); err != nil {
		return nil, err
	}
	info, err := fs.Stat(folder, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("missing member: %s", name)
	case err != nil:
		return nil, fmt.Errorf("member %s: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("member %s is no regular file", name)
	case info.Size() != bytes:
		return nil, fmt.Errorf("changed member: %s (%d bytes, was %d)", name, info.Size(), bytes)
	}
	return folder.Open(name)
}

// VerifyWeights checks the bytes of the weights, mapped or read, on all cores.
func (m *Manifest) VerifyWeights(data []byte) error {
	w := m.Weights
	if w == nil {
		return fmt.Errorf("the artifact has no weights: it was compiled without a checkpoint")
	}
	if int64(len(data)) != w.Bytes {
		return fmt.Errorf("changed weights: %s has %d bytes, was %d", w.File, len(data), w.Bytes)
	}
	bad := make([]error, len(w.Chunks))
	each(len(w.Chunks), func(i int) {
		bad[i] = w.VerifyChunk(i, data[int64(i)*ChunkBytes:min(int64(i+1)*ChunkBytes, w.Bytes)])
	})
	return first(bad...)
}

// VerifyChunk checks the i-th ChunkBytes of the weights.
func (w *WeightsFile) VerifyChunk(i int, chunk []byte) error {
	if i < 0 || i >= len(w.Chunks) || sum(chunk) != w.Chunks[i] {
		return w.changed(i)
	}
	return nil
}

func (w *WeightsFile) changed(i int) error {
	return fmt.Errorf("changed weights: %s, chunk %d (at byte %d)", w.File, i, int64(i)*ChunkBytes)
}

func (w *WeightsFile) verifyFile(folder fs.FS) error {
	file, err := regular(folder, w.File, w.Bytes)
	if err != nil {
		return err
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		return fmt.Errorf("weights %s: a %T can't be read from many places at once", w.File, file)
	}
	bad := make([]error, len(w.Chunks))
	each(len(w.Chunks), func(i int) {
		at := int64(i) * ChunkBytes
		got, err := sumOf(io.NewSectionReader(r, at, ChunkBytes), min(ChunkBytes, w.Bytes-at))
		if err != nil {
			bad[i] = fmt.Errorf("weights %s: %w", w.File, err)
		} else if got != w.Chunks[i] {
			bad[i] = w.changed(i)
		}
	})
	return first(bad...)
}

// A ChunkHash takes the weights as they are written and gives the digests of their chunks.
type ChunkHash struct {
	sums []string
	hash hash.Hash
	n    int64 // bytes in hash
}

// Write never fails.
func (c *ChunkHash) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if c.hash == nil {
			c.hash, c.n = sha256.New(), 0
		}
		k := min(int64(len(rest)), ChunkBytes-c.n)
		c.hash.Write(rest[:k])
		rest = rest[k:]
		if c.n += k; c.n == ChunkBytes {
			c.close()
		}
	}
	return len(p), nil
}

// Sums ends the last chunk and gives the digests of all.
func (c *ChunkHash) Sums() []string {
	if c.hash != nil {
		c.close()
	}
	return c.sums
}

func (c *ChunkHash) close() {
	c.sums = append(c.sums, hex.EncodeToString(c.hash.Sum(nil)))
	c.hash = nil
}

// each calls do for 0 to n-1, on all cores.
func each(n int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}
