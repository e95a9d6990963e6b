package consul_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// registry is a fake Consul as far as a lock needs one: one key, sessions, and a lock delay after one that was lost.
type registry struct {
	*httptest.Server
	mu        sync.Mutex // guards the rest
	value     string
	holder    string          // session
	sessions  map[string]bool // those that live
	services  map[string]bool
	made      int
	delayed   time.Time // until when nobody gets the lock
	refuses   string    // part of the path of what the token may not do; "" = it may do all
	shutUp    bool      // nothing is answered
	destroyed int
	most      int // bytes of a value; 0 = any
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{sessions: map[string]bool{}, services: map[string]bool{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("X-Consul-Index", "1")
	name := q.URL.Path[strings.LastIndex(q.URL.Path, "/")+1:]
	switch path := q.Method + " " + q.URL.Path; {
	case r.shutUp:
		panic(http.ErrAbortHandler)
	case r.refuses != "" && strings.Contains(path, r.refuses):
		http.Error(w, "Permission denied", http.StatusForbidden)
	case strings.HasPrefix(path, "PUT /v1/agent/service/register"):
		var service struct{ ID string }
		_ = json.Unmarshal(body, &service)
		r.services[service.ID] = true
	case strings.HasPrefix(path, "PUT /v1/agent/service/deregister"):
		delete(r.services, name)
	case strings.HasPrefix(path, "PUT /v1/agent/check/update") && !r.services[name]:
		http.Error(w, "unknown check", http.StatusNotFound)
	case strings.HasPrefix(path, "PUT /v1/agent/check/update"):
	case strings.HasPrefix(path, "PUT /v1/session/create"):
		r.made++
		id := fmt.Sprintf("session-%d", r.made)
		r.sessions[id] = true
		fmt.Fprintf(w, `{"ID": %q}`, id)
	case strings.HasPrefix(path, "PUT /v1/session/destroy"):
		r.destroyed++
		r.lose(name)
		fmt.Fprint(w, "true")
	case path == "GET /v1/kv/pilotlight/blue/leader":
		r.read(w, q)
	case path == "PUT /v1/kv/pilotlight/blue/leader":
		r.put(w, q, string(body))
	}
}

func (r *registry) read(w http.ResponseWriter, q *http.Request) {
	if !q.URL.Query().Has("consistent") {
		http.Error(w, "may be stale", http.StatusBadRequest)
		return
	}
	if r.value == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, `[{"Key": "pilotlight/blue/leader", "Value": %q, "Session": %q}]`, base64.StdEncoding.EncodeToString([]byte(r.value)), r.holder)
}

func (r *registry) put(w http.ResponseWriter, q *http.Request, body string) {
	if r.most > 0 && len(body) > r.most {
		http.Error(w, "Request body too large", http.StatusRequestEntityTooLarge)
		return
	}
	if session := q.URL.Query().Get("release"); session != "" {
		if r.holder == session {
			r.holder, r.value = "", body
		}
		fmt.Fprint(w, "true")
		return
	}
	session := q.URL.Query().Get("acquire")
	if !r.sessions[session] {
		http.Error(w, "invalid session "+session, http.StatusInternalServerError)
		return
	}
	ours := r.holder == session || r.holder == "" && time.Now().After(r.delayed)
	if ours {
		r.holder, r.value = session, body
	}
	fmt.Fprint(w, ours)
}

// lose ends a session, as a check that is critical does; mu is held.
func (r *registry) lose(session string) {
	delete(r.sessions, session)
	if r.holder == session {
		r.holder, r.delayed = "", time.Now().Add(time.Second)
	}
}

// wantNoDelay asserts that the lock was given up before its holder's session ended, so that the next one gets it at once.
func (r *registry) wantNoDelay(t *testing.T) {
	t.Helper()
	r.with(func() {
		if !r.delayed.IsZero() {
			t.Error("the lock was not given up: its holder's session ended with it, so nobody got it for the lock delay")
		}
	})
}

func (r *registry) with(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// contender is one server that wants the lock.
type contender struct {
	*consul.Lock
	t    *testing.T
	stop func()
}

func contend(t *testing.T, addr, name string) *contender {
	t.Helper()
	l, err := consul.NewLock(consul.LockConfig{Addr: addr, Cluster: "blue", Server: name})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	c := &contender{Lock: l, t: t, stop: func() { cancel(); running.Wait() }}
	t.Cleanup(c.stop)
	return c
}

// until waits until the contender stands as asked, and gives how it stands.
func (c *contender) until(what string, is func(consul.Standing) bool) consul.Standing {
	c.t.Helper()
	most := time.After(20 * time.Second)
	for {
		s, changed := c.Standing()
		if is(s) {
			return s
		}
		select {
		case <-changed:
		case <-most:
			c.t.Fatalf("it is not %s, it stands %+v", what, s)
		}
	}
}

func (c *contender) untilStage(stage consul.Stage) consul.Standing {
	c.t.Helper()
	return c.until(string(stage), func(s consul.Standing) bool { return s.Stage == stage })
}

// lead waits for the lock and claims a term.
func (c *contender) lead(term uint64) {
	c.t.Helper()
	c.untilStage(consul.Holding)
	if ours, err := c.Claim(c.t.Context(), term); err != nil || !ours {
		c.t.Fatalf("claiming term %d: got %v, %v", term, ours, err)
	}
}

// confirmed gives what Confirm says within a moment; a wait that goes on is errStillWaits.
func (c *contender) confirmed(within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), within, errStillWaits)
	defer cancel()
	return c.Confirm(ctx)
}

