package slot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// port is a TCP port for one engine. While it is held it is bound, but not listened on, by a socket that lets others with
// SO_REUSEADDR or SO_REUSEPORT bind it too, as nearly every server does: so the engine can have it, while whoever looks for a free port,
// another supervisor or the kernel for an outgoing connection, finds it taken.
type port struct {
	host   netip.Addr
	number int
	fd     int // -1: not held
}

const portTries = 200

var errNoPort = errors.New("none of the ports tried is free")

func reservePort(host string, among fleet.Range, hold bool) (*port, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	p := &port{host: addr.Unmap(), fd: -1}
	for range portTries {
		p.number = among.Min + rand.IntN(among.Max-among.Min+1)
		err := p.take()
		switch {
		case err == nil && !hold:
			p.release()
			return p, nil
		case err == nil:
			return p, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w, from %d to %d", errNoPort, among.Min, among.Max)
}

// take binds the port if nobody else has it in any way, and then shares it.
func (p *port) take() error {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: p.number, Addr: p.host.As16()})
	if p.host.Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: p.number, Addr: p.host.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("bind", err)
	}
	// Only after the bind: before, it would let this one in beside others.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	p.fd = fd
	return nil
}

func (p *port) release() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}
