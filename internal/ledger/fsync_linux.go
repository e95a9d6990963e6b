//go:build amd64 || arm64

package ledger

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fsyncs has the kernel fsync files while a goroutine waits as for a socket (io_submit(2), IOCB_CMD_FSYNC). The runtime's monitor would find a thread of ours that
// waits in fsync(2), which keeps it awake for milliseconds each time.
type fsyncs struct {
	mu      sync.Mutex // one at a time
	context uintptr    // of io_setup
	done    *os.File   // an eventfd, to be read once an fsync has ended
	control control
}

// control is Linux's struct iocb.
type control struct {
	_        [2]uint64 // data, key, flags of a read or write
	opcode   uint16
	_        uint16 // priority
	file     uint32
	_        [4]uint64 // buffer, length, offset, reserved
	flags    uint32
	eventFor uint32
}

// event is Linux's struct io_event.
type event struct {
	_      [2]uint64 // data, and the control's address
	result int64
	_      int64
}

const (
	controlFsync    = 2 // IOCB_CMD_FSYNC
	controlTellsFor = 1 // IOCB_FLAG_RESFD
)

// newFsyncs gives nil where the kernel gives none.
func newFsyncs() *fsyncs {
	s := &fsyncs{}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&s.context)), 0); errno != 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_, _, _ = syscall.Syscall(syscall.SYS_IO_DESTROY, s.context, 0, 0)
		return nil
	}
	s.done = os.NewFile(uintptr(fd), "fsyncs")
	s.control = control{opcode: controlFsync, flags: controlTellsFor, eventFor: uint32(fd)}
	return s
}

// fsync fsyncs a file. known is false where the kernel does not take it, which says nothing of the file.
func (s *fsyncs) fsync(file syscall.RawConn) (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.submit(file) {
		return false, nil
	}
	var count [8]byte
	if _, err := s.done.Read(count[:]); err != nil {
		return false, nil
	}
	var e event
	n, _, errno := syscall.RawSyscall6(syscall.SYS_IO_GETEVENTS, s.context, 0, 1, uintptr(unsafe.Pointer(&e)), 0, 0)
	switch {
	case errno != 0 || n != 1:
		return false, nil
	case e.result < 0:
		return true, os.NewSyscallError("fsync", syscall.Errno(-e.result))
	}
	return true, nil
}

// submit begins an fsync. From then on the kernel holds the file open.
func (s *fsyncs) submit(file syscall.RawConn) (taken bool) {
	err := file.Control(func(fd uintptr) {
		s.control.file = uint32(fd)
		one := &s.control
		n, _, errno := syscall.RawSyscall(syscall.SYS_IO_SUBMIT, s.context, 1, uintptr(unsafe.Pointer(&one)))
		taken = errno == 0 && n == 1
	})
	return err == nil && taken
}

// close waits for the fsync under way. What comes later the kernel does not take.
func (s *fsyncs) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, errno := syscall.Syscall(syscall.SYS_IO_DESTROY, s.context, 0, 0)
	s.context = 0
	if errno != 0 {
		return errors.Join(os.NewSyscallError("io_destroy", errno), s.done.Close())
	}
	return s.done.Close()
}
