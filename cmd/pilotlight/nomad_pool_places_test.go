package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// placesFail has nodes, slots and servers come and go under load. No two parts of a group need more nodes than there are.
func placesFail(t *testing.T, site *poolSite) {
	type part struct {
		name string
		test func(*testing.T, *poolSite)
	}
	for _, group := range [][]part{
		{{"slots.max holds over restarts", slotsMaxHolds}, {"a node is drained", poolNodeIsDrained}},
		{{"a node is cut off", nodeIsCutOff}, {"an engine hangs", pooledEngineHangs}},
		{{"a slot ends while an engine starts", slotEndsInALaunch}, {"both kinds wait at a server's start", bothKindsAtTheStart}},
	} {
		var running sync.WaitGroup
		for _, p := range group {
			running.Go(func() { t.Run(p.name, func(t *testing.T) { p.test(t, site) }) }) // they mostly wait
		}
		running.Wait()
	}
}

// quick is the block of a model in the pool whose engine is there at once.
func (l *poolLane) quick(id string, gpus int, settings string, args ...string) string {
	args = append([]string{"--sim-container-start", "0s", "--sim-load-time", "300ms", "--sim-token-time", "2ms", "--sim-seed", l.seed()}, args...)
	return pooledModel(l.name+"/"+id, fmt.Sprintf("  gpus = %d\n%s", gpus, settings), "", args...)
}

// slotsMaxHolds restarts a server whose models want more slots than there may be.
func slotsMaxHolds(t *testing.T, site *poolSite) {
	const most = 2
	l := poolLane{name: "most", slots: fleet.Range{Min: most, Max: most}, more: "autoscaler {\n  policy = \"fixed\"\n}"}
	for _, id := range []string{"a", "b", "c"} {
		l.text += l.quick(id, 8, `  idle_after = "5m"`, "--sim-token-time", "100ms") // one slot does not keep up
	}
	here := site.lane(t, l)
	sampled := here.sampleSlots(most)
	var server atomic.Pointer[devServer] // the callers'
	server.Store(here.devServer)
	ended := make(chan struct{})
	var callers sync.WaitGroup
	var whole atomic.Int64
	for _, id := range []string{"a", "b", "c"} {
		for range 2 {
			callers.Go(func() {
				for {
					select {
					case <-ended:
						return
					case <-time.After(20 * time.Millisecond): // also where nobody listens
					}
					a, err := server.Load().devChat(l.name + "/" + id)
					switch {
					case err != nil || a.err != nil: // died with the server
					case a.whole():
						whole.Add(1)
					default:
						t.Errorf("a request for %s was answered %d %s", id, a.status, a.body)
					}
				}
			})
		}
	}
	for life := range 4 {
		if life == 0 {
			eventually(t, time.Minute, func() string { // it dies when it has just asked for slots
				if len(here.jobs()) == 0 {
					return "no slot was asked for"
				}
				return ""
			})
		} else {
			time.Sleep(2 * time.Second) // of load
		}
		here.restart()
		server.Store(here.devServer)
	}
	time.Sleep(5 * time.Second) // of load: who was held is answered
	close(ended)
	callers.Wait()
	if whole.Load() < 10 {
		t.Errorf("%d requests were answered, want many", whole.Load())
	}
	sampled()
	here.endsSoon()
}

