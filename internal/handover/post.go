package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// acceptPause is how long accepting rests after it has failed.
const acceptPause = time.Second

// Post is where a process that serves hears of the one that is to take its place. It is safe for concurrent use.
type Post struct {
	path string
	ln   *net.UnixListener
	log  *slog.Logger

	mu        sync.Mutex // guards the fields below
	successor *Successor // the first that came and has not gone; nil = there is none
	asked     chan struct{}
	told      bool // asked is closed
}

// Open listens at path. Its directory is this user's alone, and one process at a time may open it: what it finds there is left behind by one that has ended.
func Open(path string, log *slog.Logger) (*Post, error) {
	p := &Post{path: path, log: log, asked: make(chan struct{})}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err := at(path, func(addr *net.UnixAddr) (err error) {
		p.ln, err = net.ListenUnix(addr.Net, addr)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening for who takes over: %w", err)
	}
	p.ln.SetUnlinkOnClose(false) // the one that has taken over may listen there by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, p.ln.Close())
	}
	return p, nil
}

// Run hears of processes that come until ctx is done. Those that wait then, wait on.
func (p *Post) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	stop := context.AfterFunc(ctx, func() { _ = p.ln.Close() })
	defer stop()
	for {
		c, err := p.ln.AcceptUnix()
		if ctx.Err() != nil {
			if c != nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			p.log.Warn("cannot hear who takes over", "reason", err) // for want of descriptors, say
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		reading.Go(func() { p.hear(ctx, c) })
	}
}

// hear follows one process.
func (p *Post) hear(ctx context.Context, c *net.UnixConn) {
	stop := context.AfterFunc(ctx, func() { _ = c.CloseRead() })
	defer stop()
	if err := sameUser(c); err != nil {
		p.log.Warn("not handing over", "reason", err)
		_ = c.Close()
		return
	}
	s := &Successor{conn: c}
	for {
		m, files, err := receive(c)
		closeAll(files)
		switch {
		case err != nil && ctx.Err() != nil && p.Successor() == s:
			return // it is written to until it is closed
		case err != nil:
			p.gone(s)
			_ = c.Close()
			return
		case m.Kind == kindHello:
			s.PID, s.Version = m.PID, m.Version
			p.arrived(s)
		case m.Kind == kindTake:
			p.ask()
		}
	}
}

func (p *Post) arrived(s *Successor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.successor == nil {
		p.successor = s
		p.log.Info("another process waits to take over", "pid", s.PID)
	}
}

func (p *Post) gone(s *Successor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.successor == s {
		p.successor = nil
		p.log.Info("the process that waited to take over has gone", "pid", s.PID)
	}
}

func (p *Post) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.told {
		p.told = true
		close(p.asked)
	}
}

// Remove takes the meeting place away, where nobody has come to it. Run has returned by then.
func (p *Post) Remove() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Asked is closed when a process asks this one to end in its favour.
func (p *Post) Asked() <-chan struct{} { return p.asked }

// Successor gives the process that is to take over; nil = there is none.
func (p *Post) Successor() *Successor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.successor
}

// Successor is the process that is to take this one's place. Its methods are safe for concurrent use.
type Successor struct {
	PID     int
	Version string
	conn    *net.UnixConn
	sending sync.Mutex // one message at a time
}

// GiveListeners hands listeners over, by name. They go on accepting here, too, until they are closed.
func (s *Successor) GiveListeners(names []string, all []net.Listener) error {
	sockets := make([]syscall.Conn, len(all))
	for i, ln := range all {
		var ok bool
		if sockets[i], ok = ln.(syscall.Conn); !ok {
			return fmt.Errorf("handing over %s: it is no socket", names[i])
		}
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := send(s.conn, message{Kind: kindListeners, Names: names}, sockets...); err != nil {
		return fmt.Errorf("handing over the listeners: %w", err)
	}
	return nil
}

// GiveConn hands an accepted connection over, and reports whether it has: then it is to be closed here, which ends nothing.
func (s *Successor) GiveConn(c net.Conn) bool {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	return send(s.conn, message{Kind: kindConn}, socket) == nil
}

// Close lets go of the successor, which learns that this process has nothing more for it.
func (s *Successor) Close() error { return s.conn.Close() }
