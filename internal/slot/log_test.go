//go:build linux

package slot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLog_IsBounded(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1, "chatty", "crash"))
	w.launch("i1", "m", 0, 1)
	w.until("i1", gone)
	for _, name := range []string{"i1.log", "i1.log.1"} {
		info, err := os.Stat(filepath.Join(w.dir, "engines", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 8<<20 {
			t.Errorf("%s has %d bytes, want 8 MiB at most", name, info.Size())
		}
	}
	if got := w.log("i1"); !strings.HasSuffix(got, "CUDA out of memory\x1b[0m\n") {
		t.Errorf("its end is lost: %q", got[max(0, len(got)-100):])
	}
}

func TestLog_OldestEnginesAreForgotten(t *testing.T) {
	dir := t.TempDir()
	w := start(t, options{gpus: 1, dir: dir}, fake("m", 1))
	for n := range 150 {
		path := filepath.Join(dir, "engines", fmt.Sprintf("old%03d.log", n))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(n-1000) * time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	left, _ := filepath.Glob(filepath.Join(dir, "engines", "old*.log"))
	if len(left) != 100 || filepath.Base(left[0]) != "old050.log" {
		t.Errorf("%d are left, the oldest %v, want 100 from old050.log on", len(left), left[:min(1, len(left))])
	}
}
