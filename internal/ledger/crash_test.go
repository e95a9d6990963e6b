package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// The test binary started with these variables is a child that keeps a ledger; see TestMain.
const (
	childDir  = "PILOTLIGHT_TEST_LEDGER_DIR"
	childMode = "PILOTLIGHT_TEST_LEDGER_MODE"
)

// child runs a ledger in dir, appends until it is killed, and prints the ID of each record once its Append has returned, in one write.
func child(dir, mode string) {
	s, err := storetest.OpenInChild(filepath.Join(dir, "p.db"))
	check(err)
	l, err := ledger.Open(context.Background(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: s, Durability: ledger.Durability(mode)})
	check(err)
	var running sync.WaitGroup
	running.Go(func() { check(l.Run(context.Background())) })
	for range 4 {
		running.Go(func() {
			for {
				r := record(rand.Int())
				check(l.Append(r))
				fmt.Println(r.ID)
			}
		})
	}
	running.Wait()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childCommand(t *testing.T, dir, mode string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), childDir+"="+dir, childMode+"="+mode), storetest.ChildEnv(t, filepath.Join(dir, "p.db"))...)
	cmd.Stderr = os.Stderr
	return cmd
}

// A kill -9 at any moment loses no record whose Append had returned, and doubles none: in appending, syncing, moving,
// rotating and replaying, since each life replays the one before.
func TestKilledAtAnyMoment_EveryAcknowledgedRecordIsThereOnce(t *testing.T) {
	t.Parallel()
	lives := 12
	if testing.Short() {
		lives = 4
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	var opening time.Duration // until the first child appends: kills fall into as long again and a little more
	for life := range lives {
		mode := []string{"async", "sync"}[life%2]
		cmd := childCommand(t, dir, mode)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		if life == 0 {
			in.Peek(1)
			opening = time.Since(began)
		}
		kill := time.AfterFunc(rand.N(2*opening+200*time.Millisecond), func() { cmd.Process.Kill() })
		for _, id := range wholeLines(in) {
			acknowledged[id] = true
		}
		kill.Stop()
		cmd.Wait() // says "signal: killed"
	}
	if len(acknowledged) == 0 {
		t.Fatal("the children appended nothing")
	}
	l := openLedger(t, ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(t, filepath.Join(dir, "p.db"))})
	found := map[string]int{}
	for _, r := range all(t, l) {
		found[r.ID]++
		if found[r.ID] > 1 {
			t.Errorf("record %s is there %d times", r.ID, found[r.ID])
		}
	}
	for id := range acknowledged {
		if found[id] == 0 {
			t.Errorf("record %s was acknowledged and is lost", id)
		}
	}
	if rows, _, err := l.Usage(t.Context(), ledger.Query{}); err != nil || len(rows) != 1 || rows[0].Requests != int64(len(found)) {
		t.Errorf("got usage %+v, %v, want that of %d records", rows, err, len(found))
	}
	if extra := len(found) - len(acknowledged); extra < 0 || extra > 4*lives {
		t.Errorf("%d records are there and %d were acknowledged: more than one a goroutine and life", len(found), len(acknowledged))
	}
	t.Logf("%d records over %d lives", len(found), lives)
}

// wholeLines reads lines to the end and drops a last one without its end.
func wholeLines(in *bufio.Reader) (lines []string) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}
