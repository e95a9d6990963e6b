//go:build linux

package slot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

const slotKey = "0123456789abcdef0123456789abcdef"

// remote is a slot behind its API, with a client.
type remote struct {
	*slot.Client
	t    *testing.T
	addr string
	said chan fleet.Observation
	stop func() // ends the API, not the slot
}

func offer(t *testing.T, s *slot.Slot, addr string, models ...*fleet.Model) *remote {
	t.Helper()
	api, err := slot.NewAPI(slot.APIConfig{Slot: s, Key: slotKey})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := api.Serve(ctx, ln); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	r := &remote{t: t, addr: ln.Addr().String(), said: make(chan fleet.Observation, 1000)}
	r.stop = func() { cancel(); serving.Wait() }
	t.Cleanup(r.stop)
	if r.Client, err = slot.NewClient(slot.ClientConfig{Addr: r.addr, Key: slotKey, Models: models}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// watch follows the slot until the test ends, and again after each break.
func (r *remote) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			if err := r.Watch(ctx, func(o fleet.Observation) { r.said <- o }); err != nil {
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	r.t.Cleanup(func() { cancel(); watching.Wait() })
}

func (r *remote) until(id string, wanted func(fleet.Sighting) bool) fleet.Observation {
	r.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case o := <-r.said:
			for _, i := range o.Instances {
				if i.ID == id && wanted(i) {
					return o
				}
			}
		case <-deadline:
			r.t.Fatalf("%s did not come to what was waited for", id)
		}
	}
}

