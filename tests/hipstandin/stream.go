package main

import "C"

import (
	"fmt"
	"sync"
	"time"
)

// A stream is a queue: a goroutine does what it's given, in order.
type stream struct {
	sync.Mutex
	work    []func() error
	pending int
	idle    *sync.Cond
}

// push appends work. What goes wrong in it is the status of all calls that follow.
func (q *stream) push(f func() error) {
	q.Lock()
	defer q.Unlock()
	q.work = append(q.work, f)
	if q.pending++; q.pending == 1 {
		go q.run()
	}
}

func (q *stream) run() {
	for {
		q.Lock()
		if len(q.work) == 0 {
			q.Unlock()
			return
		}
		f := q.work[0]
		q.work = q.work[1:]
		q.Unlock()
		if sticky.Load() == success {
			busy.Lock()
			err := f()
			busy.Unlock()
			if err != nil {
				say("fault %v", err)
				sticky.Store(illegalAddress)
			}
		}
		q.Lock()
		if q.pending--; q.pending == 0 {
			q.idle.Broadcast()
			q.Unlock()
			return
		}
		q.Unlock()
	}
}

func (q *stream) finish() {
	q.Lock()
	defer q.Unlock()
	for q.pending > 0 {
		q.idle.Wait()
	}
}

func (q *stream) length() int {
	q.Lock()
	defer q.Unlock()
	return q.pending
}

// finishAll waits for all queues.
func finishAll() {
	for _, x := range library.handles {
		if q, ok := x.(*stream); ok {
			q.finish()
		}
	}
}

//export hipStreamCreateWithFlags
func hipStreamCreateWithFlags(to uintptr, flags C.uint) C.int {
	return call("hipStreamCreateWithFlags", func() (int, string) {
		if flags > 1 {
			return invalidValue, ""
		}
		q := &stream{}
		q.idle = sync.NewCond(q)
		return give(to, q)
	})
}

//export hipStreamQuery
func hipStreamQuery(s uintptr) C.int {
	return call("hipStreamQuery", func() (int, string) {
		q, ok := held[*stream](s)
		switch {
		case !ok:
			return invalidHandle, ""
		case q.length() > 0:
			return notReady, ""
		}
		return int(sticky.Load()), ""
	})
}

//export hipStreamDestroy
func hipStreamDestroy(s uintptr) C.int {
	return call("hipStreamDestroy", func() (int, string) {
		finishAll()
		return drop[*stream](s)
	})
}

// An event is a time in a stream.
type event struct {
	sync.Mutex
	stream *stream
	done   bool
	at     time.Time
}

//export hipEventCreateWithFlags
func hipEventCreateWithFlags(to uintptr, flags C.uint) C.int {
	return call("hipEventCreateWithFlags", func() (int, string) {
		if flags&^3 != 0 {
			return invalidValue, ""
		}
		return give(to, &event{})
	})
}

//export hipEventRecord
func hipEventRecord(e, s uintptr) C.int {
	return call("hipEventRecord", func() (int, string) {
		x, ok := held[*event](e)
		q, too := held[*stream](s)
		if !ok || !too {
			return invalidHandle, ""
		}
		x.Lock()
		x.stream, x.done = q, false
		x.Unlock()
		q.push(func() error {
			x.Lock()
			defer x.Unlock()
			x.at, x.done = time.Now(), true
			return nil
		})
		return success, ""
	})
}

// state says whether an event has been recorded and is done.
func (e *event) state() int {
	e.Lock()
	defer e.Unlock()
	switch {
	case e.stream == nil:
		return invalidHandle
	case !e.done:
		return notReady
	}
	return success
}

//export hipEventQuery
func hipEventQuery(e uintptr) C.int {
	return call("hipEventQuery", func() (int, string) {
		x, ok := held[*event](e)
		if !ok {
			return invalidHandle, ""
		}
		return x.state(), ""
	})
}

//export hipEventElapsedTime
func hipEventElapsedTime(ms, from, to uintptr) C.int {
	return call("hipEventElapsedTime", func() (int, string) {
		a, ok := held[*event](from)
		b, too := held[*event](to)
		if !ok || !too {
			return invalidHandle, ""
		}
		if s := max(a.state(), b.state()); s != success {
			return s, ""
		}
		*at[float32](ms) = float32(b.at.Sub(a.at).Seconds() * 1000)
		return success, fmt.Sprint(*at[float32](ms))
	})
}

//export hipEventDestroy
func hipEventDestroy(e uintptr) C.int {
	return call("hipEventDestroy", func() (int, string) { return drop[*event](e) })
}
