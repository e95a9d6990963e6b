package console

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	decisionsKept  = 1000
	decisionsShown = 20          // on the page of the fleet
	decisionsPause = time.Second // so seldom those are sent again: each brings all of them
)

// decisions are the last notices of the fleet: each move of an instance, with its reason.
type decisions struct {
	mu     sync.Mutex // guards what follows
	kept   []fleet.Notice
	given  []fleet.Notice // newest first
	asOf   int            // how many had come when that was made
	came   int
	giveAt time.Time // not made again before
}

func (d *decisions) add(n fleet.Notice) {
	if n.Budget != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came++
	if d.kept = append(d.kept, n); len(d.kept) > decisionsKept {
		d.kept = append(d.kept[:0], d.kept[1:]...)
	}
}

// list gives those that are kept, newest first. It is the same list while nothing has come, and for decisionsPause.
func (d *decisions) list() []fleet.Notice {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.came > d.asOf && !now.Before(d.giveAt) {
		d.given, d.asOf, d.giveAt = slices.Clone(d.kept), d.came, now.Add(decisionsPause)
		slices.Reverse(d.given)
	}
	return d.given
}

// decisionRow is one decision as it is shown.
type decisionRow struct {
	ID, Base, Model, Instance string
	At                        time.Time
	From, To                  fleet.State // "" = none
	Reason                    string
	GPUSeconds                float64
	Waited                    time.Duration
}

func decisionOf(n *fleet.Notice, base string) decisionRow {
	return decisionRow{elementID("decision", itoa(int(n.ID))), base, n.Model, n.Instance, n.At, n.From, n.To, n.Reason, n.GPUSeconds, n.Waited}
}

// Phase says that an activation has come to another phase, which is no move.
func (d decisionRow) Phase() bool { return d.From == d.To }

func (v *visit) decisions() error {
	find := v.find()
	var rows []decisionRow
	for _, n := range v.hub.look(fresh).Decisions {
		if find.has(n.Model, n.Instance, string(n.From), string(n.To), n.Reason) {
			rows = append(rows, decisionOf(&n, v.base))
		}
	}
	sorting := v.sorting("-at")
	sortBy(rows, sorting.Now, map[string]func(a, b *decisionRow) int{
		"at":     func(a, b *decisionRow) int { return a.At.Compare(b.At) },
		"model":  func(a, b *decisionRow) int { return strings.Compare(a.Model, b.Model) },
		"move":   func(a, b *decisionRow) int { return strings.Compare(string(a.To), string(b.To)) },
		"reason": func(a, b *decisionRow) int { return strings.Compare(a.Reason, b.Reason) },
	})
	return v.show(http.StatusOK, "decisions", "Decisions", map[string]any{"Rows": rows, "Sort": sorting, "Q": find.q, "Kept": decisionsKept})
}
