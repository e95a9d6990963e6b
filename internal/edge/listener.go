package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// keepAlive tells of callers whose host has vanished without a FIN, within 30 seconds: the departure watch hears of a dead
// connection as of any other.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Listen gives a listener that takes ln's connections in until stop is done.
func (w *Connections) Listen(stop context.Context, ln net.Listener) net.Listener {
	return &listener{Listener: ln, all: w, stop: stop}
}

type listener struct {
	net.Listener
	all  *Connections
	stop context.Context // done = accepting ends
}

// acceptPause is how long accepting rests when descriptors or memory have run out.
const acceptPause = 50 * time.Millisecond

// Accept outlives a shortage of descriptors, which fasthttp takes for the end of the listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetKeepAliveConfig(keepAlive) // a socket that is broken already says so when it is read
			}
			if ours := l.all.Accept(c); ours != nil {
				return ours, nil
			}
			continue
		case l.stop.Err() != nil:
			return nil, io.EOF
		case !passing(err):
			return nil, err
		}
		l.all.c.Log.Warn("cannot accept connections", "listener", l.all.c.Listener, "reason", err)
		select {
		case <-l.stop.Done():
		case <-time.After(acceptPause):
		}
	}
}

// passing reports whether the next Accept may do better.
func passing(err error) bool {
	return socket.Exhausted(err) || errors.Is(err, syscall.ECONNABORTED)
}
