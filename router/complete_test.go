package router_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

func TestChat_WholeAnswerFromCold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 30 * time.Second})
		a := w.do(call{body: chat(chatModel), header: map[string]string{"X-Request-Id": "my-1"}})
		if a.StatusCode != 200 || !strings.Contains(a.text, `"content":"hello"`) {
			t.Fatalf("got %d %s, want the engine's answer", a.StatusCode, a.text)
		}
		for name, want := range map[string]string{
			"X-Request-Id": "my-1", "X-Pilotlight-Start": "cold", "Content-Type": "application/json",
			"Server-Timing": "queue;dur=0.000, activate;dur=30000.000",
		} {
			if got := a.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if got := a.Header.Get("X-Pilotlight-Billed-Ms"); !regexp.MustCompile(`^\d+\.\d{3}$`).MatchString(got) {
			t.Errorf("got billed %q, want milliseconds with three decimals", got)
		}
		r := w.lastRecord(1)
		if r.Status != ledger.Complete || r.Activate != 30*time.Second || r.PromptTokens != 5 || r.CompletionTokens != 3 || r.RequestID != "my-1" ||
			r.Instance != a.Header.Get("X-Pilotlight-Instance") || r.Start != "cold" || r.Cost.String() != a.Header.Get("X-Pilotlight-Cost-Usd") {
			t.Errorf("got record %+v", r)
		}
	})
}

// TestChat_BillsTheGPUsThatItsInstanceHolds: the config has changed since the instance was launched.
func TestChat_BillsTheGPUsThatItsInstanceHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{model: func(m *fleet.Model) {
			if m.ID == chatModel {
				m.GPUs = 8
			}
		}})
		w.host.set("old", func(s *fleet.Sighting) {
			s.Instance = fleet.Instance{ID: "old", Model: chatModel, Slot: "local-0", GPUs: 4, State: fleet.Ready, Addr: w.engines.start("old")}
			s.Phase, s.Running = fleet.PhaseReady, -1
		})
		synctest.Wait()
		if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 || a.Header.Get("X-Pilotlight-Instance") != "old" {
			t.Fatalf("got %d from %q, want the old instance", a.StatusCode, a.Header.Get("X-Pilotlight-Instance"))
		}
		if r := w.lastRecord(1); r.GPUs != 4 || r.Cost != ledger.Cost(r.Billed, 4, r.Price) {
			t.Errorf("got %d GPUs for %s, want the 4 that served", r.GPUs, r.Cost)
		}
	})
}

func TestChat_StreamHasWholeEventsAndAReceipt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Second})
		a := w.do(call{body: chat(chatModel, stream, withUsage)})
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/event-stream" || a.err != nil {
			t.Fatalf("got %d %v %v, want a stream", a.StatusCode, a.Header, a.err)
		}
		if want := token("a") + token("b") + token("c"); !strings.HasPrefix(a.text, want) || !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
			t.Fatalf("got %s", a.text)
		}
		parts := strings.Split(a.text, "\n\n")
		var usage struct {
			Usage      struct{ Prompt_tokens int }
			Pilotlight map[string]any
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(parts[3], "data: ")), &usage); err != nil || usage.Usage.Prompt_tokens != 5 {
			t.Fatalf("got %q (%v), want the usage event", parts[3], err)
		}
		r := w.lastRecord(1)
		if got := usage.Pilotlight; got["start"] != "cold" || got["billed_us"] != float64(r.Billed.Microseconds()) || got["cost_usd"] != r.Cost.String() {
			t.Errorf("got receipt %v, want that of %+v", got, r)
		}
	})
}

// An event is one chunk however large it is: in pieces, each would be a write of its own, and a wake-up of its caller.
func TestChat_AnEventLeavesAsOneChunk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		event := token(strings.Repeat("x", 20<<10))
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
			events(rw, event)
			time.Sleep(time.Second)
			events(rw, usageChunk, "data: [DONE]\n\n")
		})
		c := w.dial()
		defer c.Close()
		w.post(c, chat(chatModel, stream))
		for line := ""; line != "\r\n"; {
			var err error
			line, err = c.r.ReadString('\n')
			w.must(err)
		}
		size, err := c.r.ReadString('\n')
		w.must(err)
		if want := fmt.Sprintf("%x\r\n", len(event)); size != want {
			t.Errorf("got a first chunk of %q bytes, want %q: the whole event", size, want)
		}
	})
}

func TestChat_StreamWithoutUsageAskedHasNoUsageEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		a := w.do(call{body: chat(chatModel, stream)})
		if want := token("a") + token("b") + token("c") + "data: [DONE]\n\n"; a.text != want {
			t.Errorf("got %q, want %q", a.text, want)
		}
		if r := w.lastRecord(1); r.CompletionTokens != 3 {
			t.Errorf("got %+v, want its tokens all the same", r)
		}
	})
}