func TestClient_LaunchesParksAndResumes(t *testing.T) {
	m := sim(small, 1)
	w := start(t, options{gpus: 1}) // it knows no model by itself
	r := offer(t, w.Slot, "127.0.0.1:0", m)
	r.watch()
	began := time.Now()
	do := func(kind fleet.ActKind, seq uint64) {
		t.Helper()
		act := fleet.Act{Kind: kind, Term: 1, Seq: seq, Instance: "i1", Model: small, GPUs: 1}
		if err := r.Do(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	do(fleet.ActLaunch, 1)
	first := r.until("i1", ready)
	if !first.Complete || len(first.Slots) != 1 || first.Slots[0].ID != "s" || first.At.Before(began) || first.At.After(time.Now()) {
		t.Errorf("got %+v", first)
	}
	do(fleet.ActPark, 2)
	last := r.until("i1", parked)
	if last.Seq <= first.Seq || last.Term != 1 {
		t.Errorf("got number %d of term %d after number %d", last.Seq, last.Term, first.Seq)
	}
	do(fleet.ActResume, 3)
	r.until("i1", ready)
	do(fleet.ActStop, 4)
	r.until("i1", gone)
}

func TestClient_GetsTheSlotsOwnErrors(t *testing.T) {
	w := start(t, options{gpus: 1})
	r := offer(t, w.Slot, "127.0.0.1:0", fake("m", 1))
	for name, row := range map[string]struct {
		act  fleet.Act
		want error
	}{
		"unknown model":    {launch("i1", "other", 0, 1), slot.ErrUnknownModel},
		"bad block":        {launch("i1", "m", 4, 1), slot.ErrBadBlock},
		"unknown instance": {fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 1, Instance: "x"}, slot.ErrUnknown},
		"no such act":      {fleet.Act{Kind: fleet.ActAddSlot}, slot.ErrNotAvailable},
	} {
		err := r.Do(t.Context(), row.act)
		if !errors.Is(err, row.want) || strings.Count(err.Error(), row.act.Instance+":") > 1 {
			t.Errorf("%s: got %v, want %v, said once", name, err, row.want)
		}
	}
	if err := r.Do(t.Context(), launch("i1", "m", 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := r.Do(t.Context(), launch("i2", "m", 0, 1)); !errors.Is(err, slot.ErrBusy) {
		t.Errorf("got %v, want %v", err, slot.ErrBusy)
	}
}

func TestAPI_WantsTheKey(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	r := offer(t, w.Slot, "127.0.0.1:0")
	for _, key := range []string{"", slotKey + "x", slotKey[1:], "Bearer " + slotKey} {
		for _, path := range []string{"/v1/acts", "/v1/watch"} {
			method := map[string]string{"/v1/acts": "POST", "/v1/watch": "GET"}[path]
			req, err := http.NewRequest(method, "http://"+r.addr+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if key != "" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with key %q: got %s, want 401", path, key, resp.Status)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	wrong, err := slot.NewClient(slot.ClientConfig{Addr: r.addr, Key: "wrong", Models: []*fleet.Model{fake("m", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	if err := wrong.Do(t.Context(), launch("i1", "m", 0, 1)); !errors.Is(err, slot.ErrUnauthorized) {
		t.Errorf("do: got %v, want %v", err, slot.ErrUnauthorized)
	}
	if err := wrong.Watch(t.Context(), func(fleet.Observation) {}); !errors.Is(err, slot.ErrUnauthorized) {
		t.Errorf("watch: got %v, want %v", err, slot.ErrUnauthorized)
	}
	if _, err := slot.NewAPI(slot.APIConfig{Slot: w.Slot, Key: "short"}); err == nil {
		t.Error("a short key was taken")
	}
}

func TestAPI_StrangerWhoIsSlowLosesTheConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a request may")
	}
	t.Parallel()
	w := start(t, options{gpus: 1}, fake("m", 1))
	for _, path := range []string{"/v1/acts", "/what"} {
		conn, err := net.Dial("tcp", offer(t, w.Slot, "127.0.0.1:0").addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: s\r\nContent-Length: 1000\r\n\r\n", path)
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still open", path)
		}
	}
}

func TestClient_HearsWhatItMissedAfterABreak(t *testing.T) {
	w := start(t, options{gpus: 2}, fake("m", 1))
	r := offer(t, w.Slot, "127.0.0.1:0")
	r.watch()
	w.launch("i1", "m", 0, 1)
	before := r.until("i1", ready)
	r.stop()
	w.end("i1")
	w.until("i1", gone)
	w.launch("i2", "m", 1, 1)
	w.until("i2", ready)
	offer(t, w.Slot, r.addr)
	after := r.until("i1", gone)
	if !after.Complete || after.Seq <= before.Seq {
		t.Errorf("got %+v, want a complete list with a number above %d", after, before.Seq)
	}
	if len(after.Instances) != 2 {
		t.Errorf("got %+v, want both instances", after.Instances)
	}
}

func TestRestartedSlot_ContinuesItsNumbersAndItsTerm(t *testing.T) {
	dir := t.TempDir()
	last := func(term uint64) fleet.Observation {
		s, err := slot.New(slot.Config{ID: "s", Dir: dir, GPUs: 1, KeepTerm: true})
		if err != nil {
			t.Fatal(err)
		}
		if term > 0 {
			if err := s.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: term, Seq: 1, Instance: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		var told fleet.Observation
		ctx, cancel := context.WithCancel(t.Context())
		s.Watch(ctx, func(o fleet.Observation) { told = o; cancel() })
		return told
	}
	before := last(7)
	time.Sleep(time.Millisecond)
	if after := last(0); after.Term != 7 || after.Seq <= before.Seq {
		t.Errorf("got number %d of term %d after number %d of term 7", after.Seq, after.Term, before.Seq)
	}
}

func TestClient_TellsMomentsOfThisMachinesClock(t *testing.T) {
	theirs := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for n := range 2 {
			data, err := json.Marshal(fleet.Observation{Seq: uint64(n), At: theirs.Add(time.Duration(n) * time.Hour)})
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, "data: %s\n\n", data)
		}
	}))
	defer elsewhere.Close()
	c, err := slot.NewClient(slot.ClientConfig{Addr: elsewhere.Listener.Addr().String(), Key: slotKey, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	var at []time.Time
	if err := c.Watch(t.Context(), func(o fleet.Observation) { at = append(at, o.At) }); err == nil || len(at) != 2 {
		t.Fatalf("got moments %v and error %v, want two, and the stream's end", at, err)
	}
	if first := at[0].Sub(began); first < 0 || first > time.Minute || at[1].Sub(at[0]) != time.Hour {
		t.Errorf("asked at %v, got %v, want the first then, and the second an hour later", began, at)
	}
	if at[1] == at[1].Round(0) {
		t.Errorf("%v is of the wall clock alone, which may be set", at[1])
	}
}

func TestClient_TellsASilentSupervisorFromAQuietOne(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a supervisor may be silent")
	}
	t.Parallel()
	w := start(t, options{gpus: 1}, fake("m", 1))
	quiet := offer(t, w.Slot, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := make(chan error, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { broken <- quiet.Watch(ctx, func(fleet.Observation) {}) })

	release := make(chan struct{})
	deaf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-release
	}))
	defer deaf.Close()
	defer close(release)
	c, err := slot.NewClient(slot.ClientConfig{Addr: deaf.Listener.Addr().String(), Key: slotKey, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Watch(t.Context(), func(fleet.Observation) {}); !errors.Is(err, slot.ErrSilent) {
		t.Errorf("silent: got %v, want %v", err, slot.ErrSilent)
	}
	select {
	case err := <-broken:
		t.Errorf("quiet for as long: got %v, want it still watched", err)
	default:
	}
}
