package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// withdrawal is a way in which a caller loses the right to a request, and what it is told.
type withdrawal struct {
	do     func(w *world)
	status int
	code   string
	says   string
}

var withdrawals = map[string]withdrawal{
	"revoked": {func(w *world) {
		_, err := w.tenants.RevokeToken(context.Background(), w.token)
		w.must(err)
	}, 401, "invalid_api_key", "revoked"},
	"suspended": {func(w *world) {
		_, err := w.tenants.SuspendOrg(context.Background(), "acme")
		w.must(err)
	}, 403, "permission_denied", "suspended"},
	"cut": {func(w *world) {
		_, err := w.tenants.CutOrg(context.Background(), "acme")
		w.must(err)
	}, 403, "permission_denied", "suspended"},
	"without its model": {func(w *world) {
		_, err := w.tenants.UpdateOrg(context.Background(), "acme", tenant.OrgChange{Models: &[]string{rareModel}})
		w.must(err)
	}, 403, "permission_denied", chatModel},
}

// errorOf reads the error of a whole answer, or of the last event of a stream.
func errorOf(text string) (code, message string) {
	if at := strings.LastIndex(text, "data: "); at >= 0 {
		text = text[at+len("data: "):]
	}
	var e struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal([]byte(strings.TrimSpace(text)), &e)
	return e.Error.Code, e.Error.Message
}

func TestRights_WhoWaitsIsEndedWithinASecond(t *testing.T) {
	t.Parallel()
	for name, lost := range withdrawals {
		for mode, status := range map[string]int{"": lost.status, stream: 200} { // the stream has got keep-alives
			t.Run(name+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, setup{load: time.Hour})
					answered := w.ask(chat(chatModel, mode))
					time.Sleep(time.Minute)
					began := time.Now()
					lost.do(w)
					a := <-answered
					code, message := errorOf(a.text)
					if took := time.Since(began); took > time.Second || a.StatusCode != status || code != lost.code || !strings.Contains(message, lost.says) {
						t.Errorf("got %d %s (%s) after %v, want %d %s (%s) within 1 s", a.StatusCode, code, message, took, status, lost.code, lost.says)
					}
					if strings.Contains(a.text, "[DONE]") {
						t.Error("got a stream that looks complete")
					}
					if n := w.waiting(chatModel); n != 0 {
						t.Errorf("got %d waiting, want none", n)
					}
				})
			})
		}
	}
}

// A token that expires is like one that is revoked, though nobody does anything at that moment.
func TestRights_WhoWaitsPastTheTokensExpiryIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		secret, _ := w.newToken("acme", tenant.NewToken{ExpiresAt: time.Now().Add(time.Minute)})
		began := time.Now()
		a := w.do(call{body: chat(chatModel), secret: secret})
		w.wantCode(a, 401, "invalid_api_key")
		if took := time.Since(began); took < time.Minute || took > 61*time.Second {
			t.Errorf("got the answer after %v, want it within a second of the minute", took)
		}
	})
}

// Others of the organisation, and other organisations, wait on.
func TestRights_OnlyWhoLostThemIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 2 * time.Minute})
		mate, _ := w.newToken("acme", tenant.NewToken{})
		other, _ := w.newToken("other", tenant.NewToken{})
		answers := make(chan answer, 2)
		for _, secret := range []string{mate, other} {
			go func() { answers <- w.do(call{body: chat(chatModel), secret: secret}) }()
		}
		revoked := w.ask(chat(chatModel))
		time.Sleep(time.Minute)
		withdrawals["revoked"].do(w)
		w.wantCode(<-revoked, 401, "invalid_api_key")
		for range 2 {
			if a := <-answers; a.StatusCode != 200 {
				t.Errorf("got %d %s, want an answer", a.StatusCode, a.text)
			}
		}
	})
}

func TestRights_AnUploadIsEndedWithinASecond(t *testing.T) {
	t.Parallel()
	for name, lost := range withdrawals {
		if name == "without its model" { // which one it asks for is not known yet
			continue
		}
		for _, tcp := range []bool{false, true} {
			t.Run(fmt.Sprint(name, tcp), func(t *testing.T) {
				run := func(t *testing.T) {
					w := newWorld(t, setup{tcp: tcp})
					c := w.dial()
					defer c.Close()
					_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\n{\"user\":\"%s", w.secret, strings.Repeat("u", 16<<10)) // more than what is read before a handler runs
					w.must(err)
					time.Sleep(50 * time.Millisecond)
					began := time.Now()
					lost.do(w)
					_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
					resp, err := http.ReadResponse(c.r, nil)
					w.must(err)
					defer resp.Body.Close()
					if took := time.Since(began); took > time.Second || resp.StatusCode != lost.status || !resp.Close {
						t.Errorf("got %d after %v, closing %v; want %d within 1 s and the connection closed", resp.StatusCode, took, resp.Close, lost.status)
					}
				}
				if tcp {
					run(t)
					return
				}
				synctest.Test(t, run)
			})
		}
	}
}

