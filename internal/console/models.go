package console

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// liveParts are the parts of a topic as a page begins with them, and what it needs to follow them.
type liveParts struct {
	URL    string
	Parts  []template.HTML            // of the first group
	groups map[string][]template.HTML // by the ID of the element that has them
}

// In gives the parts that stand in an element.
func (l liveParts) In(container string) []template.HTML { return l.groups[container] }

func (v *visit) liveParts(topic string) (liveParts, error) {
	n, err := v.topicOf(topic)
	if err != nil {
		return liveParts{}, err
	}
	groups, version := v.hub.page(n, v.seesOnly())
	l := liveParts{URL: fmt.Sprintf("%s/live?topic=%s&since=%d", v.base, url.QueryEscape(topic), version), groups: map[string][]template.HTML{}}
	for k, parts := range groups {
		var drawn []template.HTML
		for _, p := range parts {
			drawn = append(drawn, template.HTML(p)) // drawn by our own templates
		}
		l.groups[n.groups[k].container] = drawn
		if k == 0 {
			l.Parts = drawn
		}
	}
	return l, nil
}

// modelRow is one line of the list of models.
type modelRow struct {
	ID, Pool  string
	GPUs      int
	Context   int
	PerSecond fleet.NanoUSD
	Endpoints []fleet.Endpoint
	Typical   typical
	Used      int64 // requests, for who may know how many
	State     template.HTML
	state     string
}

// perSecond is what a second of a model costs, rounded to a billionth of a dollar.
func (c *Console) perSecond(gpus int) fleet.NanoUSD {
	return ledger.Cost(time.Second, gpus, c.c.Price())
}

const askTimeout = 10 * time.Second

func (v *visit) asking() (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if v.act != nil {
		ctx = audit.With(ctx, v.act)
	}
	return context.WithTimeout(ctx, askTimeout)
}

func (v *visit) models() error {
	live, err := v.liveParts("models")
	if err != nil {
		return err
	}
	ctx, cancel := v.asking()
	defer cancel()
	usual, err := v.typicals(ctx)
	if err != nil {
		return err
	}
	counts := v.may(tenant.ScopeUsageRead)
	find, state := v.find(), v.Query("state")
	now := v.hub.look(fresh)
	var rows []modelRow
	shown := 0
	for i := range now.Models {
		m := &now.Models[i]
		if !v.sees(m.Model.ID) {
			continue
		}
		row := modelRow{
			ID: m.Model.ID, Pool: m.Model.Pool, GPUs: m.Model.GPUs, Context: m.Model.ContextLength, PerSecond: v.perSecond(m.Model.GPUs),
			Endpoints: m.Model.Endpoints, Typical: usual[m.Model.ID], state: m.State,
		}
		if shown < len(live.Parts) {
			row.State = live.Parts[shown]
		}
		shown++
		if counts && !row.Typical.OfAll {
			row.Used = row.Typical.Requests
		}
		if (state == "" || state == m.State) && find.has(m.Model.ID) {
			rows = append(rows, row)
		}
	}
	sorting := v.sorting("name")
	sortBy(rows, sorting.Now, map[string]func(a, b *modelRow) int{
		"name": func(a, b *modelRow) int {
			return strings.Compare(strings.ToLower(lastOf(a.ID)), strings.ToLower(lastOf(b.ID)))
		},
		"gpus":    func(a, b *modelRow) int { return a.GPUs - b.GPUs },
		"price":   func(a, b *modelRow) int { return cmp.Compare(a.PerSecond, b.PerSecond) },
		"context": func(a, b *modelRow) int { return a.Context - b.Context },
		"state":   func(a, b *modelRow) int { return strings.Compare(a.state, b.state) },
		"took":    func(a, b *modelRow) int { return cmp.Compare(a.Typical.Took, b.Typical.Took) },
		"cost":    func(a, b *modelRow) int { return cmp.Compare(a.Typical.Cost, b.Typical.Cost) },
		"used":    func(a, b *modelRow) int { return cmp.Compare(a.Used, b.Used) },
	})
	return v.show(http.StatusOK, "models", "Models", map[string]any{
		"Rows": rows, "Of": shown, "Live": live, "Q": find.q, "State": state, "States": []string{"hot", "parked", "starting", "cold"},
		"Sort": sorting, "Counts": counts,
	})
}

// modelNamed finds the model that the path names.
func (v *visit) modelNamed() (*fleet.ModelStatus, error) {
	id, err := url.PathUnescape(v.Params("*"))
	if err != nil {
		return nil, errNoPage
	}
	m := modelIn(v.hub.look(fresh), id)
	if m == nil || !v.sees(id) {
		return nil, &problem{http.StatusNotFound, "There is no such model", "No model of this name is here, or your token may not use it."}
	}
	return m, nil
}

func (v *visit) model() error {
	m, err := v.modelNamed()
	if err != nil {
		return err
	}
	live, err := v.liveParts("model:" + m.Model.ID)
	if err != nil {
		return err
	}
	ctx, cancel := v.asking()
	defer cancel()
	usual, err := v.typicals(ctx)
	if err != nil {
		return err
	}
	view := map[string]any{
		"Typical": usual[m.Model.ID],
		"Model":   m.Model, "PerSecond": v.perSecond(m.Model.GPUs), "Live": live, "Snippets": snippets(v.c.API, m.Model),
		"Chats": slices.Contains(m.Model.Endpoints, fleet.EndpointChat), "Payer": v.grant, "MayChat": v.grant != nil && v.grant.Has(tenant.ScopeInference) && v.grant.Allows(m.Model.ID),
		"Prompt": v.Query("prompt"),
	}
	if v.isOperator() {
		e, err := v.c.Fleet.Explain(m.Model.ID)
		if err != nil {
			return err
		}
		view["Explain"] = e
		now := v.hub.look(fresh)
		var instances []fleet.InstanceStatus
		for _, i := range now.Instances {
			if i.Model == m.Model.ID {
				instances = append(instances, i)
			}
		}
		view["Instances"] = instances
		view["Charts"] = v.plotsOf(m.Model.ID)
	}
	return v.show(http.StatusOK, "model", m.Model.ID, view)
}

// hold starts a model and keeps it hot for a while.
func (v *visit) hold() error {
	m, err := v.modelNamed()
	if err != nil {
		return err
	}
	span := m.Model.IdleAfter
	if text := v.FormValue("for"); text != "" {
		if span, err = fleet.ParseDuration(text); err != nil {
			return &problem{http.StatusBadRequest, "How long?", err.Error()}
		}
	}
	v.act.On("model/" + m.Model.ID)
	v.act.Changes(nil, map[string]any{"held_hot_for": fleet.FormatDuration(span)})
	if err := v.c.Fleet.Hold(m.Model.ID, span); err != nil {
		return &problem{http.StatusConflict, "It cannot be started", err.Error()}
	}
	return v.Redirect(v.base+modelPath(m.Model.ID), http.StatusSeeOther)
}

func (v *visit) stop() error {
	m, err := v.modelNamed()
	if err != nil {
		return err
	}
	v.act.On("model/" + m.Model.ID)
	v.act.Changes(map[string]any{"state": m.State, "hot": m.Hot}, map[string]any{"state": "stopped", "hot": 0})
	if err := v.c.Fleet.StopModel(m.Model.ID); err != nil {
		return &problem{http.StatusConflict, "It cannot be stopped", err.Error()}
	}
	return v.Redirect(v.base+modelPath(m.Model.ID), http.StatusSeeOther)
}

// modelPath is the path of a model's page.
func modelPath(id string) string { return "/model/" + (&url.URL{Path: id}).EscapedPath() }