var errStillWaits = errors.New("still waits")

func TestLock_SecondWaitsAndHasItAtOnceWhenTheFirstEnds(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	first := contend(t, r.URL, "one")
	first.lead(7)
	if err := first.confirmed(5 * time.Second); err != nil {
		t.Errorf("the leader may not act: %v", err)
	}
	second := contend(t, r.URL, "two")
	second.until("told who leads, and its term", func(s consul.Standing) bool {
		return s.Stage == consul.Waiting && s.Leader == "one" && s.Term == 7
	})
	if err := second.confirmed(time.Second); !errors.Is(err, errStillWaits) {
		t.Errorf("the second: got %v, want that it waits", err)
	}
	if ours, err := second.Claim(t.Context(), 8); ours || err != nil {
		t.Errorf("the second claimed the lock: %v, %v", ours, err)
	}
	first.stop()
	if s := second.untilStage(consul.Holding); s.Term != 7 {
		t.Errorf("the second has seen term %d, want 7", s.Term)
	}
	r.wantNoDelay(t)
	second.stop()
	r.with(func() {
		if len(r.services) > 0 || len(r.sessions) > 0 || r.holder != "" {
			t.Errorf("left behind: services %v, sessions %v, holder %q", r.services, r.sessions, r.holder)
		}
	})
}

func TestLock_OneThatLooksKnowsWhoLeadsAndNeverDoes(t *testing.T) {
	r := newRegistry(t)
	begin := func(name string, looks bool) (l *consul.Lock, end func()) {
		l, err := consul.NewLock(consul.LockConfig{Addr: r.URL, Cluster: "blue", Server: name, At: name + ":8082", Looks: looks})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = l.Run(ctx) })
		end = sync.OnceFunc(func() {
			cancel()
			running.Wait()
		})
		t.Cleanup(end)
		return l, end
	}
	looks, _ := begin("looks", true)
	until := func(at string) {
		t.Helper()
		for deadline := time.After(10 * time.Second); ; {
			s, changed := looks.Standing()
			if s.Stage != consul.Waiting {
				t.Fatalf("it is %s", s.Stage)
			}
			if s.At == at {
				return
			}
			select {
			case <-changed:
			case <-deadline:
				t.Fatalf("it says that %q leads, want %q", s.At, at)
			}
		}
	}
	time.Sleep(600 * time.Millisecond) // in which it could have taken the lock
	until("")
	r.with(func() {
		if r.made != 0 || len(r.services) != 0 {
			t.Errorf("it has made %d sessions and registered %v", r.made, r.services)
		}
	})
	_, end := begin("one", false)
	until("one:8082")
	end()
	until("")
	begin("two", false)
	until("two:8082")
}

// TestLock_TheNextFindsWhatWasLeft: what is left by who gives the lock up, until somebody claims a term.
func TestLock_TheNextFindsWhatWasLeft(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	finds := func(c *contender, want string) {
		t.Helper()
		c.untilStage(consul.Holding)
		if got := string(c.Found()); got != want {
			t.Errorf("it finds %q, want %q", got, want)
		}
	}
	first := contend(t, r.URL, "one")
	first.lead(7)
	finds(first, "")
	first.Leave([]byte(`{"to":"the next"}`))
	first.stop()
	second := contend(t, r.URL, "two") // it does not get as far as to lead
	finds(second, `{"to":"the next"}`)
	second.stop()
	third := contend(t, r.URL, "three")
	finds(third, `{"to":"the next"}`)
	third.lead(8)
	third.Leave([]byte(`{"to":"nobody"}`))
	r.with(func() { // it dies
		r.lose(r.holder)
		r.holder, r.delayed = "another", time.Time{}
	})
	third.untilStage(consul.Taken)
	third.stop()
	r.with(func() { r.holder = "" })
	fourth := contend(t, r.URL, "four")
	finds(fourth, "")
	fourth.lead(9)
	r.with(func() { r.most = 1000 })
	fourth.Leave(fmt.Appendf(nil, "%q", strings.Repeat("x", 1000)))
	fourth.stop() // what it leaves is too long
	r.wantNoDelay(t)
	finds(contend(t, r.URL, "five"), "")
}

