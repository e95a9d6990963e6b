package router

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// spool is an answer's body that is being collected.
type spool struct {
	mem  *edge.Buffer
	n    int
	lent []byte // all of it, where it came in one piece: the engine's call lends it until it is closed
}

func (s *spool) bytes() []byte {
	if s.lent != nil || s.mem == nil {
		return s.lent
	}
	return s.mem.B[:s.n]
}

// restart forgets what was collected, and keeps the memory.
func (s *spool) restart() { s.n, s.lent = 0, nil }

func (s *spool) borrow(whole []byte) { s.n, s.lent = len(whole), whole }

// reserve makes room for size bytes in all.
func (s *spool) reserve(size int) error {
	if s.mem != nil && len(s.mem.B) >= size {
		return nil
	}
	mem, err := edge.AcquireBuffer(size)
	if err != nil {
		return err
	}
	copy(mem.B, s.bytes())
	s.mem.Release()
	s.mem = mem
	return nil
}

func (s *spool) append(p []byte) error {
	if need := s.n + len(p); s.mem == nil || need > len(s.mem.B) {
		if err := s.reserve(max(need, 4*s.n)); err != nil {
			return err
		}
	}
	s.n += copy(s.mem.B[s.n:], p)
	return nil
}

func (s *spool) free() {
	s.mem.Release()
	*s = spool{}
}

const (
	// answerFree is how much of an answer is held whatever others hold: most answers are that small.
	answerFree = 64 << 10
	// answerPiece is how much of a larger one is charged at once.
	answerPiece = 256 << 10
	// answerPatience is how long an answer that has to be held may wait for memory.
	answerPatience = 5 * time.Second
)

// collects charges the answer's first n bytes to the caller's organisation, and is false where there is no memory to hold more: the answer is relayed then.
// One that has to be translated is waited with, and fails with an error.
func (a *attempt) collects(n int) (bool, error) {
	c := &a.in.charge
	held := int(c.Held(account.Answer))
	if n <= held {
		return true, nil
	}
	if n <= answerFree {
		c.Force(account.Answer, int64(n-held))
		return true, nil
	}
	more := int64(max(n-held, answerPiece))
	if c.Take(account.Answer, more) == nil {
		return true, nil
	}
	if a.in.translation != nil {
		return true, c.Await(account.Answer, more, answerPatience, a.in.gone)
	}
	c.Force(account.Answer, int64(n-held)) // they have come already
	return false, nil
}

// weigh charges what a stream holds of an answer: events that the caller has not got yet, and one that is not whole.
func (a *attempt) weigh() {
	c := &a.in.charge
	n, held := int64(cap(a.out)+a.line.scan.Buffered()), c.Held(account.Answer)
	if n <= answerFree {
		n = 0
	}
	switch {
	case n > held:
		c.Force(account.Answer, n-held)
	case n < held:
		c.Give(account.Answer, held-n)
	}
}

// drop gives back what was collected.
func (a *attempt) drop() {
	a.whole.free()
	a.in.charge.Free(account.Answer)
}

// slim empties b, and lets its memory go where that is more than keep.
func slim(b []byte, keep int) []byte {
	if cap(b) > keep {
		return nil
	}
	return b[:0]
}
