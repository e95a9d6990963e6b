//go:build !unix

package edge

// Descriptors is how many files and sockets the process may have open at once; 0 = that is not known.
func Descriptors() int { return 0 }
