package certs

import (
	"os"
	"time"
)

// states tell whether one of the files has changed.
type states [3]state

// state is that of a file, or of what a link leads to; zero = there is none.
type state struct {
	at   time.Time
	size int64
	mode os.FileMode
}

func (s *Certs) states() (all states) {
	for i, file := range []string{s.c.Cert, s.c.Key, s.c.CA} {
		if info, err := os.Stat(file); err == nil {
			all[i] = state{info.ModTime(), info.Size(), info.Mode()}
		}
	}
	return all
}
