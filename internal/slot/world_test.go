//go:build linux

package slot_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// patience bounds every wait for an event; it is far longer than any wait takes.
const patience = 30 * time.Second

// world is one slot that runs, and what it has said.
type world struct {
	*slot.Slot
	t    *testing.T
	dir  string
	said chan heard
	stop func() // ends Run and waits for it
	seq  uint64
}

type heard struct {
	fleet.Observation
	at time.Time
}

type options struct {
	gpus  int
	dir   string
	grace time.Duration
	self  string
	user  *slot.User
	pass  []string

	moveWithin time.Duration
	firstToken time.Duration // 0 = as outside of tests
	memory     fleet.Bytes
	log        io.Writer
	health     engine.HealthRule
	gauge      *slot.Gauge
}

// start makes a slot for the models and runs it until the test ends.
func start(t *testing.T, o options, models ...*fleet.Model) *world {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.log == nil {
		o.log = testLog{t}
	}
	s, err := slot.New(slot.Config{
		ID: "s", Node: "n", Pool: "p", GPUs: o.gpus, Dir: o.dir, Models: models, Grace: o.grace, Self: o.self, User: o.user, PassEnv: o.pass,
		MoveWithin: o.moveWithin, FirstToken: o.firstToken, HostMemory: o.memory, Health: o.health, Gauge: o.gauge, Log: slog.New(slog.NewTextHandler(o.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Slot: s, t: t, dir: o.dir, said: make(chan heard, 1000)}
	running, cancel := context.WithCancel(context.Background())
	watching, forget := context.WithCancel(context.Background())
	var run, watch sync.WaitGroup
	run.Go(func() {
		if err := s.Run(running); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	watch.Go(func() {
		s.Watch(watching, func(o fleet.Observation) { w.said <- heard{o, time.Now()} })
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		run.Wait()
	})
	t.Cleanup(func() {
		w.stop()
		forget()
		watch.Wait()
	})
	return w
}

// testLog is the test's own log.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func launch(id, model string, gpu, gpus int) fleet.Act {
	return fleet.Act{Kind: fleet.ActLaunch, Term: 1, Seq: 1, Instance: id, Model: model, GPU: gpu, GPUs: gpus}
}

// order gives an act the next number and has it done; it must be accepted.
func (w *world) order(act fleet.Act) {
	w.t.Helper()
	w.seq++
	act.Term, act.Seq = 1, w.seq
	if err := w.Do(w.t.Context(), act); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) launch(id, model string, gpu, gpus int) {
	w.t.Helper()
	w.order(launch(id, model, gpu, gpus))
}

func (w *world) end(id string) {
	w.t.Helper()
	w.order(fleet.Act{Kind: fleet.ActStop, Instance: id})
}

// until reads on until the instance is as wanted, and gives that sighting and when it was heard.
func (w *world) until(id string, wanted func(fleet.Sighting) bool) (fleet.Sighting, time.Time) {
	w.t.Helper()
	var last fleet.Sighting
	for deadline := time.After(patience); ; {
		select {
		case h := <-w.said:
			for _, i := range h.Instances {
				if i.ID == id {
					last = i
					if wanted(i) {
						return i, h.at
					}
					if i.Gone {
						w.t.Fatalf("%s is gone: %s", id, i.Failure)
					}
				}
			}
		case <-deadline:
			w.t.Fatalf("%s did not come to what was waited for; it was last %+v", id, last)
		}
	}
}

func ready(i fleet.Sighting) bool { return i.State == fleet.Ready }
func gone(i fleet.Sighting) bool  { return i.Gone }

func in(p fleet.Phase) func(fleet.Sighting) bool {
	return func(i fleet.Sighting) bool { return i.Phase == p }
}

// get asks an engine, and gives its answer.
func get(t *testing.T, addr, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// pidIn reads a process number from a file.
func pidIn(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // where the test has failed, the process may still be there
		if alive(pid) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pid
}

// recordedPID reads the process number from a process file.
func recordedPID(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ PID int }
	if err := json.Unmarshal(data, &record); err != nil || record.PID == 0 {
		t.Fatalf("process file %s: %v", data, err)
	}
	return record.PID
}

// alive reports whether a process runs; one that nobody has reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(after, "Z")
}

func (w *world) log(id string) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "engines", id+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// untilTold reads on until a list is as wanted.
func (w *world) untilTold(what string, wanted func(fleet.Observation) bool) fleet.Observation {
	w.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case h := <-w.said:
			if wanted(h.Observation) {
				return h.Observation
			}
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// latest is how things stand now.
func (w *world) latest() (o fleet.Observation) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.Watch(ctx, func(now fleet.Observation) { o = now; cancel() })
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
