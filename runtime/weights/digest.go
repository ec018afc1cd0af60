package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
)

// sideFiles are the files beside the weights that have a say in what a model
// answers, and so belong to the checkpoint.
var sideFiles = []string{
	"added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "generation_config.json",
	"merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
}

// chunk is the unit that one core hashes.
const chunk = 16 << 20

// Digest gives a SHA-256 of the checkpoint in hex, using all cores. It is the
// SHA-256 of a list with a line per file and one per 16 MiB of it, so it isn't
// what sha256sum prints. A file's own name counts only where a checkpoint
// has several of its kind: renaming a GGUF doesn't change its digest.
//
// progress may be nil; otherwise it is called with the bytes done and in all,
// by one goroutine at a time, the last time with done == total.
func (c *Checkpoint) Digest(progress func(done, total int64)) (string, error) {
	type file struct {
		name string
		b    []byte
	}
	var files []file
	for _, m := range c.maps {
		name := "weights"
		if len(c.maps) > 1 {
			name = filepath.Base(m.path)
		}
		files = append(files, file{name, m.b})
	}
	for _, name := range sideFiles {
		b, ok, err := c.read(name)
		if err != nil {
			return "", err
		}
		if ok {
			files = append(files, file{name, b})
		}
	}
	type piece struct{ file, from, to int }
	var pieces []piece
	var total int64
	for i, f := range files {
		total += int64(len(f.b))
		for from := 0; from < len(f.b); from += chunk {
			pieces = append(pieces, piece{i, from, min(from+chunk, len(f.b))})
		}
	}
	sums := make([][sha256.Size]byte, len(pieces))
	next := make(chan int)
	var done int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				p := pieces[i]
				sums[i] = sha256.Sum256(files[p.file].b[p.from:p.to])
				mu.Lock()
				if done += int64(p.to - p.from); progress != nil {
					progress(done, total)
				}
				mu.Unlock()
			}
		})
	}
	for i := range pieces {
		next <- i
	}
	close(next)
	wg.Wait()
	h := sha256.New()
	at := -1
	for i, p := range pieces {
		if p.file != at {
			at = p.file
			fmt.Fprintf(h, "%q %d\n", files[at].name, len(files[at].b))
		}
		fmt.Fprintf(h, "%x\n", sums[i])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
