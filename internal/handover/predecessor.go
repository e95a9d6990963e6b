package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// Predecessor is the process whose place this one takes. Its methods are safe for concurrent use.
type Predecessor struct {
	conn *net.UnixConn
	gone chan struct{} // closed once it has ended, or let go of us
	got  chan struct{} // closed once listeners or their absence is certain

	mu        sync.Mutex              // guards the fields below
	listeners map[string]net.Listener // nil = it has handed none over
	conns     []net.Conn              // that nobody has taken yet
	take      func(net.Conn)          // nil = nobody takes them yet
	had       bool                    // got is closed
}

// ErrGone says that there is no other process, or that it has ended without handing anything over.
var ErrGone = errors.New("no process that hands over")

// Dial goes to the process that serves at path. The error is ErrGone where there is none.
func Dial(ctx context.Context, path, version string) (*Predecessor, error) {
	p := &Predecessor{gone: make(chan struct{}), got: make(chan struct{})}
	err := at(path, func(addr *net.UnixAddr) error {
		c, err := (&net.Dialer{}).DialContext(ctx, addr.Net, addr.Name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		p.conn = c.(*net.UnixConn)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := sameUser(p.conn); err != nil {
		return nil, errors.Join(err, p.conn.Close())
	}
	if err := send(p.conn, message{Kind: kindHello, PID: os.Getpid(), Version: version}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrGone, err), p.conn.Close())
	}
	return p, nil
}

// Ask asks the process to end in favour of this one.
func (p *Predecessor) Ask() error { return send(p.conn, message{Kind: kindTake}) }

// Run takes in what is handed over, until the process has ended, or ctx is done. It is called once; Close is called after it.
func (p *Predecessor) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	defer stop()
	defer close(p.gone)
	defer p.settle(nil)
	for {
		m, files, err := receive(p.conn)
		if err != nil {
			return
		}
		switch m.Kind {
		case kindListeners:
			p.settle(listenersOf(m.Names, files))
		case kindConn:
			p.takeIn(files)
		}
		closeAll(files)
	}
}

// listenersOf gives those that could be had.
func listenersOf(names []string, files []*os.File) map[string]net.Listener {
	all := map[string]net.Listener{}
	for i, name := range names[:min(len(names), len(files))] {
		if ln, err := net.FileListener(files[i]); err == nil {
			all[name] = ln
		}
	}
	return all
}

func (p *Predecessor) settle(listeners map[string]net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.had {
		p.had, p.listeners = true, listeners
		close(p.got)
	}
}

func (p *Predecessor) takeIn(files []*os.File) {
	for _, f := range files {
		c, err := net.FileConn(f)
		if err != nil {
			continue
		}
		p.mu.Lock()
		take := p.take
		if take == nil {
			p.conns = append(p.conns, c)
		}
		p.mu.Unlock()
		if take != nil {
			take(c)
		}
	}
}

// Offered is closed once the process has handed its listeners over, or has ended.
func (p *Predecessor) Offered() <-chan struct{} { return p.got }

// Gone is closed once the process has ended, or has nothing more to hand over.
func (p *Predecessor) Gone() <-chan struct{} { return p.gone }

// Listener gives the one of a name that was handed over, once Offered is closed; nil = none was, or it was given before. It is the caller's.
func (p *Predecessor) Listener(name string) net.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	ln := p.listeners[name]
	delete(p.listeners, name)
	return ln
}

// TakeConns has f take each connection that is handed over, those that came before first. f must not block.
func (p *Predecessor) TakeConns(f func(net.Conn)) {
	p.mu.Lock()
	early := p.conns
	p.conns, p.take = nil, f
	p.mu.Unlock()
	for _, c := range early {
		f(c)
	}
}

// Close lets go of the process, and closes what nobody has taken.
func (p *Predecessor) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	for _, ln := range p.listeners {
		_ = ln.Close()
	}
	p.conns, p.listeners = nil, nil
	return p.conn.Close()
}
