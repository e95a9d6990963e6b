package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// kinds of messages.
const (
	kindHello     = "hello"     // of who comes, first
	kindTake      = "take over" // of who comes: it asks the other to end
	kindListeners = "listeners"
	kindConn      = "connection"
)

// message is one packet; its sockets travel beside it.
type message struct {
	Kind    string   `json:"kind"`
	PID     int      `json:"pid,omitempty"`
	Version string   `json:"version,omitempty"`
	Names   []string `json:"names,omitempty"` // of listeners, in the order of their sockets
}

const (
	messageMost = 16 << 10
	socketsMost = 8
	sendWithin  = 5 * time.Second // to a process that does not read
)

// send writes one packet with sockets.
func send(to *net.UnixConn, m message, sockets ...syscall.Conn) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := to.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	return withDescriptors(sockets, nil, func(fds []int) error {
		var rights []byte
		if len(fds) > 0 {
			rights = syscall.UnixRights(fds...)
		}
		_, _, err := to.WriteMsgUnix(data, rights, nil)
		return err
	})
}

// withDescriptors calls f with the sockets' descriptors, none of which is closed meanwhile.
func withDescriptors(sockets []syscall.Conn, fds []int, f func(fds []int) error) error {
	if len(sockets) == 0 {
		return f(fds)
	}
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = withDescriptors(sockets[1:], append(fds, int(fd)), f) }); err != nil {
		return err
	}
	return inner
}

// receive reads one packet. The files are the caller's to close.
func receive(from *net.UnixConn) (m message, files []*os.File, err error) {
	data, rights := make([]byte, messageMost), make([]byte, syscall.CmsgSpace(4*socketsMost))
	n, rn, _, _, err := from.ReadMsgUnix(data, rights)
	if err != nil {
		return m, nil, err
	}
	if files, err = filesOf(rights[:rn]); err == nil {
		err = json.Unmarshal(data[:n], &m)
	}
	if err != nil {
		closeAll(files)
		return m, nil, fmt.Errorf("reading a message: %w", err)
	}
	return m, files, nil
}

func filesOf(rights []byte) (files []*os.File, err error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			closeAll(files)
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// pathMost is what a socket's name may have.
const pathMost = 100

// at calls f with a name of the socket at path that is short enough.
func at(path string, f func(*net.UnixAddr) error) error {
	if len(path) <= pathMost {
		return f(&net.UnixAddr{Name: path, Net: "unixpacket"})
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(&net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), Net: "unixpacket"})
}

var errStranger = errors.New("another user's process")
