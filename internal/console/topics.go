package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// elementID is the ID of the element that shows a thing of this name.
func elementID(kind, name string) string {
	h := uint64(14695981039346656037) // FNV-1a: it is asked for all parts at every look
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return kind + "-" + strconv.FormatUint(h, 16)
}

// topicOf finds a topic that the visitor may follow.
func (v *visit) topicOf(name string) (named, error) {
	kind, of, _ := strings.Cut(name, ":")
	switch {
	case name == "models":
		return named{name + v.view(), modelsGroups(v.isOperator())}, nil
	case kind == "model" && v.sees(of) && v.knows(of):
		return named{name + v.view(), modelGroups(of, v.isOperator())}, nil
	case kind == "fleet" && v.isOperator():
		return named{name, fleetGroups(v.base, findingOf(of))}, nil
	case kind == "activations" && v.isOperator():
		column, q, _ := strings.Cut(of, ":")
		return named{name, activationsGroups(column, findingOf(q))}, nil
	}
	return named{}, &problem{http.StatusNotFound, "There is no such topic", "Nothing of this name can be followed."}
}

func (v *visit) knows(model string) bool { return modelIn(v.hub.look(fresh), model) != nil }

// view tells apart what operators and callers are shown of the same thing.
func (v *visit) view() string {
	if v.isOperator() {
		return "/operator"
	}
	return "/caller"
}

func modelIn(s *state, id string) *fleet.ModelStatus {
	i := slices.IndexFunc(s.Models, func(m fleet.ModelStatus) bool { return m.Model.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Models[i]
}

// stateCell is a model's state where it stands in a list.
type stateCell struct {
	ID       string
	State    string
	Phase    fleet.Phase
	Reason   string
	ETA      time.Duration
	Operator bool
	Hot      int
	Starting int
	Parked   int
	Waiting  int
	Inflight int
}

func stateOf(m *fleet.ModelStatus, id string, operator bool) stateCell {
	c := stateCell{ID: id, State: m.State, Operator: operator}
	if m.State == "starting" {
		c.Phase, c.ETA = m.Outlook.Phase, m.Outlook.ETA.Round(time.Second)
	}
	if operator {
		c.Hot, c.Starting, c.Parked, c.Waiting, c.Inflight = m.Hot, m.Pending, m.Parked, m.Waiting, m.Inflight
	}
	return c
}

// modelsGroups is the state of each model in the list of all.
func modelsGroups(operator bool) []group {
	return []group{{"state-cell", "", emptyText{}, func(s *state) []part {
		parts := make([]part, 0, len(s.Models))
		for i := range s.Models {
			m := &s.Models[i]
			id := elementID("state", m.Model.ID)
			parts = append(parts, part{id, m.Model.ID, stateOf(m, id, operator)})
		}
		return parts
	}}}
}

// modelNow is what a model's page shows of the moment.
type modelNow struct {
	stateCell
	Answer  fleet.Answer
	Desired string
	Active  activationRow // the one that is under way, if any
}

func modelGroups(id string, operator bool) []group {
	element := elementID("now", id)
	return []group{{"model-now", "now", emptyText{}, func(s *state) []part {
		m := modelIn(s, id)
		if m == nil {
			return nil
		}
		now := modelNow{stateCell: stateOf(m, element, operator), Answer: m.Outlook.Answer}
		if now.Phase, now.ETA = m.Outlook.Phase, m.Outlook.ETA.Round(time.Second); m.Waiting > 0 || m.State == "starting" {
			now.Reason = m.Outlook.Reason
		}
		if operator {
			now.Desired = m.Desired.Reason
		}
		for i := range s.Activations {
			if a := &s.Activations[i]; a.Model == id && a.Ended.IsZero() {
				now.Active = rowOf(a)
				break
			}
		}
		return []part{{element, id, now}}
	}}}
}
