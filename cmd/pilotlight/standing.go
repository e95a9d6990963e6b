package main

import (
	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// standing is how this server stands to the lead, whether it is the only one or one of several.
func (s *server) standing() consul.Standing {
	if s.c.Member != nil {
		return s.c.Member.standing()
	}
	standing, _ := s.c.Lead.standing()
	return standing
}

// leads reports whether this server decides.
func (s *server) leads() bool {
	if s.c.Member != nil {
		return s.c.Member.leads()
	}
	return s.c.Lead.leads()
}

// term is that in which this server leads; 0 = it does not.
func (s *server) term() uint64 {
	if s.c.Member != nil {
		term, _ := s.c.Member.term()
		return term
	}
	return s.c.Lead.term
}

func (s *server) leadMetrics() *metrics.Set {
	if s.c.Member != nil {
		return s.c.Member.metrics
	}
	return s.c.Lead.metrics
}
