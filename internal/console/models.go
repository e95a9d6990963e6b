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

// typical is what a request to a model took and cost of late, on average.
type typical struct {
	Requests int64
	Took     time.Duration
	Cost     fleet.NanoUSD
}

// typicalSpan is how far back typical looks.
const typicalSpan = 30 * 24 * time.Hour

// typicals measures what requests took and cost, by model, from the records that the visitor may see.
func (v *visit) typicals(ctx context.Context) (map[string]typical, error) {
	now := v.c.Now().UTC()
	today := now.Truncate(24 * time.Hour)
	rows, _, err := v.c.Ledger.Usage(ctx, ledger.Query{Org: v.org(), From: today.Add(-typicalSpan), To: today.Add(24 * time.Hour), Limit: ledger.MaxUsageLimit})
	if err != nil {
		return nil, err
	}
	sums := map[string]ledger.UsageRow{}
	for _, r := range rows {
		s := sums[r.Model]
		s.Requests += r.Requests
		s.BilledUS += r.BilledUS
		s.Cost += r.Cost
		sums[r.Model] = s
	}
	all := map[string]typical{}
	for m, s := range sums {
		if s.Requests > 0 {
			all[m] = typical{s.Requests, time.Duration(s.BilledUS/s.Requests) * time.Microsecond, s.Cost / fleet.NanoUSD(s.Requests)}
		}
	}
	return all, nil
}

// modelRow is one line of the list of models.
type modelRow struct {
	ID, Pool  string
	GPUs      int
	Context   int
	PerSecond fleet.NanoUSD
	Endpoints []fleet.Endpoint
	Typical   typical
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
	var measured map[string]typical
	if v.may(tenant.ScopeUsageRead) {
		if measured, err = v.typicals(ctx); err != nil {
			return err
		}
	}
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
			Endpoints: m.Model.Endpoints, Typical: measured[m.Model.ID], state: m.State,
		}
		if shown < len(live.Parts) {
			row.State = live.Parts[shown]
		}
		shown++
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
		"used":    func(a, b *modelRow) int { return cmp.Compare(a.Typical.Requests, b.Typical.Requests) },
	})
	return v.show(http.StatusOK, "models", "Models", map[string]any{
		"Rows": rows, "Of": shown, "Live": live, "Q": find.q, "State": state, "States": []string{"hot", "parked", "starting", "cold"},
		"Sort": sorting, "Measured": measured != nil,
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
	view := map[string]any{
		"Model": m.Model, "PerSecond": v.perSecond(m.Model.GPUs), "Live": live, "Snippets": snippets(v.c.API, m.Model),
		"Chats": slices.Contains(m.Model.Endpoints, fleet.EndpointChat), "Payer": v.grant, "MayChat": v.grant != nil && v.grant.Has(tenant.ScopeInference) && v.grant.Allows(m.Model.ID),
		"Prompt": v.Query("prompt"),
	}
	if v.may(tenant.ScopeUsageRead) {
		all, err := v.typicals(ctx)
		if err != nil {
			return err
		}
		view["Typical"] = all[m.Model.ID]
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
	v.act.Changes(map[string]any{"state": m.State}, map[string]any{"held_hot_for": fleet.FormatDuration(span)})
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
