package router_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/router"
)

const (
	firstPrice = 8_250_000_000
	nextPrice  = 9_000_000_000
)

// offered gives those of the test's models that have one of the IDs, as the world's activator has them.
func (w *world) offered(ids ...string) (models []*fleet.Model) {
	for _, m := range w.act.Snapshot().Models {
		if slices.Contains(ids, m.Model.ID) {
			models = append(models, m.Model)
		}
	}
	return models
}

func withPrice(c *router.Config) { c.Price = firstPrice }

func TestConfigure_WhoIsServedGoesOnAtThePriceOfItsDispatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: withPrice})
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			answerChat(rw, r)
		})
		var a answer
		var under sync.WaitGroup
		under.Go(func() { a = w.do(call{body: chat(chatModel)}) })
		time.Sleep(5 * time.Second)
		w.router.Configure(w.offered(rareModel), nextPrice)
		w.wantCode(w.do(call{body: chat(chatModel)}), 404, "model_not_found")
		if list := w.do(call{method: "GET", path: "/v1/models"}); strings.Contains(list.text, chatModel) || !strings.Contains(list.text, rareModel) {
			t.Errorf("got %s, want the removed model gone", list.text)
		}
		if one := w.do(call{method: "GET", path: "/v1/models/" + rareModel}); !strings.Contains(one.text, `"price_usd_per_second":"0.005"`) {
			t.Errorf("got %s, want the new price", one.text)
		}
		under.Wait()
		if a.err != nil || a.StatusCode != 200 {
			t.Fatalf("got %+v, want the request under way served", a)
		}
		if r := w.lastRecord(1); r.Price != firstPrice || r.Model != chatModel {
			t.Errorf("got price %v of %s, want that of the dispatch, %v", r.Price, r.Model, fleet.NanoUSD(firstPrice))
		}
	})
}

func TestConfigure_WhoWaitsPaysThePriceOfItsDispatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: withPrice, load: 40 * time.Second})
		var a answer
		var under sync.WaitGroup
		under.Go(func() { a = w.do(call{body: chat(chatModel)}) })
		time.Sleep(10 * time.Second)
		w.router.Configure(w.offered(rareModel), nextPrice) // though its model is offered no longer
		under.Wait()
		if r := w.lastRecord(1); a.StatusCode != 200 || r.Price != nextPrice || r.Activate != 40*time.Second {
			t.Errorf("got %d and %+v, want it served at the new price", a.StatusCode, r)
		}
	})
}

func TestConfigure_AnAddedModelHasItsMetricsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.Models = c.Models[:1] }})
		line := fmt.Sprintf(`pilotlight_requests_total{model=%q,code="200"}`, rareModel)
		if got := w.metric(line); got != "" {
			t.Fatalf("got %s before the model was added", got)
		}
		w.router.Configure(w.offered(chatModel, rareModel), firstPrice)
		if got := w.metric(line); got != "0" {
			t.Errorf("got %q, want 0", got)
		}
		if a := w.do(call{body: chat(rareModel)}); a.StatusCode != 200 || w.metric(line) != "1" {
			t.Errorf("got %d, then %s", a.StatusCode, w.metric(line))
		}
	})
}

// TestConfigure_WhoWaitedGoesOnWithTheModelOfItsLease: an engine of another kind takes other fields, and has other time limits.
func TestConfigure_WhoWaitedGoesOnWithTheModelOfItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		was := w.offered(rareModel)[0]
		changed := *was
		changed.Engine.Kind = fleet.EngineTRTLLM
		w.router.Configure([]*fleet.Model{&changed}, firstPrice)
		if w.router.Current(was, &changed) != &changed {
			t.Error("with a lease for the changed model: got the former one")
		}
		if w.router.Current(was, was) != was {
			t.Error("with a lease for the model that was asked for: got another")
		}
		w.router.Configure(nil, firstPrice)
		if w.router.Current(was, &changed) != was {
			t.Error("with a lease for a model that is offered no longer: got another than was asked for")
		}
	})
}

// TestConfigure_AmidTraffic is for the race detector: nobody who asks for what is always offered notices, and who asks for what comes and goes is
// served, or told that it does not exist.
func TestConfigure_AmidTraffic(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	w.heat(chatModel)
	both, one := w.offered(chatModel, rareModel), w.offered(chatModel)
	var callers sync.WaitGroup
	for k := range 4 {
		callers.Go(func() {
			for i := range 50 {
				body := chat(chatModel)
				if k%2 == 1 {
					body = chat(chatModel, stream)
				}
				if a := w.do(call{body: body}); a.err != nil || a.StatusCode != 200 {
					t.Errorf("request %d: got %+v", i, a)
				}
				if a := w.do(call{body: chat(rareModel)}); a.err != nil || a.StatusCode != 200 && a.StatusCode != 404 {
					t.Errorf("request %d of what comes and goes: got %+v", i, a)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
			w.router.Configure([][]*fleet.Model{both, one}[i%2], fleet.NanoUSD(firstPrice+i))
		}
	}
}
