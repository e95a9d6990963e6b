package edge

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// giveBackPages gives the whole pages within b back to the system: they read as zeros then, and have memory again once they are written to.
func giveBackPages(b []byte) bool {
	page := uintptr(os.Getpagesize())
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % page)
	if len(b) <= skip {
		return false
	}
	b = b[skip:]
	if b = b[:uintptr(len(b))/page*page]; len(b) == 0 {
		return false
	}
	return unix.Madvise(b, unix.MADV_DONTNEED) == nil
}
