package webhook_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// inWorld runs a test in virtual time.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		test(t, w)
	})
}

// settle lets virtual time pass.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestUsage_EachRecordOnceInOrderFromTheStartOfTheWebhook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.use(3) // before there was a webhook
		w.start()
		first := w.use(2)
		settle(2 * time.Second)
		got := w.receiver.take()
		w.wantIDs(ids(t, got), first)
		e := got[0].events(t)[0]
		if e.SpecVersion != "1.0" || e.Source != "/pilotlight/test" || e.Type != "io.pilotlight.usage" || e.Subject != "acme" ||
			e.DataContentType != "application/json" || got[0].header.Get("Content-Type") != "application/cloudevents-batch+json; charset=utf-8" {
			t.Errorf("got %+v", e)
		}
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			t.Error(err)
		}
		page, err := w.ledger.Records(t.Context(), "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(page.Records[3])
		if err != nil || !bytes.Equal(e.Data, want) {
			t.Errorf("got the data %s, want the record %s", e.Data, want)
		}
		second := w.use(600) // of several batches
		settle(2 * time.Second)
		w.wantIDs(ids(t, w.receiver.take()), second)
		w.wantState(webhook.StateSending, "")
	})
}

// TestFailures_AreTriedAgainWithTheSameIDs goes through what an endpoint does wrong.
func TestFailures_AreTriedAgainWithTheSameIDs(t *testing.T) {
	closes := func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	}
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"500":      status(500),
		"404":      status(404),
		"redirect": status(302, "Location", "http://elsewhere.test/"),
		"closes":   closes,
		"hangs":    hangs,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.receiver.answers(answer)
				want := w.use(2)
				settle(5 * time.Minute)
				failed := w.receiver.take()
				if len(failed) < 3 {
					t.Fatalf("%d attempts in 5 minutes", len(failed))
				}
				for _, q := range failed {
					w.wantIDs(ids(t, []request{q}), want)
					if q.header.Get("webhook-id") != failed[0].header.Get("webhook-id") || q.path != "/usage" {
						t.Errorf("the same events have another ID, or went to %s", q.path)
					}
				}
				if s := w.sender.List()[0]; s.State != webhook.StateFailing || s.Reason == "" || strings.Contains(s.Reason+s.URL, "hidden") {
					t.Errorf("got %+v", s)
				}
				w.receiver.answers(nil)
				later := w.use(1)
				settle(6 * time.Minute)
				all := w.receiver.take()
				w.wantIDs(ids(t, all), append(want, later...))
				w.wantState(webhook.StateSending, "")
			})
		})
	}
}

// TestBackoff_GrowsToFiveMinutesAndObeysRetryAfter looks at the times of attempts.
func TestBackoff_GrowsToFiveMinutesAndObeysRetryAfter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.receiver.answers(status(500))
		w.use(1)
		settle(2 * time.Hour)
		times := w.receiver.take()
		for i := 1; i < len(times); i++ {
			want := min(time.Second<<min(i-1, 10), 5*time.Minute)
			if got := times[i].at.Sub(times[i-1].at); got < want/2 || got > want {
				t.Errorf("attempt %d came after %s, want %s to %s", i+1, got, want/2, want)
			}
		}
		if len(times) < 24 || len(times) > 60 {
			t.Errorf("%d attempts in two hours", len(times))
		}
		w.receiver.answers(status(429, "Retry-After", "1800"))
		settle(6 * time.Minute)
		refused := w.receiver.take()
		w.receiver.answers(nil)
		settle(40 * time.Minute)
		taken := w.receiver.take()
		if got := taken[0].at.Sub(refused[0].at); len(refused) != 1 || got < 30*time.Minute || got > 31*time.Minute {
			t.Errorf("after Retry-After: 1800 the next attempt came after %s", got)
		}
	})
}

// TestGone_IsHeldUntilItIsResumed also over a restart.
func TestGone_IsHeldUntilItIsResumed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.receiver.answers(status(http.StatusGone))
		want := w.use(1)
		settle(time.Hour)
		if got := w.receiver.take(); len(got) != 1 {
			t.Fatalf("%d attempts, want one", len(got))
		}
		w.wantState(webhook.StateHeld, "gone")
		w.receiver.answers(nil)
		w.stop()
		w.start()
		want = append(want, w.use(1)...)
		settle(time.Hour)
		w.wantState(webhook.StateHeld, "gone")
		if got := w.receiver.take(); len(got) != 0 {
			t.Fatalf("%d attempts while it is held", len(got))
		}
		if _, err := w.sender.Resume(t.Context(), "billing", ""); err != nil {
			t.Fatal(err)
		}
		settle(2 * time.Second)
		w.wantIDs(ids(t, w.receiver.take()), want)
		w.wantState(webhook.StateSending, "")
	})
}

