package peers_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/peers"
)

// TestMain has more tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	goleak.VerifyTestMain(m)
}

const key = "a servers key of more than 24 characters"

// leader is a server that leads, or not, by a test's word.
type leader struct {
	mu    sync.Mutex // guards what follows
	term  uint64     // 0 = it does not lead
	heard []*protocol.Report
	mail  chan []*protocol.Table // of the one who follows
	ended chan struct{}          // closed when the term ends
	left  int                    // streams that have ended
}

func (l *leader) lead(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term, l.ended = term, make(chan struct{})
}

func (l *leader) resign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term = 0
	close(l.ended)
}

func (l *leader) now() (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term, l.term != 0
}

func (l *leader) Hear(r *protocol.Report) (activator.Heard, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term == 0 {
		return activator.Heard{}, false, activator.ErrFollows
	}
	l.heard = append(l.heard, r)
	return activator.Heard{Term: l.term, Seq: r.Seq}, true, nil
}

func (l *leader) Tables(ctx context.Context, _ string, f func([]*protocol.Table) error) error {
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.left++
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			return activator.ErrFollows
		case tables := <-l.mail:
			if err := f(tables); err != nil {
				return err
			}
		}
	}
}

func (l *leader) reports() (seqs []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.heard {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// follower is a server that follows.
type follower struct {
	due  chan *protocol.Report
	mu   sync.Mutex // guards what follows
	took []*protocol.Table
	told []activator.Heard
}

func newFollower() *follower { return &follower{due: make(chan *protocol.Report, 100)} }

func (f *follower) NextReport(ctx context.Context) (*protocol.Report, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case r := <-f.due:
		return r, true
	}
}

func (f *follower) Told(_ *protocol.Report, h activator.Heard) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, h)
}

func (f *follower) Take(t *protocol.Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = append(f.took, t)
}

func (f *follower) seqs() (all []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.took {
		all = append(all, t.Seq)
	}
	return all
}

// site is hubs and one link, which follows the one that a test names.
type site struct {
	*testing.T
	log bytes.Buffer
	mu  sync.Mutex // guards log, at and changed
	at  string
	new chan struct{}
}

func newSite(t *testing.T) *site { return &site{T: t, new: make(chan struct{})} }

// Write takes what is logged.
func (s *site) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *site) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

// point says where the leader is.
func (s *site) point(at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
	close(s.new)
	s.new = make(chan struct{})
}

func (s *site) leader() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.new
}

// hub opens one until the test ends, and gives where it is and what closes it.
func (s *site) hub(l *leader, change ...func(*peers.HubConfig)) (h *peers.Hub, at string, end func()) {
	s.Helper()
	cfg := peers.HubConfig{Key: key, Cluster: "c", Leader: l, Term: l.now, Log: s.logger(), Self: func() (peers.Info, peers.Parts) {
		return peers.Info{Name: "leader", Host: "one"}, peers.Parts{peers.Model("a"): "1"}
	}}
	for _, f := range change {
		f(&cfg)
	}
	h, err := peers.NewHub(cfg)
	if err != nil {
		s.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := h.Serve(ctx, ln); err != nil {
			s.Error(err)
		}
	})
	end = sync.OnceFunc(func() {
		cancel()
		serving.Wait()
	})
	s.Cleanup(end)
	return h, ln.Addr().String(), end
}

// link follows until the test ends.
func (s *site) link(f *follower, change ...func(*peers.LinkConfig)) *peers.Link {
	s.Helper()
	cfg := peers.LinkConfig{Key: key, Cluster: "c", Follower: f, Leader: s.leader, Log: s.logger(), Self: func() (peers.Info, peers.Parts) {
		return peers.Info{Name: "follower", Host: "two", Config: "x"}, peers.Parts{peers.Model("a"): "1"}
	}}
	for _, f := range change {
		f(&cfg)
	}
	l, err := peers.NewLink(cfg)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(ctx) })
	s.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l
}

func eventually(t *testing.T, wrong func() string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		problem := wrong()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(problem)
		}
	}
}

func (s *site) untilLinked(l *peers.Link) {
	s.Helper()
	eventually(s.T, func() string {
		if state := l.State(); !state.Linked {
			return fmt.Sprintf("it is not linked: %+v\n%s", state, s.logged())
		}
		return ""
	})
}

func table(seq uint64) *protocol.Table { return &protocol.Table{To: "follower", Term: 1, Seq: seq} }

