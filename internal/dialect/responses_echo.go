package dialect

import (
	"bytes"
	"encoding/json"
)

// maxEcho bounds what of one field is repeated, in bytes: a stream repeats it three times, and nobody counts that.
const maxEcho = 64 << 10

// echo gives the members of a response that repeat the request, on one line, for they become parts of events.
func echo(o object) []byte {
	var b bytes.Buffer
	for _, e := range []struct{ key, absent string }{
		{"instructions", "null"},
		{"max_output_tokens", "null"},
		{"max_tool_calls", "null"},
		{"metadata", "{}"},
		{"parallel_tool_calls", "true"},
		{"prompt_cache_key", "null"},
		{"reasoning", `{"effort":null,"summary":null}`},
		{"safety_identifier", "null"},
		{"temperature", "1.0"},
		{"text", `{"format":{"type":"text"}}`},
		{"tool_choice", `"auto"`},
		{"tools", "[]"},
		{"top_p", "1.0"},
		{"user", "null"},
	} {
		value := o.members[e.key]
		if value == nil || len(value) > maxEcho {
			value = []byte(e.absent)
		}
		b.WriteString(`"` + e.key + `":`)
		_ = json.Compact(&b, value) // the body is valid JSON
		b.WriteByte(',')
	}
	b.WriteString(`"background":false,"previous_response_id":null,"service_tier":"default","store":false,"top_logprobs":0,"truncation":"disabled",`)
	return b.Bytes()
}
