package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// usedError says who has a lock file; "" = it has not said.
type usedError string

func (e usedError) Error() string { return "another pilotlight" + string(e) }

// takeFile locks a file, which it makes if need be, for this process until the file is closed, or the process ends in whatever way. It does not
// wait: the error is a usedError while another process has it.
func takeFile(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, lockedBy(lock)
		}
		return nil, err
	}
	if err := sign(lock); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// sign writes our process id into the lock, for the message that another server gets.
func sign(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func lockedBy(lock *os.File) usedError {
	text := make([]byte, 32)
	n, _ := lock.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return ""
	}
	return usedError(fmt.Sprintf(" (process %d)", pid))
}
