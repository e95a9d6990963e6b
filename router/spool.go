package router

// spool is an answer's body that is being collected.
type spool struct {
	mem  *buffer
	n    int
	lent []byte // all of it, where it came in one piece: the engine's call lends it until it is closed
}

func (s *spool) bytes() []byte {
	if s.lent != nil || s.mem == nil {
		return s.lent
	}
	return s.mem.b[:s.n]
}

// restart forgets what was collected, and keeps the memory.
func (s *spool) restart() { s.n, s.lent = 0, nil }

func (s *spool) borrow(whole []byte) { s.n, s.lent = len(whole), whole }

// reserve makes room for size bytes in all.
func (s *spool) reserve(size int) error {
	if s.mem != nil && len(s.mem.b) >= size {
		return nil
	}
	mem, err := acquireBuffer(size)
	if err != nil {
		return err
	}
	copy(mem.b, s.bytes())
	releaseBuffer(s.mem)
	s.mem = mem
	return nil
}

func (s *spool) append(p []byte) error {
	if need := s.n + len(p); s.mem == nil || need > len(s.mem.b) {
		if err := s.reserve(max(need, 4*s.n)); err != nil {
			return err
		}
	}
	s.n += copy(s.mem.b[s.n:], p)
	return nil
}

func (s *spool) free() {
	releaseBuffer(s.mem)
	*s = spool{}
}
