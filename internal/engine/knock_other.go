//go:build !linux

package engine

// refused knows nothing here: dial, and see.
func refused(string) bool { return false }
