package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// reply is an answer that says where it is from.
type reply struct{ *answer }

func (r reply) instance() string { return r.header.Get("X-Pilotlight-Instance") }

// end is the last that came.
func (r reply) end() string { return r.body[max(0, len(r.body)-200):] }

// chat sends one request that has to be answered whole.
func (l *lane) chat() reply { l.t.Helper(); return l.chatWith(l.model()) }

func (l *lane) chatWith(model string) reply {
	l.t.Helper()
	return reply{l.mustChat(l.t, model, false)}
}

// begin sends requests; what it gives waits for all answers.
func (l *lane) begin(n int) (answers func() []reply) {
	return l.send(n, func(s *devServer) (*answer, error) { return s.devChat(l.model()) })
}

// atOnce sends requests together and gives all answers.
func (l *lane) atOnce(n int) []reply { return l.begin(n)() }

// streams begins streams of some seconds, and returns when all flow: each has the engine's first byte, so none of them is asked of another engine.
func (l *lane) streams(n, tokens int) (answers func() []reply) {
	l.t.Helper()
	var flowing atomic.Int64
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotFirstResponseByte: func() { flowing.Add(1) }})
	answers = l.send(n, func(s *devServer) (*answer, error) {
		return s.post(ctx, "/chat/completions", fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": %d, "min_tokens": %[2]d,
			"ignore_eos": true, "messages": [{"role": "user", "content": "Count."}]}`, l.model(), tokens))
	})
	eventually(l.t, 30*time.Second, func() string {
		if got := flowing.Load(); got != int64(n) {
			return fmt.Sprintf("%d of %d streams flow", got, n)
		}
		return ""
	})
	return answers
}

func (l *lane) send(n int, ask func(*devServer) (*answer, error)) func() []reply {
	var asking sync.WaitGroup
	out := make([]reply, n)
	server := l.devServer
	for i := range out {
		asking.Go(func() {
			a, err := ask(server)
			if err != nil {
				a = &answer{err: err, header: http.Header{}}
			}
			out[i] = reply{a}
		})
	}
	return func() []reply {
		asking.Wait()
		return out
	}
}

// pulse sends a request every 50 ms.
func (l *lane) pulse() *pulse {
	return l.devServer.pulse(l.t, l.model())
}

// pulse sends a request for the model every 50 ms.
func (s *devServer) pulse(t *testing.T, model string) *pulse {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pulse{t: t, cancel: cancel, byInstance: map[string]int{}}
	t.Cleanup(p.stop)
	p.run.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
			p.add(s.devChat(model))
		}
	})
	return p
}

// pulse is traffic that shall not notice anything.
type pulse struct {
	t          *testing.T
	cancel     context.CancelFunc
	run        sync.WaitGroup
	byInstance map[string]int // whole answers
	bad        []string
}

func (p *pulse) add(a *answer, err error) {
	switch {
	case err != nil:
		p.bad = append(p.bad, err.Error())
	case !a.whole():
		p.bad = append(p.bad, fmt.Sprintf("%d %q", a.status, a.body))
	default:
		p.byInstance[reply{a}.instance()]++
	}
}

func (p *pulse) stop() {
	p.cancel()
	p.run.Wait()
}

// mustBeWhole ends the traffic. Every request must have been answered.
func (p *pulse) mustBeWhole() {
	p.t.Helper()
	p.stop()
	if len(p.bad) > 0 {
		p.t.Errorf("%d requests were not answered, such as %s", len(p.bad), p.bad[0])
	}
}

// mustBe ends the traffic. Every request must have been answered by the instance.
func (p *pulse) mustBe(instance string) {
	p.t.Helper()
	p.mustBeWhole()
	if len(p.byInstance) != 1 || p.byInstance[instance] < 5 {
		p.t.Errorf("answers came from %v, want them from %s alone", p.byInstance, instance)
	}
}

// devChat sends one request without a test to fail.
func (s *devServer) devChat(model string) (*answer, error) {
	return s.chat(context.Background(), model, false)
}
