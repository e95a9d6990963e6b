//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome is one request and what has become of it.
type outcome struct {
	id, model    string
	light        *light
	asked        time.Time // when its client asked first, of whichever server
	began, ended time.Time
	passedOn     bool // it was refused with 503 before anything else, and another server was asked
	left         bool // by the client
	answer
}

// longest is how long a request may take: its wait, its retry, and its time limits.
const longest = 4 * time.Minute

const clock = "15:04:05.000"

// load asks all the time, each of its workers one request after the other and each server in turn.
type load struct {
	site      *site
	reference *reference
	client    *http.Client
	stopping  chan struct{}
	workers   sync.WaitGroup

	mu       sync.Mutex // guards what is below
	outcomes []*outcome
	refused  int                     // connections that were not taken, so that another server was asked
	latest   map[question]*time.Time // when the latest request began that was answered whole
	wrong    []string                // what must not be
}

// question is a model, asked of a server.
type question struct {
	light *light
	model string
}

// worker asks for a model.
type worker struct {
	name, model string
	pause       time.Duration // between two requests, half as long up to one and a half times
	tokens      int
	leaves      bool // its client leaves in the middle of each answer
}

var workers = []worker{
	{"hot-a", hotModel, 100 * time.Millisecond, 12, false},
	{"hot-b", hotModel, 100 * time.Millisecond, 24, false},
	{"hot-c", hotModel, 100 * time.Millisecond, 60, false},
	{"leaver", hotModel, time.Second, 200, true},
	{"left", leftModel, 700 * time.Millisecond, 24, false},
	{"rest", restModel, 700 * time.Millisecond, 24, false},
	{"cold", coldModel, 2500 * time.Millisecond, 12, false},
}

func startLoad(t *testing.T, s *site, seed uint64) *load {
	t.Helper()
	l := &load{site: s, reference: newReference(t), stopping: make(chan struct{}), latest: map[question]*time.Time{}}
	l.client = &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, MaxIdleConnsPerHost: 8}}
	for i, w := range workers {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		l.workers.Go(func() { l.work(w, random) })
	}
	t.Cleanup(l.stop)
	return l
}

// stop has the workers end when their last answers have come.
func (l *load) stop() {
	l.mu.Lock()
	select {
	case <-l.stopping:
	default:
		close(l.stopping)
	}
	l.mu.Unlock()
	l.workers.Wait()
}

func (l *load) work(w worker, random *rand.Rand) {
	for n := 0; ; n++ {
		l.ask(w, n, random)
		select {
		case <-l.stopping:
			return
		case <-time.After(w.pause/2 + time.Duration(random.Int64N(int64(w.pause)))):
		}
	}
}

// ask asks the servers one after the other, as a load balancer does: until one takes the connection and does not answer 503 before anything else.
func (l *load) ask(w worker, n int, random *rand.Rand) {
	servers, asked := len(l.site.lights), time.Now()
	for i := range servers {
		o := &outcome{id: fmt.Sprintf("%s-%d-%d", w.name, n, i), model: w.model, light: l.site.lights[(n+i)%servers], asked: asked, began: time.Now()}
		refused := l.send(o, w, n/servers%2 == 0 || w.leaves, random)
		o.ended = time.Now()
		if refused {
			l.mu.Lock()
			l.refused++
			l.mu.Unlock()
			continue
		}
		o.passedOn = o.status == http.StatusServiceUnavailable && i < servers-1
		l.judge(o, w.tokens)
		if !o.passedOn {
			return
		}
	}
}

// send sends one request and reads its answer. refused: no server has taken it.
func (l *load) send(o *outcome, w worker, stream bool, random *rand.Rand) (refused bool) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	text, _ := json.Marshal(prompt(o, w.tokens, stream)) // of strings and numbers
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.light.api+"/v1/chat/completions", bytes.NewReader(text))
	if err != nil {
		o.err = err
		return false
	}
	r.Header.Set("Authorization", "Bearer "+l.site.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", o.id)
	started := func() {}
	if w.leaves {
		after := time.Duration(random.Int64N(int64(500 * time.Millisecond)))
		started = sync.OnceFunc(func() {
			o.left = true
			time.AfterFunc(after, cancel)
		})
	}
	response, err := l.client.Do(r)
	if err != nil {
		o.err = err
		var dial *net.OpError
		return errors.As(err, &dial) && dial.Op == "dial"
	}
	defer response.Body.Close()
	o.answer = readAnswer(response, started)
	return false
}

func prompt(o *outcome, tokens int, stream bool) map[string]any {
	q := map[string]any{
		"model": o.model, "max_tokens": tokens, "stream": stream,
		"messages": []any{map[string]string{"role": "user", "content": "Tell me about " + o.id + "."}},
	}
	if stream {
		q["stream_options"] = map[string]bool{"include_usage": true}
	}
	return q
}

// judge keeps an outcome, and says what is wrong with it.
func (l *load) judge(o *outcome, tokens int) {
	want := l.reference.text(prompt(o, tokens, false))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, o)
	wrong := func(format string, args ...any) {
		l.wrong = append(l.wrong, fmt.Sprintf("%s of %s, asked of %s: ", o.id, o.model, o.light.name)+fmt.Sprintf(format, args...))
	}
	switch {
	case o.err != nil && (o.whole || o.code != ""):
		wrong("%v", o.err)
	case o.whole && o.text != want:
		wrong("got the answer %q, want %q", o.text, want)
	case !strings.HasPrefix(want, o.text):
		wrong("got the beginning %q, want that of %q", o.text, want)
	}
	switch {
	case o.whole:
		if q := (question{o.light, o.model}); l.latest[q] == nil || l.latest[q].Before(o.began) {
			l.latest[q] = &o.began
		}
	case o.code != "":
		if !slices.Contains(fair, o.code) {
			wrong("got status %d and the error %s, which is none of a broken installation", o.status, o.code)
		}
	case o.left:
	case errors.Is(o.err, context.DeadlineExceeded):
		wrong("was neither answered nor failed within %v", longest)
	case !o.light.endedIn(o.began, o.ended, o.status != 0):
		wrong("was lost between %s and %s by a server that lives: status %d, %q, %v", o.began.Format(clock), o.ended.Format(clock), o.status, o.text, o.err)
	}
}

// unanswered are the questions of which none that was asked since then has been answered whole.
func (l *load) unanswered(since time.Time) (missing []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, light := range l.site.lights {
		for _, model := range []string{hotModel, leftModel, restModel, coldModel} {
			if at := l.latest[question{light, model}]; at == nil || at.Before(since) {
				missing = append(missing, model+" by "+light.machine.name)
			}
		}
	}
	return missing
}

// hot gives the requests for the hot model that began in a time, those of clients that left and those that another server was asked for excepted.
func (l *load) hot(from, to time.Time) (out []*outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outcomes {
		if o.model == hotModel && !o.left && !o.passedOn && o.began.After(from) && o.began.Before(to) {
			out = append(out, o)
		}
	}
	return out
}
