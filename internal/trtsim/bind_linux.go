package trtsim

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// backlog is uvicorn's.
const backlog = 2048

// binding is an address that is taken but refuses connections until it listens, as the real server's is for the whole load.
type binding struct {
	fd   int
	addr string
}

func bind(host string, port int) (*binding, error) {
	tcp, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return nil, err
	}
	family, where := sockaddr(tcp)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	b := &binding{fd: fd}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt", err), b.close())
	}
	if err := syscall.Bind(fd, where); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), b.close())
	}
	if b.addr, err = boundAddr(fd, host); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func sockaddr(tcp *net.TCPAddr) (family int, where syscall.Sockaddr) {
	if ip4 := tcp.IP.To4(); ip4 != nil || tcp.IP == nil {
		in := &syscall.SockaddrInet4{Port: tcp.Port}
		copy(in.Addr[:], ip4)
		return syscall.AF_INET, in
	}
	in := &syscall.SockaddrInet6{Port: tcp.Port}
	copy(in.Addr[:], tcp.IP.To16())
	return syscall.AF_INET6, in
}

// boundAddr is host with the port that the kernel chose.
func boundAddr(fd int, host string) (string, error) {
	where, err := syscall.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	port := 0
	switch in := where.(type) {
	case *syscall.SockaddrInet4:
		port = in.Port
	case *syscall.SockaddrInet6:
		port = in.Port
	}
	return net.JoinHostPort(host, fmt.Sprint(port)), nil
}

// listen accepts connections from now on. The binding is used up.
func (b *binding) listen() (net.Listener, error) {
	if err := syscall.Listen(b.fd, backlog); err != nil {
		return nil, errors.Join(os.NewSyscallError("listen", err), b.close())
	}
	file := os.NewFile(uintptr(b.fd), "listener")
	defer file.Close() // the listener has its own copy
	return net.FileListener(file)
}

func (b *binding) close() error { return syscall.Close(b.fd) }
