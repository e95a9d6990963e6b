package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hideProcess keeps other processes of the same user, such as engines, from this one's environment, memory and open files: the kernel shows them to root alone. Its
// children are what they were. It costs core dumps, and where this process is not root's the metrics process_io_*.
func hideProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding this process's memory from its engines: %w", err)
	}
	return nil
}
