package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SLO is a service level objective: what an answer may take at most to count as good. The zero value is none.
type SLO struct {
	TTFT       time.Duration // to the first token; 0 = any
	InterToken time.Duration
	E2E        time.Duration
}

// ParseSLO reads objectives such as "ttft=500ms,inter_token=50ms,e2e=10s"; "" = none.
func ParseSLO(text string) (SLO, error) {
	var o SLO
	for part := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		most, err := time.ParseDuration(value)
		to, known := o.parts()[name]
		if !found || !known || err != nil || most <= 0 {
			return SLO{}, fmt.Errorf("%q is no objective; write such as ttft=500ms,inter_token=50ms,e2e=10s", part)
		}
		*to = most
	}
	return o, nil
}

func (o *SLO) parts() map[string]*time.Duration {
	return map[string]*time.Duration{MetricTTFT: &o.TTFT, MetricInterToken: &o.InterToken, MetricE2E: &o.E2E}
}

// String writes the objectives as ParseSLO reads them.
func (o SLO) String() string {
	var said []string
	for name, most := range o.parts() {
		if *most > 0 {
			said = append(said, name+"="+most.String())
		}
	}
	slices.Sort(said)
	return strings.Join(said, ",")
}

// met reports whether a whole answer meets the objectives. What an answer does not have, such as the first token of one that is no stream, counts as met
// only if nothing is asked of it.
func (o *SLO) met(s *Sample) bool {
	within := func(d time.Duration, has bool, most time.Duration) bool { return most == 0 || has && d <= most }
	ttft, first := s.took(s.First)
	e2e, ended := s.took(s.End)
	between, some := s.interToken()
	return within(ttft, first, o.TTFT) && within(e2e, ended, o.E2E) && (within(between, some, o.InterToken) || first && !some)
}
