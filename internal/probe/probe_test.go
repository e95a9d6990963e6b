package probe_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/probe"
)

// TestMain has more tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	goleak.VerifyTestMain(m)
}

// fakeEngine is one that takes its time.
type fakeEngine struct {
	*httptest.Server
	loaded  atomic.Bool  // it answers its health path
	able    atomic.Bool  // it generates tokens
	hung    atomic.Bool  // it answers nothing any more
	asked   atomic.Int32 // for tokens
	visited atomic.Int32 // in all
	metrics atomic.Value // what it answers there, a string
}

func newEngine(t *testing.T) *fakeEngine {
	t.Helper()
	e := &fakeEngine{}
	e.metrics.Store("[]")
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.visited.Add(1)
		io.Copy(io.Discard, r.Body)
		switch health := r.URL.Path == "/health"; {
		case e.hung.Load():
			<-r.Context().Done()
		case r.URL.Path == "/metrics":
			io.WriteString(w, e.metrics.Load().(string))
		case health && e.loaded.Load():
		case health:
			w.WriteHeader(http.StatusServiceUnavailable)
		case e.asked.Add(1) > 0 && !e.able.Load():
			<-r.Context().Done() // its first answer takes for ever
		default:
			io.WriteString(w, `{"choices":[{"message":{"content":"hi"}}],"usage":{"completion_tokens":1}}`)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func ready(t *testing.T) *fakeEngine {
	e := newEngine(t)
	e.loaded.Store(true)
	e.able.Store(true)
	return e
}

func (e *fakeEngine) addr() string { return e.Listener.Addr().String() }

// follower runs a Watch and keeps what is told.
type follower struct {
	t    *testing.T
	told chan string
	end  context.CancelFunc
	done chan error
}

func follow(t *testing.T, p *probe.Prober) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, told: make(chan string, 100), end: cancel, done: make(chan error, 1)}
	go func() {
		f.done <- p.Watch(ctx, func(o fleet.Observation) {
			if o.Source != "probe" || o.Complete || o.At.IsZero() || len(o.Instances) != 1 || o.Instances[0].Addr == "" {
				t.Errorf("told %+v, want one instance, incomplete, with its address and a time", o)
			}
			s := o.Instances[0]
			word := string(s.Phase)
			if s.Failure != "" {
				word = "failed: " + s.Failure
			}
			if s.State == fleet.Failed {
				word += ", for good, by " + string(s.Cause)
			}
			if s.Running >= 0 {
				word += fmt.Sprintf(", serving %d", s.Running)
			}
			if s.Running == fleet.Uncounted {
				word += ", counting nothing"
			}
			if s.Refuses {
				word += ", nobody listens"
			}
			f.told <- s.ID + " " + word
		})
	}()
	t.Cleanup(f.stop)
	return f
}

// stop ends the Watch and waits for it.
func (f *follower) stop() {
	f.end()
	if f.done != nil {
		if err := <-f.done; err != nil {
			f.t.Errorf("Watch returned %v, want nil at the end of its context", err)
		}
		f.done = nil
	}
}

func (f *follower) want(words ...string) {
	f.t.Helper()
	for _, w := range words {
		select {
		case got := <-f.told:
			if !strings.HasPrefix(got, w) {
				f.t.Errorf("told %q, want %q", got, w)
			}
		case <-time.After(10 * time.Second):
			f.t.Fatalf("waited 10 s for %q", w)
		}
	}
}

// quiet looks whether nothing is told for a moment.
func (f *follower) quiet() {
	f.t.Helper()
	select {
	case got := <-f.told:
		f.t.Errorf("told %q, want nothing", got)
	case <-time.After(50 * time.Millisecond):
	}
}

func newProber() *probe.Prober { return probeBy(engine.HealthRule{}) }

func probeBy(rule engine.HealthRule) *probe.Prober {
	return probe.New(probe.Config{
		Health:  rule,
		Models:  []*fleet.Model{{ID: "m", Endpoints: []fleet.Endpoint{"chat"}, Engine: fleet.EngineSpec{Kind: "trtllm"}}},
		Confirm: 300 * time.Millisecond,
	})
}

