//go:build !linux

package slot

import (
	"net"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// port is a TCP port for one engine, found free a moment ago.
type port struct {
	host   string
	number int
}

// reservePort lets the kernel choose, wherever.
func reservePort(host string, _ fleet.Range, _ bool) (*port, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	return &port{host, ln.Addr().(*net.TCPAddr).Port}, nil
}

func (p *port) release() {}