// TestRestart_GoesOnWhereItStopped ends the sender with events unsent, unanswered and taken.
func TestRestart_GoesOnWhereItStopped(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.use(2)
		settle(2 * time.Second)
		w.receiver.take()
		w.receiver.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		unanswered := w.use(3)
		settle(10 * time.Second)
		w.stop() // in the middle of a request
		w.wantIDs(ids(t, w.receiver.take()), unanswered)
		missed := w.use(2) // while there is no sender
		w.receiver.answers(nil)
		w.start()
		settle(2 * time.Second)
		w.wantIDs(ids(t, w.receiver.take()), append(unanswered, missed...))
		w.stop()
		w.start()
		settle(time.Minute)
		if again := ids(t, w.receiver.take()); len(again) != 0 {
			t.Errorf("after a restart %v came again", again)
		}
	})
}

// TestResume_FromAnyRecord moves a webhook back and forth.
func TestResume_FromAnyRecord(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.use(3)
		w.start()
		resume := func(from string, want []string) {
			t.Helper()
			if _, err := w.sender.Resume(t.Context(), "billing", from); err != nil {
				t.Fatal(err)
			}
			settle(2 * time.Second)
			w.wantIDs(ids(t, w.receiver.take()), want)
		}
		resume(webhook.FromStart, all)
		resume("", nil)
		resume(all[0], all[1:])
		w.receiver.answers(status(500))
		w.use(2)
		settle(time.Minute)
		w.receiver.take()
		w.receiver.answers(nil)
		resume(webhook.FromNow, nil)
		resume("", nil)
		if _, err := w.sender.Resume(t.Context(), "billing", "no-such-record"); err == nil {
			t.Error("an unknown record was accepted")
		}
		if _, err := w.sender.Resume(t.Context(), "nobody", ""); err == nil {
			t.Error("an unknown webhook was accepted")
		}
	})
}

// TestCursorLost_IsHeld: retention has deleted the record where a webhook stopped, so that nobody knows what it has missed.
func TestCursorLost_IsHeld(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.use(1)
		settle(2 * time.Second)
		w.receiver.take()
		w.stop()
		if err := w.store.SaveSetting(t.Context(), "webhook/billing", "cursor", "no-such-record"); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.use(1)
		settle(time.Minute)
		w.wantState(webhook.StateHeld, "cursor_lost")
		if got := w.receiver.take(); len(got) != 0 {
			t.Errorf("%d requests came", len(got))
		}
	})
}

// TestStore_ThatFailsSendsNothingTwiceInOneLife: the endpoint has what it has taken, whether or not the store can keep it.
func TestStore_ThatFailsSendsNothingTwiceInOneLife(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		want := w.use(1)
		if err := w.store.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec("CREATE TRIGGER broken BEFORE INSERT ON settings BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		w.wantIDs(ids(t, w.receiver.take()), want)
		if s := w.sender.List()[0]; s.State != webhook.StateFailing || !strings.Contains(s.Reason, "the disk is full") {
			t.Errorf("got %+v", s)
		}
		if err := w.store.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec("DROP TRIGGER broken")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		w.wantState(webhook.StateSending, "")
		later := w.use(1)
		settle(2 * time.Second)
		w.wantIDs(ids(t, w.receiver.take()), later)
		w.wantState(webhook.StateSending, "")
		w.stop()
		w.start()
		settle(time.Minute)
		w.wantIDs(ids(t, w.receiver.take()), nil)
	})
}

// TestSlowEndpoint_HoldsNobodyUp: records are appended, and notices told, while a request hangs.
func TestSlowEndpoint_HoldsNobodyUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.receiver.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w.start()
		w.use(1)
		settle(5 * time.Second)
		began := time.Now()
		w.use(100)
		for i := range 10 {
			n := webhook.Notice{ID: fmt.Sprint("n", i), Event: webhook.EventBudgetThreshold, Org: "acme"}
			if _, err := w.sender.Notify(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > time.Second { // virtual time: nobody has waited
			t.Errorf("it took %s", took)
		}
	})
}
