//go:build !386 && !s390x

package socket

import (
	"syscall"
	"unsafe"
)

const direct = true

// Sockets are read and written by recvfrom and sendto: read and write take the kernel a twentieth longer, for they ask first what kind of file it is. 386 and s390x
// have other numbers for them.

// read reads once. It is not done where it has to wait.
func (t *transfer) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&t.b[0])), uintptr(len(t.b)), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			ordersAfter(fd)
			t.n = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.err = errno
			return true
		}
	}
}

// write writes until all is sent. It is not done where it has to wait.
func (t *transfer) write(fd uintptr) bool {
	ordersBefore(fd)
	for len(t.b) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&t.b[0])), uintptr(len(t.b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			t.n += int(n)
			t.b = t.b[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.err = errno
			return true
		}
	}
	return true
}

// nothingToRead reports whether a read would have to wait.
func nothingToRead(fd uintptr) bool {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one[0])), 1, syscall.MSG_DONTWAIT, 0, 0)
	return errno == syscall.EAGAIN
}