func placed(sightings ...fleet.Sighting) fleet.Observation {
	return fleet.Observation{Source: "nomad", At: time.Now(), Complete: true, Instances: sightings}
}

func liveness(sightings ...fleet.Sighting) fleet.Observation {
	return fleet.Observation{Source: "consul", At: time.Now(), Complete: true, Instances: sightings}
}

func at(id, addr string) fleet.Sighting {
	return fleet.Sighting{Instance: fleet.Instance{ID: id, Model: "m", Addr: addr, State: fleet.Starting}, Phase: fleet.PhasePlaced}
}

func health(id string, h fleet.Health) fleet.Sighting {
	return fleet.Sighting{Instance: fleet.Instance{ID: id, Model: "m"}, Health: h}
}

func TestProber_TellsEachPhaseUntilATokenWasGenerated(t *testing.T) {
	p, e := newProber(), newEngine(t)
	e.able.Store(true)
	f := follow(t, p)
	p.Observe(placed(at("a", "")))
	f.quiet()
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading")
	f.quiet()
	e.loaded.Store(true)
	f.want("a probing", "a ready")
	p.Observe(placed(at("a", e.addr())))
	f.quiet()
	if n := e.asked.Load(); n != 1 {
		t.Errorf("asked for %d tokens, want 1", n)
	}
}

// TestProber_SaysThatNobodyListenedYet: a new leader knows by that who cannot have served.
func TestProber_SaysThatNobodyListenedYet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	p := newProber()
	f := follow(t, p)
	p.Observe(placed(at("a", ln.Addr().String())))
	f.want("a loading", "a loading, nobody listens")
	f.quiet()
}

// TestProber_SaysWhoCountsNothing: that is more than that nobody was asked.
func TestProber_SaysWhoCountsNothing(t *testing.T) {
	t.Parallel()
	p, e := newProber(), ready(t)
	e.metrics.Store("no list")
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
	p.AskAgain("probe")
	f.want("a ready", "a ready, counting nothing")
}

func TestProber_AsksSeveralAtOnce(t *testing.T) {
	p, slow, quick := newProber(), newEngine(t), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("slow", slow.addr())))
	f.want("slow loading")
	p.Observe(placed(at("slow", slow.addr()), at("quick", quick.addr())))
	f.want("quick loading", "quick probing", "quick ready")
}

func TestProber_StopsAskingWhatIsGone(t *testing.T) {
	t.Parallel()
	gone := at("a", "")
	gone.Gone = true
	failing := at("a", "")
	failing.Failure = "exited"
	stopping := at("a", "")
	stopping.State = fleet.Stopping
	for name, o := range map[string]fleet.Observation{
		"gone": placed(gone), "failed": placed(failing), "stopping": placed(stopping), "no longer listed": placed(),
	} {
		t.Run(name, func(t *testing.T) {
			p, e := newProber(), newEngine(t)
			e.loaded.Store(true) // it hangs over its first token
			f := follow(t, p)
			p.Observe(placed(at("a", e.addr())))
			f.want("a loading", "a probing")
			p.Observe(o)
			e.able.Store(true)
			f.quiet()
			p.Observe(liveness(health("a", fleet.Critical)))
			f.quiet()
		})
	}
}

func TestProber_GoesOnWhenASourceSaysLittle(t *testing.T) {
	p, e := newProber(), newEngine(t)
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading")
	p.Observe(fleet.Observation{Source: "nomad"}) // incomplete: absence says nothing
	p.Observe(fleet.Observation{Source: "other", Complete: true})
	p.Observe(liveness(health("a", fleet.Critical))) // it is not ready yet: no news
	e.loaded.Store(true)
	e.able.Store(true)
	f.want("a probing", "a ready")
}

func TestProber_LeavesOthersAlone(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	inSlot, unknown, supervised := at("a", e.addr()), at("b", e.addr()), at("c", e.addr())
	inSlot.Slot = "s"
	unknown.Model = "removed"
	supervised.Phase = fleet.PhaseReady
	p.Observe(placed(inSlot, unknown, supervised))
	p.Observe(liveness(health("d", fleet.Passing), health("a", fleet.Critical)))
	f.quiet()
	if n := e.visited.Load(); n != 0 {
		t.Errorf("the engine was asked %d times, want never", n)
	}
}

