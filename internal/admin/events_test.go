package admin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var errEnough = errors.New("enough")

// take follows until n events have come.
func take(w *world, after string, n int) ([]admin.Event, error) {
	var events []admin.Event
	err := w.client.Events(w.t.Context(), after, func(e admin.Event) error {
		if events = append(events, e); len(events) == n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return events, err
}

func TestEvents_ResumeAfterTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, state := range []fleet.State{fleet.Starting, fleet.Ready, fleet.Stopping} {
		w.fleet.notice("acme/a", state)
	}
	events, err := take(w, "", 2)
	check(t, err)
	if events[0].To != fleet.Starting || events[1].To != fleet.Ready || events[0].At.Format(time.RFC3339) != "2026-03-01T12:00:00Z" {
		t.Errorf("got %+v, want the oldest first", events)
	}
	if e := events[0]; e.GPUUS != 2_500_000 || e.WaitedUS != 3_000_000 || e.Reason != "test" {
		t.Errorf("got %+v, want its reason and cost", e)
	}
	events, err = take(w, events[1].ID, 1)
	check(t, err)
	if events[0].To != fleet.Stopping {
		t.Errorf("got %+v, want what came after the last seen", events)
	}
}

func TestEvents_IDOfAnotherLifeStartsAtTheOldest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleet.notice("acme/a", fleet.Starting)
	events, err := take(w, "OTHERLIFE-7", 1)
	check(t, err)
	if events[0].To != fleet.Starting {
		t.Errorf("got %+v", events)
	}
}

func TestEvents_FromNowOnSkipWhatWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleet.notice("acme/a", fleet.Starting)
	got := make(chan admin.Event, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- w.client.Events(ctx, admin.AfterNow, func(e admin.Event) error { got <- e; return errEnough })
	}()
	eventually(t, "the stream is followed", func() bool { return w.fleet.following() == 1 })
	w.fleet.notice("acme/a", fleet.Ready)
	if err := <-ended; !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if e := <-got; e.To != fleet.Ready {
		t.Errorf("got %+v, want only what came after", e)
	}
}

// raw opens an event stream on a connection of its own, and reads up to the first comment.
func raw(t *testing.T, w *world, headers string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+adminToken+"\r\n"+headers+"\r\n")
	check(t, err)
	r := bufio.NewReader(conn)
	until(t, r, ": following")
	return conn, r
}

func until(t *testing.T, r *bufio.Reader, prefix string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return
		}
	}
}

func TestEvents_LastEventIDHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleet.notice("acme/a", fleet.Starting)
	w.fleet.notice("acme/b", fleet.Starting)
	events, err := take(w, "", 1)
	check(t, err)
	_, r := raw(t, w, "Last-Event-ID: "+events[0].ID+"\r\n")
	line := ""
	for !strings.HasPrefix(line, "data: ") {
		line, err = r.ReadString('\n')
		check(t, err)
	}
	if !strings.Contains(line, "acme/b") {
		t.Errorf("got %s, want the event after the header's", line)
	}
}

// TestEvents_SaysWhatWasMissed has a client come back after the fleet has forgotten what came next.
func TestEvents_SaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleet.notice("acme/a", fleet.Starting)
	events, err := take(w, "", 1)
	check(t, err)
	for range 12 {
		w.fleet.notice("acme/a", fleet.Ready)
	}
	w.fleet.forget(10)
	_, r := raw(t, w, "Last-Event-ID: "+events[0].ID+"\r\n")
	until(t, r, ": missed 9 events")
	until(t, r, "data: ")
	_, r = raw(t, w, "") // whoever has seen nothing has missed nothing
	line, err := r.ReadString('\n')
	for err == nil && !strings.HasPrefix(line, "data: ") {
		if strings.HasPrefix(line, ": missed") {
			t.Errorf("got %q", line)
		}
		line, err = r.ReadString('\n')
	}
	check(t, err)
}

func TestEvents_DepartureIsSeenAtOnceAndLeaksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // no comment is due within 15 s: nothing is written that could fail
	conn, _ := raw(t, w, "")
	eventually(t, "the stream is followed", func() bool { return w.fleet.following() == 1 })
	check(t, conn.Close())
	eventually(t, "nothing follows any more", func() bool { return w.fleet.following() == 0 })
}

func TestEvents_SilenceIsBrokenByComments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *admin.Config) { c.Heartbeat = 5 * time.Millisecond })
	_, r := raw(t, w, "")
	until(t, r, ": still here")
	until(t, r, ": still here")
}

func TestEvents_EndWithTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended := make(chan error, 1)
	go func() {
		ended <- w.client.Events(t.Context(), "", func(admin.Event) error { return nil })
	}()
	eventually(t, "the stream is followed", func() bool { return w.fleet.following() == 1 })
	began := time.Now()
	w.stop()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want a clean end", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("a silent stream held the shutdown up for %v", took)
	}
}
