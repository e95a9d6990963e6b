package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// listen binds one TCP address, or says in one line why it cannot, and which flag or setting chooses another.
func listen(addr, setting string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return ln, nil
	}
	var op *net.OpError
	reason := err
	if errors.As(err, &op) {
		reason = op.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use; stop what listens there, or choose another address with %s", addr, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is not an address of this machine; choose another with %s", addr, setting)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not be bound by this user; choose a port above 1023 with %s", addr, setting)
	}
	return nil, fmt.Errorf("%s cannot be bound (%s); give host:port with %s", addr, strings.TrimPrefix(reason.Error(), "address "), setting)
}

// isLoopback reports whether the host of a host:port is this machine, seen from itself.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// callable is the address at which a listener can be called from this machine: a wildcard host becomes loopback.
func callable(ln net.Listener) string {
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