func TestProber_FollowsAnInstanceToItsNewAddress(t *testing.T) {
	p, old, moved := newProber(), newEngine(t), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", old.addr())))
	f.want("a loading")
	p.Observe(placed(at("a", moved.addr())))
	f.want("a loading", "a probing", "a ready")
}

func TestProber_AsksAgainBeforeAMissedEngineIsGivenUp(t *testing.T) {
	t.Parallel()
	missed := map[string]fleet.Observation{"critical": liveness(health("a", fleet.Critical)), "absent": liveness()}
	for name, bad := range missed {
		t.Run(name, func(t *testing.T) {
			p, e := newProber(), ready(t)
			f := follow(t, p)
			p.Observe(placed(at("a", e.addr())))
			f.want("a loading", "a probing", "a ready")
			p.Observe(liveness(health("a", fleet.Passing)))
			f.quiet()

			p.Observe(bad)
			f.want("a ready") // it answers: it is only missed
			e.able.Store(false)
			p.Observe(bad)
			f.want("a ready") // too busy for a token, yet healthy

			e.hung.Store(true)
			e.CloseClientConnections()
			p.Observe(bad)
			f.want("a failed: engine was missed, and does not answer")
			e.hung.Store(false)
			p.Observe(bad)
			f.want("a ready")
			e.Close()
			began := time.Now()
			p.Observe(bad)
			f.want("a failed: engine was missed, and does not answer")
			if took := time.Since(began); took > 250*time.Millisecond {
				t.Errorf("took %v to see that nobody listens, want less than the time that a silent engine gets", took)
			}
		})
	}
}

func TestProber_NeverListedIsNotMissed(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
	p.Observe(liveness()) // Consul does not know it yet
	f.quiet()
}

func TestProber_ASecondWatchGoesOnWhereTheFirstEnded(t *testing.T) {
	p, done, underway := newProber(), ready(t), newEngine(t)
	first := follow(t, p)
	p.Observe(placed(at("done", done.addr())))
	first.want("done loading", "done probing", "done ready")
	p.Observe(placed(at("done", done.addr()), at("underway", underway.addr())))
	first.want("underway loading")
	first.stop()
	second := follow(t, p)
	second.want("done ready", "underway loading")
	underway.loaded.Store(true)
	underway.able.Store(true)
	second.want("underway probing", "underway ready")
	if n := done.asked.Load(); n != 1 {
		t.Errorf("asked a ready engine for %d tokens, want 1", n)
	}
}

// said is a source that says what it is given, and then breaks off.
type said []fleet.Observation

var errLost = errors.New("lost")

func (s said) Watch(_ context.Context, tell func(fleet.Observation)) error {
	for _, o := range s {
		tell(o)
	}
	return errLost
}

func TestOver_TellsFirstAndHearsAfter(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	told := 0
	err := p.Over(said{placed(at("a", e.addr()))}).Watch(t.Context(), func(o fleet.Observation) {
		told++
		f.quiet() // the prober knows no address before the planner does
	})
	if !errors.Is(err, errLost) || told != 1 {
		t.Errorf("got %v after %d observations, want the source's own error after 1", err, told)
	}
	f.want("a loading", "a probing", "a ready")
}

// asked is a source that can be asked again.
type asked struct {
	said
	again *[]string
}

func (a asked) AskAgain(source string) { *a.again = append(*a.again, source) }

func TestOver_CanBeAskedAgainIfTheSourceCan(t *testing.T) {
	p := newProber()
	type askable interface{ AskAgain(string) }
	if _, can := p.Over(said{}).(askable); can {
		t.Error("a source that cannot be asked again seems to be one that can")
	}
	var again []string
	if a, can := p.Over(asked{again: &again}).(askable); can {
		a.AskAgain("nomad")
	}
	if len(again) != 1 || again[0] != "nomad" {
		t.Errorf("got %v, want the source to be asked once", again)
	}
}
