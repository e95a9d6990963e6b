package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// translatable are the endpoints that an engine need not serve itself, because they can be translated to chat.
var translatable = []fleet.Endpoint{fleet.EndpointResponses, fleet.EndpointMessages}

// modelEndpoints reads what callers may use, once the engine is known. What can be translated is listed wherever chat is, unless the model says not to.
func (r *reader) modelEndpoints(f *modelHCL, m *fleet.Model) {
	r.endpoints(f.Endpoints, &m.Endpoints)
	if r.endpoints(f.Native, &m.Native); slices.Equal(m.Native, m.Engine.Kind.Native()) {
		m.Native = nil // the same in more words
	}
	translate := true
	r.flag(f.Translate, &translate)
	for _, e := range translatable {
		switch {
		case translate && m.Serves(fleet.EndpointChat) && !m.Serves(e):
			m.Endpoints = append(m.Endpoints, e)
		case !translate && f.Endpoints == nil:
			m.Endpoints = slices.DeleteFunc(m.Endpoints, func(listed fleet.Endpoint) bool { return listed == e && !m.ServesNatively(e) })
		}
	}
	r.servable(f, m, translate)
}

func (r *reader) endpoints(attr *hcl.Attribute, to *[]fleet.Endpoint) {
	known := []string{
		string(fleet.EndpointChat), string(fleet.EndpointCompletions), string(fleet.EndpointEmbeddings),
		string(fleet.EndpointResponses), string(fleet.EndpointMessages),
	}
	var names []string
	var seen []string
	if !r.list(attr, &names, `a list such as ["chat", "completions"]`, func(s string) string {
		if !slices.Contains(known, s) {
			return "is no endpoint; " + suggestion(s, known)
		}
		if slices.Contains(seen, s) {
			return "is listed twice; leave one of them"
		}
		seen = append(seen, s)
		return ""
	}) {
		return
	}
	if len(names) == 0 {
		r.wrong(attr.Range, `%s is empty; name what the engine serves, such as ["chat", "completions"]`, attr.Name)
		return
	}
	*to = make([]fleet.Endpoint, len(names))
	for i, n := range names {
		(*to)[i] = fleet.Endpoint(n)
	}
}

// servable holds what the model lists against what its engine can do.
func (r *reader) servable(f *modelHCL, m *fleet.Model, translate bool) {
	if m.Engine.Kind.Native() == nil {
		return // the kind is unknown, which was said already
	}
	translate = translate && m.ServesNatively(fleet.EndpointChat)
	at := f.Range
	if f.Endpoints != nil {
		at = f.Endpoints.Range
	}
	for _, e := range m.Endpoints {
		if m.ServesNatively(e) || slices.Contains(translatable, e) && translate {
			continue
		}
		r.wrong(at, "endpoints: nothing serves %q; leave it out, or list it in native if the engine does", e)
	}
	if m.Serves(fleet.EndpointEmbeddings) && m.Serves(fleet.EndpointChat) && (m.Engine.Kind == fleet.EngineTRTLLM || m.Engine.Kind == fleet.EngineSim) {
		r.wrong(at, `endpoints: an engine of kind %s serves either "embeddings" or the others; make it two models`, m.Engine.Kind)
	}
}
