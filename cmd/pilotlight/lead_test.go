package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// fencing is a back end that knows one newest term.
type fencing struct {
	newest uint64
	down   bool
	did    []fleet.Act
}

func (f *fencing) Do(_ context.Context, act fleet.Act) error {
	if act.Term < f.newest {
		return fmt.Errorf("doing act %d: %w", act.Seq, fleet.ErrFenced)
	}
	f.did = append(f.did, act)
	return nil
}

func (f *fencing) Fence(_ context.Context, term uint64) error {
	switch {
	case f.down:
		return fleet.ErrUnreachable
	case term < f.newest:
		return fleet.ErrFenced
	}
	f.newest = term
	return nil
}

func openTerms(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestLead_TermsGrowOverLivesThoughTheClockIsSetBackAnHour(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	back := &fencing{newest: uint64(now.Add(-time.Minute).UnixMilli())} // a life of the version before, whose term was its clock
	last := back.newest
	for life, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-time.Hour)} {
		l := newLead(nil, slog.New(slog.DiscardHandler))
		if err := l.begin(t.Context(), openTerms(t, path), back, at); err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if l.term <= last || back.newest != l.term {
			t.Errorf("life %d: got term %d after %d, and the back end knows %d", life, l.term, last, back.newest)
		}
		last = l.term
		if err := (guarded{back, l}).Do(t.Context(), fleet.Act{Term: l.term, Seq: 1}); err != nil {
			t.Errorf("life %d may not act: %v", life, err)
		}
	}
}

func TestLead_AStoreThatWasPutBackFromACopyGetsATermAboveTheNewest(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s := openTerms(t, filepath.Join(t.TempDir(), "p.db"))
	if _, err := s.NextTerm(t.Context(), now, 0); err != nil {
		t.Fatal(err)
	}
	back := &fencing{newest: uint64(now.UnixMilli()) + 1000} // a thousand lives after the copy was made
	l := newLead(nil, slog.New(slog.DiscardHandler))
	if err := l.begin(t.Context(), s, back, now.Add(time.Hour)); err != nil || back.newest != l.term {
		t.Errorf("got term %d, %v; want one above %d", l.term, err, back.newest)
	}
	back.newest = 1 << 60
	if err := newLead(nil, slog.New(slog.DiscardHandler)).begin(t.Context(), s, back, now); !errors.Is(err, fleet.ErrFenced) {
		t.Errorf("got %v, want an end with %v", err, fleet.ErrFenced)
	}
}

