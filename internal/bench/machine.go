package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine names the processors of this machine and the Go release, for results that others will read.
func Machine() string {
	name := ""
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan() && name == ""; {
			if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
				name = " " + strings.TrimSpace(value)
			}
		}
	}
	return fmt.Sprintf("%d CPUs%s, %s", runtime.NumCPU(), name, runtime.Version())
}
