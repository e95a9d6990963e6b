package socket

import (
	"errors"
	"syscall"
)

// Exhausted reports whether a socket could not be had for want of descriptors, ports or memory of this process or machine: that tells nothing of
// whoever was to be reached.
func Exhausted(err error) bool {
	for _, e := range exhausted {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var exhausted = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}
