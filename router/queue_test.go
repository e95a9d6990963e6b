package router_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
)

// TestQueue_AnOperatorEndsAWait: who waits is told so, and that a retry cannot help.
func TestQueue_AnOperatorEndsAWait(t *testing.T) {
	t.Parallel()
	for mode, status := range map[string]int{"": 503, stream: 200} { // the stream has got keep-alives
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{load: time.Hour})
			answered := w.ask(chat(chatModel, mode))
			time.Sleep(time.Minute)
			list, all := activator.QueueOf(w.act).Waiting(chatModel, 10)
			if all != 1 || len(list) != 1 || list[0].Org != "acme" || list[0].Request == "" || time.Since(list[0].Since) != time.Minute {
				t.Fatalf("got %+v of %d, want the one that has waited for a minute", list, all)
			}
			if ended := activator.QueueOf(w.act).EndWaiting(chatModel, "acme", list[0].Request); ended != 1 {
				t.Fatalf("ended %d, want 1", ended)
			}
			a := <-answered
			code, message := errorOf(a.text)
			if a.StatusCode != status || code != "overloaded" || !strings.Contains(message, "An operator has ended the request") {
				t.Errorf("got %d %s: %s", a.StatusCode, code, message)
			}
			if status != 200 && a.Header.Get("x-should-retry") != "false" {
				t.Error("a stock client would try again")
			}
		})
	}
}