func TestLink_CarriesTablesAndReportsInOrder(t *testing.T) {
	s := newSite(t)
	l, f := &leader{mail: make(chan []*protocol.Table)}, newFollower()
	l.lead(1)
	h, at, _ := s.hub(l)
	s.point(at)
	k := s.link(f)
	s.untilLinked(k)
	if state := k.State(); state.Term != 1 || state.Leader.Host != "one" {
		t.Errorf("it says that it follows %+v", state)
	}
	for n := range uint64(50) {
		l.mail <- []*protocol.Table{table(2*n + 1), table(2*n + 2)}
		f.due <- &protocol.Report{From: "follower", Seq: n + 1}
	}
	eventually(t, func() string {
		if got := f.seqs(); len(got) != 100 || !slices.IsSorted(got) {
			return fmt.Sprintf("it took %v", got)
		}
		if got := l.reports(); len(got) != 50 || !slices.IsSorted(got) {
			return fmt.Sprintf("%v was heard", got)
		}
		return ""
	})
	if all := h.Members(); len(all) != 1 || all[0].Host != "two" || len(all[0].Differences) != 0 || time.Since(all[0].HeardAt) > 5*time.Second {
		t.Errorf("the hub knows %+v", all)
	}
	if err := k.Farewell(t.Context(), &protocol.Report{From: "follower", Incarnation: 2, Seq: 1}); err != nil {
		t.Error(err)
	}
	if all := h.Members(); len(all) != 0 {
		t.Errorf("after the farewell the hub knows %+v", all)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.heard[len(l.heard)-1]; !last.Farewell {
		t.Errorf("a build that says farewell beside its report is not understood: %+v", last)
	}
}

func TestLink_FollowsWhoeverLeadsNext(t *testing.T) {
	s := newSite(t)
	first, second, f := &leader{mail: make(chan []*protocol.Table)}, &leader{mail: make(chan []*protocol.Table)}, newFollower()
	first.lead(1)
	_, at, end := s.hub(first)
	_, next, _ := s.hub(second)
	s.point(at)
	k := s.link(f)
	s.untilLinked(k)
	end() // as if it were killed
	eventually(t, func() string {
		if k.State().Linked {
			return "it is linked to who is gone"
		}
		return ""
	})
	s.point(next) // which has the lock, and has not begun yet
	time.AfterFunc(100*time.Millisecond, func() { second.lead(2) })
	began := time.Now()
	s.untilLinked(k)
	if took := time.Since(began); took > time.Second || k.State().Term != 2 {
		t.Errorf("linked to %+v after %v", k.State(), took)
	}
	second.resign()
	eventually(t, func() string {
		if k.State().Linked {
			return "it is linked to who leads no more"
		}
		return ""
	})
	s.point("")
	second.lead(3)
	s.point(next)
	s.untilLinked(k)
}

func TestLink_IsToldWhyItIsRefused(t *testing.T) {
	for name, row := range map[string]struct {
		hub  func(*peers.HubConfig)
		link func(*peers.LinkConfig)
		err  error
		log  string // on the leader's side
	}{
		"another cluster": {func(c *peers.HubConfig) { c.Cluster = "d" }, func(*peers.LinkConfig) {}, peers.ErrCluster, "different clusters"},
		"another store": {func(c *peers.HubConfig) {
			c.Self = func() (peers.Info, peers.Parts) { return peers.Info{Store: "another"}, nil }
		}, func(*peers.LinkConfig) {}, peers.ErrStore, "different stores"},
		"another key": {func(*peers.HubConfig) {}, func(c *peers.LinkConfig) { c.Key = "another key of more than 24 characters" }, peers.ErrKey, "bad certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			l := &leader{}
			l.lead(1)
			_, at, _ := s.hub(l, row.hub)
			s.point(at)
			k := s.link(newFollower(), row.link)
			eventually(t, func() string {
				if state := k.State(); state.Linked || !errors.Is(state.Why, row.err) {
					return fmt.Sprintf("got %+v, want %v", state, row.err)
				}
				if !strings.Contains(s.logged(), row.log) {
					return "the leader's log does not say why:\n" + s.logged()
				}
				return ""
			})
			if strings.Contains(s.logged(), key) {
				t.Error("the key is in the log")
			}
			if len(l.reports()) > 0 {
				t.Error("a stranger was heard")
			}
		})
	}
}

func TestHub_RefusesWhoShowsNoKeyOrSpeaksAnotherVersion(t *testing.T) {
	s := newSite(t)
	l := &leader{}
	l.lead(1)
	_, at, _ := s.hub(l)
	if status, body := peers.Ask(t.Context(), at, "", "1", "c"); status != 0 {
		t.Errorf("a caller without a certificate got %d %s", status, body)
	}
	if status, body := peers.Ask(t.Context(), at, key, "2", "c"); status != 426 || !strings.Contains(body, "other_version") {
		t.Errorf("another version got %d %s, want 426", status, body)
	}
	if status, body := peers.Ask(t.Context(), at, key, "1", "c"); status != 400 || !strings.Contains(body, "bad_message") {
		t.Errorf("no message got %d %s, want 400", status, body)
	}
}

func TestLink_ASilentLeaderIsLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.point(ln.Addr().String())
	k := s.link(newFollower())
	eventually(t, func() string {
		if state := k.State(); state.Why == nil {
			return "it waits for who says nothing"
		}
		return ""
	})
	l := &leader{mail: make(chan []*protocol.Table)}
	l.lead(1)
	_, at, _ := s.hub(l)
	s.point(at)
	s.untilLinked(k)
}

