package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// survivesKills kills one thing while a slot starts, and in the middle of an engine's start, of a park and of a resume. Whoever waits is answered, no
// GPU is ever awake twice, and in the end nothing is left: see poolSite.lane. Only the server's own callers are lost, with it.
func survivesKills(t *testing.T, site *poolSite) {
	var running sync.WaitGroup
	defer running.Wait()
	for name, kill := range map[string]func(*poolLane, string){
		"slot": killSlot, "engine": killEngine, "agent": killAgent, "server": killServer,
	} {
		running.Go(func() { // all at once, however few cores there are: they mostly wait
			t.Run(name, func(t *testing.T) {
				l := site.swapping(t, name)
				a, b := l.name+"/a", l.name+"/b"

				waiting := l.begin(a)
				if name != "engine" { // there is none yet
					l.node()
					waiting = l.strike(kill, a, waiting)
				}
				l.mustAnswer(waiting)
				l.during(fleet.Starting, b, kill, l.begin(b))

				l.mustChat(t, a, false)
				l.during(fleet.Parking, a, kill, l.begin(b))

				l.mustChat(t, a, false)
				l.mustChat(t, b, false)
				l.during(fleet.Resuming, a, kill, l.begin(a))
				eventually(t, time.Minute, l.agree)

				l.pool = `  slot_idle = "1s"`
				l.text = l.models("1s")
				l.restart()
			})
		})
	}
}

// strike kills. Those who are held, or who ask again where a killed server has lost them, wait on.
func (l *poolLane) strike(kill func(*poolLane, string), model string, waiting *held) *held {
	l.t.Helper()
	before := l.devServer
	kill(l, model)
	if l.devServer == before {
		return waiting
	}
	for _, a := range waiting.answers() {
		if a.err == nil {
			l.t.Errorf("a killed server has answered %d %q", a.status, a.body)
		}
	}
	return l.begin(waiting.model)
}

// during kills while an instance of the model is in the state. All who wait must be answered.
func (l *poolLane) during(state fleet.State, model string, kill func(*poolLane, string), waiting *held) {
	l.t.Helper()
	l.awaitInSlot(model, state)
	time.Sleep(middle)
	if got := l.inSlot(model); got != state {
		l.t.Fatalf("before the kill, %s is %q, want it %s: the machine is too slow for this test's times", model, got, state)
	}
	l.mustAnswer(l.strike(kill, model, waiting))
	if len(l.site.awake()) == 0 {
		l.t.Error("the account of GPU memory has no engine, and would miss that one is awake twice")
	}
}

func (l *poolLane) mustAnswer(waiting *held) {
	l.t.Helper()
	for _, a := range waiting.answers() {
		if !a.whole() {
			l.t.Errorf("who waited for %s got %d %q (%v)", waiting.model, a.status, a.body, a.err)
		}
	}
}

// middle is well into what takes two seconds or more.
const middle = 300 * time.Millisecond

// swapping is a lane with one slot and two models that each need all of it. They take their time: 3 s for a start, 2 s and more for a park and a resume.
func (s *poolSite) swapping(t *testing.T, name string) *poolLane {
	l := poolLane{name: "kill-" + name, slots: fleet.Range{Max: 1}, more: "autoscaler {\n  policy = \"fixed\"\n}"}
	l.text = l.models("5m")
	return s.lane(t, l)
}

func (l *poolLane) models(idle string) (text string) {
	for _, id := range []string{l.name + "/a", l.name + "/b"} {
		text += pooledModel(id, "  gpus = 8\n  idle_after = \""+idle+"\"", "    weights = \"mistralai/Mixtral-8x22B-Instruct-v0.1\"\n    memory = \"312GiB\"",
			"--sim-speed", "1.8", "--sim-load-time", "5s", "--sim-container-start", "0s", "--sim-token-time", "2ms", "--sim-seed", l.seed())
	}
	return text
}

// held are requests that wait for a model.
type held struct {
	model   string
	answers func() []reply // waits for all
}

func (l *poolLane) begin(model string) *held {
	out := make([]reply, 3)
	var asking sync.WaitGroup
	server := l.devServer
	for i := range out {
		asking.Go(func() {
			a, err := server.chat(context.Background(), model, false)
			if err != nil {
				a = &answer{err: err}
			}
			out[i] = reply{a}
		})
	}
	return &held{model, func() []reply {
		asking.Wait()
		return out
	}}
}

// awaitInSlot waits until a supervisor has an instance of the model in the state.
func (l *poolLane) awaitInSlot(model string, state fleet.State) {
	l.t.Helper()
	eventually(l.t, time.Minute, func() string {
		if got := l.inSlot(model); got != state {
			return fmt.Sprintf("%s is %q, not %s", model, got, state)
		}
		return ""
	})
}

// inSlot asks the lane's supervisors how the model's instance stands; "" = there is none. Of a start only that counts which has a process.
func (l *poolLane) inSlot(model string) (state fleet.State) {
	for _, addr := range l.slotAddrs() {
		client, err := slot.NewClient(slot.ClientConfig{Addr: addr, Key: testSlotKey})
		if err != nil {
			l.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		_ = client.Watch(ctx, func(o fleet.Observation) {
			for _, i := range o.Instances {
				if i.Model == model && !i.Gone {
					state = i.State
				}
			}
			cancel() // the first word is enough
		})
		cancel()
		client.Close()
	}
	if _, engines := l.processes(model); len(engines) == 0 {
		return ""
	}
	return state
}

// slotAddrs are the addresses of the lane's supervisors.
func (l *poolLane) slotAddrs() (addrs []string) {
	slots, _ := l.processes("")
	for _, pid := range slots {
		if addr := after(words(pid), "--addr"); addr != "" {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func killEngine(l *poolLane, model string) {
	_, engines := l.processes(model)
	if len(engines) != 1 {
		l.t.Fatalf("engines %v of %s run, want one", engines, model)
	}
	if err := syscall.Kill(engines[0], syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
}

func killSlot(l *poolLane, _ string) {
	var slots, engines []int
	eventually(l.t, time.Minute, func() string {
		if slots, engines = l.processes(""); len(slots) != 1 {
			return fmt.Sprintf("slots %v run, want one", slots)
		}
		return ""
	})
	if err := syscall.Kill(slots[0], syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, time.Minute, func() string {
		for _, pid := range engines {
			if alive(pid) {
				return "an engine outlives its supervisor"
			}
		}
		return ""
	})
}

func killAgent(l *poolLane, _ string) {
	agent := l.node().Nomad
	agent.Kill()
	time.Sleep(time.Second) // the outage; nothing is waited for
	start(l.t, agent)
}

func killServer(l *poolLane, _ string) { l.restart() }
