//go:build race && linux

package socket

import "syscall"

// The race detector takes a write of any socket to come before a read that follows it, by marks that package syscall sets. Raw calls set none, so
// that two ends in one process would look unordered. Reads and writes of nothing set them.

func ordersAfter(fd uintptr) { _, _ = syscall.Read(int(fd), nil) }

func ordersBefore(fd uintptr) { _, _ = syscall.Write(int(fd), nil) }
