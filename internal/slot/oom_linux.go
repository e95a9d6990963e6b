package slot

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// oomKills tells how many processes the kernel has killed for want of memory in our cgroup and below; false = that cannot be seen.
func oomKills() (kills uint64, known bool) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for _, file := range oomFiles(string(groups)) {
		data, err := os.ReadFile(file)
		if kills, known = oomCount(data); err == nil && known {
			return kills, true
		}
	}
	return 0, false
}

// oomFiles gives the files that may hold the count: that of the cgroup which /proc names, and that of the root, which a container sees as its own. Version 1
// of cgroups has a hierarchy for memory.
func oomFiles(groups string) (files []string) {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "memory":
			files = append(files, filepath.Join("/sys/fs/cgroup/memory", fields[2], "memory.oom_control"), "/sys/fs/cgroup/memory/memory.oom_control")
		case fields[0] == "0":
			files = append(files, filepath.Join("/sys/fs/cgroup", fields[2], "memory.events"), "/sys/fs/cgroup/memory.events")
		}
	}
	return files
}

func oomCount(data []byte) (kills uint64, known bool) {
	for line := range bytes.Lines(data) {
		if fields := bytes.Fields(line); len(fields) == 2 && string(fields[0]) == "oom_kill" {
			kills, err := strconv.ParseUint(string(fields[1]), 10, 64)
			return kills, err == nil
		}
	}
	return 0, false
}
