package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/handover"
)

// handoverPath is where a server and the one that is to take its place meet: beside what only one of them may have.
func handoverPath(own string) string { return own + ".handover" }

// inherited are sockets that a server has from the one before it; nil = it has none.
type inherited struct {
	from *handover.Predecessor
	done context.CancelFunc
	runs sync.WaitGroup
}

// meet goes to the server that has what this one waits for, if it can be spoken to; ask has it end in this one's favour.
func (c *candidate) meet(ctx context.Context) {
	if c.inherits != nil {
		select {
		case <-c.inherits.from.Gone(): // and another has its place
			c.inherits.close()
			c.inherits = nil
		default:
			return
		}
	}
	path, _ := ownPath(c.cfg)
	from, err := handover.Dial(ctx, handoverPath(path), readVersion().Version)
	if err != nil {
		c.log.Debug("the other server cannot be spoken to", "reason", err)
		return
	}
	running, done := context.WithCancel(context.Background())
	c.inherits = &inherited{from: from, done: done}
	c.inherits.runs.Go(func() { from.Run(running) })
	if c.takeOver {
		if err := from.Ask(); err != nil {
			c.log.Warn("the other server was not asked to end", "reason", err)
		}
	}
}

// listener gives the one of that name that the server before has handed over; nil = it has none at this address.
func (i *inherited) listener(name, addr string) net.Listener {
	if i == nil {
		return nil
	}
	<-i.from.Offered() // whoever has given up what it had for itself has said before what else it gives
	return i.from.Listener(listenerName(name, addr))
}

// listenerName tells listeners apart; the address is as the config has it.
func listenerName(name, addr string) string { return name + " " + addr }

// adopt has the server before it ends this one's, with the connections that it has left.
func (i *inherited) adopt(s *server) {
	if i != nil {
		i.from.TakeConns(s.router.Adopt)
	}
}

func (i *inherited) close() {
	if i != nil {
		i.done()
		i.runs.Wait()
		_ = i.from.Close()
	}
}

// heirs is where a server hears of the one that is to take its place.
type heirs struct {
	post    *handover.Post // nil = there can be none
	log     *slog.Logger
	api     net.Listener
	admin   *pausable
	apiName string
	adName  string
}

// openHeirs opens the meeting place. A server without one serves as well: its callers are refused while it is replaced.
func (c *candidate) openHeirs(api net.Listener, admin *pausable) *heirs {
	h := &heirs{
		log: c.log, api: api, admin: admin, apiName: listenerName("api", c.cfg.API.Addr), adName: listenerName("admin", c.cfg.Admin.Addr),
	}
	path, _ := ownPath(c.cfg)
	post, err := handover.Open(handoverPath(path), c.log)
	if err != nil {
		c.log.Warn("a server that replaces this one cannot have its listeners", "reason", err)
		return h
	}
	h.post = post
	return h
}

// run hears of successors until ctx is done, and then hands over to the one that waits, if any does.
func (h *heirs) run(ctx context.Context, s *server) error {
	if h.post == nil {
		<-ctx.Done()
		return nil
	}
	if err := h.post.Run(ctx); err != nil {
		return err
	}
	to := h.post.Successor()
	if to == nil {
		return h.post.Remove()
	}
	began := time.Now()
	if err := to.GiveListeners([]string{h.apiName, h.adName}, []net.Listener{h.api, h.admin.TCPListener}); err != nil {
		h.log.Warn("the listeners were not handed over", "pid", to.PID, "reason", err)
		return errors.Join(to.Close(), h.post.Remove())
	}
	h.log.Info("another process takes over", "pid", to.PID)
	h.admin.pause()
	s.router.HandOn(to.GiveConn)
	h.log.Debug("the listeners are handed over", "took", time.Since(began))
	return nil
}

// asked is closed when the successor asks this server to end; nil = it never is.
func (h *heirs) asked() <-chan struct{} {
	if h.post == nil {
		return nil
	}
	return h.post.Asked()
}

// pausable is a listener that may stop accepting before it is closed.
type pausable struct {
	*net.TCPListener
	paused, closed chan struct{}
	once, twice    sync.Once
}

func newPausable(ln *net.TCPListener) *pausable {
	return &pausable{TCPListener: ln, paused: make(chan struct{}), closed: make(chan struct{})}
}

func (p *pausable) pause() {
	p.once.Do(func() {
		close(p.paused)
		_ = p.SetDeadline(time.Unix(1, 0))
	})
}

// Accept gives nothing any more once it is paused.
func (p *pausable) Accept() (net.Conn, error) {
	conn, err := p.TCPListener.Accept()
	select {
	case <-p.paused:
		if errors.Is(err, os.ErrDeadlineExceeded) {
			<-p.closed
			return nil, net.ErrClosed
		}
	default:
	}
	return conn, err
}

// Close ends accepting here.
func (p *pausable) Close() error {
	p.twice.Do(func() { close(p.closed) })
	return p.TCPListener.Close()
}
