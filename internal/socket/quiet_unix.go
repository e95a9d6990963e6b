//go:build unix && (!linux || 386 || s390x)

package socket

import "syscall"

// nothingToRead reports whether a read would have to wait.
func nothingToRead(fd uintptr) bool {
	var one [1]byte
	_, err := syscall.Read(int(fd), one[:])
	return err == syscall.EAGAIN
}
