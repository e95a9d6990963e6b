package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// screen is a terminal of which one program shows all that is on it, and reads every key.
type screen struct {
	in, out *os.File
	before  *term.State
	colour  bool
}

// The sequences of ECMA-48 and of xterm that every terminal of today knows.
const (
	screenOpen  = "\x1b[?1049h\x1b[?25l"
	screenClose = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// openScreen takes the terminal; close gives it back as it was.
func openScreen(env *Env) (*screen, error) {
	s := &screen{in: file(env.Stdin), out: file(env.Stdout)}
	if s.in == nil || s.out == nil || !term.IsTerminal(int(s.in.Fd())) || !term.IsTerminal(int(s.out.Fd())) {
		return nil, errors.New("this is no terminal; --once prints it once, and --json for programs")
	}
	s.colour = env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"
	var err error
	if s.before, err = term.MakeRaw(int(s.in.Fd())); err != nil {
		return nil, fmt.Errorf("taking the terminal: %w", err)
	}
	if _, err := s.out.WriteString(screenOpen); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *screen) close() error {
	_, err := s.out.WriteString(screenClose)
	return errors.Join(err, term.Restore(int(s.in.Fd()), s.before))
}

// size is in characters. A terminal that does not say has the size of the first ones.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// draw shows lines in the place of what was shown. They must fit.
func (s *screen) draw(lines []string) error {
	_, err := s.out.WriteString(screenHome + strings.Join(lines, clearLine+"\r\n") + clearLine + clearBelow)
	return err
}

// key is what a pressed key means.
type key int

const (
	keyQuit key = iota + 1
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyTop
)

// keysOf are the bytes that terminals send.
var keysOf = map[string]key{
	"q": keyQuit, "\x03": keyQuit, "\x1b": keyQuit,
	"k": keyUp, "\x1b[A": keyUp, "\x1bOA": keyUp, "j": keyDown, "\x1b[B": keyDown, "\x1bOB": keyDown,
	"\x1b[5~": keyPageUp, "\x1b[6~": keyPageDown, " ": keyPageDown, "g": keyTop, "\x1b[H": keyTop, "\x1b[1~": keyTop,
}

// readKeys sends keys until ctx is done, or the terminal is gone, which is as if the user had quit.
func (s *screen) readKeys(ctx context.Context, keys chan<- key) {
	const lookUp = 100 // milliseconds: so long it goes unnoticed that ctx is done
	buf := make([]byte, 64)
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}}, lookUp)
		if errors.Is(err, unix.EINTR) || err == nil && ready == 0 {
			continue
		}
		n, rerr := s.in.Read(buf)
		k := keysOf[string(buf[:n])]
		if err != nil || rerr != nil {
			k = keyQuit
		}
		if k == 0 {
			continue
		}
		select {
		case keys <- k:
		case <-ctx.Done():
		}
		if err != nil || rerr != nil {
			return
		}
	}
}
