//go:build !linux

package slot

import "net"

// port is a TCP port for one engine, found free a moment ago.
type port struct {
	host   string
	number int
}

func reservePort(host string, _ bool) (*port, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	return &port{host, ln.Addr().(*net.TCPAddr).Port}, nil
}

func (p *port) release() {}
