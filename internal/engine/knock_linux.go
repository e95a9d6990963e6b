//go:build !386 && !s390x

package engine

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"
)

// knocker asks again and again whether anything listens at an address, with one socket for as long as nothing does. It is tried for as long as an engine loads,
// so it connects without the scheduler's knowledge: told, that would take as long again. The zero value knows nothing; see newKnocker. It belongs to one goroutine.
type knocker struct {
	to     [syscall.SizeofSockaddrInet6]byte
	length uintptr // of to; 0 = the address is no IP address with a port
	family int
	fd     int // -1 = none
}

func newKnocker(addr string) *knocker {
	k := &knocker{fd: -1}
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return k
	}
	// A family in the machine's order, a port in the network's; then IPv4 has the address, IPv6 four bytes of flow first.
	if ip := a.Addr().Unmap(); ip.Is4() {
		k.family, k.length = syscall.AF_INET, syscall.SizeofSockaddrInet4
		copy(k.to[4:], ip.AsSlice())
	} else {
		k.family, k.length = syscall.AF_INET6, syscall.SizeofSockaddrInet6
		copy(k.to[8:], ip.AsSlice())
	}
	binary.NativeEndian.PutUint16(k.to[:], uint16(k.family))
	binary.BigEndian.PutUint16(k.to[2:], a.Port())
	return k
}

// refused reports whether a connection is refused at once, which is how an engine of this machine answers until it listens. Anything but a plain
// refusal is false: then dial, and see.
func (k *knocker) refused() bool {
	if k.length == 0 {
		return false
	}
	if k.fd < 0 {
		fd, err := syscall.Socket(k.family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return false
		}
		k.fd = fd
	}
	errno := k.connect()
	if errno == syscall.EINPROGRESS { // over loopback the refusal has come by now: asked again, the socket gives it, and is as new
		errno = k.connect()
	}
	if errno != syscall.ECONNREFUSED {
		k.close()
	}
	return errno == syscall.ECONNREFUSED
}

// connect never waits: the socket is one that does not.
func (k *knocker) connect() syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(k.fd), uintptr(unsafe.Pointer(&k.to)), k.length)
	return errno
}

func (k *knocker) close() {
	if k.fd >= 0 {
		syscall.Close(k.fd)
		k.fd = -1
	}
}
