package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// phases are those of an activation, in the order in which they come.
var phases = []fleet.Phase{
	fleet.PhaseQueued, fleet.PhaseSubmitted, fleet.PhasePlaced, fleet.PhasePulling, fleet.PhaseStarting, fleet.PhaseLoading, fleet.PhaseProbing,
}

// activationRow is one activation as a line of phases. It is comparable, so that an unchanged one is not drawn again.
type activationRow struct {
	ID       string
	Number   uint64
	Model    string
	Instance string
	From     fleet.Tier
	Reason   string
	Failure  string
	Began    time.Time
	Ended    time.Time // zero while it runs
	Phases   [12]phaseSpan
	Count    int // of Phases
	Waited   time.Duration
}

// phaseSpan is one phase: how long it took, and its part of the whole.
type phaseSpan struct {
	Phase fleet.Phase
	At    time.Time
	Took  time.Duration // 0 while it lasts
	Share int           // of a thousand
}

func (r activationRow) Spans() []phaseSpan { return r.Phases[:r.Count] }

func (r activationRow) Running() bool { return r.Number > 0 && r.Ended.IsZero() }

func (r activationRow) Took() time.Duration { return r.Ended.Sub(r.Began) }

// Now is the phase that lasts.
func (r activationRow) Now() fleet.Phase {
	if r.Count == 0 {
		return fleet.PhaseQueued
	}
	return r.Phases[r.Count-1].Phase
}

func rowOf(a *fleet.Activation) activationRow {
	r := activationRow{
		ID: elementID("activation", a.Instance+a.Began.String()), Number: a.ID, Model: a.Model, Instance: a.Instance, From: a.From, Reason: a.Reason, Failure: a.Failure,
		Began: a.Began, Ended: a.Ended,
	}
	if !a.Ended.IsZero() {
		r.Waited = a.Waited
	}
	steps := []fleet.PhaseTime{{Phase: fleet.PhaseQueued, At: a.Began}}
	for _, p := range a.Phases {
		if p.Phase == fleet.PhaseReady {
			continue
		}
		if last := &steps[len(steps)-1]; p.Phase == last.Phase {
			continue
		}
		steps = append(steps, p)
	}
	whole := a.Ended.Sub(a.Began)
	for i, p := range steps[:min(len(steps), len(r.Phases))] {
		span := phaseSpan{Phase: p.Phase, At: p.At}
		switch {
		case i+1 < len(steps):
			span.Took = max(steps[i+1].At.Sub(p.At), 0)
		case !a.Ended.IsZero():
			span.Took = max(a.Ended.Sub(p.At), 0)
		}
		if whole > 0 {
			span.Share = int(1000 * span.Took / whole)
		}
		r.Phases[i] = span
		r.Count++
	}
	return r
}

// activationsShown bounds the page.
const activationsShown = 100

// activationsGroups is the page of activations: the figures of those that a visitor looks for, sorted by a column, and the activations themselves.
func activationsGroups(column string, find finding) []group {
	none := emptyText{Title: "No activation yet", Text: "The first request to a model that is not hot begins one."}
	if find.q != "" {
		none = emptyText{Title: "No activation matches", Text: "Look for another model, instance, tier or reason."}
	}
	return []group{
		{"figure-row", "figures", emptyText{Text: "Nothing is measured yet.", Columns: 7}, func(s *state) []part {
			figures := figuresOf(s.Activations, find)
			sortFigures(figures, column)
			parts := make([]part, len(figures))
			for i, f := range figures {
				parts[i] = part{f.ID, "", f}
			}
			return parts
		}},
		{"activation-row", "activations", none, func(s *state) []part {
			var parts []part
			for i := range s.Activations {
				if a := &s.Activations[i]; len(parts) < activationsShown && foundActivation(find, a) {
					r := rowOf(a)
					parts = append(parts, part{r.ID, "", r})
				}
			}
			return parts
		}},
	}
}

func foundActivation(find finding, a *fleet.Activation) bool {
	return find.has(a.Model, a.Instance, string(a.From), a.Reason, a.Failure)
}

// phaseFigures are percentiles of what a phase took, over activations from one tier that have ended well. They are comparable, so that unchanged ones are not
// drawn again.
type phaseFigures struct {
	ID                 string
	From               fleet.Tier
	Phase              string
	N                  int
	P50, P90, P99, Max time.Duration
}

func figuresOf(all []fleet.Activation, find finding) (figures []phaseFigures) {
	type key struct {
		from  fleet.Tier
		phase string
	}
	took := map[key][]time.Duration{}
	for i := range all {
		a := &all[i]
		if a.Ended.IsZero() || a.Failure != "" || !foundActivation(find, a) {
			continue
		}
		r := rowOf(a)
		for _, p := range r.Spans() {
			k := key{a.From, string(p.Phase)}
			took[k] = append(took[k], p.Took)
		}
		whole := key{a.From, "whole"}
		took[whole] = append(took[whole], r.Took())
	}
	for k, spans := range took {
		slices.Sort(spans)
		at := func(percent int) time.Duration { return spans[min(len(spans)*percent/100, len(spans)-1)] }
		figures = append(figures, phaseFigures{elementID("figure", string(k.from)+" "+k.phase), k.from, k.phase, len(spans), at(50), at(90), at(99), spans[len(spans)-1]})
	}
	place := func(p string) int {
		if i := slices.Index(phases, fleet.Phase(p)); i >= 0 {
			return i
		}
		return len(phases)
	}
	slices.SortFunc(figures, func(a, b phaseFigures) int {
		return cmp.Or(strings.Compare(string(a.From), string(b.From)), cmp.Compare(place(a.Phase), place(b.Phase)))
	})
	return figures
}

// sortFigures sorts by a column of the table; by tier and phase, as they come, where it is none.
func sortFigures(figures []phaseFigures, column string) {
	sortBy(figures, column, map[string]func(a, b *phaseFigures) int{
		"from":  func(a, b *phaseFigures) int { return strings.Compare(string(a.From), string(b.From)) },
		"phase": func(a, b *phaseFigures) int { return strings.Compare(a.Phase, b.Phase) },
		"n":     func(a, b *phaseFigures) int { return a.N - b.N },
		"p50":   func(a, b *phaseFigures) int { return cmp.Compare(a.P50, b.P50) },
		"p90":   func(a, b *phaseFigures) int { return cmp.Compare(a.P90, b.P90) },
		"p99":   func(a, b *phaseFigures) int { return cmp.Compare(a.P99, b.P99) },
		"max":   func(a, b *phaseFigures) int { return cmp.Compare(a.Max, b.Max) },
	})
}

func (v *visit) activations() error {
	find, sorting := v.find(), v.sorting("from")
	live, err := v.liveParts("activations:" + sorting.Now + ":" + find.q)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "activations", "Activations", map[string]any{
		"Live": live, "Sort": sorting, "Phases": phases, "Q": find.q,
	})
}
