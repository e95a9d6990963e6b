package main

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestNomadPool_SurvivesKills kills one thing in the middle of a start, of a park and of a resume. Whoever waits is answered, no GPU is ever awake
// twice, and in the end nothing is left: see poolSite.lane. The server's own callers are lost with it.
func TestNomadPool_SurvivesKills(t *testing.T) {
	site := newPoolSite(t, 4) // a node for each
	for name, kill := range map[string]func(*poolLane, string){
		"slot": killSlot, "engine": killEngine, "agent": killAgent, "server": killServer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := site.swapping(t, name)
			a, b := l.name+"/a", l.name+"/b"

			held := l.begin(a)
			l.is(a, fleet.Starting)
			l.awaitEngine(a)
			kill(l, a)
			l.mustAnswer(held, a)

			l.mustChat(t, a, false)
			held = l.begin(b)
			l.is(a, fleet.Parking)
			kill(l, a)
			l.mustAnswer(held, b)

			l.mustChat(t, a, false)
			l.mustChat(t, b, false)
			l.is(a, fleet.Asleep)
			held = l.begin(a)
			l.is(a, fleet.Resuming)
			kill(l, a)
			l.mustAnswer(held, a)
			eventually(t, time.Minute, l.agree)

			l.pool = `  slot_idle = "1s"`
			l.text = l.models("1s")
			l.restart()
		})
	}
}

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

const heldRequests = 3

// begin sends requests; what it gives are the answers.
func (l *poolLane) begin(model string) func() []reply {
	out := make([]reply, heldRequests)
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
	return func() []reply {
		asking.Wait()
		return out
	}
}

// mustAnswer holds that all are answered; those whom a killed server has lost ask again.
func (l *poolLane) mustAnswer(held func() []reply, model string) {
	l.t.Helper()
	answers := held()
	if answers[0].err != nil && l.restarted {
		l.restarted = false
		answers = l.begin(model)()
	}
	for _, a := range answers {
		if !a.whole() {
			l.t.Errorf("who waited for %s got %d %q (%v)", model, a.status, a.body, a.err)
		}
	}
}

// awaitEngine waits until the model's engine has been started.
func (l *poolLane) awaitEngine(model string) (pid int) {
	l.t.Helper()
	eventually(l.t, time.Minute, func() string {
		_, engines := l.processes(model)
		if len(engines) != 1 {
			return "no engine runs"
		}
		pid = engines[0]
		return ""
	})
	return pid
}

func killEngine(l *poolLane, model string) {
	if err := syscall.Kill(l.awaitEngine(model), syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
}

func killSlot(l *poolLane, _ string) {
	slots, engines := l.processes("")
	if len(slots) != 1 || len(engines) == 0 {
		l.t.Fatalf("slots %v and engines %v run, want one slot with engines", slots, engines)
	}
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
	pool, err := l.admin(l.t).Pool(l.t.Context(), "h100")
	if err != nil || len(pool.Live) != 1 {
		l.t.Fatalf("got %+v, %v; want one slot", pool, err)
	}
	agent := l.site.machine(l.t, pool.Live[0].Node).Nomad
	agent.Kill()
	time.Sleep(time.Second) // the outage; nothing is waited for
	start(l.t, agent)
}

func killServer(l *poolLane, _ string) {
	l.restart()
	l.restarted = true
}
