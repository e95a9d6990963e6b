package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// unready says, for anybody to read, why no request should be sent here; nil = requests are served. An outage that hot models survive is no such reason.
func (s *server) unready() error {
	if m := s.c.Member; m != nil {
		_, leads := m.term()
		if m.met.Load() || !leads {
			return m.unready()
		}
		err := s.unheard()
		m.met.Store(err == nil)
		return err
	}
	if err := s.c.Lead.err(); err != nil {
		return err
	}
	return s.unheard()
}

// unheard says, for anybody to read, whose first word is waited for; nil = nobody's.
func (s *server) unheard() error {
	sources := s.activator.Sources()
	if err := s.silence.err(sources); err != nil {
		return err
	}
	unheard := 0
	for k := range sources {
		if sources[k].Awaited {
			unheard++
		}
	}
	switch unheard {
	case 0:
		return nil
	case 1:
		return errors.New("no answer yet from the supervisor of 1 slot")
	default:
		return fmt.Errorf("no answer yet from the supervisors of %d slots", unheard)
	}
}

// readiness is unready for operators, who are also told that the server is stopping.
func (s *server) readiness() error {
	if s.draining.Load() {
		return errStopping
	}
	return s.unready()
}

// degraded says, for anybody to read, what is lacking of a server that serves.
func (s *server) degraded() []string {
	var all []string
	standing := s.standing()
	if standing.Stage == consul.Unsure {
		all = append(all, "it is not certain which server leads, "+since(standing.Since)+": nothing is started or stopped")
	}
	if s.c.Member != nil && standing.Stage == consul.Waiting {
		all = append(all, s.c.Member.lacks()...)
	}
	for _, source := range s.activator.Sources() {
		switch {
		case source.Lost == "":
		case source.Denied:
			all = append(all, fmt.Sprintf("%s refuses the token, or a right, %s", source.Name, since(source.Since)))
		default:
			all = append(all, fmt.Sprintf("%s cannot be reached %s", source.Name, since(source.Since)))
		}
	}
	return all
}

func since(t time.Time) string { return "since " + t.UTC().Format(time.RFC3339) }
