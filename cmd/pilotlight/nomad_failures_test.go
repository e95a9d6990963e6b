package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// TestNomadFailures breaks one thing after the other in a real cluster. Each part has a server and a model of its own, and ends with every held
// request answered, with the instances that lived on still known, and with nothing left running.
func TestNomadFailures(t *testing.T) {
	t.Parallel() // with those of Consul, which wait long
	here := newSite(t, 2)
	for _, part := range []struct {
		name string
		test func(*testing.T, *site)
	}{
		{"an engine that crashes while it loads is started again", engineCrashesAtLoad},
		{"an engine that never loads is given up", engineNeverLoads},
		{"a hot engine crashes", engineCrashesHot},
		{"a hot engine hangs", engineHangsHot},
		{"a node is drained", nodeIsDrained},
		{"a node's Nomad agent restarts", clientAgentRestarts},
		{"the Nomad server restarts while an engine starts", nomadServerRestarts},
		{"the server is killed while an engine is hot", serverIsKilledHot},
		{"the server is killed while an engine starts", serverIsKilledStarting},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, here) })
	}
}

func engineCrashesAtLoad(t *testing.T, site *site) {
	once := filepath.Join(t.TempDir(), "once")
	l := site.lane(t, lane{name: "load", sim: site.script(t, fmt.Sprintf("mkdir %s 2>/dev/null && exit 1", once))})
	const held = 5
	for _, a := range l.atOnce(held) {
		if !a.whole() {
			t.Errorf("a held request was answered %d %q, want it to outlive the first start", a.status, a.body)
		}
	}
	if jobs := l.jobs(); len(jobs) != 2 {
		t.Errorf("there were %d jobs, want the one that failed and the one that answered", len(jobs))
	}
}

func engineNeverLoads(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "never", sim: site.script(t, "exit 1")})
	for _, a := range l.atOnce(3) {
		if a.status != 503 || !strings.Contains(a.body, `"activation_failed"`) {
			t.Errorf("got %d %q, want 503 activation_failed", a.status, a.body)
		}
	}
}

func engineCrashesHot(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "hot"})
	first := l.chat()
	streams := l.streams(4, 1500)
	l.crash()
	for _, a := range streams() {
		if a.status != 200 || a.whole() || !strings.Contains(a.body, `data: {"error":`) {
			t.Errorf("a stream of the crashed engine got %d, error %v and the end %q, want an error event and no [DONE]", a.status, a.err, a.end())
		}
	}
	again := l.chat()
	if again.instance() == first.instance() {
		t.Errorf("%s answered again, want another instance", first.instance())
	}
}

func engineHangsHot(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "hangs", idleAfter: "10s"})
	first := l.chat()
	engines := l.processes()
	if len(engines) != 1 {
		t.Fatalf("engines %v run, want one", engines)
	}
	if err := syscall.Kill(engines[0], syscall.SIGSTOP); err != nil { // the kernel goes on taking connections for it
		t.Fatal(err)
	}
	defer syscall.Kill(engines[0], syscall.SIGCONT)
	began := time.Now()
	for _, a := range l.atOnce(3) {
		if !a.whole() || a.instance() == first.instance() {
			t.Errorf("a request of the engine that hangs was answered %d %q by %s, want another instance's answer", a.status, a.body, a.instance())
		}
	}
	if took := time.Since(began); took > 60*time.Second { // three looks of 10 s, 5 s before them, and a start
		t.Errorf("took %v, want no longer than in a slot", took)
	} else {
		t.Logf("answered by another instance after %v", took)
	}
}

func nodeIsDrained(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "drain", args: []string{"--sim-token-time", "5ms"}})
	before := l.chat().instance()
	streams := l.streams(3, 5000) // Nomad moves nothing in its first ten seconds
	engine := l.processes()[0]
	node := l.node(before)
	drain := &api.DrainSpec{Deadline: time.Minute}
	if _, err := site.nomad.Nodes().UpdateDrain(node, drain, false, nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := site.nomad.Nodes().UpdateDrain(node, nil, true, nil); err != nil {
			t.Errorf("ending the drain: %v", err)
		}
	}()
	eventually(t, time.Minute, func() string {
		a := l.chat()
		if a.instance() == before {
			return "the drained instance still answers new requests"
		}
		if now := l.node(a.instance()); now == node {
			t.Errorf("%s answers from the drained node", a.instance())
		}
		return ""
	})
	eventually(t, time.Minute, func() string { return l.movedByNomad(before) })
	if !alive(engine) {
		t.Error("Nomad was kept from moving the instance only once its engine had ended")
	}
	for _, a := range streams() {
		if !a.whole() {
			t.Errorf("a stream on the drained node was cut: %v, %q", a.err, a.end())
		}
	}
}