func TestLead_NothingIsDoneBeforeOlderTermsAreFenced(t *testing.T) {
	back := &fencing{down: true}
	l := newLead(nil, slog.New(slog.DiscardHandler))
	if err := l.begin(t.Context(), openTerms(t, filepath.Join(t.TempDir(), "p.db")), back, time.Now()); err != nil {
		t.Fatalf("a back end that is away keeps the server from starting: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	act := fleet.Act{Term: l.term, Seq: 1}
	if err := (guarded{back, l}).Do(ctx, act); !errors.Is(err, context.DeadlineExceeded) || len(back.did) > 0 {
		t.Errorf("got %v, and %d acts were done; want that it waits", err, len(back.did))
	}
	back.down = false
	l.keepFencing(t.Context(), back)
	if err := (guarded{back, l}).Do(t.Context(), act); err != nil || len(back.did) != 1 {
		t.Errorf("got %v, and %d acts were done; want the one", err, len(back.did))
	}
}

func TestLead_WhoIsFencedActsNoMoreAndDoesNotLead(t *testing.T) {
	back := &fencing{}
	l := newLead(nil, slog.New(slog.DiscardHandler))
	if err := l.begin(t.Context(), openTerms(t, filepath.Join(t.TempDir(), "p.db")), back, time.Now()); err != nil {
		t.Fatal(err)
	}
	if !l.leads() || l.err() != nil {
		t.Errorf("it does not lead: %v", l.err())
	}
	back.newest = l.term + 1
	g := guarded{back, l}
	for try := range 2 {
		if err := g.Do(t.Context(), fleet.Act{Term: l.term, Seq: 1}); !errors.Is(err, fleet.ErrFenced) {
			t.Errorf("try %d: got %v, want %v", try, err, fleet.ErrFenced)
		}
	}
	if l.leads() || !errors.Is(l.err(), errTakenOver) {
		t.Errorf("it still leads: %v", l.err())
	}
	var metrics strings.Builder
	l.metrics.WritePrometheus(&metrics)
	if metrics.String() != "pilotlight_leader 0\n" {
		t.Errorf("got %s", metrics.String())
	}
}

const oneModel = `
model "demo" {
  gpus = 1
  engine "sim" {
    args = ["--sim-speed", "500"]
  }
}
`

// waitingServe is `pilotlight serve` in a process of its own that waits, and may come to serve.
func waitingServe(t *testing.T, dir string) *devServer {
	t.Helper()
	s, err := beginServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.stopAfter(t)
	eventually(t, 20*time.Second, func() string {
		if !strings.Contains(s.stderr.String(), "waiting to lead") {
			return "it does not say that it waits"
		}
		return ""
	})
	return s
}

// localServe writes the config of a server on this machine; each that is started with it has addresses of its own.
func localServe(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := "api { addr = \"127.0.0.1:0\" }\nadmin { addr = \"127.0.0.1:0\" }\nbackend \"local\" { gpus = 2 }\n" + oneModel
	if err := writeSecret(filepath.Join(dir, "pilotlight.hcl"), text); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServe_SecondOnTheSameDirectoryWaitsAndTakesOver(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			dir := localServe(t)
			first, err := launchServe(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer first.kill()
			first.awaitReady(t)
			first.newToken(t)
			first.mustChat(t, "demo", true)
			engines := children(first.cmd.Process.Pid)
			second := waitingServe(t, dir)
			admin := second.standby(t)
			if text := getText(t, admin+"/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "another server on this machine uses the same store") {
				t.Errorf("readyz of the second says %s", text)
			}
			if text := authorized(t, admin+"/metrics"); !strings.Contains(text, "pilotlight_leader 0\n") {
				t.Errorf("metrics of the second: %s", text)
			}
			first.mustChat(t, "demo", true)
			if killed {
				first.kill()
			} else if err := first.signal(os.Interrupt); err != nil {
				t.Errorf("stopping the first: %v", err)
			}
			ended := time.Now()
			if err := second.awaitServing(dir); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(ended); took > 5*time.Second {
				t.Errorf("the second served %v after the first had ended, want 5 s at most", took)
			}
			if second.Admin != admin {
				t.Errorf("its admin API is at %s, want %s, where it was while it waited", second.Admin, admin)
			}
			if said := livingOf(engines); said != "" {
				t.Error(said)
			}
			second.Token = first.Token
			second.awaitReady(t)
			if got := second.mustChat(t, "demo", true).header.Get("X-Pilotlight-Start"); got != string(fleet.Cold) {
				t.Errorf("got start %q, want cold: the first's engine is gone", got)
			}
			if text := authorized(t, second.Admin+"/metrics"); !strings.Contains(text, "pilotlight_leader 1\n") {
				t.Errorf("metrics of the second: %s", text)
			}
		})
	}
}

// TestServe_SecondWithTheSameAddressesTakesThemOver starts one config twice by mistake.
func TestServe_SecondWithTheSameAddressesTakesThemOver(t *testing.T) {
	dir := t.TempDir()
	api, admin := freeAddress(t), freeAddress(t)
	text := fmt.Sprintf("api { addr = %q }\nadmin { addr = %q }\nbackend \"local\" { gpus = 2 }\n%s", api, admin, oneModel)
	if err := writeSecret(filepath.Join(dir, "pilotlight.hcl"), text); err != nil {
		t.Fatal(err)
	}
	first, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.kill()
	second := waitingServe(t, dir)
	eventually(t, 10*time.Second, func() string {
		if !strings.Contains(second.stderr.String(), "the address of its admin API is in use") {
			return "it does not say that nobody answers"
		}
		return ""
	})
	first.awaitReady(t)
	if err := first.signal(os.Interrupt); err != nil {
		t.Errorf("stopping the first: %v", err)
	}
	if err := second.awaitServing(dir); err != nil {
		t.Fatal(err)
	}
	if second.Admin != "http://"+admin || second.API != "http://"+api+"/v1" {
		t.Errorf("the second serves at %s and %s, want %s and %s", second.API, second.Admin, api, admin)
	}
	second.awaitReady(t)
}

// freeAddress is one of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
