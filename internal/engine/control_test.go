package engine_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// said is one scripted answer.
type said struct {
	status int
	body   string
}

var (
	success = said{200, `{"status":"success"}`}
	oom     = said{500, `{"error":{"message":"CUDA error: out of memory (cuMemCreate)"}}`}
	late    = said{409, `{"error":{"message":"Cannot release runtime memory while state is parking"}}`}
	noRoute = said{404, `{"detail":"Not Found"}`}
)

func stands(state string) said { return said{200, `{"state":"` + state + `","parked_tags":[]}`} }

// script answers each route with its list, one after the other, and checks every signature.
type script struct {
	t  *testing.T
	mu sync.Mutex // guards all below

	answers map[string][]said
	asked   []string
	at      []time.Time
	nonces  map[string]bool
}

func newScript(t *testing.T, answers map[string][]said) (*script, *engine.Control) {
	s := &script{t: t, answers: answers, nonces: map[string]bool{}}
	return s, engine.NewControl("trtllm", serve(t, s.answer), []byte("secret"))
}

func (s *script) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	nonce := r.Header.Get(engine.HeaderNonce)
	want := engine.Signature([]byte("secret"), r.Method, r.URL.Path, r.Header.Get(engine.HeaderTimestamp), nonce, body)
	if got := r.Header.Get(engine.HeaderAuth); got != want || s.nonces[nonce] || len(nonce) != 32 {
		s.t.Errorf("%s %s: signature %s with nonce %s, used before: %t; want %s", r.Method, r.URL.Path, got, nonce, s.nonces[nonce], want)
	}
	s.nonces[nonce] = true
	s.asked, s.at = append(s.asked, r.URL.Path), append(s.at, time.Now())
	left := s.answers[r.URL.Path]
	if len(left) == 0 {
		s.t.Errorf("asked for %s once more than expected", r.URL.Path)
		return
	}
	s.answers[r.URL.Path] = left[1:]
	w.WriteHeader(left[0].status)
	io.WriteString(w, left[0].body)
}

const release, resume, status = "/release_memory", "/resume_memory", "/memory_status"

func TestControl_JudgesTRTLLMsAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		resume  bool
		answers map[string][]said
		want    []error // all of them; none = success
	}{
		"parked in one call":                {false, map[string][]said{release: {success}}, nil},
		"resumed in one call":               {true, map[string][]said{resume: {success}}, nil},
		"no sleep mode":                     {false, map[string][]said{release: {noRoute}}, []error{engine.ErrNotOffered}},
		"parked by a call that came to 409": {false, map[string][]said{release: {late}, status: {stands("parking"), stands("parked")}}, nil},
		"parked after an error":             {false, map[string][]said{release: {{500, "{}"}, success}, status: {stands("running")}}, nil},
		"signed anew after a 401":           {false, map[string][]said{release: {{401, `{"detail":"Runtime control nonce has already been used."}`}, success}, status: {stands("running")}}, nil},
		"failed for good": {
			false,
			map[string][]said{release: {late}, status: {stands("failed")}},
			[]error{engine.ErrLost, engine.ErrRefused},
		},
		"out of memory and failed": {
			true,
			map[string][]said{resume: {oom}, status: {stands("failed")}},
			[]error{engine.ErrLost, engine.ErrOutOfMemory},
		},
		"out of memory and still parked": {
			true,
			map[string][]said{resume: {oom}, status: {stands("parked")}},
			[]error{engine.ErrOutOfMemory},
		},
		"out of memory, and nobody can say what is left": {
			true,
			map[string][]said{resume: {oom, oom, oom, oom}, status: {{500, "{}"}, {500, "{}"}, {500, "{}"}, {500, "{}"}}},
			[]error{engine.ErrLost, engine.ErrOutOfMemory},
		},
		"out of memory in a tag, then there after all": {true, map[string][]said{resume: {oom}, status: {stands("waking"), stands("running")}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newScript(t, row.answers)
			ctx := within(t, time.Minute)
			var err error
			if row.resume {
				err = c.Resume(ctx)
			} else {
				err = c.Park(ctx)
			}
			if len(row.want) == 0 && err != nil {
				t.Errorf("got %v, want success", err)
			}
			for _, want := range row.want {
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			for route, left := range s.answers {
				if len(left) > 0 {
					t.Errorf("%s: %d answers were not asked for", route, len(left))
				}
			}
			var looked time.Time
			for n, path := range s.asked {
				if path != status {
					continue
				}
				if gap := s.at[n].Sub(looked); !looked.IsZero() && gap < 950*time.Millisecond {
					t.Errorf("looked again after %v, want a second between two looks", gap)
				}
				looked = s.at[n]
			}
		})
	}
}

