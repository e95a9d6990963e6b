//go:build !unix

package socket

// nothingToRead is true: here a dead connection is found when it is used.
func nothingToRead(uintptr) bool { return true }
