//go:build linux

package chaos_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// role says in the environment what a test binary is.
const (
	role   = "PILOTLIGHT_CHAOS_ROLE"
	first  = "first"  // the first process of the namespaces
	inside = "inside" // the test in them
)

func TestMain(m *testing.M) {
	if os.Getenv(role) != first {
		os.Exit(m.Run())
	}
	code, err := beFirst()
	if err != nil {
		fmt.Fprintln(os.Stderr, "the first process of the namespaces:", err)
	}
	os.Exit(code)
}

// beFirst makes the namespaces a world of their own, runs the test in it, and meanwhile awaits the orphans, as init does.
func beFirst() (code int, err error) {
	for _, mount := range []struct {
		what, where, kind string
		flags             uintptr
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0}, // namespaces' names, and the lock of iptables
	} {
		if err := syscall.Mount(mount.what, mount.where, mount.kind, mount.flags, ""); err != nil {
			return 1, fmt.Errorf("mounting %s: %w", mount.where, err)
		}
	}
	// Without cgroups Nomad makes none, which would stay behind.
	if err := syscall.Unmount("/sys/fs/cgroup", syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
		return 1, fmt.Errorf("hiding the cgroups: %w", err)
	}
	test := exec.Command(os.Args[0], os.Args[1:]...)
	test.Env = append(os.Environ(), role+"="+inside)
	test.Stdout, test.Stderr = os.Stdout, os.Stderr
	if err := test.Start(); err != nil {
		return 1, err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 1, err
		}
		if pid == test.Process.Pid {
			return status.ExitStatus() & 0xff, nil // -1 where a signal has ended it
		}
	}
}
