package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/term"

	"hipc/runtime"
	"hipc/runtime/chat"
	"hipc/runtime/engine"
)

// talk is the chat: lines are edited in the terminal's raw mode, answers run in its usual one, so that Ctrl-C is a
// signal then and stops the answer alone.
func (o *answerOptions) talk(ctx context.Context, c *chat.Conversation, model string) error {
	if !c.HasTemplate() {
		return fmt.Errorf("%s has no chat template: it can only continue a text, with --raw -p", model)
	}
	fmt.Fprintf(os.Stderr, "%s. /reset forgets the conversation, /exit or Ctrl-D ends it, Ctrl-C stops an answer.\n", model)
	var lines lineReader
	for ctx.Err() == nil {
		line, err := lines.read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch line = strings.TrimSpace(line); line {
		case "":
			continue
		case "/exit", "/quit", "/bye":
			return nil
		case "/reset", "/clear":
			c.Reset()
			fmt.Fprintln(os.Stderr, "forgotten")
			continue
		}
		if strings.HasPrefix(line, "/") {
			fmt.Fprintf(os.Stderr, "no command %s: there are /reset and /exit\n", strings.Fields(line)[0])
			continue
		}
		if err := o.say(c, line); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx) // a Ctrl-C that stopped an answer has cancelled it too
	}
	return ctx.Err()
}

// say asks and prints. A first Ctrl-C stops the answer, a second one within a second quits. Errors, such as a full
// context, end the answer and not the chat; those of a device, after which nothing more can be had, do.
func (o *answerOptions) say(c *chat.Conversation, line string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keys := make(chan os.Signal, 2)
	signal.Notify(keys, os.Interrupt)
	defer signal.Stop(keys)
	type result struct {
		u   engine.Usage
		err error
	}
	out := &screen{w: os.Stdout, safe: true}
	done := make(chan result, 1)
	go func() {
		u, err := c.Ask(ctx, line, o.params, out)
		done <- result{u, err}
	}()
	var r result
	for presses := 0; ; {
		select {
		case <-keys:
			if presses++; presses > 1 {
				out.end()
				return context.Canceled
			}
			cancel()
			continue
		case r = <-done:
		}
		break
	}
	out.end()
	var gone *runtime.DeviceError
	switch {
	case errors.As(r.err, &gone):
		return r.err
	case r.err != nil && !interrupted(r.err):
		fmt.Fprintf(os.Stderr, "hiprun: %v (/reset begins anew)\n", r.err)
		return nil
	}
	summary(os.Stderr, r.u)
	o.params.Seed++ // so that asking again may bring another answer
	return nil
}

// A lineReader reads lines from a terminal, with editing and a history.
type lineReader struct {
	t       *term.Terminal
	keys    *keyboard
	pressed time.Time // when Ctrl-C was pressed last
}

// keyboard remembers whether the last key was Ctrl-C: the terminal package makes the same of it as of Ctrl-D.
type keyboard struct {
	io.Reader
	io.Writer
	ctrlC bool
}

func (k *keyboard) Read(b []byte) (int, error) {
	n, err := k.Reader.Read(b)
	k.ctrlC = n > 0 && b[n-1] == 3
	return n, err
}

func (l *lineReader) read() (string, error) {
	fd := int(os.Stdin.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, old)
	if l.t == nil {
		l.keys = &keyboard{Reader: os.Stdin, Writer: os.Stdout}
		l.t = term.NewTerminal(l.keys, "> ")
	}
	if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		l.t.SetSize(w, h)
	}
	line, err := l.t.ReadLine()
	if err == io.EOF && l.keys.ctrlC && time.Since(l.pressed) > 2*time.Second {
		l.pressed = time.Now()
		fmt.Fprint(os.Stderr, "\r\n(Ctrl-C again, or Ctrl-D, ends)\r\n")
		l.t = nil // it is at its end
		return "", nil
	}
	if err == io.EOF {
		fmt.Fprint(os.Stderr, "\r\n")
	}
	return line, err
}
