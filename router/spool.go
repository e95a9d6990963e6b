package router

import "github.com/pilotlight-io/pilotlight/internal/edge"

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
