package console_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

type fleetSnapshot = fleet.Snapshot

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// run has the console look at the fleet until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.console.Run(ctx)
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// following reads the changes of a page.
type following struct {
	t    *testing.T
	body io.ReadCloser
	in   *bufio.Reader
}

func (b *browser) follow(path string) *following {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		b.t.Fatalf("following %s: got %d", path, answer.StatusCode)
	}
	b.t.Cleanup(func() { answer.Body.Close() })
	return &following{b.t, answer.Body, bufio.NewReader(answer.Body)}
}

// next gives the next event with data; "" = the stream has ended.
func (f *following) next() string {
	f.t.Helper()
	var data strings.Builder
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			return ""
		}
		switch text, is := strings.CutPrefix(line, "data: "); {
		case is:
			data.WriteString(text)
		case line == "\n" && data.Len() > 0:
			return data.String()
		}
	}
}

var liveURL = regexp.MustCompile(`hx-sse:connect="([^"]+)"`)

func liveURLOf(t *testing.T, page response) string {
	t.Helper()
	found := liveURL.FindStringSubmatch(page.body)
	if found == nil {
		t.Fatalf("the page follows nothing:\n%s", page.body)
	}
	return strings.ReplaceAll(found[1], "&amp;", "&")
}

// TestLive_SendsDifferences: a page is sent what has changed since it was drawn, and nothing else.
func TestLive_SendsDifferences(t *testing.T) {
	w := newWorld(t)
	w.run()
	b := w.browser(w.operator)
	b.signIn(adminToken)
	follow := b.follow(liveURLOf(t, b.get("/models")))
	w.fleet.set(func(s *fleetSnapshot) { s.Models[0].State, s.Models[0].Hot = "hot", 1 })
	if got := follow.next(); strings.Count(got, "<hx-partial") != 1 || !strings.Contains(got, ">hot<") {
		t.Errorf("got %q, want the one state that has changed", got)
	}
	w.fleet.set(func(s *fleetSnapshot) { s.Models[1].State = "parked" })
	if got := follow.next(); strings.Count(got, "<hx-partial") != 1 || !strings.Contains(got, ">parked<") {
		t.Errorf("got %q, want the other state", got)
	}
}

// TestLive_BringsWhatIsNew: where parts come or go, the page gets them all anew.
func TestLive_BringsWhatIsNew(t *testing.T) {
	w := newWorld(t)
	w.run()
	b := w.browser(w.operator)
	b.signIn(adminToken)
	follow := b.follow(liveURLOf(t, b.get("/fleet")))
	w.fleet.set(func(s *fleetSnapshot) {
		s.Pools = []fleet.PoolStatus{{Pool: s.Pools[0].Pool, Slots: append(s.Pools[0].Slots, fleet.SlotStatus{Slot: fleet.Slot{ID: "slot-2", Pool: "h100", GPUs: 8, Pending: true}})}}
	})
	if got := follow.next(); !strings.Contains(got, `hx-target="#slots" hx-swap="innerHTML"`) || !strings.Contains(got, "slot-1") || !strings.Contains(got, "slot-2") {
		t.Errorf("got %q, want all slots", got)
	}
}

// TestLive_EndsWithTheRight: a caller whose token is revoked follows nothing more, and never what it may not use.
func TestLive_EndsWithTheRight(t *testing.T) {
	w := newWorld(t)
	w.run()
	secret, token := w.token("acme", tenant.ScopeInference)
	if _, err := w.tenants.UpdateOrg(t.Context(), "acme", tenant.OrgChange{Models: &[]string{"m/one"}}); err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.caller)
	b.signIn(secret)
	follow := b.follow(strings.TrimPrefix(liveURLOf(t, b.get("/models")), "/console"))
	w.fleet.set(func(s *fleetSnapshot) { s.Models[0].State, s.Models[1].State, s.Models[0].Waiting = "hot", "parked", 7 })
	if got := follow.next(); !strings.Contains(got, ">hot<") || strings.Contains(got, "parked") || strings.Contains(got, "7") {
		t.Errorf("got %q, want the state of the one model, without what others do", got)
	}
	if _, err := w.tenants.RevokeToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	w.fleet.set(func(s *fleetSnapshot) { s.Models[0].State = "cold" })
	if got := follow.next(); got != "" {
		t.Errorf("got %q, want the end", got)
	}
}

// TestHub_LooksOnceForAll: however many pages are open, the fleet is looked at as often as for one, and not at all when none is.
func TestHub_LooksOnceForAll(t *testing.T) {
	w := newWorld(t)
	w.run()
	b := w.browser(w.operator)
	b.signIn(adminToken)
	url := liveURLOf(t, b.get("/models"))
	var pages []*following
	for range 50 {
		pages = append(pages, b.follow(url))
	}
	w.fleet.mu.Lock()
	before := w.fleet.looks
	w.fleet.mu.Unlock()
	w.fleet.set(func(s *fleetSnapshot) { s.Models[0].State = "hot" })
	for _, p := range pages {
		if got := p.next(); !strings.Contains(got, ">hot<") {
			t.Fatalf("got %q, want the change", got)
		}
	}
	w.fleet.mu.Lock()
	looks := w.fleet.looks - before
	w.fleet.mu.Unlock()
	if looks > 10 {
		t.Errorf("looked %d times at the fleet for one change and 50 pages", looks)
	}
}

// TestVendored_IsWhatWasPublished: third parties' files are as their authors have published them.
func TestVendored_IsWhatWasPublished(t *testing.T) {
	sums, err := os.ReadFile("assets/vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		var sum, name string
		if _, err := fmt.Sscan(line, &sum, &name); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join("assets/vendor", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not what SHA256SUMS says", name)
		}
	}
}
