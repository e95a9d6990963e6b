package openai

import (
	"net/http"
	"strconv"
)

// Fault is what an engine's error says of itself, by its status and by those fields of it that the engine alone chooses. A caller can have any words of
// its own repeated in the message, which is therefore never looked at.
type Fault struct {
	Status  int    // 400 to 599: what the error's own code or type says, else that of the HTTP answer; 500 where neither is an error's
	Message string // fit to be shown
	Param   string // the field at fault, where the engine names one
	Bare    bool   // {"error":"text"}, in which trtllm-serve says that a request does not fit its schema
}

// ReadFault reads an engine's error answer, or an error event's data, of an answer with the status.
func ReadFault(status int, body []byte) Fault {
	a, _ := glance(body)
	f := Fault{Status: status}
	code, kind := a.code, a.kind
	if a.fault != nil {
		_, f.Bare = stringValue(a.fault)
		inner, _ := glance(a.fault)
		code, kind = inner.code, inner.kind
	}
	for _, said := range [][]byte{code, kind} {
		if s := faultStatus(said); s != 0 {
			f.Status = s
			break
		}
	}
	if f.Status < 400 || f.Status > 599 {
		f.Status = http.StatusInternalServerError
	}
	f.Message = EngineError(f.Status, body)
	if !f.Bare {
		f.Param = clip(sanitise(refusalOf(body).param), maxPathKey)
		return f
	}
	text, _ := stringValue(a.fault)
	if message, param := validation(text); message != "" {
		f.Message, f.Param = sanitise(message), param
	}
	return f
}

// Callers reports whether the error is one of the request's, by its status.
func (f *Fault) Callers() bool {
	switch f.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// faultStatus reads the value of an error's code or type; 0 = it says none.
func faultStatus(value []byte) int {
	text, ok := stringValue(value)
	if !ok {
		text = string(value)
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 400 && n <= 599 {
		return n
	}
	return faultWords[text]
}

// faultWords are the codes and types of errors by which engines name a status: vLLM's and trtllm-serve's, llama.cpp's, and OpenAI's.
var faultWords = map[string]int{
	"BadRequestError": 400, "NotFoundError": 404, "UnprocessableEntityError": 422,
	"RateLimitError": 429, "InternalServerError": 500, "ServiceUnavailableError": 503,
	"invalid_request_error": 400, "exceed_context_size_error": 400, "not_found_error": 404, "not_supported_error": 400,
	"server_error": 500, "unavailable_error": 503,
	"invalid_request": 400, "context_length_exceeded": 400, "rate_limit_error": 429, "rate_limit_exceeded": 429, "api_error": 500, "overloaded_error": 503,
}
