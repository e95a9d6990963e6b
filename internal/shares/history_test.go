package shares_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// op is what a caller does to one of the servers: a request comes, whose output is whether it was admitted; or one ends.
type op struct{ ends bool }

// history is what callers did, and were told.
type history struct {
	began time.Time

	mu  sync.Mutex // guards ops
	ops []porcupine.Operation
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) do(client int, in op, f func() bool) bool {
	called := time.Since(h.began)
	got := f()
	returned := time.Since(h.began)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: got, Call: int64(called), Return: int64(returned)})
	return got
}

// check sees whether one limit, asked by one after the other, explains the history.
func (h *history) check(t *testing.T, limit int) {
	t.Helper()
	model := porcupine.Model{
		Init: func() any { return 0 },
		Step: func(before, in, out any) (bool, any) {
			switch open := before.(int); {
			case in.(op).ends:
				return true, open - 1
			case out == true:
				return open < limit, open + 1
			default:
				return open == limit, open
			}
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %v", in, out) },
	}
	if got := porcupine.CheckOperationsTimeout(model, h.ops, 20*time.Second); got != porcupine.Ok {
		t.Errorf("got %s of a limit of %d, want one that some order explains: %v", got, limit, h.ops)
	}
}
