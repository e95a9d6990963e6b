package console

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// waitsShown bounds how many models with waiters, and instances in trouble, the page of the fleet has.
const waitsShown = 50

// fleetGroups is the fleet's page: all of it, or where a visitor looks for something, the nodes, slots and models that have it.
func fleetGroups(base string, find finding) []group {
	return []group{
		{"fleet-sum", "fleet-sum", emptyText{}, func(s *state) []part { return []part{{"fleet-figures", "", sumOfFleet(s)}} }},
		{"wait-row", "waits", emptyText{Text: "Nobody waits.", Columns: 6}, func(s *state) []part { return waitRows(s, base, find) }},
		{"trouble-row", "troubles", emptyText{Text: "Every engine is in order, and no breaker is open.", Columns: 5}, func(s *state) []part { return troubleRows(s, base, find) }},
		{"activation-row", "starting", emptyText{Text: "Nothing starts or wakes."}, func(s *state) []part { return startingRows(s, find) }},
		{"node-row", "nodes", emptyText{Text: "No node is known.", Columns: 7}, func(s *state) []part { return nodeRows(s, find) }},
		{
			"slot-card", "slots",
			emptyText{Title: "Nothing runs", Text: "Slots and instances are here as soon as somebody wants a model."},
			func(s *state) []part { return cardsOf(s, base, find) },
		},
		{"decision-row", "decisions", emptyText{Text: "Nothing was decided since this server began.", Columns: 4}, func(s *state) []part {
			var parts []part
			for i := range s.Decisions {
				if n := &s.Decisions[i]; len(parts) < decisionsShown && n.From != n.To && find.has(n.Model, n.Instance, n.Reason) {
					row := decisionOf(n, base)
					parts = append(parts, part{row.ID, "", row})
				}
			}
			return parts
		}},
		{"server-row", "servers", emptyText{}, func(s *state) []part {
			var parts []part
			for _, one := range s.Servers {
				parts = append(parts, part{elementID("server", one.Name), "", serverRow{elementID("server", one.Name), one}})
			}
			return parts
		}},
	}
}

// serverRow is one server.
type serverRow struct {
	ID string
	Server
}

// fleetSum is the fleet in figures.
type fleetSum struct {
	GPUs, Awake                 int
	Hot, Starting, Parked, Cold int // models
	Inflight, Waiting           int
}

func sumOfFleet(s *state) fleetSum {
	var sum fleetSum
	for i := range s.Models {
		m := &s.Models[i]
		sum.Inflight += m.Inflight
		sum.Waiting += m.Waiting
		switch m.State {
		case "hot":
			sum.Hot++
		case "starting":
			sum.Starting++
		case "parked":
			sum.Parked++
		default:
			sum.Cold++
		}
	}
	for _, n := range nodesOf(s) {
		sum.GPUs += n.GPUs
		sum.Awake += n.Awake
	}
	return sum
}

// waitRow is one model that requests wait for.
type waitRow struct {
	ID, Base, Model string
	Waiting         int
	Outlook         fleet.Outlook
}

func waitRows(s *state, base string, find finding) []part {
	var rows []waitRow
	for i := range s.Models {
		if m := &s.Models[i]; m.Waiting > 0 && find.has(m.Model.ID, m.Outlook.Reason) {
			row := waitRow{elementID("wait", m.Model.ID), base, m.Model.ID, m.Waiting, m.Outlook}
			row.Outlook.ETA = row.Outlook.ETA.Round(time.Second)
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b waitRow) int { return cmp.Compare(b.Waiting, a.Waiting) })
	var parts []part
	for _, r := range rows[:min(len(rows), waitsShown)] {
		parts = append(parts, part{r.ID, "", r})
	}
	return parts
}

// troubleRow is an instance that has failed, or whose breaker is not closed.
type troubleRow struct {
	ID, Base, Instance, Model string
	State                     fleet.State
	Breaker, Why              string
}

func troubleRows(s *state, base string, find finding) []part {
	var parts []part
	for k := range s.Instances {
		i := &s.Instances[k]
		tripped := i.Breaker != "" && i.Breaker != "closed"
		if !tripped && i.Failure == "" || len(parts) >= waitsShown || !find.has(i.ID, i.Model, i.Failure, i.BreakerWhy) {
			continue
		}
		row := troubleRow{elementID("trouble", i.ID), base, i.ID, i.Model, i.State, cmp.Or(i.Breaker, "closed"), cmp.Or(i.Failure, i.BreakerWhy)}
		parts = append(parts, part{row.ID, "", row})
	}
	return parts
}

func startingRows(s *state, find finding) []part {
	var parts []part
	for i := range s.Activations {
		if a := &s.Activations[i]; a.Ended.IsZero() && len(parts) < waitsShown && find.has(a.Model, a.Instance) {
			r := rowOf(a)
			parts = append(parts, part{r.ID, "", r})
		}
	}
	return parts
}

func (v *visit) fleet() error {
	find := v.find()
	topic := "fleet"
	if find.q != "" {
		topic += ":" + find.q
	}
	live, err := v.liveParts(topic)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "fleet", "Fleet", map[string]any{"Charts": v.plotsOf(""), "Live": live, "Q": find.q})
}
