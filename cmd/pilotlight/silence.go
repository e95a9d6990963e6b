package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// silence keeps which sources have not spoken since the server began. Until then it is not known what runs already, and a server that is asked is
// not ready. Who falls silent later leaves it ready: what was said last still stands.
type silence struct {
	mu      sync.Mutex // guards awaited
	awaited []*awaited
}

// await makes a source awaited, until it has told its first observation. What it gives can be asked again if the source can. name is what people call it, source its name in observations.
func (s *silence) await(name, source string, o activator.Observer) activator.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &awaited{Observer: o, name: name, source: source, silence: s}
	s.awaited = append(s.awaited, a)
	if asker, can := o.(activator.Asker); can {
		return struct {
			*awaited
			activator.Asker
		}{a, asker}
	}
	return a
}

// err names who has not spoken yet, and who of them refuses a token; nil = all have spoken.
func (s *silence) err(sources []fleet.SourceStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, a := range s.awaited {
		text := a.name
		if slices.ContainsFunc(sources, func(s fleet.SourceStatus) bool { return s.Name == a.source && s.Denied }) {
			text += " (it refuses the token, or a right)"
		}
		missing = append(missing, text)
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("no answer yet from %s", strings.Join(missing, " and "))
}

func (s *silence) broken(by *awaited) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited = slices.DeleteFunc(s.awaited, func(a *awaited) bool { return a == by })
}

// awaited is a source whose first word is waited for.
type awaited struct {
	activator.Observer
	name, source string
	silence      *silence
}

// Watch is the source's own Watch, and tells that the source is lost where that has ended in an error.
func (a *awaited) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	var once sync.Once
	err := a.Observer.Watch(ctx, func(o fleet.Observation) {
		tell(o)
		if o.Lost == nil {
			once.Do(func() { a.silence.broken(a) })
		}
	})
	if err != nil && ctx.Err() == nil {
		tell(fleet.Observation{Source: a.source, At: time.Now(), Lost: err})
	}
	return err
}
