//go:build !linux

package trtsim

import (
	"fmt"
	"net"
)

// binding is an address to listen on. Here it is not held while loading: a clash is seen at the start, but somebody else may take it later.
type binding struct {
	addr string
}

func bind(host string, port int) (*binding, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return nil, err
	}
	_, chosen, _ := net.SplitHostPort(ln.Addr().String())
	return &binding{addr: net.JoinHostPort(host, chosen)}, ln.Close()
}

func (b *binding) listen() (net.Listener, error) { return net.Listen("tcp", b.addr) }

func (b *binding) close() error { return nil }