// sampleSlots looks again and again how many slots Nomad has for the lane, until the function that it gives is called.
func (l *poolLane) sampleSlots(most int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var sampling sync.WaitGroup
	seen := 0
	sampling.Go(func() {
		for ctx.Err() == nil {
			if jobs := l.jobs(); len(jobs) > most {
				l.t.Errorf("there are the slots %v, want %d at most", jobs, most)
			} else {
				seen = max(seen, len(jobs))
			}
			time.Sleep(50 * time.Millisecond) // between two samples
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		sampling.Wait()
		if seen < most {
			l.t.Errorf("there were %d slots at most, want %d", seen, most)
		}
	})
	l.t.Cleanup(stop)
	return stop
}

// endsSoon restarts the server with settings by which all that is idle goes at once.
func (l *poolLane) endsSoon() {
	l.t.Helper()
	l.slots.Min, l.pool = 0, `  slot_idle = "1s"`
	l.text = strings.NewReplacer(`idle_after = "5m"`, `idle_after = "1s"`, "min = 1", "min = 0").Replace(l.text)
	l.restart()
}

// longStream is a stream of so many tokens that flows.
func (l *poolLane) longStream(model string, tokens int) <-chan *answer {
	l.t.Helper()
	return l.stream(l.t, model, tokens)
}

func poolNodeIsDrained(t *testing.T, site *poolSite) {
	l := poolLane{name: "drained", slots: fleet.Range{Max: 2}}
	l.text = l.quick("a", 4, `  idle_after = "5m"`, "--sim-token-time", "5ms") + l.quick("b", 4, `  idle_after = "5m"`)
	here := site.lane(t, l)
	a, b := l.name+"/a", l.name+"/b"
	before := reply{here.mustChat(t, a, false)}.instance()
	node := here.node()
	streamed := here.longStream(a, 4000) // 20 s
	traffic := here.pulse(t, a)

	drain(t, site.cluster, node, true)
	defer drain(t, site.cluster, node, false)
	eventually(t, time.Minute, func() string {
		if (reply{here.mustChat(t, a, false)}).instance() == before {
			return "the engine on the drained node still answers new requests"
		}
		return ""
	})
	here.mustChat(t, b, false)
	traffic.mustBeWhole()
	if s := <-streamed; !s.whole() {
		t.Errorf("a stream on the drained node was cut: %v, %q", s.err, reply{s}.end())
	}
	eventually(t, time.Minute, func() string { return here.nothingOn(node) })
	for _, id := range []string{a, b} {
		here.mustChat(t, id, false)
		if said := here.nothingOn(node); said != "" {
			t.Error(said)
		}
	}
	here.endsSoon()
}

// drain has Nomad drain a node, or ends that.
func drain(t *testing.T, c *cluster.Cluster, node cluster.Node, on bool) {
	t.Helper()
	var nodes []struct{ ID, Name string }
	getJSON(t, c.Nomad.Addr+"/v1/nodes", &nodes)
	for _, n := range nodes {
		if n.Name != node.Name {
			continue
		}
		order := map[string]any{"NodeID": n.ID, "MarkEligible": !on}
		if on {
			order["DrainSpec"] = map[string]any{"Deadline": time.Minute}
		}
		nomadServer{t, c.Nomad.Addr}.ask(http.MethodPost, "/v1/node/"+n.ID+"/drain", order, nil)
	}
}

// allocation is one of the lane's slots as Nomad places it.
type allocation struct{ ID, JobID, NodeName, ClientStatus, DesiredStatus string }

// allocations are those of the lane's slots that have not ended.
func (l *poolLane) allocations() (living []allocation) {
	var all []allocation
	getJSON(l.t, l.site.cluster.Nomad.Addr+"/v1/allocations", &all)
	for _, a := range all {
		if strings.HasPrefix(a.JobID, "pilotlight-"+l.name+"-") && (a.ClientStatus == "running" || a.ClientStatus == "pending") {
			living = append(living, a)
		}
	}
	return living
}

// nothingOn says what of the lane is on a node; "" = nothing.
func (l *poolLane) nothingOn(node cluster.Node) string {
	for _, a := range l.allocations() {
		if a.NodeName == node.Name {
			return fmt.Sprintf("%s is %s on %s", a.JobID, a.ClientStatus, node.Name)
		}
	}
	return ""
}

// place gives the slot and the node of an instance.
func (l *poolLane) place(instance string) (slot string, node cluster.Node) {
	l.t.Helper()
	instances, err := l.admin(l.t).Instances(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, i := range instances {
		if i.ID == instance {
			slot = i.Slot
		}
	}
	for _, a := range l.allocations() {
		for _, n := range l.site.cluster.Nodes {
			if strings.HasSuffix(a.JobID, "-slot-"+slot) && a.NodeName == n.Name {
				return slot, n
			}
		}
	}
	l.t.Fatalf("%s is in slot %q, which is on no node", instance, slot)
	return "", cluster.Node{}
}

// supervised gives the processes of a slot, its supervisor first.
func (l *poolLane) supervised(slot string) []int {
	l.t.Helper()
	supervisors, _ := l.processes("")
	for _, pid := range supervisors {
		if after(words(pid), "--id") == slot {
			return append([]int{pid}, children(pid)...)
		}
	}
	l.t.Fatalf("slot %s has no supervisor among %v", slot, supervisors)
	return nil
}

// nodeIsCutOff stops all processes of a node: its connections stay, and nothing comes.
func nodeIsCutOff(t *testing.T, site *poolSite) {
	l := poolLane{name: "cut", slots: fleet.Range{Max: 3}}
	const stays = "  idle_after = \"5m\"\n  instances {\n    min = 1\n  }"
	l.text = l.quick("a", 4, stays) + l.quick("b", 8, stays) + l.quick("c", 4, `  idle_after = "5m"`)
	here := site.lane(t, l)
	a, b, c := l.name+"/a", l.name+"/b", l.name+"/c"
	first := reply{here.mustChat(t, a, false)}.instance()
	elsewhere := reply{here.mustChat(t, b, false)}.instance()
	slot, node := here.place(first)
	processes := here.supervised(slot)
	traffic := here.pulse(t, b)

	node.Nomad.Suspend()
	node.Consul.Suspend()
	for _, pid := range processes {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	thaw := sync.OnceFunc(func() {
		for _, pid := range processes {
			syscall.Kill(pid, syscall.SIGCONT)
		}
		node.Consul.Continue()
		node.Nomad.Continue()
	})
	defer thaw()
	began := time.Now()
	waiting, cold := here.begin(a), here.begin(c) // in the hands of an engine that says nothing; and with room where nobody answers
	for _, w := range []*held{waiting, cold} {
		for _, got := range w.answers() {
			if !got.whole() || got.instance() == first {
				t.Errorf("who waited for %s got %d %q (%v)", w.model, got.status, got.body, got.err)
			}
		}
		t.Logf("%s was answered %v after the cut", w.model, time.Since(began))
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the last answer took %v, want less than a minute", took)
	}
	if got := strings.Count(here.stderr.String(), "asking another"); got != 3 {
		t.Errorf("requests were sent to another engine %d times, want each of the 3 once", got)
	}
	for _, id := range []string{a, c} {
		if e, err := here.admin(t).Explain(t.Context(), id); err != nil || strings.Contains(fmt.Sprint(e), "backoff") {
			t.Errorf("explained: %+v, %v; want no backoff for what a place has done", e, err)
		}
	}
	instances, err := here.admin(t).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		if i.Slot == slot && i.ID != first && i.State != fleet.Failed { // of a start that was tried the end cannot be ordered yet
			t.Errorf("%s is %s in the slot that is cut off", i.ID, i.State)
		}
	}
	traffic.mustBe(elsewhere)
	thaw()
	eventually(t, time.Minute, func() string { return here.one(a, b, c) })
	for _, id := range []string{a, b, c} {
		here.mustChat(t, id, false)
	}
	here.endsSoon()
}

// one says which of the models has not one instance; "" = none.
func (l *poolLane) one(models ...string) string {
	count := map[string]int{}
	for _, model := range l.instances() {
		count[model]++
	}
	for _, m := range models {
		if count[m] != 1 {
			return fmt.Sprintf("there are %v, want one of each of %v", count, models)
		}
	}
	return ""
}

// pooledEngineHangs stops the engine of a slot; its supervisor goes on.
func pooledEngineHangs(t *testing.T, site *poolSite) {
	l := poolLane{name: "hung", slots: fleet.Range{Max: 1}}
	l.text = l.quick("a", 8, `  idle_after = "5m"`)
	here := site.lane(t, l)
	a := l.name + "/a"
	first := reply{here.mustChat(t, a, false)}.instance()
	_, engines := here.processes(a)
	if len(engines) != 1 {
		t.Fatalf("engines %v run, want one", engines)
	}
	syscall.Kill(engines[0], syscall.SIGSTOP)
	defer syscall.Kill(engines[0], syscall.SIGCONT)
	began := time.Now()
	for _, got := range here.begin(a).answers() {
		if !got.whole() || got.instance() == first {
			t.Errorf("a request of the engine that hangs got %d %q (%v), want another instance's answer", got.status, got.body, got.err)
		}
	}
	t.Logf("answered by another instance after %v", time.Since(began))
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v, want less than a minute", took)
	}
	here.endsSoon()
}

// slotEndsInALaunch ends a slot while a start there is under way, and one whose start its supervisor has not accepted yet.
func slotEndsInALaunch(t *testing.T, site *poolSite) {
	l := poolLane{name: "ends", slots: fleet.Range{Max: 1}}
	const settings = "  idle_after = \"5m\"\n  instances {\n    max = 1\n  }"
	l.text = l.quick("a", 4, settings, "--sim-load-time", "3s") + l.quick("b", 4, settings)
	here := site.lane(t, l)
	a, b := l.name+"/a", l.name+"/b"

	waiting := here.begin(a)
	here.awaitInSlot(a, fleet.Starting)
	here.stopJob(here.jobs()[0])
	began := time.Now()
	here.mustAnswer(waiting)
	t.Logf("started elsewhere, and answered, after %v", time.Since(began))

	slot, _ := here.place(waiting.answers()[0].instance())
	supervisor := here.supervised(slot)[0]
	syscall.Kill(supervisor, syscall.SIGSTOP)
	waiting = here.begin(b)
	time.Sleep(time.Second) // its start is on its way to a supervisor that does not hear
	syscall.Kill(supervisor, syscall.SIGKILL)
	began = time.Now()
	here.mustAnswer(waiting)
	t.Logf("started elsewhere, and answered, after %v", time.Since(began))
	here.mustAnswer(here.begin(a))
	eventually(t, time.Minute, func() string {
		pool, err := here.admin(t).Pool(t.Context(), "h100")
		if err != nil || len(pool.Live) != 1 || len(here.jobs()) != 1 || len(pool.Live[0].Reserved) > 0 {
			return fmt.Sprintf("the slots are %+v, %v", pool, err)
		}
		return here.one(a, b)
	})
	here.endsSoon()
}

// stopJob stops a job as `nomad job stop` does.
func (l *poolLane) stopJob(id string) {
	nomadServer{l.t, l.site.cluster.Nomad.Addr}.ask(http.MethodDelete, "/v1/job/"+id, nil, nil)
}

// bothKindsAtTheStart has requests for a model in a pool, and for one with jobs of its own, from the moment when a server listens: with nothing that
// runs, and with engines that hold other GPUs than the config says now.
func bothKindsAtTheStart(t *testing.T, site *poolSite) {
	l := poolLane{name: "both", slots: fleet.Range{Max: 1}}
	a, b := l.name+"/a", l.name+"/dedicated"
	models := func(gpus int) string {
		pooled := l.quick("a", gpus, `  idle_after = "5m"`)
		alone := strings.ReplaceAll(l.quick("dedicated", gpus, `  idle_after = "5m"`), "  pool = \"h100\"\n", "")
		return pooled + strings.ReplaceAll(alone, "    args ", fmt.Sprintf("    command = [%q, \"trtsim\"]\n    args ", site.program))
	}
	l.text = models(4)
	here := site.lane(t, l)
	first := map[string]string{}
	for _, w := range here.restartUnderLoad(a, b) {
		here.mustAnswer(w)
		first[w.model] = w.answers()[0].instance()
	}
	here.text = models(8)
	began := time.Now()
	for _, w := range here.restartUnderLoad(a, b) {
		for _, got := range w.answers() {
			if !got.whole() || got.instance() != first[w.model] {
				t.Errorf("%s got %d %q (%v) from %s, want an answer of %s, which ran already", w.model, got.status, got.body, got.err, got.instance(), first[w.model])
			}
		}
	}
	instances, err := here.admin(t).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		if i.GPUs != 4 || first[i.Model] != i.ID {
			t.Errorf("the server shows %+v, want an instance that runs already, with 4 GPUs", i)
		}
	}
	eventually(t, 10*time.Second, func() string { // a record follows its answer
		var late []admin.Record
		for _, r := range here.records(t) {
			if r.DispatchedAt.After(began) {
				late = append(late, r)
			}
			if r.GPUs != 4 {
				t.Errorf("record %+v, want 4 GPUs", r)
			}
		}
		if len(late) != 6 {
			return fmt.Sprintf("there are %d records of the last life, want 6", len(late))
		}
		return ""
	})
	here.endsSoon()
}

// restartUnderLoad is restart with requests for models from the moment when the server listens.
func (l *poolLane) restartUnderLoad(models ...string) (waiting []*held) {
	l.t.Helper()
	token, dir := l.Token, l.DataDir
	l.devServer.kill()
	l.t.Logf("log of the killed server:\n%s", l.stderr)
	l.begins(dir)
	l.Token = token
	for _, m := range models {
		waiting = append(waiting, l.begin(m))
	}
	return waiting
}
