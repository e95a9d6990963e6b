package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

const testSlotKey = "a key of no fewer than 24 characters"

// slotServer is `pilotlight slot` in a process of its own, with a client that follows it.
type slotServer struct {
	*slot.Client
	t    *testing.T
	cmd  *exec.Cmd
	said chan fleet.Observation
	seq  uint64
}

// startSlot starts one with two GPUs, which ends with the test. addr may be that of one before.
func startSlot(t *testing.T, dir, addr string, models ...*fleet.Model) *slotServer {
	t.Helper()
	s := &slotServer{t: t, said: make(chan fleet.Observation, 1000)}
	s.cmd = exec.Command(os.Args[0], "slot", "--id", "s", "--gpus", "2", "--addr", addr, "--dir", dir, "--consul-addr", "off", "--secrets", writeSlotSecrets(t))
	s.cmd.Env = append(os.Environ(), asProgram+"=1", "NVIDIA_VISIBLE_DEVICES=GPU-b,GPU-a")
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, at, found := strings.Cut(lines.Text(), "slot s with 2 GPUs at http://"); found {
			addr = at
			break
		}
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			t.Log(lines.Text())
		}
	})
	t.Cleanup(reading.Wait)
	t.Cleanup(s.kill)
	if s.Client, err = slot.NewClient(slot.ClientConfig{Addr: addr, Key: testSlotKey, Models: models}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.follow()
	return s
}

// writeSlotSecrets writes what a Nomad template makes of the Variable that holds the slot key.
func writeSlotSecrets(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "slot")
	if err := os.WriteFile(file, []byte("CONSUL_HTTP_TOKEN=\"a secret for the supervisor\"\nslot_key=\""+testSlotKey+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *slotServer) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.Watch(ctx, func(o fleet.Observation) { s.said <- o }) })
	s.t.Cleanup(func() { cancel(); watching.Wait() })
}

func (s *slotServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *slotServer) act(kind fleet.ActKind, instance string, m *fleet.Model) {
	s.t.Helper()
	s.seq++
	act := fleet.Act{Kind: kind, Term: 9, Seq: s.seq, Instance: instance, Model: m.ID, Slot: "s", GPUs: m.GPUs, Parked: 16 << 30}
	if err := s.Do(s.t.Context(), act); err != nil {
		s.t.Fatal(err)
	}
}

func (s *slotServer) until(instance string, wanted func(fleet.Sighting) bool) fleet.Observation {
	s.t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case o := <-s.said:
			for _, i := range o.Instances {
				if wanted(i) && i.ID == instance {
					return o
				}
			}
		case <-deadline:
			s.t.Fatalf("%s did not come to what was waited for", instance)
		}
	}
}

func inState(state fleet.State) func(fleet.Sighting) bool {
	return func(i fleet.Sighting) bool { return i.State == state }
}

func simModel(id string, gpus int) *fleet.Model {
	return &fleet.Model{
		ID: id, GPUs: gpus, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 8,
		Engine: fleet.EngineSpec{Kind: fleet.EngineSim, Args: []string{"--sim-speed", "100", "--sim-load-time", "1s"}},
	}
}

func TestSlot_SwapsModelsAndEndsItsEngines(t *testing.T) {
	t.Parallel()
	one, two := simModel("meta-llama/Meta-Llama-3-8B-Instruct", 1), simModel("mistralai/Mixtral-8x7B-Instruct-v0.1", 2)
	s := startSlot(t, t.TempDir(), "127.0.0.1:0", one, two)
	s.act(fleet.ActLaunch, "i1", one)
	s.until("i1", inState(fleet.Ready))
	s.act(fleet.ActPark, "i1", one)
	s.until("i1", inState(fleet.Asleep))
	s.act(fleet.ActLaunch, "i2", two)
	s.until("i2", inState(fleet.Ready))
	s.act(fleet.ActPark, "i2", two)
	s.until("i2", inState(fleet.Asleep))
	s.act(fleet.ActResume, "i1", one)
	o := s.until("i1", inState(fleet.Ready))
	if len(o.Slots) != 1 || o.Slots[0].ID != "s" || o.Slots[0].GPUs != 2 || o.Source != "slot/s" {
		t.Errorf("got %+v from %s, want slot s of 2 GPUs from slot/s", o.Slots, o.Source)
	}
	engines := children(s.cmd.Process.Pid)
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.until("i1", inState(fleet.Stopping))
	s.until("i1", func(i fleet.Sighting) bool { return i.Gone })
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
	for _, pid := range engines {
		if alive(pid) {
			t.Errorf("engine %d still runs", pid)
		}
	}
}

func TestSlot_ThatWasKilledStartsCleanAndItsWordIsNews(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends the engines of a killed supervisor")
	}
	m := simModel("meta-llama/Meta-Llama-3-8B-Instruct", 1)
	dir := t.TempDir()
	s := startSlot(t, dir, "127.0.0.1:0", m)
	s.act(fleet.ActLaunch, "i1", m)
	before := s.until("i1", inState(fleet.Ready))
	s.act(fleet.ActPark, "i1", m)
	s.until("i1", inState(fleet.Asleep))
	engines := children(s.cmd.Process.Pid)
	s.kill()
	again := startSlot(t, dir, "127.0.0.1:0", m)
	after := <-again.said
	if !after.Complete || len(after.Instances) > 0 || after.Term != before.Term || after.Seq <= before.Seq {
		t.Errorf("got %+v, want an empty complete list of term %d with a number above %d", after, before.Term, before.Seq)
	}
	again.seq = s.seq
	again.act(fleet.ActLaunch, "i2", m)
	again.until("i2", inState(fleet.Ready))
	for _, pid := range engines {
		if alive(pid) {
			t.Errorf("engine %d of the one before still runs", pid)
		}
	}
}

func TestSlot_SaysWhatItLacks(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	right := map[string]string{"--id": "s", "--gpus": "2", "--addr": "127.0.0.1:0", "--dir": t.TempDir(), "--consul-addr": "off"}
	for name, row := range map[string]struct{ flag, value, key, want string }{
		"no key":         {"--gpus", "2", "", "PILOTLIGHT_SLOT_KEY must hold the slot key"},
		"short key":      {"--gpus", "2", "short", "it has 5"},
		"taken address":  {"--addr", ln.Addr().String(), testSlotKey, "choose another address with --addr"},
		"no address":     {"--addr", "here", testSlotKey, "write ip:port"},
		"other devices":  {"--devices", "a,b,c", testSlotKey, "--gpus is 2, but there are 3 devices"},
		"a GPU twice":    {"--devices", "a,a", testSlotKey, "names a GPU twice"},
		"no user":        {"--engine-user", "nobody-of-this-name", testSlotKey, "--engine-user: engines are to run as the user \"nobody-of-this-name\""},
		"no secrets":     {"--secrets", "/nowhere/at/all", testSlotKey, "--secrets: open /nowhere/at/all"},
		"memory no unit": {"--host-memory", "12", testSlotKey, "--host-memory"},
	} {
		args := []string{"slot", row.flag, row.value}
		for flag, value := range right {
			if flag != row.flag {
				args = append(args, flag, value)
			}
		}
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1", "PILOTLIGHT_SLOT_KEY="+row.key)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), row.want) {
			t.Errorf("%s: got %v, %s; want exit status 1 and %q", name, err, fmt.Sprint(string(out)), row.want)
		}
	}
}
