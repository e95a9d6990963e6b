package slot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isolate gives the child a process group of its own, and has it killed when this process dies.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// setUser has the command run as the user, without any other groups.
func setUser(cmd *exec.Cmd, u *User) {
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID}
}

// finish blocks until the leader has ended, kills its group and reaps it. The group first, the leader after: as long as
// the leader is not reaped, nobody else can have the group's number.
func (c *child) finish() error {
	awaitExit(c.cmd.Process.Pid)
	c.mu.Lock()
	defer c.mu.Unlock()
	killGroup(c.cmd.Process.Pid)
	c.reaped = true
	return c.cmd.Wait()
}

// awaitExit blocks until the process has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

const (
	endWithin = 5 * time.Second      // a killed process that takes longer hangs in the kernel
	endPause  = 1 * time.Millisecond // between two looks
)

// awaitGroup blocks until nobody in the group runs any more: only then are the GPUs free. Its leader has been reaped, or is
// no child of ours.
func awaitGroup(leader int) {
	for deadline := time.Now().Add(endWithin); groupRuns(leader) && time.Now().Before(deadline); {
		time.Sleep(endPause)
	}
}

func groupRuns(leader int) bool {
	if syscall.Kill(-leader, 0) != nil {
		return false
	}
	// Somebody is left, but where nobody reaps orphans it may be a corpse.
	for _, pid := range processes() {
		if st, err := readStat(pid); err == nil && st.group == leader && st.runs() {
			return true
		}
	}
	return false
}

// killMarked kills every process with an environment entry that begins so, until there is none, and tells how many it found.
// It returns when they run no more: one that is being killed shows no environment before it has let go of its GPUs.
//
// Who they run as is theirs, if it is not ours: the kernel shows the environment of others' processes only to who may trace them, and root in a container may not.
func killMarked(entry string, user *User) int {
	killed := map[int]uint64{} // pid -> its start
	for deadline := time.Now().Add(endWithin); time.Now().Before(deadline); time.Sleep(endPause) {
		found := false
		for _, pid := range processes() {
			if pid != os.Getpid() && marked(pid, entry, user) {
				found = true
				killed[pid] = startTime(pid)
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		for pid, start := range killed {
			found = found || start != 0 && startTime(pid) == start
		}
		if !found {
			break
		}
	}
	return len(killed)
}

// marked reports whether the process has such an entry in its environment. One that has ended, or is a third one's, shows none.
func marked(pid int, entry string, user *User) bool {
	env, err := os.ReadFile(procFile(pid, "environ"))
	if err != nil && user != nil {
		env, err = readAs(user, procFile(pid, "environ"))
	}
	if err != nil {
		return false
	}
	return bytes.Contains(append([]byte{0}, env...), []byte("\x00"+entry))
}

// readAs reads a file with another user's rights.
func readAs(user *User, file string) (data []byte, err error) {
	err = as(user, func() error {
		data, err = os.ReadFile(file)
		return err
	})
	return data, err
}

// mayOpen is the error of the user who opens a file or a directory for reading.
func mayOpen(user *User, path string) error {
	return as(user, func() error {
		f, err := os.Open(path)
		if err == nil {
			f.Close()
		}
		return err
	})
}

// as calls f with another user's rights, which root's thread can take on for the file system alone.
func as(user *User, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	gid, err := unix.SetfsgidRetGid(int(user.GID))
	if err != nil {
		return err
	}
	defer unix.Setfsgid(gid)
	uid, err := unix.SetfsuidRetUid(int(user.UID))
	if err != nil {
		return err
	}
	defer unix.Setfsuid(uid)
	return f()
}

func processes() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	pids := make([]int, 0, len(dirs))
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// stat is what /proc tells of a process.
type stat struct {
	state byte
	group int
	start uint64
}

func (s stat) runs() bool { return s.state != 'Z' && s.state != 'X' }

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in parentheses, and may itself hold any of them.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("process %d: cannot read its state", pid)
	}
	group, err := strconv.Atoi(fields[2])
	if err != nil {
		return stat{}, err
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, err
	}
	return stat{state: fields[0][0], group: group, start: start}, nil
}

// startTime tells when the process began, in clock ticks since boot; 0 = there is none that runs.
func startTime(pid int) uint64 {
	st, err := readStat(pid)
	if err != nil || !st.runs() {
		return 0
	}
	return st.start
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
