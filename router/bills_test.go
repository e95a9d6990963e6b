package router_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/router"
)

// says gives an engine that does one thing after another: it takes time, writes a piece of a stream, or what a function does.
func says(steps ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, step := range steps {
			switch s := step.(type) {
			case time.Duration:
				select {
				case <-time.After(s):
				case <-r.Context().Done():
					return
				}
			case string:
				events(w, s)
			case func(http.ResponseWriter):
				s(w)
			}
		}
	}
}

const done = usageChunk + "data: [DONE]\n\n"

// head is the head of a stream.
func head(w http.ResponseWriter) { events(w) }

func fails(status int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { http.Error(w, `{"error":"no"}`, status) }
}

// body is a whole answer.
func body(w http.ResponseWriter) {
	fmt.Fprint(w, `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"content":"hello"}}],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`)
}

// turns has the next requests, from the first on, meet these engines, and all later ones the last.
func (w *world) turns(hs ...http.HandlerFunc) {
	var mu sync.Mutex
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := hs[0]
		if len(hs) > 1 {
			hs = hs[1:]
		}
		mu.Unlock()
		h(rw, r)
	})
}

// leave sends a request whose caller leaves after a time, and returns then.
func (w *world) leave(after time.Duration, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	w.do(call{body: body, ctx: ctx})
}

// charge is what a record says of money, and of where the time went.
type charge struct {
	Status           ledger.Outcome
	Start            fleet.Tier
	Activate         time.Duration
	Wake             time.Duration
	Upstream, Billed time.Duration
	Cost             fleet.NanoUSD
}

// asleep is a world whose one instance is parked, and whose supervisor sees a token of it so long after a resume.
func asleep(proof time.Duration) setup { return setup{parks: true, proof: proof} }

const hours = 100 * time.Hour // longer than any row

// bill is a way in which a request ends.
type bill struct {
	name  string
	setup setup
	do    func(*world) // from a hot model on, or, where engines are parked, from a parked one
	want  *charge      // of the record; nil = there is none
}