// TestLock_AValueThatCannotBeReadSaysNothing: and the log says that, once.
func TestLock_AValueThatCannotBeReadSaysNothing(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"no JSON": `{"server":"one","term":`, "another type": `{"term":"seven","left":{"holders":[]}}`} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.with(func() { r.value, r.holder = value, "another" })
			var said bytes.Buffer
			l, err := consul.NewLock(consul.LockConfig{Addr: r.URL, Cluster: "blue", Server: "two", Log: slog.New(slog.NewTextHandler(&said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = l.Run(ctx) })
			c := &contender{Lock: l, t: t}
			time.Sleep(600 * time.Millisecond) // it looks at it more than once
			r.with(func() { r.holder = "" })
			c.untilStage(consul.Holding)
			if s, _ := c.Standing(); s.Term != 0 || c.Found() != nil {
				t.Errorf("it has read %+v, and found %q", s, c.Found())
			}
			cancel()
			running.Wait()
			if n := strings.Count(said.String(), "cannot be read"); n != 1 {
				t.Errorf("the log says it %d times, want once:\n%s", n, said.String())
			}
		})
	}
}

func TestLock_LostSessionIsGotAgainWithTheSameTermIfNobodyElseLedMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	l := contend(t, r.URL, "one")
	l.lead(7)
	r.with(func() { r.lose(r.holder) })
	l.untilStage(consul.Unsure)
	l.untilStage(consul.Holding)
	if err := l.confirmed(5 * time.Second); err != nil {
		t.Errorf("with the lock again it may not act: %v", err)
	}
	r.with(func() { // a Consul that has lost everything
		r.lose(r.holder)
		r.value, r.delayed = "", time.Time{}
		clear(r.services)
	})
	l.until("holding with its term written again", func(consul.Standing) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Contains(r.value, `"term":7`)
	})
}

func TestLock_IsTakenForGoodOnceAnotherHasHadIt(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"and has it": false, "and has given it up": true} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			l := contend(t, r.URL, "one")
			l.lead(7)
			r.with(func() {
				r.lose(r.holder)
				r.value = `{"server":"two","term":8}`
				if !gone {
					r.holder = "another"
				}
			})
			if s := l.untilStage(consul.Taken); s.Leader != "two" || s.Term != 8 {
				t.Errorf("got %+v, want who has taken it", s)
			}
			if err := l.confirmed(5 * time.Second); !errors.Is(err, fleet.ErrFenced) {
				t.Errorf("got %v, want %v", err, fleet.ErrFenced)
			}
			r.with(func() { r.holder, r.delayed = "", time.Time{} })
			if err := l.confirmed(time.Second); !errors.Is(err, fleet.ErrFenced) {
				t.Errorf("later: got %v, want %v", err, fleet.ErrFenced)
			}
			r.with(func() {
				if r.holder != "" {
					t.Error("it has taken the lock back")
				}
			})
		})
	}
}

func TestLock_NobodyActsWhileConsulIsSilent(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	l := contend(t, r.URL, "one")
	l.lead(7)
	r.with(func() { r.shutUp = true })
	s := l.until("unsure, and says why", func(s consul.Standing) bool { return s.Stage == consul.Unsure && s.Trouble != nil })
	if !errors.Is(s.Trouble, fleet.ErrUnreachable) {
		t.Errorf("got %v, want %v", s.Trouble, fleet.ErrUnreachable)
	}
	if err := l.confirmed(500 * time.Millisecond); !errors.Is(err, errStillWaits) {
		t.Errorf("got %v, want that it waits: another may have the lock", err)
	}
	r.with(func() { r.shutUp = false })
	if err := l.confirmed(10 * time.Second); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestLock_AFurtherTermOfOursIsNobodyElses(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	l := contend(t, r.URL, "one")
	for term := uint64(7); term < 40; term++ { // the lock is looked at meanwhile
		l.lead(term)
		time.Sleep(20 * time.Millisecond) // between two claims; nothing is waited for
	}
	if err := l.confirmed(5 * time.Second); err != nil {
		t.Errorf("its own later terms have fenced it: %v", err)
	}
}

func TestLock_SaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	for refused, says := range map[string]string{
		"agent/service": "registering this server", "session/create": "making a session",
		"GET /v1/kv": "pilotlight/blue/leader", "PUT /v1/kv": "pilotlight/blue/leader",
	} {
		t.Run(refused, func(t *testing.T) {
			r := newRegistry(t)
			r.refuses = refused
			l := contend(t, r.URL, "one")
			s := l.until("in trouble", func(s consul.Standing) bool { return s.Trouble != nil })
			if !errors.Is(s.Trouble, fleet.ErrDenied) || !strings.Contains(s.Trouble.Error(), says) || s.Stage != consul.Waiting {
				t.Errorf("got %+v, want %v, and %q", s, fleet.ErrDenied, says)
			}
			r.with(func() { r.refuses = "" })
			l.until("holding, without trouble", func(s consul.Standing) bool { return s.Stage == consul.Holding && s.Trouble == nil })
		})
	}
}

func TestNewLock_WantsACluster(t *testing.T) {
	if _, err := consul.NewLock(consul.LockConfig{}); err == nil {
		t.Error("got nil, want an error: all clusters would share one lock")
	}
}
