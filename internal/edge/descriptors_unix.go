//go:build unix

package edge

import (
	"math"

	"golang.org/x/sys/unix"
)

// Descriptors is how many files and sockets the process may have open at once; 0 = that is not known.
func Descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
