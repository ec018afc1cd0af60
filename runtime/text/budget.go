package text

import (
	"fmt"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// What one rendering may take. Published templates have some KB; a prompt of a million
// tokens has some 5 MB.
const (
	maxTemplate = 128 << 10
	maxOutput   = 16 << 20
	maxString   = 16 << 20         // a value, in bytes
	maxItems    = 1 << 20          // a value, in elements of all its lists
	maxRange    = 100_000          // elements of range()
	maxSteps    = 1_000_000        // loop turns, filters, methods, statements
	maxCalls    = 64               // macros inside of one another: Go's stack can't be caught
	maxChain    = 16               // methods in a chain; published templates have up to six
	maxTime     = 10 * time.Second // the steps of hostile templates can be slow
)

// A budget counts what a rendering takes. When it is spent, every step fails, so the rendering ends. err is the first
// failure, kept here because gonja wraps errors so that they can't be told apart.
type budget struct {
	steps, calls, written int
	deadline              time.Time
	now                   time.Time
	out                   strings.Builder
	err                   error
}

func (b *budget) reset(now time.Time) {
	*b = budget{deadline: time.Now().Add(maxTime), now: now}
}

func (b *budget) fail(format string, args ...any) error {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
	return b.err
}

// step counts one. Time is looked at only now and then.
func (b *budget) step() error {
	if b.err != nil {
		return b.err
	}
	b.steps++
	if b.steps > maxSteps {
		return b.fail("takes more than %d steps", maxSteps)
	}
	if b.steps%256 == 0 && time.Now().After(b.deadline) {
		return b.fail("takes longer than %v", maxTime)
	}
	return nil
}

// Write collects the output.
func (b *budget) Write(p []byte) (int, error) {
	if err := b.step(); err != nil {
		return 0, err
	}
	if b.written += len(p); b.written > maxOutput {
		return 0, b.fail("writes more than %d bytes", maxOutput)
	}
	return b.out.Write(p)
}

// check refuses a value that has grown too large: a variable that doubles itself in a loop, a list that holds itself.
func (b *budget) check(v *exec.Value) error {
	bytes, items := maxString, maxItems
	if !measure(v, &bytes, &items, 0) {
		return b.fail("makes a value of more than %d bytes or %d elements, or nested deeper than %d", maxString, maxItems, maxNesting)
	}
	return b.err
}

func measure(v *exec.Value, bytes, items *int, depth int) bool {
	if v == nil || v.IsNil() || v.IsError() {
		return true
	}
	if depth > maxNesting {
		return false
	}
	inside := func(v *exec.Value) bool {
		*items--
		return *items >= 0 && measure(v, bytes, items, depth+1)
	}
	switch {
	case v.IsString():
		*bytes -= len(v.String())
		return *bytes >= 0
	case v.IsDict():
		keys, values := members(v)
		for i := range keys {
			if !inside(keys[i]) || !inside(values[i]) {
				return false
			}
		}
	case v.IsList():
		for i := range v.Len() {
			if !inside(v.Index(i)) {
				return false
			}
		}
	}
	return true
}

// shallow is check without looking inside of lists: for filters and methods, which only rearrange what was checked.
func (b *budget) shallow(v *exec.Value) error {
	switch {
	case v == nil || v.IsNil() || v.IsError():
	case v.IsString() && len(v.String()) > maxString:
		return b.fail("makes a string of more than %d bytes", maxString)
	case v.IsList() && v.Len() > maxItems:
		return b.fail("makes a list of more than %d elements", maxItems)
	}
	return b.err
}
