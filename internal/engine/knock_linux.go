package engine

import (
	"errors"
	"net/netip"
	"syscall"
)

// refused reports whether a connection to the address (numeric, with a port) is refused at once, which is how an engine of this machine
// answers until it listens. One socket and one connect: a tenth of what a dial costs, and it is tried for as long as the engine
// loads. Anything but a plain refusal is false: then dial, and see.
func refused(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	family, to := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()})
	if a.Addr().Is4() {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	err = syscall.Connect(fd, to)
	if errors.Is(err, syscall.EINPROGRESS) { // over loopback the refusal has come by now; it waits in the socket
		pending, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		err = syscall.Errno(pending)
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
