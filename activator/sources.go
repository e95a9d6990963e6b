package activator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slotSources begin with this, and slotsSource stands for all of them where names must be few.
const (
	slotSources = "slot/"
	slotsSource = "slots"
)

// Sources tells how each source stands that has spoken, or was found lost, in this life; in the order of their names.
func (a *Activator) Sources() []fleet.SourceStatus {
	a.planning.Lock()
	defer a.planning.Unlock()
	return slices.Clone(a.sources)
}

// standing gives the entry of a source, made where there is none; planning is held.
func (a *Activator) standing(name string) *fleet.SourceStatus {
	at, known := slices.BinarySearchFunc(a.sources, name, func(s fleet.SourceStatus, name string) int { return strings.Compare(s.Name, name) })
	if !known {
		a.sources = slices.Insert(a.sources, at, fleet.SourceStatus{Name: name, Since: time.Now()})
	}
	return &a.sources[at]
}

// reached notes that a source speaks, and gives how it stood before; planning is held. A slot's source is forgotten with its slot.
func (a *Activator) reached(o *fleet.Observation) (before fleet.SourceStatus) {
	s := a.standing(o.Source)
	before = *s
	if s.Lost != "" {
		*s = fleet.SourceStatus{Name: o.Source, Since: time.Now()}
		a.planner.excuse = a.excuse()
	}
	if o.Complete && o.Slots != nil && len(o.Slots) == 0 && strings.HasPrefix(o.Source, slotSources) {
		a.sources = slices.DeleteFunc(a.sources, func(s fleet.SourceStatus) bool { return s.Name == o.Source })
	}
	return before
}

// lose notes that a source cannot be heard, and why. Of an outage the log has its beginning, its end, and what changes its kind: that it goes on is for
// whoever looks closely.
func (a *Activator) lose(name string, why error) {
	a.planning.Lock()
	s := a.standing(name)
	before := *s
	s.Lost, s.Denied = why.Error(), errors.Is(why, fleet.ErrDenied)
	if before.Lost == "" {
		s.Since = time.Now()
	}
	level := slog.LevelDebug
	if before.Lost == "" || before.Denied != s.Denied {
		level = slog.LevelWarn
	}
	a.planner.excuse = a.excuse()
	a.planner.Lost(name)
	a.exchange()
	a.finishPlanning()
	a.log.Log(context.Background(), level, "source lost", "source", name, "reason", why)
}

// excuse is what those are told who wait while a source of places is lost; "" = none is. It holds no addresses, and is for callers.
func (a *Activator) excuse() string {
	for i := range a.sources {
		s := &a.sources[i]
		switch places := s.Name != "consul" && s.Name != probeSource && !strings.HasPrefix(s.Name, slotSources); {
		case !places || s.Lost == "":
		case s.Denied:
			return "the back end refuses this server's token, or a right"
		default:
			return "the back end cannot be reached"
		}
	}
	return ""
}

// writeSources writes whether the sources can be heard; those of all slots are one.
func (a *Activator) writeSources(w io.Writer) {
	up := map[string]uint64{}
	var names []string
	for _, s := range a.Sources() {
		name := s.Name
		if strings.HasPrefix(name, slotSources) {
			name = slotsSource
		}
		if _, seen := up[name]; !seen {
			up[name], names = 1, append(names, name)
		}
		if s.Lost != "" {
			up[name] = 0
		}
	}
	for _, name := range names {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_source_up{source=%q}", name), up[name])
	}
}