func clientAgentRestarts(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "agent"})
	before := l.chat().instance()
	agent := site.machine(t, l.node(before)).Nomad
	traffic := l.pulse()
	agent.Kill()
	time.Sleep(2 * time.Second) // the outage; nothing is waited for
	start(t, agent)
	site.awaitNodes(t)
	traffic.mustBe(before)
	l.mustHave(before)
}

func nomadServerRestarts(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "server", args: []string{"--sim-load-time", "4s"}})
	held := l.begin(4)
	l.awaitProcess()
	site.cluster.Nomad.Kill()
	time.Sleep(time.Second) // the outage; nothing is waited for
	start(t, site.cluster.Nomad)
	answers := held()
	for _, a := range answers {
		if !a.whole() {
			t.Errorf("a held request was answered %d %q", a.status, a.body)
		}
	}
	l.mustHave(answers[0].instance())
	site.awaitNodes(t)
}

func serverIsKilledHot(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "killed"})
	before := l.chat().instance()
	l.restart()
	a := l.chat()
	if a.instance() != before {
		t.Errorf("%s answers after the restart, want %s to be adopted", a.instance(), before)
	}
	l.mustHave(before)
}

func serverIsKilledStarting(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "killed-starting", args: []string{"--sim-load-time", "4s"}})
	lost := l.begin(2) // they die with the server
	l.awaitProcess()
	before := l.jobs()
	l.restart()
	lost()
	for _, a := range l.atOnce(2) {
		if !a.whole() || !strings.HasSuffix(before[0].ID, "-"+a.instance()) {
			t.Errorf("got %d from %s, want a whole answer from the one instance of %s", a.status, a.instance(), before[0].ID)
		}
	}
	if len(l.jobs()) != 1 {
		t.Errorf("there are %d jobs, want the adopted one alone", len(l.jobs()))
	}
}

// TestNomadFailures_Consul breaks Consul, on a cluster of its own.
func TestNomadFailures_Consul(t *testing.T) {
	t.Parallel()
	here := newSite(t, 1)
	t.Run("it loses a service, and restarts", func(t *testing.T) { consulRestarts(t, here) })
	t.Run("it is down for a minute", func(t *testing.T) { consulIsDown(t, here) })
}

func consulRestarts(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "consul"})
	before := l.chat().instance()
	traffic := l.pulse()
	l.awaitInConsul(1)

	agent := site.machine(t, l.node(before)).Consul
	// A server that has just begun believes no bad news at first, and none of a service that has not passed.
	for deadline := time.Now().Add(3 * time.Minute); ; {
		l.awaitPassing()
		l.forgetInConsul(agent)
		l.awaitInConsul(1)
		said := l.said("engine was missed, and still answers")
		if said == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(said)
		}
	}
	agent.Kill()
	site.cluster.Consul.Kill()
	start(t, site.cluster.Consul)
	start(t, agent)
	l.awaitInConsul(1)
	traffic.mustBe(before)
	l.mustHave(before)
}

func consulIsDown(t *testing.T, site *site) {
	l := site.lane(t, lane{name: "down"})
	before := l.chat().instance()
	traffic := l.pulse()
	agent := site.cluster.Nodes[0].Consul
	agent.Kill()
	site.cluster.Consul.Kill()
	down := time.Now()

	time.Sleep(25 * time.Second) // the outage, with traffic
	traffic.mustBe(before)
	held := l.chatAside(t, l.other())             // whoever starts something must lead, and without Consul nobody is certain to
	time.Sleep(time.Until(down.Add(time.Minute))) // the rest of it, without traffic: far longer than idle_after
	l.mustHave(before)
	if a := l.chat(); a.instance() != before {
		t.Errorf("%s answers after an idle outage, want %s: nothing is stopped while Consul is away", a.instance(), before)
	}
	select {
	case a := <-held:
		t.Errorf("a start without Consul was answered %+v", a)
	default:
	}
	start(t, site.cluster.Consul)
	start(t, agent)
	if a := <-held; !a.whole() {
		t.Errorf("who was held got %+v, want a whole stream once Consul is back", a)
	}
}
