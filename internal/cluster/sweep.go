//go:build unix

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// sweep kills what clients have left running: a Nomad client that ends leaves its tasks alive, to find them again.
func (c *Cluster) sweep() {
	for range 2 { // an executor that was just starting a task may have done so behind our back
		for pid := range Processes(c.dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// Processes gives the command lines of the processes that run in a directory, or name it, by their numbers.
func Processes(dir string) map[int]string {
	out := make(map[int]string)
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		cwd, _ := os.Readlink(filepath.Join(e, "cwd"))
		line, _ := os.ReadFile(filepath.Join(e, "cmdline"))
		if !strings.HasPrefix(cwd, dir+"/") && !strings.Contains(string(line), dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(e)); err == nil && pid != os.Getpid() {
			out[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return out
}

// unmount removes the file systems that Docker mounts for each container, and Nomad for each task where it runs as root.
func (c *Cluster) unmount() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil // no Linux, no such mounts
	}
	var failed []error
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- { // the innermost first
		fields := strings.Fields(lines[i])
		if len(fields) < 2 {
			continue
		}
		path := unescape.Replace(fields[1])
		if !strings.HasPrefix(path, c.dir+"/") {
			continue
		}
		if out, err := exec.Command("umount", "-l", path).CombinedOutput(); err != nil {
			failed = append(failed, fmt.Errorf("unmounting %s: %w: %s", path, err, out))
		}
	}
	return errors.Join(failed...)
}

// unescape reads a path as the kernel writes it in a list of fields.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
