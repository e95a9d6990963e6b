package engine

import (
	"encoding/json"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// question is a request for one token, and where its answer shows that a token came.
type question struct {
	path  string
	body  []byte
	field string // a non-empty list in the answer
}

// questions gives what to ask of the model, the likeliest first; never empty.
func questions(m *fleet.Model) []question {
	var asked []question
	var fallback question       // chat
	id, _ := json.Marshal(m.ID) // A string always has a JSON form.
	for _, e := range []struct {
		endpoint fleet.Endpoint
		question
		rest string
	}{
		{fleet.EndpointChat, question{path: "/v1/chat/completions", field: "choices"}, `"messages":[{"role":"user","content":"hi"}],"max_tokens":1`},
		{fleet.EndpointCompletions, question{path: "/v1/completions", field: "choices"}, `"prompt":"hi","max_tokens":1`},
		{fleet.EndpointResponses, question{path: "/v1/responses", field: "output"}, `"input":"hi","max_output_tokens":1`},
		{fleet.EndpointMessages, question{path: "/v1/messages", field: "content"}, `"messages":[{"role":"user","content":"hi"}],"max_tokens":1`},
		{fleet.EndpointEmbeddings, question{path: "/v1/embeddings", field: "data"}, `"input":"hi"`},
	} {
		e.body = fmt.Appendf(nil, `{"model":%s,%s}`, id, e.rest)
		if m.Serves(e.endpoint) && m.ServesNatively(e.endpoint) {
			asked = append(asked, e.question)
		}
		if fallback.path == "" {
			fallback = e.question
		}
	}
	if asked == nil { // all that the model lists is translated to chat
		asked = []question{fallback}
	}
	return asked
}

// generated reports whether the answer holds what was asked for. A 200 alone proves nothing: a TensorRT-LLM whose executor
// has died answers 200 with the body "null".
func (q question) generated(body []byte) bool {
	var answer map[string]json.RawMessage
	var items []json.RawMessage
	return json.Unmarshal(body, &answer) == nil && json.Unmarshal(answer[q.field], &items) == nil && len(items) > 0
}
