package edge

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for EPOLLRDHUP on many sockets.
type poller struct {
	epoll, wake int
}

// wakeID marks the event that ends run. Connections count from 1.
const wakeID = 0

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making the departure watch: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the departure watch: %w", err), unix.Close(epoll))
	}
	p := &poller{epoll: epoll, wake: wake}
	if err := p.register(wake, wakeID, unix.EPOLLIN); err != nil {
		return nil, errors.Join(fmt.Errorf("making the departure watch: %w", err), unix.Close(wake), unix.Close(epoll))
	}
	return p, nil
}

// register stores the ID in the event's whole user data, not the descriptor: the kernel reuses descriptors at once.
func (p *poller) register(fd int, id uint64, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &e)
}

// add reports whether the kernel will tell when c's peer leaves. One that has left already is told at once.
func (p *poller) add(c net.Conn, id uint64) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	added := false
	err = raw.Control(func(fd uintptr) {
		added = p.register(int(fd), id, unix.EPOLLRDHUP|unix.EPOLLET) == nil
	})
	return err == nil && added
}

// drop ends what add has begun.
func (p *poller) drop(c net.Conn) {
	if raw, err := c.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, int(fd), nil) })
	}
}

func (p *poller) run(departed func(id uint64)) {
	defer func() { _, _ = unix.Close(p.wake), unix.Close(p.epoll) }()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // only a closed epoll gets here
		}
		for i := range max(n, 0) {
			id := uint64(uint32(events[i].Fd)) | uint64(uint32(events[i].Pad))<<32
			if id == wakeID {
				return
			}
			departed(id)
		}
	}
}

// stop ends run, which closes the descriptors.
func (p *poller) stop() { _, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }
