//go:build linux

package slot_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPort_ClashIsTriedAgain(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	w := start(t, options{gpus: 1}, fake("m", 1, "clash="+mark))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	if got := w.log("i1"); !strings.Contains(got, "Address already in use") {
		t.Errorf("there was no clash: %q", got)
	}
}

func TestPort_EngineThatBindsAloneGetsOne(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1, "plain"))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
}

func TestPort_ManyEnginesAtOnce(t *testing.T) {
	w := start(t, options{gpus: 8}, fake("m", 1))
	addrs := map[string]bool{}
	for n := range 8 {
		w.launch(fmt.Sprint("i", n), "m", n, 1)
	}
	for deadline := time.After(patience); len(addrs) < 8; {
		select {
		case h := <-w.said:
			for _, i := range h.Instances {
				if ready(i) {
					addrs[i.Addr] = true
				}
			}
		case <-deadline:
			t.Fatalf("only %d are ready: %v", len(addrs), addrs)
		}
	}
}

// TestReady_WithinMilliseconds measures from the engine's answer, the last thing that ready waits for and the first that
// can tell of it, and from launch to that answer indirectly: an engine that listens is asked within one look's pause.
func TestReady_WithinMilliseconds(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	const most = 5 * time.Millisecond
	var medians []time.Duration
	for round := range 3 { // the machine may be busy: one quiet round is enough
		var late []time.Duration
		for n := range 7 {
			id := fmt.Sprintf("i%d-%d", round, n)
			w.launch(id, "m", 0, 1)
			i, at := w.until(id, ready)
			listened := unixNano(t, get(t, i.Addr, "/listened"))
			late = append(late, at.Sub(listened))
			w.end(id)
			w.until(id, gone)
		}
		slices.Sort(late)
		medians = append(medians, late[len(late)/2])
		if late[len(late)/2] <= most {
			break
		}
	}
	t.Logf("ready heard after listening, medians: %v", medians)
	if best := slices.Min(medians); best > most {
		t.Errorf("ready was heard %v after the engine listened, want %v at most", best, most)
	}
}

func unixNano(t *testing.T, s string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}
