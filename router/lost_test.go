package router_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// hanging has engines take the next requests and answer nothing; each one's instance is told.
func (w *world) hanging(requests int32) (instances <-chan string) {
	taken := make(chan string, requests)
	var left atomic.Int32
	left.Store(requests)
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		if left.Add(-1) < 0 {
			answerChat(rw, r)
			return
		}
		taken <- r.Context().Value(instanceKey{}).(string)
		<-r.Context().Done()
	})
	return taken
}

// next gives what is told next, within an hour.
func (w *world) next(told <-chan string) string {
	w.Helper()
	select {
	case s := <-told:
		return s
	case <-time.After(time.Hour):
		w.Fatalf("waited an hour in vain for an engine to be asked")
		return ""
	}
}

// fail has the back end say that an engine has failed, and that it is there still.
func (w *world) fail(instance string) {
	w.host.set(instance, func(s *fleet.Sighting) { s.Failure = "engine hangs" })
}

// ask sends a request and gives where its answer will be.
func (w *world) ask(body string) <-chan answer {
	answered := make(chan answer, 1)
	go func() { answered <- w.do(call{body: body}) }()
	return answered
}

func TestInstanceLost_RequestWithoutAFirstByteGoesToAnother(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world, string){
		"failed": (*world).fail,
		"gone":   func(w *world, id string) { w.host.set(id, func(s *fleet.Sighting) { s.Gone = true }) },
	} {
		for _, mode := range []string{"", stream} {
			t.Run(name+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := twoHot(t)
					taken := w.hanging(1)
					began := time.Now()
					answered := w.ask(chat(chatModel, mode))
					first := w.next(taken)
					time.Sleep(40 * time.Second) // streams have got keep-alives meanwhile
					lose(w, first)
					a := <-answered
					if a.err != nil || a.StatusCode != 200 || time.Since(began) > 41*time.Second {
						t.Fatalf("got %d %q %v after %v, want the answer of another instance at once", a.StatusCode, a.text, a.err, time.Since(began))
					}
					if mode == stream && !strings.Contains(a.text, "[DONE]") {
						t.Errorf("got %q, want a whole stream", a.text)
					}
					r := w.lastRecord(2)
					if r.Instance == first || r.Status != ledger.Complete || r.Billed > time.Second {
						t.Errorf("got %+v, want one record, of another instance, without the first attempt's time", r)
					}
				})
			})
		}
	}
}

func TestInstanceLost_TwiceIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		taken := w.hanging(2)
		began := time.Now()
		answered := w.ask(chat(chatModel))
		w.fail(w.next(taken))
		w.fail(w.next(taken))
		w.wantCode(<-answered, 502, "engine_error")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v, want the error at once", took)
		}
		if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Billed != 0 {
			t.Errorf("got %+v, want a record that costs nothing", r)
		}
	})
}

// TestInstanceLost_NotBilledWhenTheCallerLeavesAfterwards: of two instances that hang, one is lost, and its caller leaves while the other is
// asked, or is waited for.
func TestInstanceLost_NotBilledWhenTheCallerLeavesAfterwards(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		setup  setup
		status ledger.Outcome
		billed time.Duration
	}{
		{"while the other is asked", setup{}, ledger.ClientGone, 10 * time.Second},
		{"while the other starts", setup{load: 5 * time.Minute, gpus: 1}, ledger.EngineError, 0},
	} {
		for _, mode := range []string{"", stream} {
			t.Run(tt.name+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := twoHot(t, tt.setup)
					taken := w.hanging(2)
					ctx, leave := context.WithCancel(context.Background())
					answered := make(chan answer, 1)
					go func() { answered <- w.do(call{body: chat(chatModel, mode), ctx: ctx}) }()
					first := w.next(taken)
					time.Sleep(20 * time.Second)
					w.fail(first)
					time.Sleep(10 * time.Second)
					leave()
					<-answered
					if r := w.lastRecord(2); r.Status != tt.status || r.Billed.Round(time.Second) != tt.billed {
						t.Errorf("got %+v, want %s and %v billed", r, tt.status, tt.billed)
					}
				})
			})
		}
	}
}

// TestInstanceLost_NotBilledWhenKeepalivesReachNobody: the caller's connection stands, but nothing of it is read any more.
func TestInstanceLost_NotBilledWhenKeepalivesReachNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t, setup{load: 5 * time.Minute, gpus: 1})
		taken := w.hanging(1)
		c := w.dial()
		defer c.Close()
		w.post(c, chat(chatModel, stream))
		first := w.next(taken)
		time.Sleep(20 * time.Second)
		w.fail(first)
		time.Sleep(4 * time.Minute)
		if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Billed != 0 {
			t.Errorf("got %+v, want nothing billed for an engine that was lost", r)
		}
	})
}

func TestInstanceLost_StreamThatHasBegunGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		began := make(chan string, 1)
		calls := 0
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			calls++
			events(rw, token("a"))
			began <- r.Context().Value(instanceKey{}).(string)
			time.Sleep(20 * time.Second)
			events(rw, token("b"), usageChunk, "data: [DONE]\n\n")
		})
		answered := w.ask(chat(chatModel, stream))
		first := w.next(began)
		time.Sleep(time.Second)
		w.fail(first)
		if a := <-answered; a.err != nil || !strings.Contains(a.text, "[DONE]") || calls != 1 {
			t.Errorf("got %q, %v after %d calls, want the stream to its end, from the one", a.text, a.err, calls)
		}
		if r := w.lastRecord(2); r.Instance != first || r.Status != ledger.Complete {
			t.Errorf("got %+v, want a record of the first", r)
		}
	})
}

func TestInstanceLost_OnlyItsOwnRequestsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		release := make(chan struct{})
		taken := make(chan string, 10)
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			taken <- r.Context().Value(instanceKey{}).(string)
			select {
			case <-release:
				answerChat(rw, r)
			case <-r.Context().Done():
			}
		})
		one, two := w.ask(chat(chatModel)), w.ask(chat(chatModel))
		lost, other := w.next(taken), w.next(taken)
		if lost == other {
			t.Skip("both went to one instance")
		}
		w.fail(lost)
		if again := w.next(taken); again != other {
			t.Errorf("moved to %s, want the one that is left, %s", again, other)
		}
		close(release)
		for _, a := range []answer{<-one, <-two} {
			if a.err != nil || a.StatusCode != 200 {
				t.Errorf("got %d %q, %v", a.StatusCode, a.text, a.err)
			}
		}
		if len(taken) > 0 {
			t.Errorf("a request of another instance was sent again")
		}
	})
}

func TestInstanceLost_WhileTheServerEndsIsToldSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		taken := w.hanging(1)
		answered := w.ask(chat(chatModel))
		first := w.next(taken)
		w.stopRouter() // it may take its time, but no other instance is asked any more
		time.Sleep(time.Second)
		w.fail(first)
		w.wantCode(<-answered, 503, "shutting_down")
		w.served <- <-w.served
	})
}
