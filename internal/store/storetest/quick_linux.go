//go:build linux

package storetest

import (
	"flag"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Quick has the files of a quick run lie in memory: what it waits for else is the disk. The whole suite is for the disk. TestMain calls it; it parses the flags.
func Quick() {
	if flag.Parse(); testing.Short() {
		InMemory()
	}
}

// InMemory has the files of tests lie in memory, where that is a file system with room.
func InMemory() {
	const memory, room = "/dev/shm", 2 << 30
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(memory, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return
	}
	_ = os.Setenv("TMPDIR", memory) // it fails for malformed names only
}