func TestControl_GivesUpOnAnEngineThatKeepsRefusing(t *testing.T) {
	t.Parallel()
	refusal := said{500, `{"error":{"message":"no"}}`}
	s, c := newScript(t, map[string][]said{
		release: {refusal, refusal, refusal, refusal}, status: {stands("running"), stands("running"), stands("running"), stands("running")},
	})
	if err := c.Park(within(t, time.Minute)); !errors.Is(err, engine.ErrRefused) || !strings.Contains(err.Error(), "500") {
		t.Errorf("got %v, want the engine's refusal", err)
	}
	if len(s.answers[release]) > 0 {
		t.Errorf("%d tries are left", len(s.answers[release]))
	}
}

func TestControl_KnowsWhetherSleepModeIsOffered(t *testing.T) {
	t.Parallel()
	_, with := newScript(t, map[string][]said{status: {stands("running")}})
	if err := with.Offered(within(t, time.Minute)); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	_, without := newScript(t, map[string][]said{status: {noRoute}})
	if err := without.Offered(within(t, time.Minute)); !errors.Is(err, engine.ErrNotOffered) {
		t.Errorf("got %v, want %v", err, engine.ErrNotOffered)
	}
	nim := engine.NewControl(fleet.EngineNIM, "127.0.0.1:1", nil)
	for name, do := range map[string]error{"offered": nim.Offered(t.Context()), "park": nim.Park(t.Context()), "resume": nim.Resume(t.Context())} {
		if !errors.Is(do, engine.ErrNotOffered) {
			t.Errorf("a kind without sleep mode, %s: got %v, want %v", name, do, engine.ErrNotOffered)
		}
	}
}

func TestControl_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	ctx := within(t, 50*time.Millisecond)
	if err := engine.NewControl("trtllm", addr, nil).Resume(ctx); !errors.Is(err, ctx.Err()) {
		t.Errorf("got %v, want %v", err, ctx.Err())
	}
}

func TestControl_ParksVLLM(t *testing.T) {
	t.Parallel()
	var asleep bool
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.String() {
		case "POST /sleep?level=1":
			asleep = true
		case "POST /wake_up":
			asleep = false
		case "GET /is_sleeping":
			io.WriteString(w, map[bool]string{true: `{"is_sleeping":true}`, false: `{"is_sleeping":false}`}[asleep])
		default:
			http.NotFound(w, r)
		}
	})
	c := engine.NewControl("vllm", addr, nil)
	ctx := within(t, time.Minute)
	if err := c.Offered(ctx); err != nil {
		t.Errorf("offered: %v", err)
	}
	if err := c.Park(ctx); err != nil || !asleep {
		t.Errorf("park: %v, asleep %t", err, asleep)
	}
	if err := c.Resume(ctx); err != nil || asleep {
		t.Errorf("resume: %v, asleep %t", err, asleep)
	}
}

func TestNewKey_DiffersEachTime(t *testing.T) {
	if a, b := engine.NewKey(), engine.NewKey(); a == b || len(a) != 64 {
		t.Errorf("got %s and %s, want two keys of 64 digits", a, b)
	}
}
