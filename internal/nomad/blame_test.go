package nomad

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

var culprits = []error{fleet.ErrFenced, fleet.ErrDenied, fleet.ErrUnreachable, fleet.ErrPlaceClosed}

// blamedOn wants an error to name one culprit, or none where want is nil.
func blamedOn(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got nil, want %v", what, want)
	}
	for _, c := range culprits {
		if errors.Is(err, c) != (c == want) {
			t.Errorf("%s: got %v, blamed on %q: %v", what, err, c, errors.Is(err, c))
		}
	}
}

// answering is a server that answers everything so.
func answering(t *testing.T, status int, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestDo_SaysWhatIsToBlame(t *testing.T) {
	m := &fleet.Model{ID: "m", GPUs: 1, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM}}
	for _, row := range []struct {
		name, addr string
		act        fleet.ActKind
		want       error
	}{
		{"a launch without the right", answering(t, http.StatusForbidden, "Permission denied"), fleet.ActLaunch, fleet.ErrDenied},
		{"a stop with an unknown token", answering(t, http.StatusForbidden, "ACL token not found"), fleet.ActStop, fleet.ErrDenied},
		{"a new slot without the right", answering(t, http.StatusForbidden, "Permission denied"), fleet.ActAddSlot, fleet.ErrDenied},
		{"a slot without its key", answering(t, http.StatusNotFound, ""), fleet.ActAddSlot, fleet.ErrDenied},
		{"nobody listens", "http://" + nobody(t), fleet.ActLaunch, fleet.ErrUnreachable},
		{"no leader", answering(t, http.StatusInternalServerError, "No cluster leader"), fleet.ActLaunch, fleet.ErrUnreachable},
		{"too many connections", answering(t, http.StatusTooManyRequests, ""), fleet.ActLaunch, fleet.ErrUnreachable},
		{"Nomad does not take the job", answering(t, http.StatusInternalServerError, `job "x" is in nonexistent node pool "y"`), fleet.ActLaunch, nil},
		{"Nomad does not understand", answering(t, http.StatusBadRequest, "1 error occurred"), fleet.ActLaunch, nil},
	} {
		n, err := New(Config{Cluster: "c", Addr: row.addr, Models: []*fleet.Model{m}, Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		act := fleet.Act{Kind: row.act, Instance: "i", Model: "m"}
		if row.act == fleet.ActAddSlot {
			act = fleet.Act{Kind: row.act, Pool: "p", Slot: "s"}
		}
		blamedOn(t, row.name, n.Do(ctx, act), row.want)
		cancel()
		n.Close()
	}
}

func TestDo_SaysWhatIsToBlameInASlot(t *testing.T) {
	complaint := func(code string) string { return `{"error":{"code":"` + code + `","message":"no"}}` }
	for _, row := range []struct {
		name, addr string
		want       error
	}{
		{"nobody listens", nobody(t), fleet.ErrUnreachable},
		{"it shuts down", answering(t, http.StatusServiceUnavailable, complaint("shutting_down")), fleet.ErrPlaceClosed},
		{"another key", answering(t, http.StatusUnauthorized, complaint("unauthorized")), fleet.ErrDenied},
		{"an older term", answering(t, http.StatusConflict, complaint("old_term")), fleet.ErrFenced},
		{"GPUs in use", answering(t, http.StatusConflict, complaint("busy")), fleet.ErrPlaceClosed},
		{"no such slot", "", fleet.ErrPlaceClosed},
	} {
		m := &fleet.Model{ID: "m", GPUs: 1, Pool: "p"}
		n, err := New(Config{Cluster: "c", Models: []*fleet.Model{m}, Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		if row.addr != "" {
			n.slotAt(t, "s", strings.TrimPrefix(row.addr, "http://"), m)
		}
		err = n.Do(t.Context(), fleet.Act{Kind: fleet.ActLaunch, Slot: "s", Instance: "i", Model: "m", GPUs: 1})
		blamedOn(t, row.name, err, row.want)
	}
}

// slotAt has the back end know a slot whose supervisor is at an address.
func (n *Nomad) slotAt(t *testing.T, id, addr string, models ...*fleet.Model) {
	t.Helper()
	client, err := slot.NewClient(slot.ClientConfig{Addr: addr, Key: strings.Repeat("k", slot.MinKey), Plain: true, Models: models})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	n.slots.mu.Lock()
	defer n.slots.mu.Unlock()
	e := n.slots.add(fleet.Slot{ID: id, Pool: "p", GPUs: 1})
	e.addr, e.client = addr, client
}
