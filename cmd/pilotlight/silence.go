package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// silence keeps which sources have not spoken since the server began. Until then it is not known what runs already, and a server that is asked is
// not ready. Who falls silent later leaves it ready: what was said last still stands.
type silence struct {
	mu      sync.Mutex // guards awaited
	awaited []string   // as people call them
}

// askable is a source that can be asked for a fresh list.
type askable interface{ AskAgain(source string) }

// await makes a source awaited, until it has told its first observation. What it gives can be asked again if the source can.
func (s *silence) await(name string, source activator.Observer) activator.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = append(s.awaited, name)
	a := awaited{Observer: source, name: name, silence: s}
	if again, ok := source.(askable); ok {
		return struct {
			awaited
			askable
		}{a, again}
	}
	return a
}

// err names who has not spoken yet; nil = all have.
func (s *silence) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.awaited) == 0 {
		return nil
	}
	return fmt.Errorf("no answer yet from %s", strings.Join(s.awaited, " and "))
}

func (s *silence) broken(by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = slices.DeleteFunc(s.awaited, func(name string) bool { return name == by })
}

// awaited is a source whose first word is waited for.
type awaited struct {
	activator.Observer
	name    string
	silence *silence
}

// Watch is the source's own Watch.
func (a awaited) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	var once sync.Once
	return a.Observer.Watch(ctx, func(o fleet.Observation) {
		tell(o)
		once.Do(func() { a.silence.broken(a.name) })
	})
}
