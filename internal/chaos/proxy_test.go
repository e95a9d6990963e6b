//go:build linux

package chaos_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy passes TCP connections on to the first of its targets that takes one. It can delay what it passes on, each way, or hold it back, as a network that loses all does.
type proxy struct {
	address string
	targets []string // host:port, or the path of a socket
	delay   atomic.Int64
	held    atomic.Bool
	next    atomic.Int64 // the target that is tried first

	ctx    context.Context // ends with the test
	passes sync.WaitGroup
}

// newProxy starts a proxy at an address of the test's own.
func newProxy(t *testing.T, targets ...string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", here+":0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background()) // what is stopped at the test's end needs it still
	p := &proxy{address: ln.Addr().String(), targets: targets, ctx: ctx}
	p.passes.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			p.passes.Go(func() { p.pass(client) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		cancel()
		p.passes.Wait()
	})
	return p
}

// pass carries one connection.
func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	server := p.dial()
	if server == nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(p.ctx, func() { client.Close(); server.Close() })
	defer stop()
	var ways sync.WaitGroup
	ways.Go(func() { p.copy(server, client) })
	ways.Go(func() { p.copy(client, server) })
	ways.Wait()
}

func (p *proxy) dial() net.Conn {
	from := int(p.next.Add(1))
	for i := range p.targets {
		target := p.targets[(from+i)%len(p.targets)]
		network := "tcp"
		if target[0] == '/' {
			network = "unix"
		}
		if server, err := net.DialTimeout(network, target, 2*time.Second); err == nil {
			return server
		}
	}
	return nil
}

// chunk is what was read at once, and when it is due.
type chunk struct {
	data []byte
	due  time.Time
}

// copy carries one way, until its end, which it passes on.
func (p *proxy) copy(to, from net.Conn) {
	chunks := make(chan chunk, 64)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(chunks)
		for {
			data := make([]byte, 16<<10)
			n, err := from.Read(data)
			if n > 0 {
				chunks <- chunk{data[:n], time.Now().Add(time.Duration(p.delay.Load()))}
			}
			if err != nil {
				return
			}
		}
	})
	var failed error
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		for p.held.Load() && p.ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if failed == nil {
			if _, failed = to.Write(c.data); failed != nil {
				from.Close() // nobody reads what comes
			}
		}
	}
	reading.Wait()
	if half, can := to.(interface{ CloseWrite() error }); can && failed == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}
