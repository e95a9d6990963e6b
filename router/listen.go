package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// Listen opens a TCP listener that notices dead peers within 30 seconds: TCP keep-alive probes are what tells of a caller
// whose host has vanished without a FIN.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the public API: %w", err)
	}
	return ln, nil
}

// listener hands accepted connections to the departure watch.
type listener struct {
	net.Listener
	watch *watch
	stop  context.Context // done = accepting ends
	log   *slog.Logger
}

// acceptPause is how long accepting rests when descriptors or memory have run out.
const acceptPause = 50 * time.Millisecond

// Accept outlives a shortage of descriptors, which fasthttp takes for the end of the listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.watch.accept(c), nil
		case l.stop.Err() != nil:
			return nil, io.EOF
		case !shortage(err):
			return nil, err
		}
		l.log.Warn("cannot accept connections", "reason", err)
		select {
		case <-l.stop.Done():
		case <-time.After(acceptPause):
		}
	}
}

func shortage(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