func TestHub_WhoDoesNotReadIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a write is given up")
	}
	s := newSite(t)
	l := &leader{mail: make(chan []*protocol.Table)}
	l.lead(1)
	_, at, _ := s.hub(l)
	mute, err := peers.Mute(at, key, "c")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	large := table(1)
	for range 20_000 {
		large.Shares = append(large.Shares, protocol.Share{Instance: strings.Repeat("i", 50), Model: "m", Slots: 1})
	}
	cut := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.left > 0
	}
	for began := time.Now(); !cut(); {
		select {
		case l.mail <- []*protocol.Table{large}:
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("one that does not read is kept")
		}
	}
	k := s.link(newFollower()) // nobody else is held up
	s.point(at)
	s.untilLinked(k)
}

func TestLink_OperatorsCallsReachTheLeader(t *testing.T) {
	s := newSite(t)
	l := &leader{mail: make(chan []*protocol.Table)}
	l.lead(1)
	_, at, _ := s.hub(l, func(c *peers.HubConfig) {
		c.Operate = func(_ context.Context, c peers.Call) (*peers.Answer, error) {
			return &peers.Answer{Status: 202, Type: "text/plain", Body: []byte(c.Admin + " " + c.Method + " " + c.URI)}, nil
		}
	})
	k := s.link(newFollower())
	call := peers.Call{Method: "POST", URI: "/api/models/a/stop?x=1", Admin: "ana", Role: "operator"}
	if _, err := k.Operate(t.Context(), call); !errors.Is(err, peers.ErrNotLeading) {
		t.Errorf("without a leader: got %v, want %v", err, peers.ErrNotLeading)
	}
	s.point(at)
	a, err := k.Operate(t.Context(), call)
	if err != nil || a.Status != 202 || string(a.Body) != "ana POST /api/models/a/stop?x=1" {
		t.Errorf("got %+v, %v", a, err)
	}
	l.resign()
	if _, err := k.Operate(t.Context(), call); !errors.Is(err, peers.ErrNotLeading) {
		t.Errorf("of one that leads no more: got %v, want %v", err, peers.ErrNotLeading)
	}
}

func TestConfigs_DifferencesAreSaidAndUnknownModelsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l, f := &leader{mail: make(chan []*protocol.Table)}, newFollower()
	l.lead(1)
	var known atomic.Bool
	h, at, _ := s.hub(l, func(c *peers.HubConfig) {
		c.Known = func(_ context.Context, theirs peers.Parts) peers.Parts {
			if known.Load() {
				return theirs
			}
			return peers.Parts{peers.Model("a"): "1"}
		}
	})
	s.point(at)
	theirs := peers.Parts{peers.Model("a"): "2", peers.Model("b"): "1"}
	k := s.link(f, func(c *peers.LinkConfig) {
		c.Self = func() (peers.Info, peers.Parts) {
			return peers.Info{Name: "follower", Host: "two", Config: theirs.Version()}, theirs
		}
	})
	s.untilLinked(k)
	partial := table(2)
	partial.Partial = true
	l.mail <- []*protocol.Table{table(1), partial}
	eventually(t, func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.took) != 2 {
			return fmt.Sprintf("it took %d tables", len(f.took))
		}
		if o := f.took[0].Outlooks; len(o) != 1 || o[0].Model != "b" || o[0].Answer != "never_fits" {
			return fmt.Sprintf("of the model that only it knows the table says %+v", o)
		}
		if o := f.took[1].Outlooks; len(o) != 0 {
			return fmt.Sprintf("a partial table says %+v", o)
		}
		return ""
	})
	known.Store(true) // and it is asked again
	later := table(3)
	later.Partial = true
	eventually(t, func() string {
		select {
		case l.mail <- []*protocol.Table{later}:
		case <-time.After(100 * time.Millisecond):
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if !slices.ContainsFunc(f.took, func(t *protocol.Table) bool {
			return len(t.Outlooks) == 1 && t.Outlooks[0].Model == "b" && t.Outlooks[0].Answer == ""
		}) {
			return "once the leader knows the model no table says so"
		}
		return ""
	})
	want := []string{"model a is set otherwise", "model b is only in it"}
	if all := h.Members(); len(all) != 1 || !slices.Equal(all[0].Differences, want) {
		t.Errorf("the hub knows %+v, want the differences %q", all, want)
	}
	if log := s.logged(); !strings.Contains(log, "a server has another config") || !strings.Contains(log, want[1]) {
		t.Errorf("the log does not say what differs:\n%s", log)
	}
	if a, b := theirs.Version(), (peers.Parts{peers.Model("a"): "2"}).Version(); a == b {
		t.Error("two configs have one version")
	}
}