// What a body asks for is held against what the token may when all of it has come.
func TestRights_AModelTakenAwayDuringTheUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		c := w.dial()
		defer c.Close()
		body := chat(chatModel, `,"user":"`+strings.Repeat("u", 16<<10)+`"`)
		_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", w.secret, len(body), body[:12<<10])
		w.must(err)
		time.Sleep(50 * time.Millisecond)
		withdrawals["without its model"].do(w)
		_, err = fmt.Fprint(c, body[12<<10:])
		w.must(err)
		resp, err := http.ReadResponse(c.r, nil)
		w.must(err)
		defer resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("got %d, want 403", resp.StatusCode)
		}
	})
}

// slowly has engines answer a stream with a token a second, so many in all.
func (w *world) slowly(tokens int) {
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		for range tokens {
			events(rw, token("a"))
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
		events(rw, usageChunk, "data: [DONE]\n\n")
	})
}

func TestRights_WhatAnEngineWorksOnFinishes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"revoked", "suspended", "without its model"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.heat(chatModel)
				w.slowly(10)
				answered := w.ask(chat(chatModel, stream))
				time.Sleep(3500 * time.Millisecond)
				withdrawals[name].do(w)
				if a := <-answered; !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
					t.Errorf("got %q, want it whole", a.text)
				}
				if r := w.lastRecord(2); r.Status != ledger.Complete || r.Billed != 10*time.Second {
					t.Errorf("got %s, %v billed; want all of it", r.Status, r.Billed)
				}
			})
		})
	}
}

func TestRights_ACutEndsWhatAnEngineWorksOn(t *testing.T) {
	t.Parallel()
	for mode, status := range map[string]int{stream: 200, "": 403} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.heat(chatModel)
				w.slowly(10)
				if mode == "" {
					w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
						select {
						case <-time.After(10 * time.Second):
							answerChat(rw, r)
						case <-r.Context().Done():
						}
					})
				}
				answered := w.ask(chat(chatModel, mode))
				time.Sleep(3500 * time.Millisecond)
				withdrawals["cut"].do(w)
				began := time.Now()
				a := <-answered
				code, message := errorOf(a.text)
				if took := time.Since(began); took > time.Second || a.StatusCode != status || code != "permission_denied" || !strings.Contains(message, "suspended") || strings.Contains(a.text, "[DONE]") {
					t.Errorf("got %d %q after %v, want %d and an error event at once", a.StatusCode, a.text, took, status)
				}
				if r := w.lastRecord(2); r.Status != ledger.ClientGone || r.Billed != 3500*time.Millisecond {
					t.Errorf("got %s, %v billed; want it billed until the cut", r.Status, r.Billed)
				}
				_, err := w.tenants.ResumeOrg(context.Background(), "acme")
				w.must(err)
				time.Sleep(time.Millisecond)
				w.engines.swap(answerChat)
				if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
					t.Errorf("after the resume: got %d %s, want an answer", a.StatusCode, a.text)
				}
			})
		})
	}
}

// The engine that a revoked request was on has failed before its first byte: no other one is asked.
func TestRights_NoRetryForWhoLostThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		taken := w.hanging(1)
		answered := w.ask(chat(chatModel))
		first := w.next(taken)
		time.Sleep(time.Second)
		withdrawals["revoked"].do(w)
		time.Sleep(time.Second)
		w.host.set(first, func(s *fleet.Sighting) { s.Gone = true })
		w.wantCode(<-answered, 401, "invalid_api_key")
		if r := w.lastRecord(2); r.Billed != 0 {
			t.Errorf("got %+v, want nothing billed", r)
		}
	})
}

// The operator takes a field out of the model's allow list while a request that carries it waits.
func TestRights_AFieldThatIsNoLongerAllowedReachesNoEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 40 * time.Second})
		answered := w.ask(chat(rareModel, `,"lora_request":{"lora_name":"x"}`))
		time.Sleep(10 * time.Second)
		var models []*fleet.Model
		for _, m := range w.act.Snapshot().Models {
			changed := *m.Model
			changed.Allow = nil
			models = append(models, &changed)
		}
		w.must(w.act.Configure(models, []fleet.Pool{{Name: fleet.LocalPool, GPUsPerSlot: 8, Slots: fleet.Range{Min: 1, Max: 1}}}))
		w.router.Configure(models, firstPrice)
		w.wantCode(<-answered, 400, "invalid_request")
	})
}
