package slot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// record is what a process file holds: enough to know the process again, or to know that it is another one by now.
type record struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since boot; 0 = not known
	Boot  string `json:"boot"`  // identity of this boot of the machine
	Owner string `json:"owner"` // a copied directory names the original's
}

// record writes the process file of an instance.
func (s *Slot) record(i *instance, pid int) error {
	r := record{PID: pid, Start: startTime(pid), Boot: bootID(), Owner: s.owner}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(s.file(i, ".pid"), data, 0o600)
}

func (s *Slot) unrecord(i *instance) { os.Remove(s.file(i, ".pid")) }

// raiseTerm takes over a higher term. It is kept for the supervisor's next life, whose observations must not look older than those of this one. It
// needs mu.
func (s *Slot) raiseTerm(term uint64) {
	if term > s.term {
		s.term = term
		s.keepTerm()
	}
}

// keepTerm keeps the term, and the number of the last observation. The file is replaced as a whole: a full disk, or the end of this process, leaves the
// former one.
func (s *Slot) keepTerm() {
	if !s.cfg.KeepTerm {
		return
	}
	next := s.termFile() + ".next"
	err := os.WriteFile(next, fmt.Appendf(nil, "%d %d", s.term, s.seq), 0o600)
	if err == nil {
		err = os.Rename(next, s.termFile())
	}
	if err != nil {
		s.cfg.Log.Warn("the term was not kept", "reason", err)
	}
}

func (s *Slot) termFile() string { return filepath.Join(s.dir, "term") }

// saidMost is more than one life of a supervisor observes after it has last kept a number.
const saidMost = 1 << 32

// restoreTerm goes on where an earlier supervisor of the directory ended: with its term, and with numbers above all that it has used, though the clock
// was set back since.
func (s *Slot) restoreTerm(now time.Time) {
	s.seq = uint64(now.UnixMicro())
	if !s.cfg.KeepTerm {
		return
	}
	if data, err := os.ReadFile(s.termFile()); err == nil {
		var said uint64
		if n, _ := fmt.Sscan(string(data), &s.term, &said); n == 2 { // before, there was the term alone
			s.seq = max(s.seq, said+saidMost)
		}
	}
	s.keepTerm()
}

// killLeftovers kills what an earlier supervisor of this directory has left: by process group what has a process file, one by one
// what bears its mark in the environment. It returns when they have ended, or after some seconds.
func (s *Slot) killLeftovers() {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.pid"))
	for _, file := range files {
		r, err := readRecord(file)
		if err == nil && r.Owner == s.owner && r.Boot == bootID() && r.Start != 0 && startTime(r.PID) == r.Start {
			s.cfg.Log.Warn("killing an engine of an earlier life", "pid", r.PID)
			killGroup(r.PID)
			awaitGroup(r.PID)
		}
	}
	if n := killMarked(s.mark(), s.cfg.User); n > 0 {
		s.cfg.Log.Warn("killed processes of an earlier life", "processes", n)
	}
	for _, file := range files {
		os.Remove(file)
	}
}

func readRecord(file string) (record, error) {
	var r record
	data, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading %s: %w", filepath.Base(file), err)
	}
	return r, nil
}
