//go:build linux

package slot_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestKilledSupervisor_TakesItsEngineWithIt(t *testing.T) {
	dir := t.TempDir()
	supervisor := startSupervisor(t, dir)
	engine := recordedPID(t, filepath.Join(dir, "engines", "i1.pid"))
	supervisor.Process.Kill()
	supervisor.Wait()
	for deadline := time.Now().Add(patience); alive(engine); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			syscall.Kill(engine, syscall.SIGKILL)
			t.Fatal("the engine outlives its supervisor")
		}
	}
}

func TestRun_KillsWhatAKilledSupervisorLeft(t *testing.T) {
	dir := t.TempDir()
	orphan := filepath.Join(dir, "orphan")
	supervisor := startSupervisor(t, dir, "immortal", "orphan="+orphan)
	file := filepath.Join(dir, "engines", "i1.pid")
	engine, child := recordedPID(t, file), pidIn(t, orphan)
	supervisor.Process.Kill()
	supervisor.Wait()
	if !alive(engine) || !alive(child) {
		t.Fatal("nothing was left: this test shows nothing")
	}
	w := start(t, options{gpus: 1, dir: dir}, fake("m", 1))
	w.launch("i2", "m", 0, 1)
	w.until("i2", in(fleet.PhaseLoading)) // something is launched: what was left must be gone
	if alive(engine) || alive(child) {
		t.Errorf("left-overs run beside the next engine: engine %t, what it started %t", alive(engine), alive(child))
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the process file of the left-over is still there")
	}
}

// TestRun_SparesOthers writes process files of a process that is nobody's engine, right in all but one respect.
func TestRun_SparesOthers(t *testing.T) {
	dir := t.TempDir()
	start(t, options{gpus: 1, dir: dir}, fake("m", 1)).stop()
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(dir, "engines"), &st); err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		spoil func(record map[string]any)
		dies  bool
	}{
		{"another process by now", func(r map[string]any) { r["start"] = r["start"].(uint64) - 1 }, false},
		{"before the machine's last start", func(r map[string]any) { r["boot"] = "other" }, false},
		{"a copied directory", func(r map[string]any) { r["owner"] = "1-2" }, false},
		{"a left-over", func(map[string]any) {}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			other := exec.Command("sleep", "1000")
			other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			defer other.Wait()
			defer other.Process.Kill()
			pid := other.Process.Pid
			record := map[string]any{
				"pid": pid, "start": startedAt(t, pid), "boot": strings.TrimSpace(string(boot)),
				"owner": strconv.FormatUint(st.Dev, 16) + "-" + strconv.FormatUint(st.Ino, 16),
			}
			row.spoil(record)
			data, _ := json.Marshal(record)
			if err := os.WriteFile(filepath.Join(dir, "engines", "old.pid"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			w := start(t, options{gpus: 1, dir: dir}, fake("m", 1))
			w.launch("i1", "m", 0, 1)
			w.until("i1", ready)
			if alive(pid) == row.dies {
				t.Errorf("it runs: %t, want %t", alive(pid), !row.dies)
			}
		})
	}
}

func startedAt(t *testing.T, pid int) uint64 {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), ") ")
	at, err := strconv.ParseUint(strings.Fields(after)[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
