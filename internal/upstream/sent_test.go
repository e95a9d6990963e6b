package upstream_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// sent keeps when a request was sent.
type sent []time.Time

func (s *sent) Sent(at time.Time) { *s = append(*s, at) }

// TestSent_ToldBeforeTheAnswer: whoever is told of the dispatch hears of it while the engine has said nothing yet.
func TestSent_ToldBeforeTheAnswer(t *testing.T) {
	var told sent
	before := 0
	e := newEngine(t, func(_ int64, c *serverConn) {
		c.request()
		before = len(told)
		c.say(okAnswer)
	})
	c := newClient(t, upstream.Config{})
	var call upstream.Call
	defer call.Close()
	r := post(e.addr, "{}")
	r.Sent = &told
	if err := c.Do(&call, r); err != nil {
		t.Fatal(err)
	}
	if before != 1 || len(told) != 1 || !told[0].Equal(call.Dispatched()) {
		t.Errorf("got %v told, %d of it before the answer, want once, of %v", told, before, call.Dispatched())
	}
}
