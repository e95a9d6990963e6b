//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// newProbe gives a function that reports whether a connection is open and has nothing to read, without waiting: one read
// that must say EAGAIN. It is nil for connections that are no sockets.
func newProbe(nc net.Conn) func() bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var quiet bool
	var one [1]byte
	read := func(fd uintptr) {
		_, err := syscall.Read(int(fd), one[:])
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	}
	return func() bool {
		quiet = false
		return raw.Control(read) == nil && quiet // not raw.Read, which fails once an old deadline has passed
	}
}
