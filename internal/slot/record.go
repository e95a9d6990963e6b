package slot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	if term <= s.term {
		return
	}
	s.term = term
	if !s.cfg.KeepTerm {
		return
	}
	if err := os.WriteFile(s.termFile(), strconv.AppendUint(nil, term, 10), 0o600); err != nil {
		s.cfg.Log.Warn("the term was not kept", "reason", err)
	}
}

func (s *Slot) termFile() string { return filepath.Join(s.dir, "term") }

// restoreTerm goes on where an earlier supervisor of the directory ended: with its term, and with numbers above all that it has used.
func (s *Slot) restoreTerm() {
	if data, err := os.ReadFile(s.termFile()); err == nil && s.cfg.KeepTerm {
		s.term, _ = strconv.ParseUint(string(data), 10, 64)
	}
	s.seq = uint64(time.Now().UnixMicro())
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
