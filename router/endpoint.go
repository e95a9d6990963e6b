package router

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// endpoint is an API family: where callers and engines know it, and in what its callers' requests, tokens, keep-alives, errors and answers differ from
// those of a chat.
type endpoint struct {
	name       fleet.Endpoint
	path       string // below a prefix of ours
	enginePath string
	prompt     string          // the field that holds what is to be answered
	list       string          // the member of an engine's answer that holds what was generated
	query      []string        // the parameters that its query may have
	dialect    dialect.Dialect // that its callers speak; nil = the wire format of chat completions
	apiKey     bool            // the token may come as x-api-key
	limits     *limitHeaders   // in which its SDKs look for limits, beside OpenAI's; nil = nowhere else
	requestID  string          // a header in which its SDKs look for the request's ID; "" = ours
	pings      bool            // keep-alives are events that its SDKs pass over, in every mode but off
	since      string          // the first version, a date, that the header anthropic-version may name; "" = it is not looked at
}

var endpoints = []*endpoint{
	chatEndpoint,
	{name: fleet.EndpointCompletions, path: "/completions", enginePath: "/v1/completions", prompt: "prompt", list: "choices"},
	{name: fleet.EndpointEmbeddings, path: "/embeddings", enginePath: "/v1/embeddings", prompt: "input", list: "data"},
	{name: fleet.EndpointResponses, path: "/responses", enginePath: "/v1/responses", prompt: "input", list: "output", dialect: dialect.Responses},
	{
		name: fleet.EndpointMessages, path: "/messages", enginePath: "/v1/messages", prompt: "messages", list: "content", dialect: dialect.Messages,
		query:  []string{"beta"}, // Anthropic's SDKs say beta=true of their beta calls
		apiKey: true, limits: anthropicLimits, requestID: "Request-Id", pings: true, since: "2023-01-01",
	},
}

var chatEndpoint = &endpoint{name: fleet.EndpointChat, path: "/chat/completions", enginePath: "/v1/chat/completions", prompt: "messages", list: "choices"}

// endpointOf gives the endpoint whose path a request has, or one below it, such as /v1/messages/count_tokens; nil if it has another.
func endpointOf(ctx *fasthttp.RequestCtx) *endpoint {
	path := ctx.URI().PathOriginal()
	for _, e := range endpoints {
		if n := len(path) - len(e.path); n >= 0 && string(path[n:]) == e.path {
			return e
		}
	}
	for _, e := range endpoints {
		if bytes.Contains(path, []byte(e.path+"/")) {
			return e
		}
	}
	return nil
}

// secret gives the token that a request to the endpoint brings, a view into the request. "" = none. e may be nil.
func (e *endpoint) secret(ctx *fasthttp.RequestCtx) []byte {
	if s := edge.Bearer(ctx); len(s) > 0 || e == nil || !e.apiKey {
		return s
	}
	return bytes.TrimSpace(ctx.Request.Header.PeekCanonical(headerAPIKey))
}

// check looks at the headers that are the endpoint's own.
func (e *endpoint) check(ctx *fasthttp.RequestCtx) *failure {
	v := string(ctx.Request.Header.PeekCanonical(headerVersion))
	if e.since == "" || v == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, v); err != nil || v < e.since {
		return failf(codeInvalidRequest, "%s is no version; write a date such as 2023-06-01.", headerVersion).at(string(headerVersion))
	}
	return nil
}

// appendError appends an error as the endpoint's callers expect it. e may be nil.
func (e *endpoint) appendError(b []byte, wrong *openai.Error, request string) []byte {
	if e == nil || e.dialect == nil {
		return wrong.Append(b)
	}
	return e.dialect.AppendError(b, wrong, request)
}

// unsupported says what the model supports instead.
func (m *model) unsupported(e *endpoint) *failure {
	var offers []string
	for _, o := range endpoints {
		if m.Serves(o.name) {
			offers = append(offers, fmt.Sprintf("%s (POST %s)", o.name, o.enginePath))
		}
	}
	if offers == nil {
		offers = []string{"no endpoint of this server"}
	}
	return failf(codeUnsupportedEndpoint, "Model %q does not support %s; it supports %s.", m.ID, e.name, strings.Join(offers, ", "))
}
