//go:build unix

package slot

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func terminateGroup(leader int) { syscall.Kill(-leader, syscall.SIGTERM) }
func killGroup(leader int)      { syscall.Kill(-leader, syscall.SIGKILL) }

// ownerOf names a directory so that no other on this machine has the name, a copy of it neither, and it keeps the name.
func ownerOf(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s has no identity", dir)
	}
	return fmt.Sprintf("%x-%x", st.Dev, st.Ino), nil
}

// lockDir makes sure that one supervisor at a time uses the directory: two would kill each other's engines as left-overs.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("another supervisor uses it: %w", err)
	}
	return file, nil
}

// wasKilled reports whether the process was ended by SIGKILL.
func wasKilled(p *os.ProcessState) bool {
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
