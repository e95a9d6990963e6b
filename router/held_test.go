//go:build !race

package router_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
)

// TestHeld_ARequestTakesOneSmallStack: thousands may wait for a cold model, each in the goroutine of its connection. A stack that has once had to be
// larger than 4 KB on the way to its wait stays so for as long as it waits, for the runtime halves only one of which less than a quarter is in use.
func TestHeld_ARequestTakesOneSmallStack(t *testing.T) {
	const requests = 400
	w := newWorld(t, setup{tcp: true, load: time.Hour})
	body := chat(chatModel, `,"max_tokens":16,"temperature":0.5`)
	text := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: router\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w.secret, len(body), body)
	before := stacks()
	for range requests {
		c, err := w.reach(context.Background())
		w.must(err)
		defer c.Close()
		_, err = fmt.Fprint(c, text)
		w.must(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, all := activator.QueueOf(w.act).Waiting(chatModel, 1)
		if all == requests {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests wait, want %d", all, requests)
		}
	}
	if each := (stacks() - before) / requests; each > 5<<10 {
		t.Errorf("a held request takes %d bytes of stack, want 4 KB: what runs before it waits has grown too deep (look for a large value on the stack)", each)
	}
}

// stacks gives the bytes of all stacks in use, once those that may be halved have been.
func stacks() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse)
}