// bills are all the ways in which a request ends, and who pays what: $8.25 for an hour of one GPU is 2,291,666 2/3 nano-dollars for a second.
var bills = []bill{
	{"complete stream", setup{}, func(w *world) {
		w.turns(says(time.Second, token("a"), 3*time.Second, done))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"complete body", setup{}, func(w *world) {
		w.turns(says(4*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"complete, on two GPUs", setup{}, func(w *world) {
		w.do(call{body: chat(rareModel)})
		w.records(2)
		w.turns(says(1234567*time.Microsecond, body))
		w.do(call{body: chat(rareModel)})
		w.records(3)
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 1234567 * time.Microsecond, Billed: 1234567 * time.Microsecond, Cost: 5_658_432}},

	{"caller leaves the queue", setup{load: hours}, func(w *world) { w.leave(time.Minute, chat(chatModel)) }, nil},
	{"caller leaves before the engine answers", setup{}, func(w *world) {
		w.turns(says(hours))
		w.leave(3*time.Second, chat(chatModel))
	}, &charge{Status: ledger.ClientGone, Start: fleet.Hot, Upstream: 3 * time.Second, Billed: 3 * time.Second, Cost: 6_875_000}},
	{"caller leaves in mid-stream", setup{}, func(w *world) {
		w.turns(says(time.Second, token("a"), hours))
		w.leave(2500001*time.Microsecond, chat(chatModel, stream))
	}, &charge{Status: ledger.ClientGone, Start: fleet.Hot, Upstream: 2500001 * time.Microsecond, Billed: 2500001 * time.Microsecond, Cost: 5_729_169}},
	{"organisation is cut off in mid-stream", setup{}, func(w *world) {
		w.turns(says(token("a"), hours))
		time.AfterFunc(2*time.Second, func() { withdrawals["cut"].do(w) })
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.ClientGone, Start: fleet.Hot, Upstream: 2 * time.Second, Billed: 2 * time.Second, Cost: 4_583_333}},

	{"engine answers 400", setup{}, func(w *world) {
		w.turns(says(time.Second, fails(400)))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: time.Second}},
	{"engine answers 500, and so does another", setup{model: two}, func(w *world) {
		w.turns(says(time.Second, fails(500)), says(2*time.Second, fails(500)))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: 2 * time.Second}},
	{"engine dies in mid-stream", setup{}, func(w *world) {
		w.turns(says(time.Second, token("a"), time.Second, die))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: 2 * time.Second}},
	{"engine ends its stream without [DONE]", setup{}, func(w *world) {
		w.turns(says(token("a"), time.Second))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: time.Second}},
	{"engine sends an event above the limit", setup{router: func(c *router.Config) { c.EventLimit = 1 << 10 }}, func(w *world) {
		w.turns(says(token("a"), time.Second, token(strings.Repeat("b", 2<<10)), hours))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: time.Second}},

	{"no first byte in time, and no 2xx", setup{}, func(w *world) {
		w.turns(says(hours))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: 10 * time.Minute}},
	{"no first byte in time after a 2xx", setup{}, func(w *world) {
		w.turns(says(head, hours))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.TimedOut, Start: fleet.Hot, Upstream: 10 * time.Minute, Billed: 10 * time.Minute, Cost: 1_375_000_000}},
	{"engine falls silent", setup{}, func(w *world) {
		w.turns(says(time.Second, token("a"), hours))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.TimedOut, Start: fleet.Hot, Upstream: 61 * time.Second, Billed: time.Second, Cost: 2_291_667}},
	{"the total strikes in mid-stream", setup{model: func(m *fleet.Model) { m.Timeouts.Total = 5 * time.Second }}, func(w *world) {
		w.turns(slowly(100, time.Second))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.TimedOut, Start: fleet.Hot, Upstream: 5 * time.Second, Billed: 5 * time.Second, Cost: 11_458_333}},
	{"the total strikes before an answer", setup{model: func(m *fleet.Model) { m.Timeouts.FirstByte, m.Timeouts.Total = 0, 5*time.Second }}, func(w *world) {
		w.turns(says(hours))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.TimedOut, Start: fleet.Hot, Upstream: 5 * time.Second, Billed: 5 * time.Second, Cost: 11_458_333}},

	{"retry wins", setup{model: two}, func(w *world) {
		w.turns(says(2*time.Second, die), says(3*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 3 * time.Second, Billed: 3 * time.Second, Cost: 6_875_000}},
	{"retry loses its engine, too", setup{model: two}, func(w *world) {
		w.turns(says(2*time.Second, die), says(3*time.Second, token("a"), time.Second, die))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: 4 * time.Second}},
	{"retry is left while another engine is asked", setup{model: two}, func(w *world) {
		w.turns(says(2*time.Second, die), says(hours))
		w.leave(6*time.Second, chat(chatModel))
	}, &charge{Status: ledger.ClientGone, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"retry is left while another engine starts", setup{load: 5 * time.Minute, gpus: 1}, func(w *world) {
		taken := w.hanging(1)
		go func() { w.fail(w.next(taken)) }()
		w.leave(30*time.Second, chat(chatModel))
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot}},

	{"cold start", setup{load: 20 * time.Second}, func(w *world) {
		w.turns(says(time.Second, body))
		w.do(call{body: chat(rareModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Cold, Activate: 20 * time.Second, Upstream: time.Second, Billed: time.Second, Cost: 4_583_333}},
	{"resume, and the engine is at work by then", asleep(0), func(w *world) {
		w.turns(says(4*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"resume, and the server's own token comes first", asleep(297 * time.Millisecond), func(w *world) {
		w.turns(says(636*time.Millisecond, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{
		Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Wake: 297 * time.Millisecond,
		Upstream: 636 * time.Millisecond, Billed: 339 * time.Millisecond, Cost: 776_875,
	}},
	{"resume, and the request's own first token comes first", asleep(hours), func(w *world) {
		w.turns(says(2*time.Second, token("a"), 2*time.Second, done))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{
		Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Wake: 2 * time.Second,
		Upstream: 4 * time.Second, Billed: 2 * time.Second, Cost: 4_583_333,
	}},
	{"resume, and a whole answer is the first that is seen of the engine", asleep(hours), func(w *world) {
		w.turns(says(4*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Wake: 4 * time.Second, Upstream: 4 * time.Second}},
	{"resume, and another's token comes first", asleep(hours), func(w *world) {
		w.together(says(time.Second, token("a"), 100*time.Millisecond, die), says(4*time.Second, body))
		w.records(3)
	}, &charge{
		Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Wake: time.Second,
		Upstream: 4 * time.Second, Billed: 3 * time.Second, Cost: 6_875_000,
	}},
	{"resume, and a refusal shows nothing", asleep(5 * time.Second), func(w *world) {
		w.together(says(time.Second, fails(400)), says(6*time.Second, body))
		w.records(3)
	}, &charge{
		Status: ledger.Complete, Start: fleet.Parked, Activate: wakeTime, Wake: 5 * time.Second,
		Upstream: 6 * time.Second, Billed: time.Second, Cost: 2_291_667,
	}},
	{"resume, and the next request pays from its dispatch", asleep(hours), func(w *world) {
		w.turns(says(time.Second, token("a"), done), says(4*time.Second, body))
		w.do(call{body: chat(chatModel, stream)})
		w.do(call{body: chat(chatModel)})
		w.records(3)
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"resume, and the caller leaves in its tail", asleep(5 * time.Second), func(w *world) {
		w.turns(says(hours))
		w.leave(wakeTime+time.Second, chat(chatModel))
	}, &charge{Status: ledger.ClientGone, Start: fleet.Parked, Activate: wakeTime, Wake: time.Second, Upstream: time.Second}},
	{"resume, and the caller leaves after it", asleep(time.Second), func(w *world) {
		w.turns(says(hours))
		w.leave(wakeTime+3*time.Second, chat(chatModel))
	}, &charge{
		Status: ledger.ClientGone, Start: fleet.Parked, Activate: wakeTime, Wake: time.Second,
		Upstream: 3 * time.Second, Billed: 2 * time.Second, Cost: 4_583_333,
	}},
	{"resume, and the total strikes in its tail", setup{parks: true, proof: hours, model: func(m *fleet.Model) { m.Timeouts.FirstByte, m.Timeouts.Total = 0, 5*time.Second }}, func(w *world) {
		w.turns(says(hours))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.TimedOut, Start: fleet.Parked, Activate: wakeTime, Wake: 5 * time.Second, Upstream: 5 * time.Second}},

	{"shutdown waits for a stream", setup{}, func(w *world) {
		w.turns(says(token("a"), 4*time.Second, done))
		time.AfterFunc(2*time.Second, w.stopRouter)
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"shutdown cuts a stream", setup{}, func(w *world) {
		w.turns(slowly(100, time.Second))
		time.AfterFunc(2*time.Second, w.stopRouter)
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.EngineError, Start: fleet.Hot, Upstream: 12 * time.Second}},
}

func two(m *fleet.Model) { m.Instances.Min = min(2, m.Instances.Max) }

// together sends two requests at once, a stream and one that is none, to what serves each, and waits for both.
func (w *world) together(streamed, whole http.HandlerFunc) {
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if contains(body, `"stream":true`) {
			streamed(rw, r)
			return
		}
		whole(rw, r)
	})
	first, second := w.ask(chat(chatModel, stream)), w.ask(chat(chatModel))
	<-first
	<-second
}

// TestBills has each way in which a request may end go through the real router, activator and ledger, in virtual time: the record is exact to the
// microsecond and the nano-dollar.
func TestBills(t *testing.T) { testBills(t, bills) }

func testBills(t *testing.T, all []bill) {
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.setup)
				before := 0
				if tt.want != nil {
					w.heat(chatModel)
					before = 1
					time.Sleep(2 * time.Minute) // for a second instance, or until it is parked
				}
				tt.do(w)
				if tt.want == nil {
					w.records(0)
					return
				}
				page, err := w.ledger.Records(context.Background(), "", "", 100)
				w.must(err)
				for len(page.Records) <= before {
					time.Sleep(10 * time.Millisecond)
					page, err = w.ledger.Records(context.Background(), "", "", 100)
					w.must(err)
				}
				r := page.Records[len(page.Records)-1]
				got := charge{r.Status, r.Start, r.Activate, r.Wake, r.Upstream, r.Billed, r.Cost}
				if diff := cmp.Diff(*tt.want, got); diff != "" {
					t.Errorf("its record (-want +got):\n%s", diff)
				}
			})
		})
	}
}
